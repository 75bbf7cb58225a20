"""Probabilities with PyTorch, on a GPU where there is one: from samples to the last number on one device."""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from ser_core.audio.waveform import SAMPLE_RATE, Samples, windows_of
from ser_core.checkpoint import calibration
from ser_core.checkpoint.bundle import Bundle
from ser_core.errors import DeviceError, DeviceFullError
from ser_core.models.features import FeatureExtractor, pad
from ser_core.models.packed import PackedEmbedder
from ser_core.models.session import Session
from ser_core.models.whisper_adaptive import WhisperAdaptive

# oneDNN keeps compiled code for each shape it has met, 1024 of them unless told otherwise, and every batch of
# speech has a shape of its own: an hour of sound grew by some 200 MB. It reads this when it first computes.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")

# What the model is given at once, with its padding: on a CPU what fits its caches.
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
        """`device`: `auto` (cuda, else mps, else cpu) or one of these; DeviceError where it is not here.

        `precision`: `float32` or `bfloat16`, of the default model's encoder. bfloat16 takes two thirds of the
        time on a CPU that has it, and a probability may differ by one or two hundredths.
        """
        self.bundle = bundle
        self.device = choose_device(device)
        self._on_cpu, self._precision = model, precision  # a full device is in no state to give it back
        with self.leaving_when_full():
            model = (model if self.device.type == "cpu" else deepcopy(model).to(self.device)).eval()
            self.extract = FeatureExtractor(bundle.features).to(self.device).eval()
        self.model = model
        self._logits: Network = model
        self.adapts = isinstance(model, WhisperAdaptive)
        if isinstance(model, WhisperAdaptive):
            self.embed = _embedder(model, self.device, precision)
            self._logits = lambda features, lengths: model.by_themselves(self.embed(features, lengths))

    @contextmanager
    def leaving_when_full(self) -> Iterator[None]:
        """Raises DeviceFullError where what is done inside finds no memory on the device."""
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

        with self.leaving_when_full():
            total = self._mean_over_windows(clips, calibrated).cpu().double().numpy()
        mean: NDArray[np.float64] = total / total.sum(axis=1, keepdims=True)
        return mean

    @torch.inference_mode()
    def in_sessions(
        self, clips: Sequence[Samples], sessions: Sequence[Session], final: Sequence[bool]
    ) -> NDArray[np.float64]:
        """Class probabilities `(clip, class)`; a model that does not adapt judges each clip by itself."""
        model = self.model
        if not isinstance(model, WhisperAdaptive):
            return self.probabilities(clips)
        with self.leaving_when_full():
            return self._judged(model, clips, sessions, final)

    def _judged(
        self,
        model: WhisperAdaptive,
        clips: Sequence[Samples],
        sessions: Sequence[Session],
        final: Sequence[bool],
    ) -> NDArray[np.float64]:
        """Class probabilities `(clip, class)`; sessions change at the very end, when nothing can fail."""
        embeddings = self._mean_over_windows(clips, self.embed)
        familiar = model.familiar(embeddings)
        kept = familiar & torch.tensor(final, device=self.device)
        noted = kept[:, None] * model.noted(embeddings)
        states = [model.unheard() if session.state is None else session.state for session in sessions]
        begun = torch.stack([state.to(self.device) for state in states])
        settled = torch.tensor([session.settled for session in sessions], device=self.device)
        owner = torch.tensor([id(session) for session in sessions], device=self.device)
        earlier = (owner[:, None] == owner).tril(-1)  # (clip, clip): another one before it in its session
        before = begun + earlier.float() @ noted
        others = begun - (begun[:, :1] >= 1) * noted  # of a settled session, which holds the clip itself
        heard = torch.where(settled[:, None], others, before)
        logits = model.judge(embeddings, heard).cpu().double()
        found = calibration.probabilities(logits, self.bundle.temperature)
        # Music, an animal, a machine: no emotion is likelier than another.
        found[~familiar.cpu()] = 1 / len(self.bundle.labels)
        last = {session: row for row, session in enumerate(sessions) if not session.settled}
        after = [heard[row] + noted[row] for row in last.values()]
        for session, state in zip(last, after, strict=True):
            session.state = state
        rows: NDArray[np.float64] = found.numpy()
        return rows

    def features(self, windows: Sequence[Samples]) -> tuple[Tensor, Tensor]:
        """Features `(window, band, frame)` and their lengths in frames, on the device.

        On a CPU each window by itself: side by side, their last digits would depend on their company, and
        bfloat16 makes thousandths of a probability of that. It takes a hundredth of the model's time.
        """
        sounds = [torch.from_numpy(window) for window in windows]
        if self.device.type == "cpu":
            alone = [self.extract(sound[None], torch.tensor([len(sound)])) for sound in sounds]
            padded = pad_sequence([features[0].T for features, _ in alone], batch_first=True)
            return padded.transpose(1, 2).contiguous(), torch.cat([frames for _, frames in alone])
        samples, lengths = pad(sounds)
        if self.device.type == "cuda":  # so that copying does not wait for the batch before
            samples, lengths = samples.pin_memory(), lengths.pin_memory()
        found: tuple[Tensor, Tensor] = self.extract(
            samples.to(self.device, non_blocking=True), lengths.to(self.device, non_blocking=True)
        )
        return found

    def _mean_over_windows(self, clips: Sequence[Samples], of: Network) -> Tensor:
        """What `of` makes of each clip's features; of a long clip the mean over its windows."""
        windows = windows_of(clips, self.bundle.window_s)
        windows.sort(key=lambda item: len(item[1]))  # neighbours in length share a batch: little padding
        found = []
        for batch in batches([window for _, window in windows], self.device):
            found.append(of(*self.features(batch)).float())
        every = torch.cat(found)
        index = torch.tensor([row for row, _ in windows], device=self.device)
        total = every.new_zeros(len(clips), every.shape[1]).index_add_(0, index, every)
        return total / torch.bincount(index, minlength=len(clips))[:, None]


def choose_device(name: str) -> torch.device:
    """The torch device called `name`; `auto` takes cuda, else mps, else cpu. Raises DeviceError."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    there = [device for device, is_there in available.items() if is_there]
    if name == "auto":
        name = there[0]
    if name not in there:
        raise DeviceError(f"this machine has no device {name!r}; it has {', '.join(there)}")
    return torch.device(name)


def _embedder(model: WhisperAdaptive, device: torch.device, precision: str) -> Network:
    """What computes embeddings: on a CPU without padding, on a GPU in few large steps."""
    on_cpu = device.type == "cpu"
    dtype = PRECISIONS[precision]
    if on_cpu:
        return PackedEmbedder(model, dtype)

    def embed(features: Tensor, lengths: Tensor) -> Tensor:
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            return model.embed(features, lengths)

    return embed


def batches(windows: Sequence[Samples], device: torch.device) -> Iterator[Sequence[Samples]]:
    """`windows`, the shortest first, in groups that the device is given at once; padded, all are as long."""
    most, start = BATCH_SAMPLES[device.type], 0
    for end in range(1, len(windows) + 1):
        if end == len(windows) or (end + 1 - start) * len(windows[end]) > most:
            yield windows[start:end]
            start = end
