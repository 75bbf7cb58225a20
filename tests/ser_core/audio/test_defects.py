"""Recordings with a defect, made on the spot: what is there is read, and what is not is said."""

import numpy as np
import pytest
from defect_kinds import KINDS, LATIN1, SECONDS, Kind, behind_id3, cut, in_latin1, sound, whole
from defects import CASES, PAGE, Case, made, outcome, page_with_table

from ser_core.audio.quality import measure
from ser_core.audio.waveform import Waveform

each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.container} {kind.codec}")


@each_kind
def test_a_whole_recording_is_read_without_a_warning(kind: Kind) -> None:
    assert outcome(whole(kind)) == (pytest.approx(SECONDS, abs=0.05), "")


@each_kind
def test_of_a_recording_that_was_cut_off_the_rest_is_read_and_said(kind: Kind) -> None:
    assert outcome(cut(whole(kind))) == (pytest.approx(kind.cut_s, abs=0.12), kind.cut)


@each_kind
def test_a_long_tag_in_front_changes_nothing(kind: Kind) -> None:
    assert outcome(behind_id3(whole(kind))) == outcome(whole(kind))


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind.title], ids=lambda kind: f"{kind.container} {kind.codec}"
)
def test_a_title_that_is_not_utf_8_changes_nothing(kind: Kind) -> None:
    content = in_latin1(whole(kind))
    assert LATIN1 in content
    assert outcome(content) == outcome(whole(kind))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.where}, {case.defect}")
def test_a_defect_costs_no_sound_and_is_named(case: Case) -> None:
    assert outcome(made(case)) == (pytest.approx(case.seconds, abs=0.1), case.warning)


@pytest.mark.parametrize("offset", [0.05, -0.3])
def test_a_dc_offset_is_not_noise(offset: float) -> None:
    samples = sound(4.0, level=0.4)
    samples *= np.where(np.arange(len(samples)) // 5000 % 2, np.float32(1), np.float32(0.003))  # and pauses
    assert not measure(Waveform(samples)).warnings
    assert not measure(Waveform(samples + samples.dtype.type(offset))).warnings


def test_the_table_in_the_documentation_is_what_happens() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == page_with_table(page), "run: python tests/defects.py"
