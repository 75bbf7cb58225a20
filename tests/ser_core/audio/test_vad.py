"""What counts as speech, and that it does not matter how the sound is cut."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import lfilter

from ser_core.audio.vad import FRAME_SAMPLES, Segmenter, Span, VadOptions, segment
from ser_core.audio.waveform import SAMPLE_RATE, Waveform

Samples = NDArray[np.float32]
NOTHING_BUT_NOISE_S = 20


def voiced(duration_s: float, seed: int = 0) -> Samples:
    """A voice made of glottal pulses through three moving formants, four syllables a second, peak 0.5."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(duration_s * SAMPLE_RATE)) / SAMPLE_RATE
    pitch = 130 + 25 * np.sin(2 * np.pi * 0.7 * time)
    pulses = np.diff(np.floor(np.cumsum(pitch) / SAMPLE_RATE), prepend=0.0)
    pieces, state = [], [np.zeros(2) for _ in range(3)]
    for piece in np.array_split(pulses, max(1, round(duration_s * 8))):
        for index, (low, high) in enumerate([(300, 800), (900, 2200), (2300, 3000)]):
            radius, angle = (
                np.exp(-np.pi * 90 / SAMPLE_RATE),
                2 * np.pi * rng.uniform(low, high) / SAMPLE_RATE,
            )
            poles = [1, -2 * radius * np.cos(angle), radius**2]
            piece, state[index] = lfilter([1], poles, piece, zi=state[index])
        pieces.append(piece)
    sound = np.concatenate(pieces) * (0.15 + np.sin(2 * np.pi * 2 * time) ** 2)
    return (0.5 * sound / np.max(np.abs(sound))).astype(np.float32)


def silence(duration_s: float) -> Samples:
    """A quiet room: white noise at -70 dBFS."""
    count = round(duration_s * SAMPLE_RATE)
    return (10 ** (-70 / 20) * np.random.default_rng(1).standard_normal(count)).astype(np.float32)


def coloured(exponent: float, level_db: float) -> Samples:
    """Noise whose power falls with frequency to the power of `exponent`: 0 white, 1 pink, 2 brown."""
    count = NOTHING_BUT_NOISE_S * SAMPLE_RATE
    spectrum = np.fft.rfft(np.random.default_rng(2).standard_normal(count))
    frequencies = np.maximum(np.fft.rfftfreq(count, 1 / SAMPLE_RATE), 20)
    noise = np.fft.irfft(spectrum / frequencies ** (exponent / 2), count)
    return np.clip(noise / noise.std() * 10 ** (level_db / 20), -1, 1).astype(np.float32)


def hum(frequency: float, level: float = 0.05) -> Samples:
    """Mains hum with eleven overtones, switched on after two seconds."""
    time = np.arange(NOTHING_BUT_NOISE_S * SAMPLE_RATE) / SAMPLE_RATE
    tones = sum(np.sin(2 * np.pi * frequency * k * time + k) / k for k in range(1, 13))
    return (level * tones * (time > 2) + coloured(1, -60)).astype(np.float32)


def tone(frequency: float) -> Samples:
    time = np.arange(NOTHING_BUT_NOISE_S * SAMPLE_RATE) / SAMPLE_RATE
    return (0.3 * np.sin(2 * np.pi * frequency * time)).astype(np.float32)


def clicks(every_s: float) -> Samples:
    sound = np.zeros(NOTHING_BUT_NOISE_S * SAMPLE_RATE, np.float32)
    sound[:: round(every_s * SAMPLE_RATE)] = 0.8
    return sound


def in_pieces(samples: Samples, cuts: list[int], options: VadOptions) -> list[Span]:
    """The spans of `samples` pushed in pieces that end at `cuts`, checking what a live caller relies on."""
    segmenter, previous, keep_from = Segmenter(options), [], 0
    bounds = [0, *sorted(cuts), len(samples)]
    for start, end in pairwise(bounds):
        announced = segmenter.open_start
        spans = segmenter.push(samples[start:end])
        assert all(span.start >= keep_from for span in spans)
        assert announced is None or announced == (spans[0].start if spans else segmenter.open_start)
        assert keep_from <= segmenter.keep_from <= end
        assert segmenter.open_start is None or segmenter.open_start >= segmenter.keep_from
        keep_from, previous = segmenter.keep_from, previous + spans
    announced, spans = segmenter.open_start, segmenter.flush()
    assert all(span.start >= keep_from for span in spans)
    assert announced is None or announced == spans[0].start
    return previous + spans


