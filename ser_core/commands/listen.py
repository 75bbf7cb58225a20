"""`python -m ser_core listen`: emotion while one speaks, in the terminal.

What the command uses is imported in it, as in `ser_core.commands.cli`.
"""

import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from ser_core.commands.terminal import CLEAR_LINE, SOME_FAILED, check_writable, load, say, stop

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ser_core.analysis import Analysis
    from ser_core.recognition.live import Event, Level, LiveSegment
    from ser_core.recognition.live_engine import LiveEngine

METER_WIDTH = 20  # characters
METER_FLOOR_DBFS = -60.0  # what the empty meter stands for
SOURCE = "microphone"  # what an analysis names where the sound is not recorded


def listen(
    device_index: Annotated[
        int | None, typer.Option(metavar="N", help="The microphone; without it the default one.")
    ] = None,
    model: Annotated[
        str, typer.Option(metavar="NAME", help="A shipped checkpoint, or a folder.")
    ] = "default",
    save: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="Gets the analysis of the whole session.")
    ] = None,
    record: Annotated[
        Path | None, typer.Option(metavar="FILE.wav", help="Gets the sound, which else is kept nowhere.")
    ] = None,
    list_devices: Annotated[bool, typer.Option("--list-devices", help="Name the microphones.")] = False,
) -> None:
    """Which emotion sounds in your voice, while you speak: results on stdout; Ctrl-C ends and saves.

    Exit code: 0 all good, 1 the microphone cannot be used, 2 usage.
    """
    from ser_core.audio import microphone
    from ser_core.errors import CodedError
    from ser_core.export import files
    from ser_core.export.json import dumps
    from ser_core.recognition.live_engine import LiveEngine

    for option, path in (("--save", save), ("--record", record)):
        if path:
            check_writable(option, path)
    if save and save == record:
        stop("--save and --record name the same file")
    try:
        found = microphone.devices()
        if list_devices:
            typer.echo("\n".join(device.line for device in found) or "no microphone")
            return
        device = microphone.choose(found, device_index)
        engine = LiveEngine(load(model, "auto"))
        with interruptible() as stopped, microphone.Microphone(device, stopped) as blocks:
            say(f"listening to {device.name}; Ctrl-C ends")
            heard = recorded(blocks, record, device.sample_rate) if record else blocks
            analysis = hear(engine, device.sample_rate, heard, Screen().show, str(record or SOURCE))
        engine.close()
    except CodedError as error:
        say(f"{error.code}: {error.message}")
        raise typer.Exit(SOME_FAILED) from None
    if save:
        files.write(save, dumps([analysis]))


def hear(
    engine: "LiveEngine",
    sample_rate: int,
    blocks: Iterable["NDArray[np.int16]"],
    show: "Callable[[Event], None]",
    source: str,
) -> "Analysis":
    """Shows what is heard in `blocks` until they end; returns the analysis of the session.

    LiveError if the session cannot go on.
    """
    from ser_core.recognition.live import Ended, Event, Failed, LiveSession

    events: queue.Queue[Event] = queue.Queue()
    session = LiveSession(engine, sample_rate, events.put, source)

    def take(event: Event) -> "Analysis | None":
        match event:
            case Ended(analysis):
                return analysis
            case Failed(error):
                raise error
        show(event)
        return None

    for block in blocks:
        session.wait_for_room()
        session.push(block)
        while not events.empty():
            take(events.get())
    session.finish()
    while not (analysis := take(events.get())):
        pass
    return analysis


def recorded(
    blocks: Iterable["NDArray[np.int16]"], path: Path, sample_rate: int
) -> Iterator["NDArray[np.int16]"]:
    """`blocks`, each written to the WAV file `path` on its way."""
    import soundfile

    with soundfile.SoundFile(path, "w", sample_rate, 1, "PCM_16", format="WAV") as file:
        for block in blocks:
            file.write(block)
            yield block


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """An event that Ctrl-C sets, so that nothing is torn in the middle; a second Ctrl-C ends at once."""
    stopped = threading.Event()

    def stop_listening(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, before)
        stopped.set()

    before = signal.signal(signal.SIGINT, stop_listening)
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGINT, before)


class Screen:
    """A line for each segment that ended, on stdout; below them on a terminal one that is rewritten."""

    def __init__(self) -> None:
        self._rewrites = sys.stderr.isatty()
        self._now = ""  # what the segment being spoken sounds like

    def show(self, event: "Event") -> None:
        """Shows one event."""
        from ser_core.recognition.live import FallingBehind, Level, LiveSegment

        match event:
            case LiveSegment(final=True):
                self._now = ""
                if self._rewrites:
                    typer.echo(CLEAR_LINE, err=True, nl=False)
                typer.echo(final_line(event))
            case LiveSegment():
                self._now = f"{event.segment.label} {event.segment.confidence:.0%}"
            case FallingBehind(skipped):
                say(f"this machine is too slow for {skipped} provisional results so far; final ones all come")
            case Level() if self._rewrites:
                now = self._now if event.speech else ""
                typer.echo(f"{CLEAR_LINE}{level_line(event)}  {now}", err=True, nl=False)


def final_line(event: "LiveSegment") -> str:
    """A segment that ended, as one line of text."""
    found = event.segment
    return f"{found.start:8.2f} {found.end:8.2f}  {found.label:<10}{found.confidence:5.0%}"


def level_line(level: "Level") -> str:
    """Time and loudness as text of constant width.

    >>> from ser_core.recognition.live import Level
    >>> level_line(Level(time=62.0, peak_dbfs=-30.0, rms_dbfs=-41.5, speech=True, samples_received=0))
    '    62.0 s  [##########          ]  -30 dB'
    """
    share = 1 - max(level.peak_dbfs, METER_FLOOR_DBFS) / METER_FLOOR_DBFS
    bar = "#" * round(METER_WIDTH * share)
    return f"{level.time:8.1f} s  [{bar:<{METER_WIDTH}}] {level.peak_dbfs:4.0f} dB"
