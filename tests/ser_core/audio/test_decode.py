import os
import resource
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from bad_files import ABSURD
from bad_inputs import (
    BAD,
    FORMATS,
    PARTIAL,
    RATE,
    float_wav,
    good,
    silent_hours,
    surround,
    tone,
    wav,
    with_flac_length,
    with_soundfile,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from support import ROOT

from ser_core.audio.decode import DecodeLimits, decode, stream
from ser_core.audio.waveform import SAMPLE_RATE
from ser_core.errors import AudioError


def refusal(source: Path | str | bytes, limits: DecodeLimits = DecodeLimits()) -> AudioError:
    with pytest.raises(AudioError) as caught:
        decode(source, limits)
    return caught.value


def peak_mb() -> float:
    """What this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def rms(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


def loudest_hz(samples: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(spectrum.argmax() * SAMPLE_RATE / len(samples))


# --- What cannot be used ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BAD)
def test_bad_input_gets_its_code_and_a_sentence_that_helps(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(BAD[name].make())
    error = refusal(path)
    assert error.code == BAD[name].code
    facts, *advice = error.message.split(". ")
    assert facts, "says what happened"
    assert advice, "and what to do"
    assert str(tmp_path) not in error.message
    assert "Error" not in error.message
    assert "0x" not in error.message


@pytest.mark.parametrize("name", BAD)
def test_bytes_are_refused_like_the_file(name: str) -> None:
    assert refusal(BAD[name].make()).code == BAD[name].code


@pytest.mark.parametrize("name", PARTIAL)
def test_what_is_there_of_a_cut_recording_is_read_and_the_rest_is_named(name: str) -> None:
    partial, warnings = PARTIAL[name], []
    seconds = sum(map(len, stream(partial.make(), warnings=warnings))) / SAMPLE_RATE
    assert seconds == pytest.approx(partial.seconds, abs=0.25)
    assert [warning.partition(":")[0] for warning in warnings] == [partial.warning]


@pytest.mark.parametrize("name", FORMATS)
def test_a_whole_recording_has_no_warnings(name: str) -> None:
    warnings: list[str] = []
    assert list(stream(good(name), warnings=warnings))
    assert warnings == []


def test_decoders_write_nothing_to_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    for bad in BAD.values():
        refusal(bad.make())
    for partial in PARTIAL.values():
        list(stream(partial.make()))
    assert capfd.readouterr() == ("", "")


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nothing.wav").code == "not_found"
    assert refusal("a\0b.wav").code == "not_found"


def test_a_folder_is_a_directory(tmp_path: Path) -> None:
    assert refusal(tmp_path).code == "is_directory"


def test_a_device_is_refused_rather_than_read_for_ever() -> None:
    assert refusal("/dev/zero").code == "unsupported_format"


def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret.wav"
    path.write_bytes(with_soundfile(tone(), "WAV"))
    path.chmod(0)
    root = os.geteuid() == 0
    try:
        if root:  # root may read everything: be nobody for a moment
            os.seteuid(65534)
        assert refusal(path).code == "no_permission"
    finally:
        if root:
            os.seteuid(0)


def test_formats_without_support_are_told_which_ones_have_it() -> None:
    for name in ("WAV", "FLAC", "MP3", "Ogg", "Opus", "M4A", "MP4", "WebM"):
        assert name in refusal(b"hello").message


# --- Limits ----------------------------------------------------------------------------------------------


@given(seconds=st.floats(0.02, 3.0), minimum=st.floats(0.0, 1.0), maximum=st.floats(0.5, 3.0))
@settings(max_examples=40, deadline=None)
def test_durations_inside_the_limits_are_decoded_and_no_others(
    seconds: float, minimum: float, maximum: float
) -> None:
    limits = DecodeLimits(min_duration_s=minimum, max_duration_s=maximum)
    samples = tone(seconds, 8000)
    actual = len(samples) / 8000
    content = with_soundfile(samples, "WAV", rate=8000)
    if actual > maximum:
        assert refusal(content, limits).code == "too_long"
    elif actual < minimum:
        assert refusal(content, limits).code == "too_short"
    else:
        assert decode(content, limits).duration_s == pytest.approx(actual, abs=0.001)


def test_an_hour_in_500_kb_is_refused_unread_where_a_limit_is_set(tmp_path: Path) -> None:
    error = refusal(silent_hours(), DecodeLimits(max_duration_s=600))
    assert error.code == "too_long"
    assert "60 min" in error.message
    assert "10 min" in error.message
    beheaded = silent_hours()[:200_000]  # reading would end in `truncated`
    assert refusal(beheaded, DecodeLimits(max_duration_s=600)).code == "too_long"


def test_reading_stops_at_the_limit_when_the_header_does_not_tell_the_length() -> None:
    blocks = stream(with_flac_length(silent_hours(), 0), DecodeLimits(max_duration_s=25))
    assert len(next(blocks)) + len(next(blocks)) == pytest.approx(20 * SAMPLE_RATE, rel=0.05)
    with pytest.raises(AudioError, match="at least 31 s long"):
        next(blocks)


def test_a_header_that_claims_less_than_there_is_gives_no_more_than_it_claims() -> None:
    assert decode(with_flac_length(silent_hours(), 48_000)).duration_s == 1.0


def test_an_hour_streams_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "hour.flac"
    path.write_bytes(silent_hours())
    script = textwrap.dedent("""
        import resource, sys
        from ser_core.audio.decode import stream
        def peak_mb(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        before = peak_mb()
        samples = sum(len(block) for block in stream(sys.argv[1]))
        print(samples, peak_mb() - before)
    """)
    command = [sys.executable, "-c", script, path]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    samples, grown_mb = run.stdout.split()
    assert int(samples) == 3600 * SAMPLE_RATE
    assert float(grown_mb) < 60  # whole, it would be 691 MB at 48 kHz


@pytest.mark.parametrize("name", ["huge index.m4a", "huge index of a piece.m4a"])
def test_an_index_that_claims_millions_of_samples_is_refused_before_it_is_unfolded(name: str) -> None:
    content = ABSURD[name]()
    before = peak_mb()
    assert refusal(content).code == "corrupt"
    assert peak_mb() - before < 100  # unfolded, it would be thousands


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_damaged_files_end_in_a_named_error_or_in_clean_samples(data: st.DataObject) -> None:
    content = bytearray(good(data.draw(st.sampled_from(sorted(FORMATS)))))
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(len(content) // 2, len(content)))
    code, samples = "", np.zeros(0)
    try:
        samples = decode(bytes(content[:cut]), DecodeLimits(max_duration_s=20)).samples
    except AudioError as error:
        code = error.code
    assert code in CODES or np.abs(samples).max() <= 1.0  # false for NaN


def test_eight_channels_of_aac_are_averaged() -> None:  # in planes they crashed PyAV: the fuzzer's find
    middle = decode(surround()).samples[2000:-2000]
    assert loudest_hz(middle) == pytest.approx(440, abs=2)
    assert rms(middle) == pytest.approx(7 / 8 * 0.5 / np.sqrt(2), rel=0.1)  # the eighth is for deep tones


def test_more_channels_than_a_frame_has_room_for_are_read_where_they_are_allowed() -> None:
    stream_of_9 = wav(bytes(36_000), channels=9, declared=0)
    assert refusal(stream_of_9).code == "too_many_channels"
    assert decode(stream_of_9, DecodeLimits(max_channels=64)).duration_s == 0.125


def test_a_track_in_an_unknown_coding_is_an_unsupported_format() -> None:
    content = good("WebM Opus").replace(b"A_OPUS", b"A_NONE")
    assert refusal(content).code == "unsupported_format"


# --- What works ------------------------------------------------------------------------------------------

CODES = {bad.code for bad in BAD.values()} | {"too_long"}


@pytest.mark.parametrize("name", FORMATS)
def test_format_keeps_pitch_level_and_length(name: str) -> None:
    waveform = decode(good(name))
    assert waveform.sample_rate == SAMPLE_RATE
    assert waveform.samples.dtype == np.float32
    assert waveform.samples.ndim == 1
    assert waveform.duration_s == pytest.approx(1.0, abs=0.05)  # codecs pad to whole frames
    middle = waveform.samples[2000:-2000]
    assert rms(middle) == pytest.approx(0.5 / np.sqrt(2), rel=0.02)
    assert loudest_hz(middle) == pytest.approx(440, abs=2)


def test_the_content_decides_not_the_name(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(good("MP3"))
    assert decode(str(path)).duration_s == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("declared", [0, 0xFFFFFFFF, 10**6])
def test_a_wav_whose_header_was_never_completed_gives_all_its_samples(declared: int) -> None:
    pcm = (tone() * 32767).astype("<i2").tobytes()
    assert np.array_equal(decode(wav(pcm, declared=declared)).samples, decode(wav(pcm)).samples)


def test_a_variable_rate_mp3_without_length_header_is_read_to_its_end() -> None:
    mp3 = with_soundfile(np.concatenate([tone(3.0), tone(3.0, level=0.01)]), "MP3", "MPEG_LAYER_III")
    assert b"Xing" in mp3
    assert decode(mp3.replace(b"Xing", bytes(4))).duration_s == pytest.approx(6.0, abs=0.2)


def test_16_khz_integers_come_through_exactly() -> None:
    pcm = np.array([0, 1, -1, 32767, -32768] * 400, "<i2")
    assert np.array_equal(decode(wav(pcm.tobytes())).samples * 32768, pcm)


@pytest.mark.parametrize("rate", [4000, 8000, 11_025, 22_050, 44_100, 48_000, 96_000, 384_000])
def test_resampling_keeps_pitch_level_and_length(rate: int) -> None:
    waveform = decode(with_soundfile(tone(2.0, rate), "WAV", rate=rate))
    assert waveform.duration_s == pytest.approx(2.0, abs=0.001)
    middle = waveform.samples[2000:-2000]
    assert rms(middle) == pytest.approx(0.5 / np.sqrt(2), rel=0.005)
    assert loudest_hz(middle) == pytest.approx(440, abs=1)


def test_what_16_khz_cannot_hold_is_removed_not_folded_back() -> None:
    waveform = decode(with_soundfile(tone(1.0, 48_000, hz=10_000), "WAV", rate=48_000))
    assert rms(waveform.samples[2000:-2000]) < 0.0005


@pytest.mark.parametrize("container", ["WAV", "FLAC", "MP3"])
def test_channels_are_averaged(container: str) -> None:
    left = tone(1.0, 48_000)
    stereo = np.stack([left, np.zeros_like(left)], axis=1)  # (frame, channel)
    middle = decode(with_soundfile(stereo, container, rate=48_000)).samples[2000:-2000]
    assert rms(middle) == pytest.approx(0.25 / np.sqrt(2), rel=0.02)


def test_samples_beyond_full_scale_are_clipped() -> None:
    samples = decode(float_wav(4 * tone(1.0, 48_000), 48_000)).samples
    assert samples.max() == 1.0
    assert samples.min() == -1.0


@pytest.mark.parametrize("rate", [RATE, 48_000])
def test_blocks_are_about_10_s_and_joined_give_decode(rate: int) -> None:
    content = with_soundfile(np.random.default_rng(0).uniform(-0.5, 0.5, 25 * rate), "FLAC", rate=rate)
    blocks = list(stream(content))
    assert len(blocks) >= 3
    assert max(len(block) for block in blocks) <= 11 * SAMPLE_RATE
    assert np.array_equal(np.concatenate(blocks), decode(content).samples)


def test_resampling_has_no_seam_between_blocks() -> None:
    waveform = decode(with_soundfile(tone(21.0, 48_000), "FLAC", rate=48_000))
    expected = tone(21.0)
    assert np.abs(waveform.samples - expected)[100:-100].max() < 0.001


def test_a_real_clip_is_what_it_is(ravdess_angry: Path) -> None:
    waveform = decode(ravdess_angry)
    assert waveform.duration_s == pytest.approx(3.403, abs=0.001)  # metadata.csv
    assert 0.05 < np.abs(waveform.samples).max() <= 1.0


def test_a_wav_above_4_gib_is_read_at_once_though_its_size_wrapped(tmp_path: Path) -> None:
    path, size = tmp_path / "long.wav", 2**32 + 2 * SAMPLE_RATE * 60
    with path.open("wb") as file:  # a sparse file: a voice, then more than a day of silence
        file.write(wav(b"", declared=size % 2**32) + (tone(2.0) * 20_000).astype("<i2").tobytes())
        file.truncate(44 + size)
    warnings: list[str] = []
    blocks = stream(path, warnings=warnings)
    first = next(blocks)
    assert 9 * SAMPLE_RATE < len(first) < 11 * SAMPLE_RATE
    assert np.abs(first).max() > 0.1
    for _ in range(12):  # behind the end that the header names, two minutes from the start
        assert len(next(blocks)) > 0
    blocks.close()