TALK = np.concatenate([silence(0.7), voiced(2.3), silence(0.9), voiced(1.1, 3), silence(0.21), voiced(2, 5)])[
    :-77
]
SHORT = VadOptions(min_speech_ms=90, min_silence_ms=120, speech_pad_ms=120, max_speech_s=1.0)


@pytest.mark.parametrize("level_db", [-70, -40, -20, -6])
@pytest.mark.parametrize("exponent", [0, 1, 2], ids=["white", "pink", "brown"])
def test_noise_is_no_speech_at_any_level(exponent: float, level_db: float) -> None:
    assert segment(Waveform(coloured(exponent, level_db))) == []


@pytest.mark.parametrize("frequency", [100, 440, 1000, 3000])
def test_a_tone_is_no_speech(frequency: float) -> None:
    assert segment(Waveform(tone(frequency))) == []


@pytest.mark.parametrize("frequency", [50, 60, 100, 120])
@pytest.mark.parametrize("level", [0.002, 0.05])
def test_room_hum_is_no_speech(frequency: float, level: float) -> None:
    assert segment(Waveform(hum(frequency, level))) == []


@pytest.mark.parametrize("every_s", [0.02, 0.1, 0.5])
def test_clicks_are_no_speech(every_s: float) -> None:
    assert segment(Waveform(clicks(every_s))) == []


@pytest.mark.parametrize("offset", [0.0, 0.3, -1.0])
def test_silence_is_no_speech_with_or_without_dc(offset: float) -> None:
    assert segment(Waveform(np.full(5 * SAMPLE_RATE, offset, np.float32))) == []


@pytest.mark.parametrize("offset", [0.05, -0.4])
def test_a_voice_is_found_on_a_dc_offset_where_it_is_without(offset: float) -> None:
    sound = 0.05 * np.concatenate([silence(1.0), voiced(2.0), silence(1.0)])
    assert len(segment(Waveform(sound))) == 1
    found, expected = segment(Waveform(sound + np.float32(offset))), segment(Waveform(sound))
    assert len(found) == 1
    assert found[0].start_s == pytest.approx(expected[0].start_s, abs=0.1)
    assert found[0].end_s == pytest.approx(expected[0].end_s, abs=0.1)


@pytest.mark.parametrize("gain_db", [0, -20, -37])
def test_a_voice_is_found_loud_or_quiet_where_it_sounds(gain_db: float) -> None:
    sound = np.concatenate([np.zeros(16_000, np.float32), voiced(2.0), np.zeros(16_000, np.float32)])
    spans = segment(Waveform(sound * np.float32(10 ** (gain_db / 20))))
    assert len(spans) == 1
    assert 0.75 < spans[0].start_s < 1.2
    assert 2.8 < spans[0].end_s < 3.3


def test_a_voice_is_found_over_noise_and_the_noise_around_it_left_out() -> None:
    # Evidence lasts 0.3 s after the voice and vouches for 0.3 s more; then comes the padding of 0.1 s.
    sound = coloured(1, -35)[: 6 * SAMPLE_RATE]
    sound[2 * SAMPLE_RATE : 4 * SAMPLE_RATE] += voiced(2.0)
    (span,) = segment(Waveform(sound))
    assert 1.6 <= span.start_s < 2.2
    assert 3.8 < span.end_s <= 4.7


def test_speech_that_goes_on_at_the_end_is_flushed_up_to_the_last_sample() -> None:
    sound = np.concatenate([silence(0.5), voiced(1.4)])[:-100]
    assert len(sound) % FRAME_SAMPLES
    assert segment(Waveform(sound))[-1].end == len(sound)


@pytest.mark.parametrize("count", [0, 1, FRAME_SAMPLES - 1, FRAME_SAMPLES])
def test_less_than_a_word_gives_nothing(count: int) -> None:
    assert segment(Waveform(voiced(1.0)[:count])) == []


def test_a_burst_shorter_than_min_speech_is_dropped() -> None:
    sound = np.concatenate([silence(1), voiced(0.9), silence(1)])
    assert segment(Waveform(sound))
    assert segment(Waveform(sound), VadOptions(min_speech_ms=2000)) == []


def test_a_pause_longer_than_min_silence_parts_two_spans() -> None:
    sound = np.concatenate([voiced(1.5), silence(0.8), voiced(1.5, 4), silence(0.5)])
    options = VadOptions(min_silence_ms=300)
    assert len(segment(Waveform(sound), options)) == 2
    assert len(segment(Waveform(sound), replace(options, min_silence_ms=1500))) == 1


