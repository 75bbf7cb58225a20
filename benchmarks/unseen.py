"""Embeddings of corpora that a checkpoint was not trained on, computed once and kept on disk."""

import hashlib
import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ser_core.audio.decode import decode
from ser_core.audio.vad import segment
from ser_core.audio.waveform import SAMPLE_RATE, Samples, Waveform
from ser_core.checkpoint.bundle import Bundle
from ser_core.emotions import LABELS
from ser_core.models.whisper_adaptive import WhisperAdaptive
from ser_core.recognition.torch_runtime import TorchRuntime, batches
from train.corpora import Clip
from train.data.speech import FULL_SCALE, MAX_CLIP_S

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Embedded:
    """The clips of one corpus."""

    corpus: str
    embeddings: Tensor  # (clip, size)
    targets: NDArray[np.int64]  # (clip,) index into LABELS
    speakers: NDArray[np.str_]  # (clip,)

    @property
    def classes(self) -> NDArray[np.int64]:
        """The labels that occur, sorted."""
        return np.unique(self.targets)


def read(corpus: str, clips: Sequence[Clip], cache: Path, bundle: Bundle, model: WhisperAdaptive) -> Embedded:
    """The `clips` of `corpus` in which somebody speaks.

    Embeddings are kept in `cache`: checkpoints with the same networks and different heads share them.
    """
    path = cache / _networks(model) / f"{corpus}_{_names(clips)}.npz"
    if not path.is_file():
        log.info("%s: %d clips", corpus, len(clips))
        speech = [_speech(clip) for clip in clips]
        kept = [row for row, samples in enumerate(speech) if samples is not None]
        spoken = [samples for samples in speech if samples is not None]
        content = io.BytesIO()
        np.savez(
            content,
            embedding=embeddings_of(bundle, model, spoken).numpy(),
            label=np.array([LABELS.index(clips[row].emotion) for row in kept]),
            speaker=np.array([clips[row].speaker for row in kept]),
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.getvalue())
    with np.load(path) as stored:
        return Embedded(corpus, torch.from_numpy(stored["embedding"]), stored["label"], stored["speaker"])


def _networks(model: WhisperAdaptive) -> str:
    """A name for the weights that embeddings are computed with."""
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        if name.startswith(("encoder.", "campplus.")):
            digest.update(value.numpy().tobytes())
    return digest.hexdigest()[:12]


def _names(clips: Sequence[Clip]) -> str:
    """A name for a list of clips."""
    return hashlib.sha256("\n".join(clip.file for clip in clips).encode()).hexdigest()[:12]


def _speech(clip: Clip) -> Samples | None:
    """From the first to the last speech, at full scale; None where nobody speaks."""
    waveform = decode(clip.path.read_bytes())
    return speech_of(waveform.samples) if segment(waveform) else None


def speech_of(samples: Samples, clean: Samples | None = None) -> Samples:
    """`samples` from the first to the last speech, at full scale; whole where there is none.

    Where speech is, is found in `clean`, by default the same samples.
    """
    spans = segment(Waveform(samples if clean is None else clean, SAMPLE_RATE))
    cut = samples[spans[0].start : spans[-1].end] if spans else samples
    cut = cut[: int(MAX_CLIP_S * SAMPLE_RATE)]
    peak = float(np.abs(cut).max(initial=1e-6))
    full: Samples = (np.round(cut / peak * FULL_SCALE) / FULL_SCALE).astype(np.float32)
    return full


@torch.inference_mode()
def embeddings_of(bundle: Bundle, model: WhisperAdaptive, speech: Sequence[Samples]) -> Tensor:
    """`(clip, size)` as the app computes them on a CPU."""
    runtime = TorchRuntime(bundle, model, "cpu")
    order = sorted(range(len(speech)), key=lambda row: len(speech[row]))
    parts = [
        runtime.embed(*runtime.features(batch))
        for batch in batches([speech[row] for row in order], runtime.device)
    ]
    return torch.cat(parts).float()[np.argsort(order)]
