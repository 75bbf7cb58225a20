"""Corpora are read by their naming schemes; errors and warnings name the file."""

import pytest
from support import recording, tabled

from ser_core.emotions import LABELS
from train import corpora
from train.corpora import CorpusError, read_corpus
from train.corpora.naming import FOLDER, read_naming

HEADER = "file,speaker,gender,emotion,language\n"
LABEL_FILE = """title = "A"
language = "en"
naming = '{}'
[emotion]
a = "{}"
"""
# corpus, a file as it is named there, speaker, gender, emotion, language
NAMED = [
    ("ravdess", "Actor_12/03-01-06-01-02-01-12", "12", "female", "fearful", "en"),
    ("ravdess", "Actor_07/03-01-02-02-01-02-07", "07", "male", "calm", "en"),
    ("savee", "DC_a01", "DC", "male", "angry", "en"),
    ("savee", "KL/sa15", "KL", "male", "sad", "en"),
    ("savee", "AudioData/JE/su02", "JE", "male", "surprised", "en"),
    ("asvp_esd_v1", "actor_12/03-01-03-02-01-12-02-01-16", "12", "male", "happy", "mul"),
    ("asvp_esd_v2", "Audio/actor_115/03-01-05-01-01-115-02-02-02-05", "115", "female", "angry", "mul"),
    ("shemo", "female/F01A01", "F01", "female", "angry", "fa"),
    ("shemo", "male/M12W103", "M12", "male", "surprised", "fa"),
    ("tess", "OAF_angry/OAF_back_angry", "OAF", "female", "angry", "en"),
    ("tess", "YAF_pleasant_surprised/YAF_bar_ps", "YAF", "female", "surprised", "en"),
    ("tess", "OAF_neutral/OA_bite_neutral", "OAF", "female", "neutral", "en"),
    ("crema_d", "AudioWAV/1001_DFA_ANG_XX", "1001", "male", "angry", "en"),
    ("crema_d", "AudioWAV/1040_ITH_SAD_X", "1040", "male", "sad", "en"),
    ("crema_d", "AudioWAV/1091_IEO_HAP_HI", "1091", "female", "happy", "en"),
    ("emodb", "wav/03a01Fa", "03", "male", "happy", "de"),
    ("emodb", "wav/16b10Wb", "16", "female", "angry", "de"),
    ("emovo", "dis-f1-b1", "f1", "female", "disgust", "it"),
    ("emovo", "m3/gio-m3-n5", "m3", "male", "happy", "it"),
    ("nemo", "samples/EB0_anger_1", "EB0", "female", "angry", "pl"),
    ("nemo", "samples/WR0_surprised_78", "WR0", "male", "surprised", "pl"),
]
# corpus, a file that belongs to it and is not taken, why
NOT_TAKEN = [
    ("ravdess", "03-02-03-01-01-01-01", "song"),
    ("asvp_esd", "03-01-01-01-01-116-02-02-02-05", "boredom"),
    ("asvp_esd", "03-01-11-01-01-11-02-02-16", "pain"),
    ("asvp_esd", "03-02-03-01-01-11-02-02-16", "no speech (laughs, cries, screams)"),
    ("asvp_esd", "03-01-03-01-01-11-02-02-66", "several voices at once"),
    ("emodb", "03a01La", "boredom"),
]


@pytest.mark.parametrize(
    ("corpus", "name", "speaker", "gender", "emotion", "language"), NAMED, ids=[row[1] for row in NAMED]
)
def test_the_name_of_a_file_says_who_speaks_in_which_emotion(
    tmp_path, corpus, name, speaker, gender, emotion, language
):
    path = recording(tmp_path / corpus / f"{name}.wav")
    (clip,) = read_corpus(tmp_path / corpus)
    assert clip.path == path
    assert (clip.speaker, clip.gender) == (f"{corpus}/{speaker}", gender)
    assert (clip.emotion, clip.language) == (emotion, language)


@pytest.mark.parametrize(("corpus", "name", "why"), NOT_TAKEN)
def test_what_is_not_one_of_the_eight_emotions_in_speech_is_left_out_and_counted(
    tmp_path, caplog, corpus, name, why
):
    taken = next(row for row in NAMED if row[0].startswith(corpus))
    recording(tmp_path / corpus / f"{taken[1]}.wav")
    recording(tmp_path / corpus / f"{name}.wav")
    reading = corpora.load(tmp_path / corpus)
    assert len(reading.clips) == 1
    assert reading.left_out == {why: 1}
    read_corpus(tmp_path / corpus)
    assert f"1 clips left out: {why}" in caplog.text


