"""Computes probabilities with PyTorch: features and model run on the same device, a GPU if there is one."""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from ser_core.audio.waveform import SAMPLE_RATE, Samples, windows_of
from ser_core.checkpoint import calibration
from ser_core.checkpoint import voices as checkpoint_of_voices
from ser_core.checkpoint.bundle import Bundle, BundleError
from ser_core.errors import DeviceError, DeviceFullError
from ser_core.models.campplus import middle_weights
from ser_core.models.features import FeatureExtractor, pad
from ser_core.models.middle_states import MiddleStates
from ser_core.models.packed import PackedEmbedder
from ser_core.models.session import Judged, Session
from ser_core.models.whisper_adaptive import WhisperAdaptive

if TYPE_CHECKING:
    from ser_core.models.voice_networks import VoiceNetworks

# oneDNN caches compiled code for up to 1024 input shapes by default, and nearly every batch of speech has a
# new shape: an hour of audio took some 200 MB more. oneDNN reads this variable when it first computes.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "256")

# Samples in a batch, with its padding: on a CPU what fits its caches.
BATCH_SAMPLES = {"cpu": 30 * SAMPLE_RATE, "mps": 120 * SAMPLE_RATE, "cuda": 1800 * SAMPLE_RATE}
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}

FULL = "The memory of %s is full: the model goes on on the CPU, which is slower."
log = logging.getLogger(__name__)
Network = Callable[[Tensor, Tensor], Tensor]  # (batch, band, frame) and lengths in frames to (batch, …)


class TorchRuntime:
    """A model and its features on one device."""

    def __init__(
        self, bundle: Bundle, model: nn.Module, device: str = "auto", precision: str = "float32"
    ) -> None:
        """`device`: `auto` (cuda, else mps, else cpu) or one of these; DeviceError if the machine has none.

        `precision`: `float32` or `bfloat16`, of the default model's encoder. bfloat16 takes two thirds of the
        time on a CPU that has it, and a probability may differ by one or two hundredths.
        """
        self.bundle = bundle
        self.device = choose_device(device)
        self._on_cpu, self._precision = model, precision  # copied back from a full device, it might fail
        with self.raising_device_full():
            model = (model if self.device.type == "cpu" else deepcopy(model).to(self.device)).eval()
            self.extract = FeatureExtractor(bundle.features).to(self.device).eval()
        self.model = model
        self._logits: Network = model
        self.adapts = isinstance(model, WhisperAdaptive)
        if isinstance(model, WhisperAdaptive):
            branch = model.campplus
            self._middle_weights = None if branch is None else middle_weights(branch.state_dict())
            networks = _networks_with(self._middle_weights) if self.device.type == "cpu" else None
            self.embed = _embedder(model, self.device, precision, networks)
            self._logits = lambda features, lengths: model.by_themselves(self.embed(features, lengths))

    @contextmanager
    def raising_device_full(self) -> Iterator[None]:
        """Raises DeviceFullError, with a runtime on the CPU, if the device runs out of memory inside."""
        try:
            yield
        except torch.OutOfMemoryError:
            log.warning(FULL, self.device)
            raise DeviceFullError(TorchRuntime(self.bundle, self._on_cpu, "cpu", self._precision)) from None

    @torch.inference_mode()
    def probabilities(self, clips: Sequence[Samples]) -> NDArray[np.float64]:
        """See `Recognizer.probabilities`."""

        def calibrated(features: Tensor, lengths: Tensor) -> Tensor:
            return calibration.probabilities(self._logits(features, lengths).float(), self.bundle.temperature)

        with self.raising_device_full():
            total = self._mean_over_windows(clips, calibrated).cpu().double().numpy()
        mean: NDArray[np.float64] = total / total.sum(axis=1, keepdims=True)
        return mean

    @torch.inference_mode()
    def embeddings(
        self, clips: Sequence[Samples], middle: Sequence[MiddleStates | None] = ()
    ) -> NDArray[np.float32] | None:
        """Embeddings `(clip, size)` by which `judge` judges at least one clip; None if it needs the sound."""
        if not isinstance(self.model, WhisperAdaptive):
            return None
        with self.raising_device_full():
            rows: NDArray[np.float32] = self._embedded(clips, middle).cpu().numpy()
        return rows

    def _embedded(self, clips: Sequence[Samples], middle: Sequence[MiddleStates | None]) -> Tensor:
        """Embeddings `(clip, size)`; on a CPU without computing again what `middle` has of a clip."""
        longest = int(self.bundle.window_s * SAMPLE_RATE)
        known = {
            row: torch.from_numpy(states.pooled)
            for row, (clip, states) in enumerate(zip(clips, middle, strict=False))
            if states and states.weights == self._middle_weights and len(clip) <= longest
        }
        if not known or not isinstance(self.embed, PackedEmbedder):
            return self._mean_over_windows(clips, self.embed)
        whisper = self._mean_over_windows([clips[row] for row in known], self.embed.whisper)
        whole = torch.cat([whisper, torch.stack(list(known.values()))], dim=1)
        embeddings = whole.new_empty(len(clips), whole.shape[1])
        embeddings[list(known)] = whole
        if rest := [row for row in range(len(clips)) if row not in known]:
            embeddings[rest] = self._mean_over_windows([clips[row] for row in rest], self.embed)
        return embeddings

    @torch.inference_mode()
    def judge(self, embeddings: NDArray[np.float32], sessions: Sequence[Session]) -> Judged:
        """As `in_sessions`, of final clips with these `embeddings`, `(clip, size)`."""
        assert isinstance(self.model, WhisperAdaptive)
        heard = torch.from_numpy(embeddings).to(self.device)
        return self._adapted(self.model, heard, sessions, [True] * len(sessions))

    @torch.inference_mode()
    def in_sessions(
        self,
        clips: Sequence[Samples],
        sessions: Sequence[Session],
        final: Sequence[bool],
        middle: Sequence[MiddleStates | None] = (),
    ) -> Judged:
        """Class probabilities; a model that does not adapt judges each clip by itself."""
        model = self.model
        if not isinstance(model, WhisperAdaptive):
            rows = self.probabilities(clips)
            return Judged(rows, rows)
        with self.raising_device_full():
            embeddings = self._embedded(clips, middle)
            return self._adapted(model, embeddings, sessions, final)

    def _adapted(
        self,
        model: WhisperAdaptive,
        embeddings: Tensor,
        sessions: Sequence[Session],
        final: Sequence[bool],
    ) -> Judged:
        """Class probabilities. Sessions are updated last, when nothing can fail any more."""
        is_speech = model.familiar(embeddings)
        counted = is_speech & torch.tensor(final, device=self.device)
        # (clip, state): what each clip adds to the state of its session
        added = counted[:, None] * model.noted(embeddings)
        states = [model.unheard() if session.state is None else session.state for session in sessions]
        initial = torch.stack([state.to(self.device) for state in states])
        settled = torch.tensor([session.settled for session in sessions], device=self.device)
        owner = torch.tensor([id(session) for session in sessions], device=self.device)
        earlier = (owner[:, None] == owner).tril(-1)  # (clip, clip): whether one comes before in the session
        before = initial + earlier.float() @ added
        # A settled session includes the clip itself, which is subtracted.
        others = initial - (initial[:, :1] >= 1) * added
        context = torch.where(settled[:, None], others, before)
        judged = []
        for logits in (model.judge(embeddings, context), model.by_themselves(embeddings)):
            probabilities = calibration.probabilities(logits.cpu().double(), self.bundle.temperature)
            # Music, animals and machines are not speech: every emotion is equally probable.
            probabilities[~is_speech.cpu()] = 1 / len(self.bundle.labels)
            judged.append(probabilities.numpy())
        last = {session: row for row, session in enumerate(sessions) if not session.settled}
        after = [context[row] + added[row] for row in last.values()]
        for session, state in zip(last, after, strict=True):
            session.state = state
        return Judged(*judged)

    def features(self, windows: Sequence[Samples]) -> tuple[Tensor, Tensor]:
        """Features `(window, band, frame)` and their lengths in frames, on the device.

        On a CPU each window is processed by itself. In a batch, the last digits would depend on the other
        windows, which in bfloat16 changes probabilities by thousandths. Extraction takes a hundredth of the
        model's time.
        """
        rows = [torch.from_numpy(window) for window in windows]
        if self.device.type == "cpu":
            separate = [self.extract(row[None], torch.tensor([len(row)])) for row in rows]
            padded = pad_sequence([features[0].T for features, _ in separate], batch_first=True)
            return padded.transpose(1, 2).contiguous(), torch.cat([frames for _, frames in separate])
        samples, lengths = pad(rows)
        if self.device.type == "cuda":  # so that copying does not wait for the previous batch
            samples, lengths = samples.pin_memory(), lengths.pin_memory()
        features: tuple[Tensor, Tensor] = self.extract(
            samples.to(self.device, non_blocking=True), lengths.to(self.device, non_blocking=True)
        )
        return features

    def _mean_over_windows(self, clips: Sequence[Samples], network: Network) -> Tensor:
        """The output `(clip, …)` of `network` for each clip; for a long clip the mean over its windows."""
        windows = windows_of(clips, self.bundle.window_s)
        windows.sort(key=lambda item: len(item[1]))  # similar lengths share a batch: little padding
        outputs = []
        for batch in batches([window for _, window in windows], self.device):
            outputs.append(network(*self.features(batch)).float())
        output = torch.cat(outputs)  # (window, …)
        index = torch.tensor([row for row, _ in windows], device=self.device)
        total = output.new_zeros(len(clips), output.shape[1]).index_add_(0, index, output)
        return total / torch.bincount(index, minlength=len(clips))[:, None]


