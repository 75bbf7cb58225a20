"""Embeddings of clips by a frozen encoder, cached on disk.

Copy 0 is the recordings themselves. Each further copy simulates a recording session per speaker: the recipe's
augmentation (voice, room, microphone) is drawn once for all clips of a speaker.
"""

import json
import sys
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ser_core.audio.waveform import SAMPLE_RATE
from ser_core.emotions import LABELS
from ser_core.models import blocks, campplus, features, pretrained, whisper, whisper_adaptive
from ser_core.models.campplus import BANDS
from ser_core.models.features import FeatureExtractor, pad
from ser_core.models.registry import build
from ser_core.models.whisper_adaptive import WhisperAdaptive
from train.augment import WAVEFORM_TECHNIQUES, Copy, chain, technique
from train.corpora import Clip
from train.data.cache import SPEECH_CODE, FeatureCache, code_version, content_of, key, source_digest
from train.data.speech import FULL_SCALE, MAX_CLIP_S
from train.recipe import Recipe

BATCH_SIZE = 16
TECHNIQUES = tuple(sys.modules[kind.__module__] for kind in WAVEFORM_TECHNIQUES.values())
EMBEDDING_CODE = (
    *SPEECH_CODE, features, blocks, campplus, whisper, whisper_adaptive, chain, technique, *TECHNIQUES
)  # fmt: skip


class Embedder:
    """Computes and caches embeddings with the published encoder of a recipe's architecture."""

    def __init__(
        self, recipe: Recipe, cache: FeatureCache, device: str = "cpu", model: WhisperAdaptive | None = None
    ) -> None:
        """With `model`, whose encoder is not the published one, embeddings are not cached."""
        self._embedding_cache = FeatureCache() if model else cache
        self._tuned_from = recipe.frozen_layers if recipe.encoder_epochs and model is None else None
        if model is None:
            torch.manual_seed(recipe.seed)  # for the initial weights of the heads
            model = build(recipe.architecture, len(LABELS), **recipe.options)  # type: ignore[assignment]
            assert isinstance(model, WhisperAdaptive)
            model.load_pretrained(Path(recipe.pretrained))
            if model.campplus is not None:
                model.load_campplus(recipe.campplus_pretrained)
        self.model = model.eval()
        self.extract = FeatureExtractor(model.features).to(device)
        self._augmentation, self._seed = recipe.augmentation, recipe.seed
        self._cache, self._device = cache, device
        sources = [name for name in (recipe.pretrained, recipe.campplus_pretrained) if name]
        weights = source_digest([pretrained.locate(name) for name in sources])
        self._key_parts = (code_version(EMBEDDING_CODE), weights, recipe.architecture)

    def embeddings(self, clips: Sequence[Clip], copy: int = 0) -> Tensor:
        """Embeddings `(clip, size)`, float32; `copy` 0 is the recordings. Raises what `cache` raises."""
        names = self._names(clips, copy)
        rows = [self._embedding_cache.load(name) for name in names]
        missing = [i for i, row in enumerate(rows) if row is None]
        for i, row in self._compute([clips[i] for i in missing], copy):
            rows[missing[i]] = row
            self._embedding_cache.store(names[missing[i]], row)
        return torch.from_numpy(np.stack([row for row in rows if row is not None])).float()

    def states(self, clips: Sequence[Clip], copy: int, layers: int) -> list[Tensor]:
        """Output of encoder layer `layers` per clip, `(step, width)`, float16; otherwise as `embeddings`."""
        names = self._names(clips, copy, str(layers))
        rows = [self._embedding_cache.load(name) for name in names]
        missing = [i for i, row in enumerate(rows) if row is None]
        if missing:
            speech = self._cache.speech([clips[i] for i in missing])
            sounds = [
                self.augmented_speech(clips[i], samples, copy)
                for i, samples in zip(missing, speech, strict=True)
            ]
            for i, state in zip(missing, self._lower(sounds, layers), strict=True):
                rows[i] = state
                self._embedding_cache.store(names[i], state)
        return [torch.from_numpy(row) for row in rows if row is not None]

    def _names(self, clips: Sequence[Clip], copy: int, *decisions: str) -> list[str]:
        """The names of the clips' entries in the cache."""
        augmented = [
            (repr(self._augmentation), json.dumps(self._session(clip, copy))) if copy else ()
            for clip in clips
        ]
        return [
            key(content_of(clip), *self._key_parts, *of_copy, *decisions)
            for clip, of_copy in zip(clips, augmented, strict=True)
        ]

    def _lower(self, sounds: list[Tensor], layers: int) -> list[NDArray[np.float16]]:
        """Output of encoder layer `layers` for `sounds`, each `(n_samples,)` at 16 kHz."""
        samples, lengths = pad(sounds)
        with torch.inference_mode(), torch.autocast(self._device, torch.bfloat16):
            inputs = self.extract(samples.to(self._device), lengths.to(self._device))
            states, valid = self.model.encoder(inputs[0][:, :BANDS], inputs[1])
        hidden = states[layers].half().cpu().numpy()
        return [row[:steps] for row, steps in zip(hidden, valid.sum(1).tolist(), strict=True)]

    def _store_states(self, clips: Sequence[Clip], copy: int, states: Tensor, valid: Tensor) -> None:
        names = self._names(clips, copy, str(self._tuned_from))
        hidden = states.half().cpu().numpy()
        for name, row, steps in zip(names, hidden, valid.sum(1).tolist(), strict=True):
            self._embedding_cache.store(name, row[:steps])

    def augmented_speech(self, clip: Clip, speech: NDArray[np.int16], copy: int) -> Tensor:
        """The `speech` of `clip` with the augmentation of `copy`, `(n_samples,)` at 16 kHz."""
        samples = chain.apply(self._augmentation, speech / FULL_SCALE, self._session(clip, copy))
        return torch.from_numpy(samples[: int(MAX_CLIP_S * SAMPLE_RATE)])

    def _session(self, clip: Clip, copy: int) -> dict[str, chain.Draw]:
        """The augmentation that `copy` applies to every clip of this clip's speaker."""
        speaker = zlib.crc32(f"{clip.corpus}/{clip.speaker}".encode())
        rng = np.random.default_rng([self._seed, copy, speaker])
        return chain.draw(self._augmentation, Copy(0), rng) if copy else {}

    def _compute(self, clips: Sequence[Clip], copy: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """(index, embedding) of each clip, in batches of similar length.

        Augmented copies are computed in bfloat16, whose error is smaller than their differences; recordings
        in float32, as in the app. Where the encoder will be tuned, its inputs there are stored too.
        """
        speech = self._cache.speech(clips)
        order = sorted(range(len(clips)), key=lambda i: len(speech[i]))
        self.model.to(self._device)
        for start in range(0, len(order), BATCH_SIZE):
            rows = order[start : start + BATCH_SIZE]
            samples, lengths = pad([self.augmented_speech(clips[i], speech[i], copy) for i in rows])
            with torch.inference_mode():
                inputs = self.extract(samples.to(self._device), lengths.to(self._device))
                with torch.autocast(self._device, torch.bfloat16, enabled=copy > 0):
                    states, valid = self.model.encoder(inputs[0][:, :BANDS], inputs[1])
                embeddings = self.model.pool(states, valid)
                if self.model.campplus is not None:
                    embeddings = torch.cat([embeddings, self.model.embed_voice(*inputs)], dim=-1)
            if self._tuned_from is not None:
                self._store_states([clips[i] for i in rows], copy, states[self._tuned_from], valid)
            yield from zip(rows, embeddings.float().cpu().numpy(), strict=True)