@pytest.mark.parametrize("corpus", corpora.CORPORA)
def test_names_say_what_the_tables_of_the_shared_corpora_say(shared_data, tmp_path, corpus):
    folder = tmp_path / corpus
    folder.mkdir()
    for entry in (shared_data / corpus).iterdir():
        if entry.name != "metadata.csv":
            (folder / entry.name).symlink_to(entry)
    inside = [path for path in folder.iterdir() if path.is_dir()]  # rglob does not follow links to folders
    by_name = [clip for path in inside or [folder] for clip in corpora.load(path).clips]
    tabled = read_corpus(shared_data / corpus)

    def labels_of(clips):
        return {(c.path.name, c.speaker.split("/")[1], c.gender, c.emotion, c.language) for c in clips}

    assert labels_of(by_name) == labels_of(tabled)
    assert len(by_name) == len(tabled)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_no_code_is_both_an_emotion_and_left_out(path):
    naming = read_naming(path)
    assert not naming.emotion.keys() & naming.left_out.get("emotion", {}).keys()
    assert naming.gender.keys() <= {"female", "male"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title = ", "is no label file"),
        ('title = "A"\nlanguage = "en"\nemotion = {a = "angry"}', "is no label file: 'naming'"),
        ("naming = '(?P<speaker>x'", "is no label file: missing \\)"),
        ("naming = '(?P<speaker>x)(?P<emotion>y)'", "is no label file.*title"),
        (LABEL_FILE.format("(?P<speaker>.)", "angry"), "no group emotion in its naming"),
        (LABEL_FILE.format("(?P<speaker>.)(?P<emotion>.)", "cross"), "no emotion cross in"),
    ],
)
def test_a_bad_label_file_is_named(tmp_path, text, message):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(CorpusError, match=rf"mine\.toml.*{message}"):
        read_naming(path)


def test_a_label_outside_the_map_is_left_out_with_the_file_and_what_to_do(tmp_path):
    recording(tmp_path / "emodb" / "03a01Fa.wav")
    odd = recording(tmp_path / "emodb" / "03a01Xa.wav")
    reading = corpora.load(tmp_path / "emodb")
    assert reading.left_out == {"unknown label X": 1}
    (warning,) = [text for text in reading.warnings if "unknown label" in text]
    assert str(odd) in warning
    assert "emodb.toml" in warning


def test_a_file_that_is_not_named_as_the_rest_is_named(tmp_path):
    for name in ("DC_a01", "DC_a02", "notes to self"):
        recording(tmp_path / "savee" / f"{name}.wav")
    reading = corpora.load(tmp_path / "savee")
    assert len(reading.clips) == 2
    assert any("notes to self.wav: rename or remove" in warning for warning in reading.warnings)


def test_an_incomplete_corpus_says_which_class_it_lacks(tmp_path):
    recording(tmp_path / "savee" / "DC_a01.wav")
    warnings = corpora.load(tmp_path / "savee").warnings
    assert "no clip is disgust, which SAVEE has: unpack the whole corpus" in warnings
    assert not any("angry" in warning for warning in warnings)


def test_a_folder_a_class_has_one_voice_that_no_split_divides(tmp_path):
    for name in ("Joy/1.wav", "Joy/evening/2.wav", "anger/1.wav"):
        recording(tmp_path / "mine" / name)
    reading = corpora.load(tmp_path / "mine")
    rows = [(clip.path.name, clip.emotion, clip.speaker) for clip in reading.clips]
    assert rows == [
        ("1.wav", "happy", "mine/unknown"),
        ("2.wav", "happy", "mine/unknown"),
        ("1.wav", "angry", "mine/unknown"),
    ]
    assert any("speakers are unknown" in warning for warning in reading.warnings)


