"""The function that the fuzzer calls: decoding some bytes must end in an `AudioError` or in valid samples.

`python -m benchmarks.fuzz_target FOLDER [options of libFuzzer]`; `benchmarks.fuzz_decoder` runs it. Only the
Python code is instrumented: coverage guides the fuzzer through the choice of decoder and the checks around
it. libsndfile and FFmpeg, which are fuzzed by their own projects, get whatever passes these checks.
"""

import sys
from pathlib import Path

import atheris
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
with atheris.instrument_imports(include=["ser_core", "soundfile"]):
    from ser_core.audio.decode import DecodeLimits, decode
    from ser_core.audio.waveform import SAMPLE_RATE
    from ser_core.errors import AudioError
from bad_files import with_ogg_checksums

LIMITS = DecodeLimits(max_duration_s=20.0)
MARGIN_S = 0.1  # a resampler's filter may add a little


def check(content: bytes) -> None:
    """Raises an exception if `content` gives neither an `AudioError` nor a valid `Waveform`."""
    try:
        samples = decode(content, LIMITS).samples
    except AudioError:
        return
    assert samples.dtype == np.float32
    assert samples.ndim == 1
    assert len(samples) <= (LIMITS.max_duration_s or 0.0) * SAMPLE_RATE + MARGIN_S * SAMPLE_RATE
    assert np.abs(samples).max(initial=0.0) <= 1.0  # false for NaN


def mutate(content: bytes, max_size: int, seed: int) -> bytes:
    """libFuzzer's mutation; for odd seeds with valid Ogg checksums, so that readers accept the page."""
    mutated: bytes = atheris.Mutate(content, max_size)
    return with_ogg_checksums(mutated)[:max_size] if seed % 2 else mutated


if __name__ == "__main__":
    atheris.Setup(sys.argv, check, custom_mutator=mutate)
    atheris.Fuzz()
