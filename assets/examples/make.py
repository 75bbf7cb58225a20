"""Makes the examples beside it from clips of CREMA-D, in ../shared/data/crema_d.

    python assets/examples/make.py

Two persons of 91, actors 1012 and 1022: both are left out of the training of the default model. One clip of
each, and a conversation of both. README.md beside it has the source and the licence.
"""

from pathlib import Path

import numpy as np
import soundfile

SAMPLE_RATE = 16_000
CREMA_D = Path(__file__).parents[3] / "shared/data/crema_d"
PEAK = 0.5
ROOM = 0.0005  # root mean square of the noise of a quiet room, -66 dBFS
PAUSE_S = 0.5  # before, between and after clips
EXAMPLES = {  # clips in their order
    "woman": ("1012_IWW_SAD_XX",),
    "man": ("1022_TIE_ANG_XX",),
    "conversation": (
        *("1012_ITS_FEA_XX", "1022_WSI_DIS_XX", "1012_TAI_FEA_XX", "1022_MTI_ANG_XX"),
        *("1012_IOM_FEA_XX", "1022_TAI_ANG_XX", "1012_IWW_FEA_XX", "1022_TIE_ANG_XX"),
    ),
}


def spoken(clip: str) -> np.ndarray:
    """One clip, float32 mono at 16 kHz, at the level of the others."""
    samples, _ = soundfile.read(CREMA_D / f"{clip}.opus", dtype="float32")
    return PEAK * samples / np.abs(samples).max()


def example(clips: tuple[str, ...]) -> np.ndarray:
    """The clips one after the other with pauses, in a quiet room."""
    pause = np.zeros(int(PAUSE_S * SAMPLE_RATE), np.float32)
    sound = np.concatenate([pause, *(piece for clip in clips for piece in (spoken(clip), pause))])
    return sound + np.random.default_rng(0).normal(0, ROOM, len(sound)).astype(np.float32)


def main() -> None:
    """Writes every example."""
    for name, clips in EXAMPLES.items():
        path = Path(__file__).with_name(f"{name}.ogg")
        soundfile.write(path, example(clips), SAMPLE_RATE, format="OGG", subtype="OPUS")


if __name__ == "__main__":
    main()