def test_folders_that_are_empty_or_no_emotion_are_named(tmp_path):
    recording(tmp_path / "mine" / "happy" / "1.wav")
    recording(tmp_path / "mine" / "boredom" / "1.wav")
    recording(tmp_path / "mine" / "stray.wav")
    (tmp_path / "mine" / "sad").mkdir()
    reading = corpora.load(tmp_path / "mine")
    assert reading.left_out == {"boredom": 1, "not in a folder of its class": 1}
    assert any(str(tmp_path / "mine" / "sad") in text and "is empty" in text for text in reading.warnings)
    assert any(str(tmp_path / "mine" / "boredom") in text and "rename" in text for text in reading.warnings)


def test_a_table_becomes_clips(tmp_path):
    (clip,) = read_corpus(tabled(tmp_path / "mine", HEADER + "a.wav,7,male,Joy,de\n"))
    assert (clip.corpus, clip.speaker, clip.emotion, clip.language) == ("mine", "mine/7", "happy", "de")


def test_rows_with_times_are_stretches_of_their_file(tmp_path):
    table = "file,speaker,emotion,start,end\na.wav,1,joy,0.05,0.1\na.wav,1,fear,0.1,0.2\na.wav,1,fear,,\n"
    clips = read_corpus(tabled(tmp_path / "mine", table))
    assert [clip.stretch_s for clip in clips] == [(0.05, 0.1), (0.1, 0.2), None]
    assert [clip.file for clip in clips] == ["mine/a.wav#t=0.05,0.1", "mine/a.wav#t=0.1,0.2", "mine/a.wav"]
    assert corpora.inspect(corpora.load(tmp_path / "mine")).hours * 3600 == pytest.approx(0.05 + 0.1 + 0.25)


@pytest.mark.parametrize("times", ["0.2,0.1", "0.1,", ",0.1", "-1,1", "0,nan", "one,two"])
def test_a_stretch_that_is_none_is_named(tmp_path, times):
    with pytest.raises(CorpusError, match=r"metadata\.csv, line 2: start .* are no stretch in seconds"):
        read_corpus(tabled(tmp_path / "mine", f"file,speaker,emotion,start,end\na.wav,1,joy,{times}\n"))


def test_a_table_goes_before_the_names_of_the_files(tmp_path):
    recording(tmp_path / "emodb" / "03a01Fa.wav")
    (tmp_path / "emodb" / "metadata.csv").write_text("file,speaker,emotion\n03a01Fa.wav,Ada,sad\n")
    (clip,) = read_corpus(tmp_path / "emodb")
    assert (clip.speaker, clip.emotion) == ("emodb/Ada", "sad")


def test_a_csv_beside_the_recordings_is_a_corpus(tmp_path):
    recording(tmp_path / "sound" / "a.wav")
    text = (
        "\ufefffile,speaker,emotion\nsound/a.wav,Ada,anger\nsound/a.wav,,fear\n"  # as spreadsheets write it
    )
    (tmp_path / "mine.csv").write_text(text, encoding="utf-8")
    first, second = corpora.read(tmp_path, ["mine"])
    assert (first.corpus, first.speaker, first.emotion, first.gender) == ("mine", "mine/Ada", "angry", "")
    assert second.speaker == "mine/unknown"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("file,speaker\n", "metadata.csv lacks the column emotion"),
        ("name,emotion\n", "metadata.csv lacks the column file, speaker"),
        (HEADER, "lists no clips"),
        (HEADER + "b.wav,7,male,joy,de\n", "line 2.*b.wav does not exist"),
        (HEADER + "a.wav,7,male,boredom,de\n", "line 2: no emotion is called 'boredom'.*correct the row"),
    ],
)
def test_a_bad_table_is_named(tmp_path, table, message):
    with pytest.raises(CorpusError, match=message):
        read_corpus(tabled(tmp_path / "mine", table))


@pytest.mark.parametrize(
    "table",
    [
        "file;speaker;emotion;start;end\na.wav;Ada, the first;joy;0,05;0,2\n",
        "File\tSpeaker\tEmotion\tStart\tEnd\r\na.wav\tAda, the first\tjoy\t0.05\t0.2\r\n",
        'FILE,"Speaker", Emotion ,START,end\na.wav,"Ada, the first",joy,0.05,0.2\n',
        '\ufeff"File";"Speaker";"Emotion";"Start";"End"\r\n"a.wav";"Ada, the first";"joy";"0,05";"0,2"\r\n',
    ],
)
def test_tables_are_read_as_spreadsheets_write_them(tmp_path, table):
    folder = tabled(tmp_path / "mine", "")
    (folder / "metadata.csv").write_text(table, encoding="utf-8", newline="")
    (clip,) = read_corpus(folder)
    assert (clip.path, clip.emotion) == (folder / "a.wav", "happy")
    assert (clip.speaker, clip.stretch_s) == ("mine/Ada, the first", (0.05, 0.2))


