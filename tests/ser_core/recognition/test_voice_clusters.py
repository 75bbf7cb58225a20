"""Grouping pieces into voices, on vectors of which the truth is known."""

import time
from dataclasses import replace

import numpy as np
import pytest

from ser_core.audio.vad import Span
from ser_core.models.voice_space import VoiceSpace
from ser_core.recognition import voice_clusters
from ser_core.recognition.voice_clusters import MAX_POINTS, evidence, points_of
from ser_core.recognition.voice_pieces import Piece

# Of the vectors that `pieces_of` makes of 2 s: deviations of 0.026 within a voice, 0.046 between voices.
SPACE = VoiceSpace(np.eye(192) / 0.026, np.full(192, 3.0))


def voices_of(pieces: list[Piece], voices: int | None = None) -> list[int | None]:
    return voice_clusters.voices_of(pieces, SPACE, voices)


def pieces_of(voices: list[int], spread: float = 0.7, seconds: float = 2.0, seed: int = 0) -> list[Piece]:
    """A piece for each of `voices`: vectors about a point for each voice, beside a room that all share."""
    rng = np.random.default_rng(seed)
    unit = rng.normal(size=(max(voices) + 2, 192)) / np.sqrt(192)
    made = []
    for number, voice in enumerate(voices):
        vector = unit[-1] + unit[voice] + spread * rng.normal(size=192) / np.sqrt(192)
        start = int(number * (seconds + 1) * 16_000)
        span = Span(start, start + int(seconds * 16_000))
        made.append(Piece(span, number, 0, 0.0, (vector / np.linalg.norm(vector)).astype("f4")))
    return made


def bare(span: Span, owner: int) -> Piece:
    """A piece that is too short for a vector."""
    return Piece(span, owner, 0, 0.0, None)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_the_number_of_voices_is_found(count):
    voices = [number % count for number in range(12 * count)]
    assert voices_of(pieces_of(voices)) == voices


def test_a_number_that_is_told_is_kept():
    voices = [number % 3 for number in range(36)]
    assert set(voices_of(pieces_of(voices), 2)) <= {0, 1, None}
    assert set(voices_of(pieces_of(voices), 5)) >= {0, 1, 2, 3, 4}
    assert set(voices_of(pieces_of(voices), 1)) == {0}


def test_forty_voices_are_told_apart_when_their_number_is_told():
    voices = [number % 40 for number in range(240)]
    assert voices_of(pieces_of(voices, spread=0.4), 40) == voices


def test_more_voices_than_pieces_are_as_many_as_pieces():
    assert voices_of(pieces_of([0, 1]), 7) == [0, 1]


def test_voices_are_numbered_as_they_appear():
    found = voices_of(pieces_of([2] * 10 + [0] * 10 + [1] * 10))
    assert found == [0] * 10 + [1] * 10 + [2] * 10


def test_dividing_what_the_network_hears_as_one_voice_speaks_against_a_grouping():
    pieces = [replace(piece, owner=0) for piece in pieces_of([0] * 4 + [1] * 4)]
    heard_as_one, heard_as_two = pieces, [replace(p, local=number // 4) for number, p in enumerate(pieces)]
    divided = np.repeat([0, 1], 4)
    against = [evidence(points_of(heard), [divided], SPACE)[0] for heard in (heard_as_one, heard_as_two)]
    assert against[0][2] == pytest.approx(16 / (28 + 3))  # of the pairs, with those that are trusted
    assert against[1][2] == 0
    assert against[0][0] == against[1][0] > 0
    assert evidence(points_of(pieces), [np.zeros(8, int)], SPACE) == pytest.approx(0)


def test_a_piece_between_two_voices_is_not_guessed():
    pieces = pieces_of([0] * 12 + [1] * 12, spread=0.3)
    middle = np.sum([piece.embedding for piece in pieces], axis=0)
    between = Piece(Span(9_000_000, 9_010_000), 99, 0, 0.0, middle / np.linalg.norm(middle))
    assert voices_of([*pieces, between])[-1] is None


def test_a_word_of_another_voice_is_no_voice_of_its_own():
    assert set(voices_of(pieces_of([0] * 20 + [1], seconds=1.0))) <= {0, None}


def test_pieces_without_a_vector_have_their_neighbours_voice():
    first, last = bare(Span(0, 100), 0), bare(Span(9_000_000, 9_000_100), 99)
    found = voices_of([first, *pieces_of([0] * 10 + [1] * 10), last])
    assert found == [0] * 11 + [1] * 11


def test_a_recording_of_one_short_word_is_one_voice():
    assert voices_of([bare(Span(0, 100), 0)]) == [0]
    assert voices_of(pieces_of([0], seconds=0.4)) == [0]
    assert voices_of([]) == []


def test_a_day_of_speech_takes_seconds_and_keeps_its_voices():
    voices = [number % 2 for number in range(20_000)]
    pieces = pieces_of(voices)
    points = points_of(pieces)
    assert len(points.vectors) <= MAX_POINTS
    assert points.seconds.sum() == pytest.approx(40_000)
    start = time.monotonic()
    found = voices_of(pieces)
    assert time.monotonic() - start < 60
    assert np.mean([a == b for a, b in zip(found, voices, strict=True)]) > 0.99
