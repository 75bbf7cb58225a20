"""Corpora are read whole, and what is wrong with one is named."""

import pytest

from ser_core.emotions import LABELS
from train import corpora
from train.corpora import CorpusError, read_corpus

HEADER = "file,speaker,gender,emotion,language\n"


def corpus(folder, table: str):
    folder.mkdir()
    (folder / "a.wav").write_bytes(b"")
    (folder / "metadata.csv").write_text(table)
    return folder


def test_a_table_becomes_clips(tmp_path):
    (clip,) = read_corpus(corpus(tmp_path / "mine", HEADER + "a.wav,7,male,Joy,de\n"))
    assert (clip.corpus, clip.speaker, clip.emotion, clip.language) == ("mine", "mine/7", "happy", "de")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("file,speaker\n", "lacks the column gender, emotion, language"),
        (HEADER, "lists no clips"),
        (HEADER + "b.wav,7,male,joy,de\n", "line 2.*b.wav does not exist"),
        (HEADER + "a.wav,7,male,boredom,de\n", "line 2: no emotion is called 'boredom'"),
    ],
)
def test_a_bad_table_is_named(tmp_path, table, message):
    with pytest.raises(CorpusError, match=message):
        read_corpus(corpus(tmp_path / "mine", table))


def test_a_missing_corpus_is_named(tmp_path):
    with pytest.raises(CorpusError, match=r"metadata\.csv is missing"):
        corpora.read(tmp_path, ["ravdess"])


def test_the_shared_corpora_are_all_there(shared_data):
    clips = corpora.read(shared_data)
    counts = {name: sum(clip.corpus == name for clip in clips) for name in corpora.CORPORA}
    assert counts == {"ravdess": 1440, "emovo": 588, "nemo": 1317, "tess": 699}
    classes = corpora.classes_of(clips)
    assert classes["ravdess"] == LABELS
    assert set(LABELS) - set(classes["nemo"]) == {"calm", "disgust"}
    assert len({clip.speaker for clip in clips}) == 24 + 6 + 9 + 2
