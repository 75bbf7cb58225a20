"""Makes the examples beside it: sentences of ours, spoken by espeak-ng, each with its own rate and melody.

    apt install espeak-ng && python assets/examples/make.py

The voices are synthetic, so that nobody's recording is shipped. Nothing here decides what the model makes of
them.
"""

import io
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from ser_core.audio.waveform import SAMPLE_RATE

PEAK = 0.5
ROOM = 0.003  # root mean square of the noise of a quiet room, -50 dBFS
PAUSE_S = 0.8  # between sentences: each becomes a segment
LINES = (
    "The parcel came this morning, and nobody was at home.",
    "It went all the way back to the post office again.",
    "Tomorrow somebody has to go there and fetch it.",
)


@dataclass(frozen=True)
class Voice:
    """How espeak-ng speaks."""

    name: str  # a language, with a variant
    rate: int  # words a minute
    pitch: int  # 0 to 99
    melody: int  # range of the pitch in per cent of the usual


SLOW = Voice("en-gb", 110, 30, 60)
LIVELY = Voice("en-gb", 165, 60, 180)
HIGH = Voice("en-us+f3", 165, 60, 180)
EXAMPLES = {
    "slow": (SLOW, SLOW, SLOW),
    "lively": (LIVELY, LIVELY, LIVELY),
    "voices": (SLOW, HIGH, LIVELY),
}


def spoken(line: str, voice: Voice) -> np.ndarray:
    """One sentence, float32 mono at 16 kHz."""
    text = f'<speak><prosody range="{voice.melody}%">{line}</prosody></speak>'
    settings = ["-v", voice.name, "-s", str(voice.rate), "-p", str(voice.pitch)]
    done = subprocess.run(["espeak-ng", "-m", *settings, "--stdout", text], capture_output=True, check=True)
    samples, rate = soundfile.read(io.BytesIO(done.stdout), dtype="float32")
    resampled = soxr.resample(samples, rate, SAMPLE_RATE)
    return PEAK * resampled / np.abs(resampled).max()


def example(voices: tuple[Voice, ...]) -> np.ndarray:
    """The sentences one after the other with pauses, in a quiet room."""
    pause = np.zeros(int(PAUSE_S * SAMPLE_RATE), np.float32)
    pieces = [pause]
    for line, voice in zip(LINES, voices, strict=True):
        pieces += [spoken(line, voice), pause]
    sound = np.concatenate(pieces)
    return sound + np.random.default_rng(0).normal(0, ROOM, len(sound)).astype(np.float32)


def main() -> None:
    """Writes every example."""
    for name, voices in EXAMPLES.items():
        path = Path(__file__).with_name(f"{name}.ogg")
        soundfile.write(path, example(voices), SAMPLE_RATE, format="OGG", subtype="OPUS")


if __name__ == "__main__":
    main()
