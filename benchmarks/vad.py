"""Speech detection against reference labels, on clips of one utterance each, and on non-speech sounds.

    python benchmarks/vad.py --data ../shared/data

prints tables and writes benchmarks/results/vad.json. Every table has plain webrtcvad (mode 2, no gain, no
gate, the same pauses and padding) beside `ser_core.audio.vad`. Time is counted in steps of 10 ms:
miss         speech in the reference without a span, in % of the reference's speech
false alarm  a span without speech in the reference, in % of the reference's silence, and in % of all time
"""

import argparse
import json
import shlex
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import soundfile
import webrtcvad
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))  # run from a clone, nothing installed

from ser_core.audio import vad
from ser_core.audio.waveform import SAMPLE_RATE, Waveform

RESULTS = Path(__file__).parent / "results" / "vad.json"
CORPORA = ("ravdess", "emovo", "nemo", "tess")
STEP = SAMPLE_RATE // 100  # 10 ms
PLAIN_MODE = 2
NOISE_S = 20

Samples = NDArray[np.float32]
Detector = Callable[[Samples], list[vad.Span]]


def ours(samples: Samples) -> list[vad.Span]:
    return vad.segment(Waveform(samples))


def plain(samples: Samples) -> list[vad.Span]:
    """webrtcvad as it is commonly used: pauses, short bursts and padding as ours, but no gain and no gate."""
    detector, frame = webrtcvad.Vad(PLAIN_MODE), vad.FRAME_SAMPLES
    pcm = np.clip(samples * 32767, -32768, 32767).astype(np.int16)
    builder, spans = vad._SpanBuilder(vad.VadOptions()), []
    for start in range(0, len(pcm) // frame * frame, frame):
        spans += builder.push(detector.is_speech(pcm[start : start + frame].tobytes(), SAMPLE_RATE), 0.0)
    return spans + builder.finish(len(pcm) % frame)


DETECTORS: dict[str, Detector] = {"ser_core": ours, f"webrtcvad mode {PLAIN_MODE}": plain}


def read(path: Path) -> Samples:
    samples, rate = soundfile.read(path, dtype="float32")
    if rate != SAMPLE_RATE:
        raise ValueError(f"{path} has {rate} Hz; the data of this benchmark has {SAMPLE_RATE} Hz")
    return samples


def steps(spans: list[tuple[float, float]], count: int) -> NDArray[np.bool_]:
    """Which of `count` steps of 10 ms lie in `spans` (seconds)."""
    inside = np.zeros(count, bool)
    for start, end in spans:
        inside[round(start * 100) : round(end * 100)] = True
    return inside


def marks(path: Path) -> list[tuple[float, float]]:
    rows = [
        line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("SPEAKER")
    ]
    return [(float(row[3]), float(row[3]) + float(row[4])) for row in rows]


def rates(counts: NDArray[np.int64]) -> dict[str, float]:
    """Percentages from (missed, speech, false, silence) in steps."""
    missed, speech, false, quiet = (int(count) for count in counts)
    return {
        "speech_s": speech / 100,
        "silence_s": quiet / 100,
        "miss_percent": round(100 * missed / max(1, speech), 2),
        "false_alarm_percent_of_silence": round(100 * false / max(1, quiet), 2),
        "false_alarm_percent_of_time": round(100 * false / max(1, speech + quiet), 2),
    }


def against_reference(folder: Path) -> dict[str, dict[str, dict[str, float]]]:
    """Miss and false alarm rates of each detector on each file of `folder`, and in total."""
    table: dict[str, dict[str, dict[str, float]]] = {name: {} for name in DETECTORS}
    for name, detect in DETECTORS.items():
        total = np.zeros(4, np.int64)
        for path in sorted(folder.glob("*.flac")):
            samples = read(path)
            reference = steps(marks(path.with_suffix(".rttm")), len(samples) // STEP)
            detected = steps([(span.start_s, span.end_s) for span in detect(samples)], len(reference))
            missed, false = reference & ~detected, detected & ~reference
            counts = np.array([missed.sum(), reference.sum(), false.sum(), (~reference).sum()])
            table[name][path.stem] = rates(counts)
            total += counts
        table[name]["total"] = rates(total)
    return table


def spans_a_clip(folder: Path) -> dict[str, dict[str, object]]:
    """The number of spans in each clip of `folder`; a clip holds one utterance."""
    clips = [read(path) for path in sorted(folder.rglob("*.flac"))]
    table: dict[str, dict[str, object]] = {}
    for name, detect in DETECTORS.items():
        spans_by_clip = [detect(clip) for clip in clips]
        spoken = sum(span.end_s - span.start_s for spans in spans_by_clip for span in spans)
        table[name] = {
            "clips": len(clips),
            "clips_by_spans": np.bincount([len(spans) for spans in spans_by_clip], minlength=3).tolist(),
            "span_seconds_a_clip": round(spoken / len(clips), 2),
        }
    return table


def not_speech() -> dict[str, Samples]:
    """Sounds of 20 s without speech."""
    count, rng = NOISE_S * SAMPLE_RATE, np.random.default_rng(0)
    time, white = np.arange(count) / SAMPLE_RATE, rng.standard_normal(NOISE_S * SAMPLE_RATE)
    frequencies = np.maximum(np.fft.rfftfreq(count, 1 / SAMPLE_RATE), 20)
    sounds = {"digital silence": np.zeros(count), "DC at 0.3": np.full(count, 0.3)}
    for colour, exponent in (("white", 0), ("pink", 1), ("brown", 2)):
        noise = np.fft.irfft(np.fft.rfft(white) / frequencies ** (exponent / 2), count)
        for level_db in (-70, -40, -20, -6):
            sounds[f"{colour} noise {level_db} dBFS"] = noise / noise.std() * 10 ** (level_db / 20)
    for frequency in (100, 440, 1000, 3000):
        sounds[f"tone {frequency} Hz"] = 0.3 * np.sin(2 * np.pi * frequency * time)
    for frequency in (50, 60, 100, 120):
        overtones = sum(np.sin(2 * np.pi * frequency * k * time + k) / k for k in range(1, 13))
        sounds[f"hum {frequency} Hz"] = 0.05 * overtones
        sounds[f"hum {frequency} Hz, switched on, over noise"] = (
            0.05 * overtones * (time > 3) + 0.0005 * white
        )
    for rate in (2, 10, 50):
        sounds[f"{rate} clicks a second"] = 0.8 * (np.arange(count) % (SAMPLE_RATE // rate) == 0)
    sounds["tone beeps"] = 0.3 * np.sin(2 * np.pi * 440 * time) * (time % 1 < 0.4)
    sounds["noise bursts"] = 0.1 * white * (time % 1 < 0.4)
    sounds["noise swelling four times a second"] = 0.1 * white * (1 + 0.9 * np.sin(2 * np.pi * 4 * time))
    sounds["chirp 100 to 4000 Hz"] = 0.3 * np.sin(2 * np.pi * (100 * time + 1950 * time**2 / NOISE_S))
    return {name: np.clip(sound, -1, 1).astype(np.float32) for name, sound in sounds.items()}


def speech_in_noise() -> dict[str, dict[str, float]]:
    """Seconds of speech that each detector finds in sounds without speech."""
    sounds = not_speech()
    return {
        name: {
            sound: round(sum(span.end_s - span.start_s for span in detect(samples)), 2)
            for sound, samples in sounds.items()
        }
        for name, detect in DETECTORS.items()
    }


def show_reference(table: dict[str, dict[str, dict[str, float]]]) -> None:
    print(f"{'':38}" + "".join(f"{name:>28}" for name in table))
    print(f"{'file':26}{'speech s':>12}" + f"{'miss %':>10}{'FA % sil.':>10}{'time':>8}" * len(table))
    for file in next(iter(table.values())):
        rows = [table[name][file] for name in table]
        print(
            f"{file:26}{rows[0]['speech_s']:12.1f}"
            + "".join(
                f"{row['miss_percent']:10.1f}{row['false_alarm_percent_of_silence']:10.1f}"
                f"{row['false_alarm_percent_of_time']:8.1f}"
                for row in rows
            )
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="Speech detection: miss, false alarm, spans a clip, noise.")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of the corpora")
    data: Path = parser.parse_args().data
    result: dict[str, object] = {
        "command": shlex.join(["python", *sys.argv]),
        "data": [name for name in ("vad", *CORPORA) if (data / name).is_dir()],
        "options": asdict(vad.VadOptions()),
    }
    if (data / "vad").is_dir():
        reference = against_reference(data / "vad")
        show_reference(reference)
        result["reference"] = reference
    else:
        print(f"reference: left out, {data / 'vad'} is not there")
    corpora = {}
    print("\nspans a clip: clips with 0, 1, 2, … spans")
    for corpus in CORPORA:
        if not (data / corpus).is_dir():
            print(f"{corpus}: left out, {data / corpus} is not there")
            continue
        corpora[corpus] = spans_a_clip(data / corpus)
        for name, row in corpora[corpus].items():
            print(f"{corpus:10}{name:20}{row['clips_by_spans']}  {row['span_seconds_a_clip']} s a clip")
    result["spans_a_clip"] = corpora
    noise = speech_in_noise()
    print(f"\nseconds of speech found in {NOISE_S} s without any")
    print(f"{'':45}" + "".join(f"{name:>20}" for name in noise))
    for sound in next(iter(noise.values())):
        print(f"{sound:45}" + "".join(f"{noise[name][sound]:20.2f}" for name in noise))
    result["speech_seconds_in_noise"] = noise
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
