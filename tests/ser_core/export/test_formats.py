"""Each format is read back equal by the library that people read it with."""

import json
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest
import webvtt
from hypothesis import given, settings
from hypothesis import strategies as st
from praatio import textgrid
from pyannote.database.util import load_rttm
from pympi import Elan

from ser_core.analysis import Analysis, make_segment, summarise
from ser_core.audio.quality import Quality
from ser_core.emotions import LABELS
from ser_core.errors import AudioError
from ser_core.export import ONE_RECORDING, WRITERS
from ser_core.export.rttm import MISSING
from ser_core.export.text import utf8
from ser_core.export.tier import intervals

GOOD = Quality(peak_dbfs=-3.0, clipped=0.0, snr_db=24.0, bandwidth_hz=8000, warnings=())
HOSTILE = [
    "a 'quoted' \"name\".wav",
    "Gespräch über Öl.wav",
    "🎙️😡.wav",
    "two\nlines\r\n\nand\ra blank.wav",
    "tab\tbed.wav",
    "00:00.000 --> 00:01.000.wav",
    "]]>.wav",
    "<script>alert(1)</script>.wav",
    "--out.wav",
    ";;; comment.wav",
    "100%20.wav",
    "bell\x07nul\x00\x1b[31m.wav",
    "line\u2028separator\x85.wav",
    "latin\udce9.wav",
    "/abs/<i>&amp;.WAV",
    "NA",
    "",
    " ",
    "../../etc/passwd",
]


def analysis_of(spans, source="a.wav", duration=10.0, labels=LABELS) -> Analysis:
    """An analysis with a segment a span (s), each of the next label with confidence 0.65."""
    segments = []
    for number, (start, end) in enumerate(spans):
        rest = {name: 0.05 for name in LABELS}
        segments.append(make_segment(start, end, {**rest, labels[number % len(labels)]: 0.65}, 0.5))
    summary = summarise(segments, 0.5)
    return Analysis(source, duration, "default", "1", GOOD, tuple(segments), summary)


def broken(source="broken.wav") -> Analysis:
    return Analysis(
        source, 0.0, "default", "1", error=AudioError("empty", "The file is empty: record again.")
    )


@st.composite
def analyses(draw) -> Analysis:
    """Any recording: a name of any characters, segments that touch, are tiny, or end at its end."""
    lengths = draw(st.lists(st.tuples(st.floats(0, 3), st.floats(0.0015, 9)), max_size=6))
    spans, at = [], 0.0
    for gap, length in lengths:
        spans.append((at + gap, at + gap + length))
        at = spans[-1][1]
    labels = draw(st.permutations(LABELS))
    name = draw(st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(codec="utf-8"), max_size=20)))
    return analysis_of(spans, name, at + draw(st.floats(0, 5)) + 0.001, labels)


def expected(analysis: Analysis) -> list[tuple[float, float, str]]:
    """Start, end (s, to the ms) and label of every segment."""
    return [(round(s.start, 3), round(s.end, 3), s.label) for s in analysis.segments]


def read_textgrid(text, folder, tier="emotion", gaps=False):
    path = folder / "a.TextGrid"
    path.write_text(text, encoding="utf-8", newline="")
    return [
        tuple(e) for e in textgrid.openTextgrid(str(path), includeEmptyIntervals=gaps).getTier(tier).entries
    ]


def read_eaf(text, folder, tier="emotion"):
    path = folder / "a.eaf"
    path.write_text(text, encoding="utf-8", newline="")
    annotations = Elan.Eaf(str(path)).get_annotation_data_for_tier(tier)
    return [(start / 1000, end / 1000, value) for start, end, value in sorted(annotations)]


def read_vtt(text, folder):
    path = folder / "a.vtt"
    path.write_text(text, encoding="utf-8", newline="")
    cues = webvtt.read(str(path))
    return [(seconds(cue.start), seconds(cue.end), cue.text.split()[0]) for cue in cues]


