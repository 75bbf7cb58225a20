"""The table [augmentation] of a recipe gives techniques, or an error that names the invalid key."""

import pytest

from train.augment import TECHNIQUES, Augmentation, from_table
from train.augment.awgn import Awgn
from train.augment.codec import Codec


def test_tables_become_techniques():
    read = from_table({"crop": 0.2, "awgn": {"p": 0.3, "snr_db": [10, 20]}, "codec": {"codecs": ["mp3"]}})
    assert read == Augmentation(crop=0.2, awgn=Awgn(0.3, (10, 20)), codec=Codec(codecs=("mp3",)))


@pytest.mark.parametrize("name", TECHNIQUES)
def test_an_empty_table_is_the_technique_with_its_usual_range(name):
    assert getattr(from_table({name: {}}), name) == TECHNIQUES[name]()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"shout": {}}, r"augmentation has no shout; techniques are speed, pitch_shift"),
        ({"crop": 2}, r"augmentation\.crop must be from 0 to 1, is 2"),
        ({"balance": 1}, r"augmentation\.balance must be true or false, is 1"),
        ({"multi_fold": True}, r"augmentation\.multi_fold needs a technique"),
        ({"awgn": 0.5}, r"augmentation\.awgn must be a table of its own: \[augmentation\.awgn\]"),
        ({"awgn": {"snr": 3}}, r"augmentation\.awgn has no snr; it has p, snr_db"),
        ({"awgn": {"p": 2}}, r"augmentation\.awgn\.p must be from 0 to 1, is 2"),
        ({"awgn": {"snr_db": [30, 15]}}, r"augmentation\.awgn\.snr_db must be two numbers.*, is \[30, 15\]"),
        ({"codec": {"codecs": ["wma"]}}, r"augmentation\.codec\.codecs must be some of mu_law"),
    ],
)
def test_a_wrong_table_names_the_key(table, message):
    with pytest.raises(ValueError, match=message):
        from_table(table)


def test_what_is_left_out_is_not_written_so_that_older_runs_go_on():
    assert Augmentation(crop=0.2).to_dict() == {
        "crop": 0.2,
        "time_stretch": 0.0,
        "frequency_warp": 0.0,
        "channel": 0.0,
        "time_mask": 0.0,
        "frequency_mask": 0.0,
    }
    assert Augmentation(awgn=Awgn(0.3)).to_dict()["awgn"] == {"p": 0.3, "snr_db": (15.0, 30.0)}