def choose_device(name: str) -> torch.device:
    """The torch device called `name`; `auto` takes cuda, else mps, else cpu. Raises DeviceError."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    devices = [device for device, is_available in available.items() if is_available]
    if name == "auto":
        name = devices[0]
    if name not in devices:
        raise DeviceError(f"this machine has no device {name!r}; it has {', '.join(devices)}")
    return torch.device(name)


def _networks_with(weights: str | None) -> "VoiceNetworks | None":
    """The shipped networks of voices, if they are there and their lower part has these `middle_weights`."""
    if weights is None:
        return None
    try:
        voices = checkpoint_of_voices.shipped()
    except BundleError as error:
        log.info("CAM++ is run by PyTorch: %s", error)
        return None
    return voices.networks if voices.middle_weights == weights else None


def _embedder(
    model: WhisperAdaptive, device: torch.device, precision: str, networks: "VoiceNetworks | None"
) -> Network:
    """The function that computes embeddings: on a CPU without padding, on a GPU in few large batches."""
    on_cpu = device.type == "cpu"
    dtype = PRECISIONS[precision]
    if on_cpu:
        return PackedEmbedder(model, dtype, networks)

    def embed(features: Tensor, lengths: Tensor) -> Tensor:
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            return model.embed(features, lengths)

    return embed


def batches(windows: Sequence[Samples], device: torch.device) -> Iterator[Sequence[Samples]]:
    """`windows`, sorted by length, in batches that with padding fit the device's `BATCH_SAMPLES`."""
    max_samples, start = BATCH_SAMPLES[device.type], 0
    for end in range(1, len(windows) + 1):
        if end == len(windows) or (end + 1 - start) * len(windows[end]) > max_samples:
            yield windows[start:end]
            start = end
