"""Whether two channels are told to carry different speech: made recordings whose answer is known.

    python -m benchmarks.channels

Speech is of RAVDESS (../shared/data/ravdess). Calls hold a voice on each channel, by turns, at once, or at
once with an echo of the other. Stereo recordings hold the same voices on both channels: softer and later in
one, behind a reverberation of its own in each, with noise, or each voice near one of two microphones.
Prints the correlation of levels and the share that is decided rightly; writes results/channels.json.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from ser_core.audio import channels
from ser_core.audio.vad import segment
from ser_core.audio.waveform import SAMPLE_RATE, Waveform

RAVDESS = Path(__file__).parents[2] / "shared/data/ravdess"
RESULT = Path(__file__).parent / "results/channels.json"
RECORDINGS = 40  # of each kind
CLIPS = 4  # of each voice
Stereo = NDArray[np.float32]
Voice = NDArray[np.float32]


def voice(rng: np.random.Generator, actor: int, by_turns: int | None) -> Voice:
    """Clips of an actor; with `by_turns` 0 or 1, every second place is silent."""
    files = sorted(RAVDESS.glob(f"Actor_{actor:02d}/*.flac"))
    sound = [np.zeros(0, np.float32)]
    for place in range(CLIPS if by_turns is None else 2 * CLIPS):
        clip = soundfile.read(rng.choice(files), dtype="float32")[0]
        speaks = by_turns is None or place % 2 == by_turns
        sound.append(clip if speaks else np.zeros(3 * SAMPLE_RATE, np.float32))
    return np.concatenate(sound)


def pair(rng: np.random.Generator, turns: bool) -> tuple[Voice, Voice]:
    """Two voices of one length, by turns or both at once."""
    actors = rng.choice(np.arange(1, 25), 2, replace=False)
    both = [voice(rng, actor, place if turns else None) for place, actor in enumerate(actors)]
    length = min(map(len, both))
    return both[0][:length], both[1][:length]


def noisy(rng: np.random.Generator, stereo: Stereo, snr_db: float) -> Stereo:
    """`stereo` with noise of its own in each channel, so far below the loudest channel's mean level."""
    level = np.sqrt(np.square(stereo).mean(axis=0).max()) * 10 ** (-snr_db / 20)
    return (stereo + rng.normal(0, level, stereo.shape)).astype(np.float32)


def room(rng: np.random.Generator, sound: Voice, decay_s: float) -> Voice:
    """`sound` behind a reverberation of its own: its direct part, then decaying noise as strong as that."""
    time = np.arange(int(decay_s * SAMPLE_RATE)) / SAMPLE_RATE
    tail = rng.normal(0, 1, len(time)) * 10 ** (-3 * time / decay_s)
    tail /= np.sqrt(np.square(tail).sum())
    tail[0] += 1
    return fftconvolve(sound, tail)[: len(sound)].astype(np.float32)


def later(sound: Voice, seconds: float) -> Voice:
    """`sound` so much later."""
    shift = round(seconds * SAMPLE_RATE)
    return np.concatenate([np.zeros(shift, np.float32), sound])[: len(sound)]


def call(turns: bool, echo_db: float | None = None) -> Callable[[np.random.Generator], Stereo]:
    """A voice on each channel; with `echo_db` each is also heard so far below in the other."""

    def make(rng: np.random.Generator) -> Stereo:
        one, other = pair(rng, turns)
        share = 0.0 if echo_db is None else 10 ** (echo_db / 20)
        crossed = one + share * later(other, 0.1), other + share * later(one, 0.1)
        return noisy(rng, np.stack(crossed, axis=1), 40)

    return make


def stereo(snr_db: float, decay_s: float = 0.0, spread_db: float = 0.0) -> Callable[..., Stereo]:
    """Both voices on both channels, `spread_db` louder in the nearer one and 3 ms later in the other."""

    def make(rng: np.random.Generator) -> Stereo:
        one, other = pair(rng, turns=True)
        far = 10 ** (-spread_db / 20)
        left, right = one + far * later(other, 0.003), other + far * later(one, 0.003)
        if decay_s:
            left, right = room(rng, left, decay_s), room(rng, right, decay_s)
        return noisy(rng, np.stack([left, right], axis=1), snr_db)

    return make


KINDS = {  # and whether the channels carry different speech
    "call, by turns": (call(turns=True), True),
    "call, both at once": (call(turns=False), True),
    "call, at once, echo at -40 dB": (call(turns=False, echo_db=-40), True),
    "call, by turns, echo at -40 dB": (call(turns=True, echo_db=-40), True),
    "stereo, one place": (stereo(40), False),
    "stereo, 6 dB apart": (stereo(40, spread_db=6), False),
    "stereo, own noise at 20 dB": (stereo(20), False),
    "stereo, room of 0.5 s": (stereo(40, decay_s=0.5), False),
    "stereo, room of 1 s, noise at 20 dB": (stereo(20, decay_s=1.0), False),
    "a microphone each, 12 dB apart": (stereo(40, decay_s=0.3, spread_db=12), False),
    "a microphone each, 20 dB apart": (stereo(40, decay_s=0.3, spread_db=20), False),
}


def correlation(sound: Stereo) -> float:
    """What `carry_different_speech` decides by, of a whole recording."""
    levels = channels.levels(sound[: len(sound) // 480 * 480])
    return channels.level_correlation(levels, [s for one in sound.T for s in segment(Waveform(one.copy()))])


def main() -> None:
    """Prints and writes the table."""
    results = {}
    for number, (kind, (make, different)) in enumerate(KINDS.items()):
        rng = np.random.default_rng(number)
        sounds = [make(rng) for _ in range(RECORDINGS)]
        measured = [correlation(sound) for sound in sounds]
        right = np.mean([channels.carry_different_speech([sound]) == different for sound in sounds])
        low, middle, high = (float(np.quantile(measured, q)) for q in (0.05, 0.5, 0.95))
        results[kind] = {"different": different, "right": float(right), "correlation": [low, middle, high]}
        print(
            f"{kind:38} {'apart' if different else 'mix':6} right {right:4.0%}  correlation "
            f"{middle:5.2f} ({low:5.2f} to {high:5.2f})"
        )
    RESULT.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
