"""Output of the commands: lines on stderr, results on stdout or in files, exit codes."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

if TYPE_CHECKING:
    from ser_core.recognition.recognizer import Recognizer

SOME_FAILED, USAGE = 1, 2  # exit codes
CLEAR_LINE = "\r\x1b[K"


def say(message: str) -> None:
    """Prints one line on stderr, in place of an unfinished progress line."""
    from ser_core.export.text import utf8

    line = utf8(" ".join(message.split()))
    typer.echo((CLEAR_LINE if sys.stderr.isatty() else "") + line, err=True)


def stop(message: str) -> NoReturn:
    """Ends the command with a usage error."""
    say(f"Error: {message}")
    raise typer.Exit(USAGE)


def load(model: str, device: str, precision: str = "float32", runtime: str = "torch") -> "Recognizer":
    """`Recognizer.load` for the command line; ends the command if the checkpoint cannot be used."""
    from ser_core.checkpoint.bundle import BundleError
    from ser_core.errors import DeviceError
    from ser_core.recognition.recognizer import Recognizer

    try:
        return Recognizer.load(model, device, precision, runtime=runtime)
    except (BundleError, DeviceError) as error:
        stop(str(error))


def check_writable(option: str, path: Path) -> None:
    """Creates the folder of `path`; ends the command if `path`, given as `option`, cannot be written."""
    from ser_core.export import files

    if error := files.obstacle(path):
        stop(f"{option} {path} cannot be written: {error.strerror}")


def check_folder(option: str, folder: Path) -> None:
    """Creates `folder`, given as `option`; ends the command if nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        stop(f"{option} {folder} cannot be written: {error.strerror}")
    if not os.access(folder, os.W_OK):
        stop(f"{option} {folder} cannot be written: no permission")


def write(target: Path | None, text: str) -> None:
    """Writes `text` to `target`, or to stdout if None; UTF-8 whatever the terminal's encoding."""
    from ser_core.export import files

    if target is None:
        sys.stdout.buffer.write(text.encode("utf-8"))
        sys.stdout.flush()
        return
    with writing(target):
        files.write(target, text)


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Ends the command if an OSError is raised inside, with a message about `target`."""
    try:
        yield
    except OSError as error:
        stop(f"--out {target} cannot be written: {error.strerror}")
