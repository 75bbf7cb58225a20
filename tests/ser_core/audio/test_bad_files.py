"""The corpus of bad files, and what chance makes of good ones: named errors, or clean samples."""

import io
import re

import numpy as np
import pytest
import soundfile
from bad_files import corpus, with_ogg_checksums
from bad_inputs import FORMATS, good
from hypothesis import given, settings
from hypothesis import strategies as st

from ser_core import errors
from ser_core.audio.decode import DecodeLimits, decode
from ser_core.audio.waveform import SAMPLE_RATE
from ser_core.errors import AudioError

LIMITS = DecodeLimits(max_duration_s=20.0)
CODES = set(re.findall(r"[a-z_]+", errors.__doc__))


def check(content: bytes) -> str:
    """The code of the error, or nothing where the sound is mono in [-1, 1] and of an allowed length."""
    samples, refused = np.zeros(0, np.float32), None
    try:
        samples = decode(content, LIMITS).samples
    except AudioError as error:
        refused = error
    if refused:
        assert refused.code in CODES
        assert ". " in refused.message, "says what happened, and what to do"
        return refused.code
    assert samples.dtype == np.float32
    assert samples.ndim == 1
    assert 0 < len(samples) <= 20.1 * SAMPLE_RATE
    assert np.abs(samples).max() <= 1.0  # false for NaN
    return ""


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")  # printed by a callback
def test_every_bad_file_ends_in_a_named_error_or_in_clean_samples(capfd):
    codes = [check(content) for _, content in corpus()]
    assert len(codes) > 1000
    assert {"", "corrupt", "truncated", "too_long", "too_many_channels", "not_finite"} <= set(codes)
    assert capfd.readouterr() == ("", "")


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_pieces_of_several_files_end_in_a_named_error_or_in_clean_samples(data):
    pieces = []
    for _ in range(data.draw(st.integers(1, 4))):
        content = good(data.draw(st.sampled_from(sorted(FORMATS))))
        start = data.draw(st.just(0) | st.integers(0, len(content)))
        pieces += [
            content[start : data.draw(st.integers(start, len(content)))],
            data.draw(st.binary(max_size=8)),
        ]
    check(with_ogg_checksums(b"".join(pieces)))


@pytest.mark.parametrize("name", ["Ogg Vorbis", "Ogg Opus"])
def test_checksums_of_good_pages_stay_as_they_are(name):
    assert with_ogg_checksums(good(name)) == good(name)


def test_numbers_far_above_full_scale_are_refused_before_they_are_resampled():
    file = io.BytesIO()
    huge = np.full(8000, 3e38, np.float32) * np.sign(np.sin(np.arange(8000)))
    soundfile.write(file, huge, 48_000, format="WAV", subtype="FLOAT")
    with pytest.raises(AudioError) as refused:
        decode(file.getvalue())
    assert refused.value.code == "not_finite"
