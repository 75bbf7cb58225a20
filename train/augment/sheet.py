"""Demonstrates augmentation on one clip: a WAV file for each technique, a figure, and the draws as JSON."""

import json
from pathlib import Path

import numpy as np
import soundfile
import torch
from matplotlib.figure import Figure
from torch import Tensor

from ser_core.audio.decode import decode
from ser_core.audio.waveform import SAMPLE_RATE
from ser_core.errors import AudioError
from ser_core.models.feature_spec import FeatureSpec
from ser_core.models.features import TOP_DB, FeatureExtractor
from train.augment import chain, spec_augment
from train.augment.augmentation import TECHNIQUES, Augmentation
from train.augment.copies import Copy
from train.augment.technique import Draw, Samples
from train.corpora import CorpusError

EVERY_TECHNIQUE = Augmentation(**{name: technique() for name, technique in TECHNIQUES.items()})  # type: ignore[arg-type]
SPEC = FeatureSpec(normalization="whisper")
COLUMNS = 3
PANEL_INCHES = (4.2, 1.9)


def write(path: Path, augmentation: Augmentation, folder: Path, seed: int = 0) -> list[Path]:
    """Writes `original.wav`, a WAV for each technique that changes samples, `sheet.png` and `draws.json`.

    Mixup has no panel: it needs a second clip. Returns the files written.
    Raises CorpusError for a recording that cannot be read.
    """
    try:
        samples = decode(path).samples
    except AudioError as error:
        raise CorpusError(f"{path}: {error.code}: {error.message}") from None
    samples = samples / np.float32(np.abs(samples).max(initial=1e-6))  # training clips are at full scale
    folder.mkdir(parents=True, exist_ok=True)
    panels = [("original", _log_mel(samples))]
    written = [_wav(folder / "original.wav", samples)]
    draws: dict[str, Draw] = {}
    for number, name in enumerate(augmentation.of_clips, start=1):
        copy = Copy(0, number, name)
        drawn = chain.draw(augmentation, copy, chain.generator_of(seed, 0, path.name, copy))
        changed = chain.apply(augmentation, samples, drawn)
        features = _log_mel(changed)
        if name == "spec_augment":
            masks = spec_augment.tensor_of(drawn[name])[None]
            features = spec_augment.apply(features[None], torch.tensor([features.shape[-1]]), masks)[0]
        else:
            written.append(_wav(folder / f"{name}.wav", changed))
        panels.append((f"{name}: {_parameters(drawn[name])}", features))
        draws |= drawn
    sheet, record = folder / "sheet.png", folder / "draws.json"
    figure(panels).savefig(sheet)
    record.write_text(json.dumps(draws, indent=2) + "\n", encoding="utf-8")
    return [*written, sheet, record]


def figure(panels: list[tuple[str, Tensor]]) -> Figure:
    """The log-mel `(band, frame)` of each panel under its title, all on one scale of time and level."""
    rows = -(-len(panels) // COLUMNS)
    sheet = Figure(figsize=(COLUMNS * PANEL_INCHES[0], rows * PANEL_INCHES[1]), dpi=110, layout="constrained")
    loudest = max(float(features.max()) for _, features in panels)
    longest = max(features.shape[-1] for _, features in panels) * SPEC.hop_length / SAMPLE_RATE
    for place, (title, features) in enumerate(panels, start=1):
        axes = sheet.add_subplot(rows, COLUMNS, place)
        axes.imshow(
            features.numpy(),
            origin="lower",
            aspect="auto",
            cmap="magma",
            vmin=loudest - TOP_DB / 40,  # whisper's unit is 40 dB
            vmax=loudest,
            extent=(0, features.shape[-1] * SPEC.hop_length / SAMPLE_RATE, 0, SPEC.n_mels),
        )
        axes.set_xlim(0, longest)
        axes.set_title(title, fontsize=9, loc="left")
        axes.tick_params(labelsize=7)
    sheet.supxlabel("time (s)", fontsize=9)
    sheet.supylabel("mel band", fontsize=9)
    return sheet


def _log_mel(samples: Samples) -> Tensor:
    """The features of one clip, `(band, frame)`."""
    rows = torch.from_numpy(np.ascontiguousarray(samples, np.float32))[None]
    features, _ = FeatureExtractor(SPEC)(rows, torch.tensor([len(samples)]))
    return features[0]


def _wav(path: Path, samples: Samples) -> Path:
    """Writes `samples` to `path`, attenuated only where 16 bits would clip them; returns `path`."""
    soundfile.write(path, samples / max(1.0, float(np.abs(samples).max())), SAMPLE_RATE, subtype="PCM_16")
    return path


def _parameters(draw: Draw) -> str:
    """The parameters in `draw` as text, without seeds and masks."""
    parameters = {
        key: value for key, value in draw.items() if not key.endswith("seed") and not isinstance(value, list)
    }
    return ", ".join(
        f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in parameters.items()
    )
