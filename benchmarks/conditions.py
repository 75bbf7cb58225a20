"""Telephones, codecs, noise and rooms: what a corpus that was left out loses under each.

`python -m benchmarks.conditions` judges the clips of AESDD and nEMO by themselves, by the networks that were
not trained on them (folds of `leave_one_corpus_out`), as they are and under each of CONDITIONS. Prints UAR in
percent and the points lost, and writes benchmarks/results/conditions_RECIPE.json.
"""

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import av
import numpy as np
import soxr
import torch
import typer

from benchmarks import unseen
from benchmarks.left_out import OUT, RECIPE
from ser_core.audio.decode import decode
from ser_core.audio.waveform import SAMPLE_RATE, Samples
from ser_core.checkpoint import bundle as bundles
from ser_core.models.whisper_adaptive import WhisperAdaptive
from train import recipe as recipes
from train.augment.codec import Codec
from train.augment.rir import Rir
from train.corpora import classes_of
from train.reports import evaluate

CORPORA = ("aesdd", "nemo")
DIRECT_DB = (
    0.0  # energy of the direct sound relative to the reverberation: some two metres from the microphone
)

Condition = Callable[[Samples, int], Samples]  # from a clip's samples and its number


def coded(codec: str, container: str, bit_rate: int) -> Condition:
    """Encoded with PyAV (FFmpeg) at `bit_rate` bits a second, and decoded as the app does."""

    def apply(samples: Samples, number: int) -> Samples:
        file = io.BytesIO()
        rate = 48_000 if codec == "libopus" else SAMPLE_RATE  # the only rate that is Opus' own
        pcm = (np.clip(soxr.resample(samples, SAMPLE_RATE, rate), -1, 1) * 32767).astype(np.int16)
        with av.open(file, "w", format=container) as output:
            stream = output.add_stream(codec, rate=rate, layout="mono")
            stream.bit_rate = bit_rate
            frame = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
            frame.rate = rate
            for packet in [*stream.encode(frame), *stream.encode(None)]:
                output.mux(packet)
        return decode(file.getvalue()).samples

    return apply


def mu_law(samples: Samples, number: int) -> Samples:
    """A telephone line: G.711 at 8 kHz."""
    return Codec().apply(samples, {"codec": "mu_law"})


def in_room(t60_s: float) -> Condition:
    """Recorded across a room that reverberates for `t60_s`; each clip in another room."""

    def apply(samples: Samples, number: int) -> Samples:
        draw = {"t60_s": t60_s, "direct_db": DIRECT_DB, "room_seed": number}
        return Rir().apply(samples, draw)

    return apply


def with_sounds(snr_db: float, sounds: Sequence[Samples]) -> Condition:
    """With one of `sounds`, repeated, `snr_db` below the speech."""

    def apply(samples: Samples, number: int) -> Samples:
        sound = np.resize(sounds[number % len(sounds)], len(samples))
        powers = [float(np.square(part, dtype=np.float64).mean()) + 1e-12 for part in (samples, sound)]
        mixed = samples + sound * np.float32(np.sqrt(powers[0] / powers[1] / 10 ** (snr_db / 10)))
        return (mixed / max(1.0, float(np.abs(mixed).max()))).astype(np.float32)

    return apply


def conditions(folder: Path) -> dict[str, Condition]:
    """By name; `folder` holds the sounds."""
    files = sorted((folder / "ood_sounds").rglob("*.*"))
    sounds = [
        decode(path.read_bytes()).samples for path in files if path.suffix in (".opus", ".flac", ".wav")
    ]
    loud = [sound for sound in sounds if np.abs(sound).max() > 1e-3]  # some are silence
    return {
        "clean": lambda samples, number: samples,
        "mu-law, 8 kHz": mu_law,
        "Opus, 6 kbit/s": coded("libopus", "ogg", 6_000),
        "MP3, 16 kbit/s": coded("libmp3lame", "mp3", 16_000),
        "sounds at 10 dB": with_sounds(10, loud),
        "sounds at 0 dB": with_sounds(0, loud),
        "room, 0.6 s": in_room(0.6),
        "room, 1.2 s": in_room(1.2),
    }


@torch.inference_mode()
def main(
    recipe: Annotated[Path, typer.Option(help="recipe of the folds")] = RECIPE,
    runs: Annotated[Path | None, typer.Option(help="its runs; default runs/RECIPE")] = None,
    data: Annotated[Path, typer.Option(help="folder that holds the corpora")] = Path("../shared/data"),
    sounds: Annotated[Path, typer.Option(help="folder that holds the sounds")] = Path("../shared/sounds"),
    most: Annotated[int, typer.Option(help="clips of a corpus at most")] = 600,
    out: Annotated[Path, typer.Option(help="folder that the figures go to")] = OUT,
) -> None:
    """Prints and writes the table."""
    settings = recipes.read(recipe)
    folder = (runs or Path("runs") / settings.name) / "leave_one_corpus_out"
    clips = settings.clips(data)
    classes = classes_of(clips)
    report: dict[str, Any] = {"command": f"python -m benchmarks.conditions --recipe {recipe}", "corpora": {}}
    for corpus in CORPORA:
        bundle, model = bundles.load(folder / f"without_{corpus}" / "bundle")
        assert isinstance(model, WhisperAdaptive)
        own = [clip for clip in clips if clip.corpus == corpus]
        own = own[:: max(1, len(own) // most)][:most]
        waves = [decode(clip.path.read_bytes()).samples for clip in own]
        known = {label for other, labels in classes.items() if other != corpus for label in labels}
        common = [label for label in classes[corpus] if label in known]
        results: dict[str, Any] = {}
        for name, condition in conditions(sounds).items():
            speech = [
                unseen.speech_of(condition(samples, number), samples) for number, samples in enumerate(waves)
            ]
            logits = model.by_themselves(unseen.embeddings_of(bundle, model, speech))
            predictions = evaluate.among(evaluate.predictions_of(own, logits.double().numpy()), common)
            results[name] = {
                "uar": evaluate.percent(
                    evaluate.unweighted_average_recall(predictions.predicted, predictions.targets)
                )
            }
            results[name]["lost"] = round(results["clean"]["uar"] - results[name]["uar"], 2)
            typer.echo(f"{corpus}, {name}: UAR {results[name]['uar']:.1f}, lost {results[name]['lost']:.1f}")
        report["corpora"][corpus] = {"clips": len(own), "classes": len(common)} | results
    report["mean_lost"] = {
        name: round(float(np.mean([of[name]["lost"] for of in report["corpora"].values()])), 2)
        for name in conditions(sounds)
    }
    typer.echo(json.dumps(report["mean_lost"]))
    path = out / f"conditions_{settings.name}.json"
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
