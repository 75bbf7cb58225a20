"""Splits share no speaker and no recording between their parts."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from support import recording

from train import corpora
from train.corpora import Clip
from train.corpora.splits import (
    PARTS,
    RAVDESS_TEST,
    RAVDESS_VALIDATION,
    LeakError,
    Split,
    SplitError,
    check_leaks,
    everyone,
    from_file,
    leave_corpus_out,
    leave_speaker_out,
    random_by_file,
    ravdess_fold,
    speaker_kfold,
)


def made_clips(folder: Path) -> list[Clip]:
    """24 RAVDESS actors and the speakers of two more corpora, two files each, all different."""
    clips = []
    for corpus, speakers in (("ravdess", 24), ("nemo", 9), ("tess", 2)):
        for number in range(1, speakers + 1):
            for take in range(2):
                path = folder / f"{corpus}-{number:02d}-{take}.wav"
                path.write_bytes(path.name.encode())
                clips.append(Clip(corpus, path, f"{corpus}/{number:02d}", "female", "happy", "en"))
    return clips


def test_the_folds_cover_every_actor_once_and_never_validate_on_a_test_actor():
    tested = [actor for fold in RAVDESS_TEST for actor in fold]
    assert sorted(tested) == list(range(1, 25))
    for test, validation in zip(RAVDESS_TEST, RAVDESS_VALIDATION, strict=True):
        assert not set(test) & set(validation)


@pytest.mark.parametrize("fold", range(5))
def test_folds_do_not_leak(tmp_path, fold):
    clips = made_clips(tmp_path)
    split = ravdess_fold(clips, fold)
    check_leaks(split)
    assert len(split.train) + len(split.validation) + len(split.test) == len(clips)
    assert {clip.corpus for clip in (*split.validation, *split.test)} == {"ravdess"}


def test_a_corpus_left_out_is_tested_whole_and_never_trained_on(tmp_path):
    split = leave_corpus_out(made_clips(tmp_path), "nemo")
    check_leaks(split)
    assert {clip.corpus for clip in split.test} == {"nemo"}
    assert len(split.test) == 18
    assert "nemo" not in {clip.corpus for clip in (*split.train, *split.validation)}
    assert {clip.speaker for clip in split.validation} == {"ravdess/01", "ravdess/24"}  # tess has too few


def test_training_on_everyone_leaves_nothing_to_report(tmp_path):
    split = everyone(made_clips(tmp_path))
    assert (split.validation, split.test) == ((), ())


def test_a_shared_speaker_is_caught(tmp_path):
    split = ravdess_fold(made_clips(tmp_path), 0)
    leaking = replace(split, train=(*split.train, split.test[0]))
    with pytest.raises(LeakError, match="train and test share the speaker ravdess/"):
        check_leaks(leaking)


def test_a_copied_recording_under_another_speaker_is_caught(tmp_path):
    split = ravdess_fold(made_clips(tmp_path), 0)
    copy = tmp_path / "copy.wav"
    copy.write_bytes(split.test[0].path.read_bytes())
    disguised = replace(split.test[0], path=copy, speaker="ravdess/99")
    with pytest.raises(LeakError, match="share the recording"):
        check_leaks(replace(split, train=(*split.train, disguised)))


def speakers_of(clips) -> set[str]:
    return {clip.speaker for clip in clips}


@pytest.mark.parametrize("folds", [2, 5, 7, 35])
def test_folds_by_speaker_test_everybody_once_and_are_balanced(tmp_path, folds):
    clips = made_clips(tmp_path)
    splits = speaker_kfold(clips, folds, seed=0)
    assert len(splits) == folds
    tested = [speaker for split in splits for speaker in speakers_of(split.test)]
    assert sorted(tested) == sorted(speakers_of(clips))
    sizes = [len(speakers_of(split.test)) for split in splits]
    assert max(sizes) - min(sizes) <= 1
    actors = [len([s for s in speakers_of(split.test) if s.startswith("ravdess/")]) for split in splits]
    assert max(actors) - min(actors) <= 1
    for split in splits:
        check_leaks(split)
        assert len(split.train) + len(split.validation) + len(split.test) == len(clips)


def test_folds_are_balanced_in_clips_where_the_number_of_speakers_leaves_a_choice(tmp_path):
    talkative = made_clips(tmp_path)[:12]  # six actors, of whom two have five times the clips of the others
    clips = talkative + [clip for clip in talkative[:4] for _ in range(4)]
    sizes = [len(split.test) for split in speaker_kfold(clips, 2, seed=3)]
    assert sizes == [14, 14]


def test_folds_by_speaker_depend_on_the_seed_alone(tmp_path):
    clips = made_clips(tmp_path)
    assert speaker_kfold(clips, 5, seed=1) == speaker_kfold(clips, 5, seed=1)
    first, other = ([speakers_of(split.test) for split in speaker_kfold(clips, 5, seed)] for seed in (1, 2))
    assert first != other
    shuffled = speaker_kfold(clips[::-1], 5, seed=1)
    assert [speakers_of(split.test) for split in shuffled] == first


def test_a_speaker_left_out_is_tested_alone(tmp_path):
    splits = leave_speaker_out(made_clips(tmp_path), seed=0)
    assert len(splits) == 35
    assert splits[0].name == "without_speaker_nemo_01"  # a name for a folder
    for split in splits:
        check_leaks(split)
        assert len(speakers_of(split.test)) == 1
        assert len(speakers_of(split.validation)) == 3


@pytest.mark.parametrize(
    "split", [lambda clips: speaker_kfold(clips, 2, 0), lambda clips: leave_speaker_out(clips, 0)]
)
def test_one_speaker_cannot_be_split_by_speaker(tmp_path, split):
    one = [clip for clip in made_clips(tmp_path) if clip.speaker == "nemo/01"]
    with pytest.raises(SplitError, match=r"there are 1 \(nemo/01\).*name the speakers in a CSV"):
        split(one)


def test_more_folds_than_speakers_are_refused(tmp_path):
    with pytest.raises(SplitError, match=r"36 folds by speaker.*there are 35"):
        speaker_kfold(made_clips(tmp_path), 36, seed=0)


def test_a_random_split_by_file_keeps_copies_together_and_says_that_it_depends_on_the_speaker(
    tmp_path, caplog
):
    clips = made_clips(tmp_path)
    for clip in clips[::2]:  # every other recording three times over
        for copy in range(2):
            path = tmp_path / f"copy{copy}-{clip.path.name}"
            path.write_bytes(clip.path.read_bytes())
            clips.append(replace(clip, path=path))
    split = random_by_file(clips, seed=0)
    check_leaks(split)
    assert split.speaker_dependent
    assert "random_by_file is speaker-dependent" in caplog.text
    assert sorted(map(str, clips)) == sorted(map(str, (*split.train, *split.validation, *split.test)))
    assert speakers_of(split.test) & speakers_of(split.train)
    with pytest.raises(LeakError, match="share the speaker"):
        check_leaks(replace(split, speaker_dependent=False))


def test_a_copy_on_two_sides_is_caught_though_speakers_may_be(tmp_path):
    split = random_by_file(made_clips(tmp_path), seed=0)
    copy = tmp_path / "copy.wav"
    copy.write_bytes(split.test[0].path.read_bytes())
    leaking = replace(split, train=(*split.train, replace(split.test[0], path=copy)))
    with pytest.raises(LeakError, match=r"share the recording .*copy\.wav \(a copy is .*: remove one\)"):
        check_leaks(leaking)


def write_split(path: Path, split: Split, columns: tuple[str, ...]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for part in ("train", "validation", "test"):
            for clip in getattr(split, part):
                row = {"part": part, "corpus": clip.corpus, "speaker": clip.speaker, "file": clip.path.name}
                writer.writerow(row[column] for column in columns)
    return path


@pytest.mark.parametrize("columns", [("part", "file"), ("part", "corpus", "speaker", "file")])
def test_a_split_file_gives_the_split_back(tmp_path, columns):
    clips = made_clips(tmp_path)
    expected = ravdess_fold(clips, 2)
    split = from_file(clips, write_split(tmp_path / "mine.csv", expected, columns))
    assert split == replace(expected, name="mine")


def test_a_split_file_tells_clips_of_the_same_name_apart(tmp_path):
    clips = []
    for speaker in ("DC", "JE", "KL"):
        path = tmp_path / speaker / "a01.wav"
        path.parent.mkdir()
        path.write_bytes(speaker.encode())
        clips.append(Clip("savee", path, f"savee/{speaker}", "male", "angry", "en"))
    table = tmp_path / "mine.csv"
    table.write_text("part,file\ntrain,DC/a01.wav\nvalidation,JE/a01.wav\ntest,KL/a01.wav\n")
    split = from_file(clips, table)
    assert [*split.train, *split.validation, *split.test] == clips
    table.write_text("part,file\ntrain,a01.wav\n")
    with pytest.raises(SplitError, match=r"line 2: a01\.wav means 3 clips: give more of its path"):
        from_file(clips, table)


def test_the_split_file_of_a_run_tells_nested_layouts_apart(tmp_path):
    for name in ("a.wav", "x/a.wav", "y/x/a.wav"):
        recording(tmp_path / "data" / name)
    table = "file,speaker,emotion\na.wav,1,sad\nx/a.wav,2,sad\ny/x/a.wav,3,sad\n"
    (tmp_path / "data" / "mine.csv").write_text(table)
    for speaker in ("DC", "JE", "KL"):
        recording(tmp_path / "data" / "savee" / speaker / "a01.wav")
    clips = corpora.read(tmp_path / "data", ["mine", "savee"])
    assert [clip.file for clip in clips[1:4]] == ["x/a.wav", "y/x/a.wav", "savee/DC/a01.wav"]
    expected = Split("mine", (clips[0], clips[3]), (clips[1], clips[4]), (clips[2], clips[5]))
    split = tmp_path / "split.csv"
    parts = [(part, clip) for part in PARTS for clip in getattr(expected, part)]
    split.write_text("\n".join(["part,file", *(f"{part},{clip.file}" for part, clip in parts)]))
    assert from_file(clips, split) == replace(expected, name="split")
    moved = corpora.read((tmp_path / "data").rename(tmp_path / "elsewhere"), ["mine", "savee"])
    assert [clip.file for clip in from_file(moved, split).test] == ["y/x/a.wav", "savee/KL/a01.wav"]


def test_a_recording_outside_of_the_data_folder_keeps_its_whole_path(tmp_path):
    elsewhere = recording(tmp_path / "elsewhere" / "b.wav")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine.csv").write_text(f"file,speaker,emotion\n{elsewhere},1,sad\n")
    (clip,) = corpora.read(tmp_path / "data", ["mine"])
    assert clip.file == elsewhere.as_posix()
    (tmp_path / "split.csv").write_text(f"part,file\ntrain,{clip.file}\n")
    assert from_file([clip], tmp_path / "split.csv").train == (clip,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file\na.wav\n", "mine.csv lacks the column part"),
        ("part,file\ndev,nemo-01-0.wav\n", "line 2: part is train, validation, test, not 'dev'"),
        ("part,file\ntrain\n", "line 2: . is no clip"),
        ("part,file\ntrain,nemo-01-0.wav\ntest,b.wav\n", "line 3: b.wav is no clip of the recipe's corpora"),
    ],
)
def test_a_bad_split_file_is_named(tmp_path, text, message):
    (tmp_path / "mine.csv").write_text(text)
    with pytest.raises(SplitError, match=message):
        from_file(made_clips(tmp_path), tmp_path / "mine.csv")


def test_a_missing_split_file_is_named(tmp_path):
    with pytest.raises(SplitError, match=r"mine\.csv cannot be read"):
        from_file([], tmp_path / "mine.csv")


def test_a_fixed_split_that_shares_a_speaker_is_caught_unless_it_says_so(tmp_path):
    clips = made_clips(tmp_path)
    table = write_split(tmp_path / "mine.csv", random_by_file(clips, seed=0), ("part", "file"))
    with pytest.raises(LeakError, match=r"mine: train and .* share the speaker"):
        check_leaks(from_file(clips, table))
    check_leaks(from_file(clips, table, speaker_dependent=True))


def test_a_test_without_anybody_to_choose_the_epoch_is_refused(tmp_path):
    few = [clip for clip in made_clips(tmp_path) if clip.corpus != "ravdess"]
    with pytest.raises(SplitError, match="without_nemo: nobody is left to choose the epoch"):
        check_leaks(leave_corpus_out(few, "nemo"))


def test_a_corpus_that_is_not_there_cannot_be_left_out(tmp_path):
    with pytest.raises(SplitError, match=r"without_emodb: .*\(nemo, ravdess, tess\)"):
        leave_corpus_out(made_clips(tmp_path), "emodb")


@pytest.mark.parametrize("fold", range(5))
def test_real_folds_have_supports_that_are_multiples_of_eight(shared_data, fold):
    split = ravdess_fold(corpora.read(shared_data, ["ravdess"]), fold)
    check_leaks(split)
    for emotion in {clip.emotion for clip in split.test}:
        support = sum(clip.emotion == emotion for clip in split.test)
        assert support % (4 if emotion == "neutral" else 8) == 0
