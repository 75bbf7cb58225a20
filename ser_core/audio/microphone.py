"""The local microphone through sounddevice (PortAudio), which is imported only when it is used."""

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

BLOCK_S = 0.1  # of sound at a time
HELD_BLOCKS = 600  # a minute that waits for a slow program; then blocks are lost, and counted
SILENT_S = 5.0  # a device that delivers nothing for so long was unplugged
log = logging.getLogger(__name__)


class MicrophoneError(CodedError):
    """A microphone that cannot be used.

    Codes: `no_portaudio`, `no_device` (none at all), `not_found` (no such device) or `device_failed`.
    """


@dataclass(frozen=True)
class Device:
    """A microphone that PortAudio knows."""

    index: int  # what it is chosen by
    name: str
    sample_rate: int  # Hz, its own
    default: bool

    @property
    def line(self) -> str:
        """The device as one line of text."""
        return f"{self.index:3} {self.name}, {self.sample_rate} Hz{', the default' if self.default else ''}"


def devices() -> list[Device]:
    """The microphones of this machine; MicrophoneError `no_portaudio` where nothing can tell."""
    sounddevice = _sounddevice()
    try:
        default = sounddevice.default.device[0]
        return [
            Device(index, found["name"], round(found["default_samplerate"]), index == default)
            for index, found in enumerate(sounddevice.query_devices())
            if found["max_input_channels"] > 0
        ]
    except sounddevice.PortAudioError as error:
        raise _failed(error) from None


def choose(found: list[Device], index: int | None = None) -> Device:
    """The device of that index, else the default one, else the first; MicrophoneError if there is none."""
    if not found:
        raise MicrophoneError("no_device", "No microphone was found. Plug one in, or allow its use.")
    if index is None:
        return next((device for device in found if device.default), found[0])
    for device in found:
        if device.index == index:
            return device
    raise MicrophoneError(
        "not_found", f"No microphone has the index {index}; --list-devices shows those there are."
    )


class Microphone:
    """An open microphone: blocks of int16 mono, shape (n_samples,), as they come; `with` closes it.

    They end when `stopped` is set, with what was recorded until then, or when the device delivers no more.
    MicrophoneError `device_failed` where it cannot be opened.
    """

    def __init__(self, device: Device, stopped: threading.Event) -> None:
        self._stopped = stopped
        self._sounddevice = _sounddevice()
        self._waiting: queue.Queue[NDArray[np.int16]] = queue.Queue(HELD_BLOCKS)
        self._lost = 0  # blocks that nobody took in time, and times that PortAudio lost sound itself
        try:
            self._stream = self._sounddevice.InputStream(
                samplerate=device.sample_rate,
                blocksize=round(BLOCK_S * device.sample_rate),
                device=device.index,
                channels=1,
                dtype="int16",
                callback=self._hear,
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
        told = 0
        while True:
            if self._stopped.is_set():
                self._stream.stop()
                if self._waiting.empty():
                    return
            try:
                block = self._waiting.get(timeout=SILENT_S)
            except queue.Empty:
                log.error("the microphone delivers no more sound: was it unplugged?")
                return  # what was heard until now is not lost for it
            if self._lost > told:
                told = self._lost
                log.warning("sound was lost %d times: this machine is too slow or too busy", told)
            yield block

    def _hear(self, block: NDArray[np.int16], frames: int, time: Any, status: Any) -> None:
        """Called by PortAudio, on its own thread, with `block` (frame, channel)."""
        self._lost += bool(status.input_overflow)
        try:
            self._waiting.put_nowait(block[:, 0].copy())
        except queue.Full:
            self._lost += 1


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
