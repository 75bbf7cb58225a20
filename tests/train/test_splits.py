"""No speaker and no recording is on both sides of a split."""

from dataclasses import replace
from pathlib import Path

import pytest

from train import corpora
from train.corpora import Clip
from train.splits import (
    RAVDESS_TEST,
    RAVDESS_VALIDATION,
    LeakError,
    check_leaks,
    everyone,
    leave_corpus_out,
    ravdess_fold,
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


@pytest.mark.parametrize("fold", range(5))
def test_real_folds_have_supports_that_are_multiples_of_eight(shared_data, fold):
    split = ravdess_fold(corpora.read(shared_data, ["ravdess"]), fold)
    check_leaks(split)
    for emotion in {clip.emotion for clip in split.test}:
        support = sum(clip.emotion == emotion for clip in split.test)
        assert support % (4 if emotion == "neutral" else 8) == 0
