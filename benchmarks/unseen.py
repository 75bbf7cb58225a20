"""Embeddings of corpora that no shipped checkpoint was trained on, computed once and kept on disk.

Traps that the corpora's READMEs list are left out: clips without speech, screams, and twins (the same samples
twice; both where their labels differ). Of CREMA-D 3000 clips are taken, each speaker's emotions in turn.
"""

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
from ser_core.audio.waveform import SAMPLE_RATE, Samples
from ser_core.checkpoint.bundle import Bundle
from ser_core.emotions import LABELS
from ser_core.models.whisper_adaptive import WhisperAdaptive
from ser_core.recognition.torch_runtime import TorchRuntime, batches
from train.corpora import Clip
from train.corpora.reading import read_corpus
from train.data.speech import FULL_SCALE, MAX_CLIP_S

CORPORA = ("crema_d", "aesdd", "ased", "emospeech_india")
CREMA_D_CLIPS = 3000
NEUTRAL_IS_CALM = "emospeech_india"  # its README: "calm" is this corpus' neutral
SCREAM = "-scream-"  # in file names of emospeech_india
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


def read(corpus: str, data: Path, cache: Path, bundle: Bundle, model: WhisperAdaptive) -> Embedded:
    """The clips of `corpus` in the folder `data`; their embeddings are kept in `cache`, by checkpoint."""
    path = cache / bundle.sha256[:12] / f"{corpus}.npz"
    if not path.is_file():
        clips, speech = _speech(corpus, read_corpus(data / corpus))
        log.info("%s: %d clips", corpus, len(clips))
        emotions = [clip.emotion for clip in clips]
        if corpus == NEUTRAL_IS_CALM:
            emotions = ["neutral" if emotion == "calm" else emotion for emotion in emotions]
        content = io.BytesIO()
        np.savez(
            content,
            embedding=_embeddings(bundle, model, speech).numpy(),
            label=np.array([LABELS.index(emotion) for emotion in emotions]),
            speaker=np.array([clip.speaker for clip in clips]),
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.getvalue())
    with np.load(path) as kept:
        return Embedded(corpus, torch.from_numpy(kept["embedding"]), kept["label"], kept["speaker"])


def _speech(corpus: str, clips: Sequence[Clip]) -> tuple[list[Clip], list[Samples]]:
    """Clips without traps, and what is spoken in them: from the first to the last speech, at full scale."""
    kept: list[tuple[Clip, Samples, str]] = []
    labels: dict[str, set[str]] = {}
    for clip in _drawn(clips) if corpus == "crema_d" else clips:
        if SCREAM in clip.path.name:
            continue
        waveform = decode(clip.path.read_bytes())
        digest = hashlib.sha256(waveform.samples.tobytes()).hexdigest()
        labels.setdefault(digest, set()).add(clip.emotion)
        if spans := segment(waveform):
            samples = waveform.samples[spans[0].start : spans[-1].end][: int(MAX_CLIP_S * SAMPLE_RATE)]
            peak = float(np.abs(samples).max(initial=1e-6))
            kept.append((clip, np.round(samples / peak * FULL_SCALE) / FULL_SCALE, digest))
    first = {digest: row for row, (_, _, digest) in reversed(list(enumerate(kept)))}
    rows = [row for digest, row in first.items() if len(labels[digest]) == 1]
    return [kept[row][0] for row in sorted(rows)], [kept[row][1] for row in sorted(rows)]


def _drawn(clips: Sequence[Clip]) -> list[Clip]:
    """CREMA_D_CLIPS of `clips`: one of each speaker's emotion after the other."""
    rng = np.random.default_rng(0)
    cells: dict[tuple[str, str], list[Clip]] = {}
    for clip in clips:
        cells.setdefault((clip.speaker, clip.emotion), []).append(clip)
    queue = []
    for cell in cells.values():
        order = rng.permutation(len(cell))
        queue += [(turn, rng.random(), cell[row]) for turn, row in enumerate(order)]
    return [clip for _, _, clip in sorted(queue, key=lambda item: item[:2])][:CREMA_D_CLIPS]


@torch.inference_mode()
def _embeddings(bundle: Bundle, model: WhisperAdaptive, speech: Sequence[Samples]) -> Tensor:
    """`(clip, size)` as the app computes them on a CPU."""
    runtime = TorchRuntime(bundle, model, "cpu")
    order = sorted(range(len(speech)), key=lambda row: len(speech[row]))
    parts = [
        runtime.embed(*runtime.features(batch))
        for batch in batches([speech[row] for row in order], runtime.device)
    ]
    return torch.cat(parts).float()[np.argsort(order)]
