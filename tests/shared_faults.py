"""What ../shared/faults/README.md asks of each input there, for the tests of all ways in.

An input is named from its folder. Labels are those of the shipped model.
"""

from dataclasses import dataclass

import pytest
from support import SHARED

from ser_core.checkpoint.bundle import CHECKPOINTS, DEFAULT

FAULTS = SHARED / "faults"
TRAINED = (CHECKPOINTS / DEFAULT / "bundle.json").is_file()
needs_faults = pytest.mark.skipif(not FAULTS.is_dir(), reason="needs the recordings of ../shared/faults")


@dataclass(frozen=True)
class Expected:
    """What the README there asks of a file."""

    duration_s: float
    warning: str = ""  # its name; nothing where none is asked for
    labels: tuple[str, ...] = ()  # of the speech, in order
    sure: bool = True  # else the labels are the most probable ones, and some may be under the threshold


FILES = {
    "chained.ogg": Expected(7.27, labels=("angry", "sad"), sure=False),
    "antiphase.flac": Expected(3.60, "Channels cancel", ("angry",)),
    "multi_default2.mkv": Expected(3.03, "Several tracks"),
    "ds_half.wav": Expected(3.60, "Wrong size"),
    "wav_cut.wav": Expected(2.08, "Cut off", ("angry",), sure=False),
    "flac_cut.flac": Expected(1.54, "Cut off"),
    "mp3_cut_tail.mp3": Expected(2.60, "Cut off"),
    "mp3_cut_head.mp3": Expected(3.58),
    "mp3_lead_zero.mp3": Expected(3.60),
    "mp3_mono_then_stereo.mp3": Expected(7.24),
    "mp3_id3v1_latin1.mp3": Expected(3.60),
    "t_latin1.m4a": Expected(3.60),
    "m4a_handler_latin1.m4a": Expected(3.60),
    "flacogg.ogg": Expected(3.60),
    "speex.ogg": Expected(3.60),
    "g726.wav": Expected(3.60),
    "id3front.wav": Expected(3.60),
    "folder/big.rf64": Expected(3.60, labels=("angry",)),
    "folder/book.m4b": Expected(3.60),
    "folder/chrome.weba": Expected(3.60, labels=("angry",)),
    "folder/clip.m4v": Expected(3.60),
    "folder/field.bwf": Expected(3.60, labels=("angry",)),
    "folder/ok.wav": Expected(3.60, labels=("angry",)),
    "folder/radio.mp2": Expected(3.60, labels=("angry",)),
}
CALLS = ("call_turns.flac", "call_overlap.flac")
SPEAKERS = {1: (4, "neutral"), 2: (4, "angry")}  # of both calls: each sounds as when heard alone


def named(warnings: list[str]) -> list[str]:
    """The names of warnings."""
    return [warning.partition(":")[0] for warning in warnings]


def check(entry: dict, expected: Expected) -> None:
    """Asserts that the JSON of one analysis is as asked; its labels where the shipped model is there."""
    assert entry["error"] is None
    assert entry["duration"] == pytest.approx(expected.duration_s, abs=0.1)
    assert entry["segments"]
    assert expected.warning in ["", *named(entry["quality"]["warnings"])]
    labels = [
        segment["label"] if expected.sure else max(segment["probabilities"], key=segment["probabilities"].get)
        for segment in entry["segments"]
    ]
    if expected.labels and TRAINED:
        assert list(dict.fromkeys(labels)) == list(expected.labels)
        if expected.sure and len(expected.labels) == 1:
            assert entry["summary"]["label"] == expected.labels[0]


def speakers_of(entry: dict) -> dict[int, tuple[int, str]]:
    """Of the JSON of a call's analysis: by channel how many segments it has and how its voice sounds."""
    channels = [segment["channel"] for segment in entry["segments"]]
    return {
        voice["channel"]: (channels.count(voice["channel"]), voice["summary"]["label"])
        for voice in entry["voices"]
    }
