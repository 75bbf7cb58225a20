"""What the fuzzer runs: decode some bytes, which must end in an `AudioError` or in clean samples.

`python -m benchmarks.fuzz_target FOLDER [options of libFuzzer]`; `benchmarks.fuzz_decoder` calls it. Only our
Python is instrumented: coverage guides the fuzzer through the choice of decoder and the checks around it.
libsndfile and FFmpeg, which are fuzzed upstream, get whatever passes those.
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
    """Raises where `content` gives anything but an `AudioError` or a fine `Waveform`."""
    try:
        samples = decode(content, LIMITS).samples
    except AudioError:
        return
    assert samples.dtype == np.float32
    assert samples.ndim == 1
    assert len(samples) <= (LIMITS.max_duration_s or 0.0) * SAMPLE_RATE + MARGIN_S * SAMPLE_RATE
    assert np.abs(samples).max(initial=0.0) <= 1.0  # false for NaN


def mutate(content: bytes, max_size: int, seed: int) -> bytes:
    """libFuzzer's mutation; every other time with fitting checksums of Ogg, which hide the rest."""
    changed: bytes = atheris.Mutate(content, max_size)
    return with_ogg_checksums(changed)[:max_size] if seed % 2 else changed


if __name__ == "__main__":
    atheris.Setup(sys.argv, check, custom_mutator=mutate)
    atheris.Fuzz()