def test_a_long_segment_is_cut_in_its_later_half_where_it_is_quietest() -> None:
    sound = voiced(6.0)
    dip = slice(round(2.4 * SAMPLE_RATE), round(2.49 * SAMPLE_RATE))
    sound[dip] *= 0.01
    spans = segment(Waveform(sound), VadOptions(max_speech_s=3.0))
    assert dip.start - FRAME_SAMPLES <= spans[0].end <= dip.stop
    assert spans[1].start == spans[0].end
    assert all(span.end - span.start <= 3 * SAMPLE_RATE for span in spans)


def test_padding_is_kept_on_both_sides() -> None:
    sound = np.concatenate([silence(1), voiced(1.5), silence(1)])
    (bare,) = segment(Waveform(sound), VadOptions(speech_pad_ms=0))
    (padded,) = segment(Waveform(sound), VadOptions(speech_pad_ms=200))
    assert (bare.start - padded.start, padded.end - bare.end) == (3200, 3200)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, len(TALK)), max_size=40), st.sampled_from([VadOptions(), SHORT]))
def test_any_cutting_into_pushes_gives_the_same_spans(cuts: list[int], options: VadOptions) -> None:
    spans = segment(Waveform(TALK), options)
    assert len(spans) >= 2
    assert in_pieces(TALK, cuts, options) == spans


@pytest.mark.parametrize("size", [1, 160, FRAME_SAMPLES, FRAME_SAMPLES + 1, 4096])
def test_pieces_of_any_one_size_give_the_same_spans(size: int) -> None:
    sound = TALK[: 3 * SAMPLE_RATE]
    assert in_pieces(sound, list(range(size, len(sound), size)), SHORT) == segment(Waveform(sound), SHORT)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.05, 1.5), st.floats(0.05, 1.5)), min_size=1, max_size=4),
    st.integers(0, 300),
    st.integers(90, 500),
    st.floats(0.0, 1.0),
)
def test_spans_are_ordered_apart_within_the_recording_and_not_too_long(
    parts: list[tuple[float, float]], min_speech_ms: int, min_silence_ms: int, pad: float
) -> None:
    options = VadOptions(3, min_speech_ms, min_silence_ms, int(pad * min_silence_ms), max_speech_s=2.0)
    sound = np.concatenate([piece for a, b in parts for piece in (voiced(a), silence(b))])
    edges = [edge for span in segment(Waveform(sound), options) for edge in (span.start, span.end)]
    assert edges == sorted(edges)
    assert all(0 <= edge <= len(sound) for edge in edges)
    assert all(0 < end - start <= 2 * SAMPLE_RATE for start, end in zip(edges[::2], edges[1::2], strict=True))


def test_a_caller_needs_to_hold_no_more_than_the_longest_segment() -> None:
    sound, segmenter = np.tile(voiced(5.0), 6), Segmenter(VadOptions(max_speech_s=4.0))
    for start in range(0, len(sound), 1600):
        segmenter.push(sound[start : start + 1600])
        assert start + 1600 - segmenter.keep_from <= 5 * SAMPLE_RATE


@pytest.mark.parametrize(
    "wrong",
    [
        {"aggressiveness": 4},
        {"min_silence_ms": 0},
        {"speech_pad_ms": 301},
        {"speech_pad_ms": -1},
        {"max_speech_s": 0.5},
    ],
)
def test_options_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        VadOptions(**wrong)  # type: ignore[arg-type]


def test_another_sample_rate_is_refused() -> None:
    with pytest.raises(ValueError, match="16000 Hz"):
        segment(Waveform(np.zeros(8000, np.float32), 8000))


def test_a_clip_of_real_speech_is_one_span_with_the_silence_around_it_gone(ravdess_angry: Path) -> None:
    samples, _ = soundfile.read(ravdess_angry, dtype="float32")
    (span,) = segment(Waveform(samples))
    assert span.start_s > 0.3
    assert span.end < len(samples)


def test_the_quietest_clips_are_found(shared_data: Path) -> None:
    clips = sorted((shared_data / "ravdess").glob("Actor_[02][09]/03-01-02-02-*.flac"))
    assert len(clips) == 8
    for clip in clips:
        samples, _ = soundfile.read(clip, dtype="float32")
        assert segment(Waveform(samples)), clip.name