def seconds(clock: str) -> float:
    hours, minutes, rest = clock.split(":")
    return round(3600 * int(hours) + 60 * int(minutes) + float(rest), 3)


def read_audacity(text, folder):
    rows = [line.split("\t") for line in text.split("\n")[:-1]]
    return [(float(start), float(end), label) for start, end, label in rows]


def read_rttm(text, folder) -> dict[str, list[tuple[float, float, str]]]:
    """Segments by the recording's name."""
    path = folder / "a.rttm"
    path.write_text(text, encoding="utf-8", newline="")
    return {
        unquote(uri): [
            (round(s.start, 3), round(s.end, 3), name) for s, _, name in annotation.itertracks(True)
        ]
        for uri, annotation in (load_rttm(path) if text else {}).items()
    }


READERS = {"textgrid": read_textgrid, "eaf": read_eaf, "vtt": read_vtt, "audacity": read_audacity}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("read")


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=40, deadline=None)
@given(analysis=analyses())
def test_segments_are_read_back_equal_whatever_the_recording_is_called(name, folder, analysis):
    assert READERS[name](WRITERS[name]([analysis]), folder) == expected(analysis)


@settings(max_examples=40, deadline=None)
@given(recordings=st.lists(analyses(), max_size=3, unique_by=lambda analysis: utf8(analysis.source)))
def test_rttm_of_many_recordings_is_read_back_equal(folder, recordings):
    named = {
        utf8(analysis.source) or "\0": expected(analysis) for analysis in recordings if analysis.segments
    }
    assert read_rttm(WRITERS["rttm"](recordings), folder) == named


@pytest.mark.parametrize("source", [*HOSTILE, *sorted(MISSING - {"NA", ""})])
def test_every_format_survives_a_hostile_name(source, folder):
    analysis = analysis_of([(1.0, 2.5), (2.5, 4.0)], source)
    for name, read in READERS.items():
        assert read(WRITERS[name]([analysis]), folder) == expected(analysis)
    assert read_rttm(WRITERS["rttm"]([analysis]), folder) == {utf8(source) or "\0": expected(analysis)}


@pytest.mark.parametrize("source", HOSTILE)
def test_the_name_itself_is_read_back_from_subtitles_and_elan(source, folder):
    analysis = analysis_of([(1.0, 2.5)], source)
    (folder / "a.vtt").write_text(WRITERS["vtt"]([analysis]), encoding="utf-8", newline="")
    note = " ".join(webvtt.read(str(folder / "a.vtt")).header_comments)
    assert json.loads(note.removeprefix("source ")) == utf8(source)
    read_eaf(WRITERS["eaf"]([analysis]), folder)
    [media] = Elan.Eaf(str(folder / "a.eaf")).media_descriptors
    assert unquote(media["MEDIA_URL"].removeprefix("file://").removeprefix("./")) == utf8(source)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("analysis", [analysis_of([]), broken()], ids=["silent", "broken"])
def test_a_recording_without_segments_is_a_valid_file_without_any(name, analysis, folder):
    assert READERS[name](WRITERS[name]([analysis]), folder) == []


def test_silent_and_broken_recordings_have_no_line_of_rttm():
    assert WRITERS["rttm"]([analysis_of([]), broken()]) == ""


def test_a_textgrid_is_full_from_start_to_end(folder):
    analysis = analysis_of([(1.0, 2.5), (2.5, 4.0)])
    for tier in ("emotion", "confidence"):
        entries = read_textgrid(WRITERS["textgrid"]([analysis]), folder, tier, gaps=True)
        assert [(start, end) for start, end, _ in entries] == [(0, 1), (1, 2.5), (2.5, 4), (4, 10)]
        assert [bool(text) for _, _, text in entries] == [False, True, True, False]
    assert read_textgrid(WRITERS["textgrid"]([broken()]), folder, gaps=True) == [(0, 0.001, "")]


