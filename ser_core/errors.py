"""Errors with a stable code and a message for people; the one every unusable recording ends in.

Codes of `AudioError`:

    not_found           no file there
    is_directory        a folder
    no_permission       the system does not let us open it
    empty               0 bytes
    unsupported_format  none of the formats we read: text, zip, picture, ...
    corrupt             one of our formats, but damaged from the start
    truncated           the data end, or turn to garbage, before the header says they do
    bad_sample_rate     outside the limits
    too_many_channels   outside the limits
    no_audio            a video without sound
    too_short, too_long outside the limits
    not_finite          NaN or infinity among the samples
    not_fetched         it lies elsewhere (`batch`), and the network or the store failed
    not_written         its result file cannot be written (`analyze --out FOLDER`)
    decoder_crashed     the process that reads recordings ended at this one (`ser_core.audio.isolated`)
    bad_voices          voices were to be told apart in a way that does not exist (REST, MCP)
    too_slow            reading it took more time than a stranger's file may take
    too_much_memory     reading it took more memory than a stranger's file may take
"""

from pathlib import Path
from typing import Any

REQUIREMENTS = {
    "page": "requirements.txt",
    "scale": "requirements-scale.txt",
}


class CodedError(Exception):
    """Something that cannot be used. `code` is stable, `message` says what happened and what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class AudioError(CodedError):
    """A recording that cannot be used."""


class DeviceError(Exception):
    """A device this machine does not have; the message says which there are."""


class DeviceFullError(Exception):
    """A device has no memory left for the model; `on_cpu` is a runtime that goes on without it."""

    def __init__(self, on_cpu: Any) -> None:
        super().__init__("the device has no memory left for the model")
        self.on_cpu = on_cpu


def how_to_install(extra: str = "") -> str:
    """What to type to install the packages of an extra (`page`, `scale`), or the base again."""
    if (Path(__file__).parents[1] / "pyproject.toml").is_file():  # a checkout
        return f"pip install -r {REQUIREMENTS[extra]}" if extra else "run `make setup` again"
    return f'pip install "ser-studio[{extra}]"' if extra else "install ser-studio again"