def test_a_table_of_another_separator_without_a_column_says_which(tmp_path):
    with pytest.raises(CorpusError, match=r"metadata\.csv lacks the column speaker: .*semicolons or tabs"):
        read_corpus(tabled(tmp_path / "mine", "File;Who;Emotion\na.wav;1;joy\n"))


def test_empty_rows_are_skipped_and_lines_counted_with_them(tmp_path):
    rows = "\n,,\nfile,speaker,emotion\n\na.wav,1,joy\n,,\n  , ,\n"
    folder = tabled(tmp_path / "mine", rows)
    assert len(read_corpus(folder)) == 1
    (folder / "metadata.csv").write_text(rows + "b.wav,1,joy\n")
    with pytest.raises(CorpusError, match=r"line 8: .*b\.wav does not exist"):
        read_corpus(folder)


def test_every_bad_row_is_named_at_once(tmp_path):
    rows = [f"b{number}.wav,1,joy" for number in range(11)] + ["a.wav,1,boredom", "a.wav,1,joy"]
    with pytest.raises(CorpusError) as raised:
        read_corpus(tabled(tmp_path / "mine", "\n".join(["file,speaker,emotion", *rows])))
    lines = str(raised.value).splitlines()
    assert [f"line {number}: " in line for number, line in enumerate(lines[:10], start=2)] == [True] * 10
    assert lines[10].strip() == "12 in all, 2 of them not shown."


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("s1", "S1", True),
        ("Ada L", "ada_l", True),
        ("7", "07", True),
        ("Zoe\u0301", "Zoé", True),
        ("s1", "s2", False),
        ("1-11", "11-1", False),
        ("10", "1", False),
    ],
)
def test_speakers_whose_names_are_nearly_the_same_are_named(tmp_path, caplog, one, other, alike):
    folder = tabled(tmp_path / "mine", "")
    recording(folder / "b.wav")
    table = f"file,speaker,emotion\na.wav,{one},joy\nb.wav,{other},joy\n"
    (folder / "metadata.csv").write_text(table, encoding="utf-8")
    read_corpus(folder)
    assert (f"{one} and {other} count as 2 speakers" in caplog.text) is alike


def test_a_table_in_another_encoding_is_named(tmp_path):
    folder = tabled(tmp_path / "mine", HEADER)
    (folder / "metadata.csv").write_bytes("file,speaker,emotion\nä.wav,1,joy\n".encode("latin-1"))
    with pytest.raises(CorpusError, match="no CSV in UTF-8"):
        read_corpus(folder)


def test_a_missing_corpus_is_named(tmp_path):
    with pytest.raises(CorpusError, match=r"metadata\.csv is missing"):
        corpora.read(tmp_path, ["ravdess"])


def test_a_folder_without_clips_says_what_would_be_read(tmp_path):
    recording(tmp_path / "mine" / "one.wav")
    with pytest.raises(CorpusError, match=r"holds no clips.*CREMA-D"):
        read_corpus(tmp_path / "mine")


def test_several_corpora_are_read_at_once(tmp_path):
    for corpus, name, *_ in NAMED:
        recording(tmp_path / corpus / f"{name}.wav")
    names = list(dict.fromkeys(row[0] for row in NAMED))
    clips = corpora.read(tmp_path, names)
    assert [clip.corpus for clip in clips] == sorted((row[0] for row in NAMED), key=names.index)
    assert corpora.classes_of(clips)["emodb"] == ("happy", "angry")


def test_the_shared_corpora_are_all_there(shared_data):
    clips = corpora.read(shared_data)
    counts = {name: sum(clip.corpus == name for clip in clips) for name in corpora.CORPORA}
    assert counts == {"ravdess": 1440, "emovo": 588, "nemo": 1317, "tess": 699}
    classes = corpora.classes_of(clips)
    assert classes["ravdess"] == LABELS
    assert set(LABELS) - set(classes["nemo"]) == {"calm", "disgust"}
    assert len({clip.speaker for clip in clips}) == 24 + 6 + 9 + 2
