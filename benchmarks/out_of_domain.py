"""Sounds that are not speech: how often the model reports a confident emotion.

`python -m benchmarks.out_of_domain` synthesises the sounds (noise, music, machines, animals, laughter) from
fixed seeds, analyses each as a file, prints the table and writes benchmarks/results/out_of_domain.json. Real
recordings are harder: those in `--recordings` are analysed too, and count by themselves.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from scipy.signal import butter, lfilter, sosfilt

from ser_core import Recognizer
from ser_core.audio.waveform import SAMPLE_RATE, Waveform
from ser_core.emotions import NO_SPEECH, UNKNOWN

RECORDINGS = Path("../shared/sounds/ood_sounds")
OUT = Path(__file__).parent / "results" / "out_of_domain.json"
SECONDS = 4
AUDIO_SUFFIXES = (".opus", ".flac", ".wav", ".ogg", ".mp3")
SEEDS = 5  # sounds of each kind

Samples = NDArray[np.float64]
TIME = np.arange(SECONDS * SAMPLE_RATE) / SAMPLE_RATE


def coloured_noise(rng: np.random.Generator) -> Samples:
    """White to brown noise."""
    spectrum = np.fft.rfft(rng.standard_normal(len(TIME)))
    return np.fft.irfft(spectrum / np.maximum(np.arange(len(spectrum)), 20) ** rng.uniform(0, 1), len(TIME))


def rain(rng: np.random.Generator) -> Samples:
    """Many short clicks in hiss."""
    drops = rng.standard_normal(len(TIME)) * (rng.random(len(TIME)) < 0.01)
    return sosfilt(butter(2, [1000, 6000], "bandpass", fs=SAMPLE_RATE, output="sos"), drops)


def applause(rng: np.random.Generator) -> Samples:
    """Claps of many hands."""
    sound = np.zeros_like(TIME)
    for start in rng.integers(0, len(TIME) - 800, 200):
        sound[start : start + 800] += rng.standard_normal(800) * np.exp(-np.arange(800) / 120)
    return sosfilt(butter(2, [600, 4000], "bandpass", fs=SAMPLE_RATE, output="sos"), sound)


def engine(rng: np.random.Generator) -> Samples:
    """A motor that speeds up and down."""
    hz = rng.uniform(30, 90) * (1 + 0.4 * np.sin(2 * np.pi * rng.uniform(0.1, 0.5) * TIME))
    phase = 2 * np.pi * np.cumsum(hz) / SAMPLE_RATE
    return sum(np.sin(k * phase) / k for k in range(1, 25)) + 0.3 * rng.standard_normal(len(TIME))


def siren(rng: np.random.Generator) -> Samples:
    """A tone that rises and falls."""
    hz = 900 + 500 * np.sin(2 * np.pi * rng.uniform(0.2, 3) * TIME)
    return np.sign(np.sin(2 * np.pi * np.cumsum(hz) / SAMPLE_RATE)) * 0.5


def piano(rng: np.random.Generator) -> Samples:
    """A melody of struck strings."""
    return _notes(rng, lambda hz, t: _harmonics(hz, t, 8) * np.exp(-3 * t), rng.uniform(0.15, 0.5))


def strings(rng: np.random.Generator) -> Samples:
    """A melody of bowed strings with vibrato."""
    return _notes(rng, lambda hz, t: _harmonics(hz, t, 14, vibrato=0.01) * np.minimum(1, 8 * t), 0.7)


def flute(rng: np.random.Generator) -> Samples:
    """A melody of nearly pure tones with breath."""
    return _notes(rng, lambda hz, t: _harmonics(2 * hz, t, 3, 0.008), 0.5) + 0.02 * rng.standard_normal(
        len(TIME)
    )


def band(rng: np.random.Generator) -> Samples:
    """Chords, bass and drums."""
    return piano(rng) + 0.7 * strings(rng) + drums(rng)


def drums(rng: np.random.Generator) -> Samples:
    """A beat of kicks and snares."""
    sound, step = np.zeros_like(TIME), int(rng.uniform(0.2, 0.35) * SAMPLE_RATE)
    for number, start in enumerate(range(0, len(TIME) - step, step)):
        t = np.arange(step) / SAMPLE_RATE
        kick = np.sin(2 * np.pi * 60 * t) * np.exp(-15 * t)
        snare = rng.standard_normal(step) * np.exp(-25 * t)
        sound[start : start + step] += kick if number % 2 == 0 else snare
    return sound


def bells(rng: np.random.Generator) -> Samples:
    """Inharmonic strokes that ring."""
    ratios = (1, 2.0, 2.4, 3.0, 4.5, 5.3)
    return _notes(
        rng, lambda hz, t: sum(np.sin(2 * np.pi * hz * r * t) for r in ratios) * np.exp(-2 * t), 0.8
    )


def birds(rng: np.random.Generator) -> Samples:
    """Chirps."""
    sound = np.zeros_like(TIME)
    for start in rng.integers(0, len(TIME) - 3200, 15):
        t = np.arange(3200) / SAMPLE_RATE
        hz = rng.uniform(2500, 5000) + rng.uniform(-8000, 8000) * t
        sound[start : start + 3200] += np.sin(2 * np.pi * np.cumsum(hz) / SAMPLE_RATE) * np.hanning(3200)
    return sound


def dog(rng: np.random.Generator) -> Samples:
    """Barks: short harsh voiced bursts."""
    return _bursts(rng, rng.uniform(300, 600), 0.15, 0.5, fall=0.5, harsh=0.5)


def cat(rng: np.random.Generator) -> Samples:
    """Long gliding voiced calls."""
    return _bursts(rng, rng.uniform(450, 700), 0.8, 0.5, fall=0.3, harsh=0.05)


def laughter(rng: np.random.Generator) -> Samples:
    """Quick voiced bursts through an open vowel, with breath."""
    return _bursts(rng, rng.uniform(160, 380), 0.09, 0.12, fall=0.15, harsh=0.25)


def cough(rng: np.random.Generator) -> Samples:
    """Bursts of shaped noise."""
    return _bursts(rng, 150, 0.18, 0.5, fall=0.3, harsh=3.0)


def snoring(rng: np.random.Generator) -> Samples:
    """Slow rattling breath."""
    pulses = (np.sin(2 * np.pi * rng.uniform(25, 45) * TIME) > 0.95) * rng.standard_normal(len(TIME))
    breath = np.maximum(0, np.sin(2 * np.pi * 0.3 * TIME))
    return sosfilt(butter(2, [150, 900], "bandpass", fs=SAMPLE_RATE, output="sos"), pulses) * breath


def telephone(rng: np.random.Generator) -> Samples:
    """Dialling tones."""
    pairs = [(697, 1209), (770, 1336), (852, 1477), (941, 1336)]
    sound = np.zeros_like(TIME)
    for start in range(0, len(TIME) - 3200, 4800):
        low, high = pairs[rng.integers(len(pairs))]
        t = np.arange(3200) / SAMPLE_RATE
        sound[start : start + 3200] = np.sin(2 * np.pi * low * t) + np.sin(2 * np.pi * high * t)
    return sound


def typing(rng: np.random.Generator) -> Samples:
    """Keys of a keyboard."""
    sound = 0.002 * rng.standard_normal(len(TIME))
    for start in rng.integers(0, len(TIME) - 400, 25):
        sound[start : start + 400] += rng.standard_normal(400) * np.exp(-np.arange(400) / 60)
    return sound


def wind(rng: np.random.Generator) -> Samples:
    """Low noise that swells."""
    swell = 1 + np.sin(2 * np.pi * rng.uniform(0.1, 0.6) * TIME)
    return lfilter([1], [1, -0.97], rng.standard_normal(len(TIME))) * swell


KINDS: tuple[Callable[[np.random.Generator], Samples], ...] = (
    *(coloured_noise, rain, applause, wind, engine, siren, telephone, typing),
    *(piano, strings, flute, bells, drums, band),
    *(birds, dog, cat, laughter, cough, snoring),
)


def main(
    model: Annotated[str, typer.Option(help="a name in checkpoints/, or a checkpoint's folder")] = "default",
    out: Annotated[Path, typer.Option(help="where the figures go")] = OUT,
    recordings: Annotated[
        Path, typer.Option(help="folder of recordings in which nobody speaks")
    ] = RECORDINGS,
) -> None:
    """Prints and writes the labels for each kind of sound."""
    recognizer = Recognizer.load(model)
    rows = {}
    for kind in KINDS:
        labels = []
        for seed in range(SEEDS):
            sound = kind(np.random.default_rng(seed))
            samples = (0.5 * sound / np.abs(sound).max()).astype(np.float32)
            labels.append(recognizer.analyze(Waveform(samples)).summary.label)
        rows[kind.__name__] = _row(labels)
    confident = sum(len(row["emotions"]) for row in rows.values())
    total = len(KINDS) * SEEDS
    result: dict[str, Any] = {
        "model": f"{recognizer.bundle.name} {recognizer.bundle.version}",
        "threshold": recognizer.bundle.threshold,
        "sounds": total,
        "confident_emotion_percent": round(100 * confident / total, 1),
        "kinds": dict(rows),
    }
    if recordings.is_dir():
        files = sorted(path for path in recordings.iterdir() if path.suffix in AUDIO_SUFFIXES)
        rows["recordings"] = _row([recognizer.analyze_file(path).summary.label for path in files])
        result["recordings"] = {"files": len(files)} | rows["recordings"]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    typer.echo(f"{'sound':<16}{'no speech':>10}{'unknown':>9}  emotions")
    for name, row in rows.items():
        typer.echo(f"{name:<16}{row['no_speech']:>10}{row['unknown']:>9}  {', '.join(row['emotions'])}")
    typer.echo(f"{confident} of {total} sounds get a confident emotion ({100 * confident / total:.1f} %)")


def _row(labels: Sequence[str]) -> dict[str, Any]:
    """How many sounds are no speech and how many unknown, and the emotions of the others."""
    return {
        "no_speech": labels.count(NO_SPEECH),
        "unknown": labels.count(UNKNOWN),
        "emotions": [label for label in labels if label not in (NO_SPEECH, UNKNOWN)],
    }


def _notes(rng: np.random.Generator, tone: Callable[[float, Samples], Samples], seconds: float) -> Samples:
    """A random melody over two octaves."""
    sound, length = np.zeros_like(TIME), int(seconds * SAMPLE_RATE)
    for start in range(0, len(TIME) - length, length):
        hz = 220 * 2 ** (rng.integers(0, 24) / 12)
        sound[start : start + length] += tone(hz, np.arange(length) / SAMPLE_RATE)
    return sound


def _harmonics(hz: float, t: Samples, count: int, vibrato: float = 0.0) -> Samples:
    """A tone of `count` harmonics with amplitudes 1/k, at times `t` in s."""
    phase = 2 * np.pi * hz * (t + vibrato / (2 * np.pi * 5.5) * np.sin(2 * np.pi * 5.5 * t))
    return np.asarray(sum(np.sin(k * phase) / k for k in range(1, count + 1)))


def _bursts(
    rng: np.random.Generator, hz: float, seconds: float, pause_s: float, fall: float, harsh: float
) -> Samples:
    """Voiced bursts of falling pitch through the formants of an open vowel, mixed with noise by `harsh`."""
    sound, length = np.zeros_like(TIME), int(seconds * SAMPLE_RATE)
    t = np.arange(length) / SAMPLE_RATE
    start = 0
    while start + length < len(TIME):
        pitch = hz * rng.uniform(0.9, 1.1) * (1 - fall * t / seconds)
        phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
        voice = sum(
            np.sin(k * phase) * sum(np.exp(-(((k * hz - f) / 200) ** 2)) for f in (800, 1300, 2600))
            for k in range(1, 20)
        )
        sound[start : start + length] = (voice + harsh * rng.standard_normal(length)) * np.hanning(length)
        start += length + int(pause_s * rng.uniform(0.6, 1.4) * SAMPLE_RATE)
    return sound


if __name__ == "__main__":
    typer.run(main)
