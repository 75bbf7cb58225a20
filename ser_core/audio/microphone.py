"""Records from a local microphone with sounddevice (PortAudio), which is imported on first use."""

import logging
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ser_core.errors import CodedError

BLOCK_S = 0.1  # length of a block
QUEUE_BLOCKS = 600  # a minute of audio for a slow reader; when the queue is full, blocks are lost and counted
SILENT_S = 5.0  # a device that delivers nothing for so long was unplugged
log = logging.getLogger(__name__)


class MicrophoneError(CodedError):
    """A microphone that cannot be used.

    Codes: `no_portaudio`, `no_device` (none at all), `not_found` (no such device) or `device_failed`.
    """


@dataclass(frozen=True)
class Device:
    """A microphone that PortAudio knows."""

    index: int  # PortAudio's index, for `choose`
    name: str
    sample_rate: int  # Hz, the device's default
    default: bool

    @property
    def line(self) -> str:
        """The device as one line of text."""
        return f"{self.index:3} {self.name}, {self.sample_rate} Hz{', the default' if self.default else ''}"


def devices() -> list[Device]:
    """The microphones of this machine.

    Raises MicrophoneError `no_portaudio` without PortAudio, `device_failed` if the query fails.
    """
    sounddevice = _sounddevice()
    try:
        default = sounddevice.default.device[0]
        return [
            Device(index, entry["name"], round(entry["default_samplerate"]), index == default)
            for index, entry in enumerate(sounddevice.query_devices())
            if entry["max_input_channels"] > 0
        ]
    except sounddevice.PortAudioError as error:
        raise _failed(error) from None


def choose(available: list[Device], index: int | None = None) -> Device:
    """The device with `index`; if `index` is None, the default device, else the first.

    Raises MicrophoneError `no_device` or `not_found`.
    """
    if not available:
        raise MicrophoneError("no_device", "No microphone was found. Plug one in, or allow its use.")
    if index is None:
        return next((device for device in available if device.default), available[0])
    for device in available:
        if device.index == index:
            return device
    raise MicrophoneError(
        "not_found", f"No microphone has the index {index}; --list-devices shows those there are."
    )


class Microphone:
    """An open microphone: an iterator over blocks of int16 mono, shape (n_samples,); `with` closes it.

    It ends when `stopped` is set, after the blocks recorded until then, or when the device delivers no more.
    Raises MicrophoneError `device_failed` if the device cannot be opened.
    """

    def __init__(self, device: Device, stopped: threading.Event) -> None:
        self._stopped = stopped
        self._sounddevice = _sounddevice()
        self._queue: queue.Queue[NDArray[np.int16]] = queue.Queue(QUEUE_BLOCKS)
        self._losses = 0  # blocks that did not fit in the queue, and overflows inside PortAudio
        try:
            self._stream = self._sounddevice.InputStream(
                samplerate=device.sample_rate,
                blocksize=round(BLOCK_S * device.sample_rate),
                device=device.index,
                channels=1,
                dtype="int16",
                callback=self._receive,
            )
        except self._sounddevice.PortAudioError as error:
            raise _failed(error) from None

    def __enter__(self) -> "Microphone":
        try:
            self._stream.start()
        except self._sounddevice.PortAudioError as error:
            raise _failed(error) from None
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def __iter__(self) -> Iterator[NDArray[np.int16]]:
        reported = 0  # of the losses
        while True:
            if self._stopped.is_set():
                self._stream.stop()
                if self._queue.empty():
                    return
            try:
                block = self._queue.get(timeout=SILENT_S)
            except queue.Empty:
                log.error("the microphone delivers no more sound: was it unplugged?")
                return  # the caller keeps the blocks it has
            if self._losses > reported:
                reported = self._losses
                log.warning("sound was lost %d times: this machine is too slow or too busy", reported)
            yield block

    def _receive(self, block: NDArray[np.int16], frames: int, time: Any, status: Any) -> None:
        """Callback of PortAudio, on its own thread: `block` is `(frame, channel)`."""
        self._losses += bool(status.input_overflow)
        try:
            self._queue.put_nowait(block[:, 0].copy())
        except queue.Full:
            self._losses += 1


def _sounddevice() -> ModuleType:
    try:
        import sounddevice
    except ImportError:
        raise MicrophoneError(
            "no_portaudio", "The package sounddevice is missing. Install it: pip install sounddevice"
        ) from None
    except OSError:  # the package is there, the library is not
        raise MicrophoneError(
            "no_portaudio",
            "PortAudio is missing. Install it: apt install libportaudio2 (Debian, Ubuntu), "
            "dnf install portaudio (Fedora) or brew install portaudio (macOS).",
        ) from None
    return cast(ModuleType, sounddevice)


def _failed(error: Exception) -> MicrophoneError:
    return MicrophoneError("device_failed", f"The microphone cannot be used: {error}")