def test_confidence_has_a_tier_of_its_own(folder):
    analysis = analysis_of([(1.0, 2.5)])
    assert read_textgrid(WRITERS["textgrid"]([analysis]), folder, "confidence") == [(1, 2.5, "0.6500")]
    assert read_eaf(WRITERS["eaf"]([analysis]), folder, "confidence") == [(1, 2.5, "0.6500")]


@given(
    st.lists(st.tuples(st.floats(-1, 12), st.floats(-1, 12)).map(sorted), max_size=8), st.floats(0.0, 10.0)
)
def test_intervals_never_overlap_nor_leave_the_recording(spans, duration):
    items = intervals(analysis_of(spans, duration=duration))
    edges = [edge for item in items for edge in (item.start_ms, item.end_ms)]
    assert edges == sorted(edges)
    assert all(item.start_ms < item.end_ms for item in items)
    assert not edges or (edges[0] >= 0 and edges[-1] <= duration * 1000 + 0.5)


@pytest.mark.parametrize("name", sorted(ONE_RECORDING))
def test_a_format_for_one_recording_refuses_more(name):
    with pytest.raises(ValueError, match="one recording a file, not 2"):
        WRITERS[name]([analysis_of([]), analysis_of([])])


def test_an_hour_and_more_is_written_in_hours(folder):
    analysis = analysis_of([(3600.5, 3723.25), (360_000.0, 360_001.0)], duration=360_002.0)
    assert read_vtt(WRITERS["vtt"]([analysis]), folder) == expected(analysis)


class Page(HTMLParser):
    """What a browser would show, load and run."""

    VOID = ("meta", "link", "img", "br", "hr", "input", "base", "embed")

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags, self.open, self.words, self.links, self.described = [], [], [], [], []
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        values = dict(attrs)
        assert not [name for name in values if name.startswith("on")]
        self.links += [v for k, v in attrs if k.split(":")[-1] in ("href", "src", "data", "action")]
        self.described += [v for k, v in attrs if k == "aria-label"]

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.mark.parametrize("source", HOSTILE)
def test_a_report_shows_any_name_as_text_and_runs_nothing(source):
    page = Page(WRITERS["html"]([analysis_of([(1.0, 2.5)], source)]))
    printable = "".join(c if c.isprintable() or c in "\n\t" or c > "\x9f" else "\ufffd" for c in utf8(source))
    assert page.words.count(printable) >= 2 or not printable.strip()
    assert not {"script", "iframe", "object", "embed", "img", "link", "i"} & set(page.tags)
    assert page.open == []


def test_a_report_needs_nothing_from_elsewhere():
    markup = WRITERS["html"]([analysis_of([(1.0, 2.5)]), analysis_of([])])
    page = Page(markup)
    assert all(link.startswith(("#", "data:")) for link in page.links)
    assert "url(http" not in markup
    assert "@import" not in markup
    assert "default-src 'none'" in markup


def test_a_report_tells_of_every_recording_and_segment():
    page = Page(
        WRITERS["html"]([analysis_of([(1.0, 2.5), (3.0, 4.25)]), analysis_of([], "quiet.wav"), broken()])
    )
    assert page.tags.count("svg") == 2
    assert {"1.00", "2.50", "3.00", "4.25", "neutral", "calm", "65%"} <= set(page.words)
    assert {"No speech was found.", "empty", "The file is empty: record again."} <= set(page.words)
    assert any("calm" in words for words in page.described)
    assert all(page.described)


def test_a_report_of_nothing_is_a_page():
    assert "Speech emotions in 0 recordings" in Page(WRITERS["html"]([])).words


def test_a_report_is_light_dark_and_printable():
    markup = WRITERS["html"]([analysis_of([(1.0, 2.5)])])
    for rule in ("prefers-color-scheme: dark", "@media print", "color-scheme: light dark"):
        assert rule in markup
    assert "var(--figure-text)" in markup
