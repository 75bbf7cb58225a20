"""The command `listen`: live recognition from a microphone, in the terminal.

Modules that only the command needs are imported in its functions, as in `ser_core.commands.cli`.
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
from ser_core.commands.voices import AUTO, ONE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ser_core.analysis import Analysis
    from ser_core.recognition.diarization import Diarizer
    from ser_core.recognition.live import Event, Level, LiveSegment
    from ser_core.recognition.live_engine import LiveEngine

METER_WIDTH = 20  # characters
METER_FLOOR_DBFS = -60.0  # level at which the meter is empty
SOURCE = "microphone"  # `Analysis.source` if the audio is not recorded


def listen(
    device_index: Annotated[
        int | None, typer.Option(metavar="N", help="The microphone; without it the default one.")
    ] = None,
    model: Annotated[
        str, typer.Option(metavar="NAME", help="A shipped checkpoint, or a folder.")
    ] = "default",
    voices: Annotated[
        str, typer.Option(metavar="auto|one", help="Tell voices apart, or take all for one voice.")
    ] = AUTO,
    save: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="Gets the analysis of the whole session.")
    ] = None,
    record: Annotated[
        Path | None, typer.Option(metavar="FILE.wav", help="Gets the sound, which else is kept nowhere.")
    ] = None,
    list_devices: Annotated[bool, typer.Option("--list-devices", help="Name the microphones.")] = False,
) -> None:
    """Recognises emotions live from a microphone: results go to stdout; Ctrl-C ends and saves.

    Exit code: 0 all good, 1 the microphone cannot be used, 2 usage.
    """
    from ser_core.audio import microphone
    from ser_core.errors import CodedError
    from ser_core.export import files
    from ser_core.export.json import dumps
    from ser_core.recognition.live_engine import LiveEngine
    from ser_core.recognition.recording import VoiceOptions, diarizer_for

    if voices not in (AUTO, ONE):
        stop(f"--voices is auto or one, not {voices!r}: of live sound, nobody can say how many will speak")
    for option, path in (("--save", save), ("--record", record)):
        if path:
            check_writable(option, path)
    if save and save == record:
        stop("--save and --record name the same file")
    try:
        devices = microphone.devices()
        if list_devices:
            typer.echo("\n".join(device.line for device in devices) or "no microphone")
            return
        device = microphone.choose(devices, device_index)
        engine = LiveEngine(load(model, "auto"))
        diarizer = diarizer_for(VoiceOptions.named(voices))
        with interruptible() as stopped, microphone.Microphone(device, stopped) as blocks:
            say(f"listening to {device.name}; Ctrl-C ends")
            recording = recorded(blocks, record, device.sample_rate) if record else blocks
            source = str(record or SOURCE)
            analysis = run_session(engine, device.sample_rate, recording, Screen().show, source, diarizer)
        engine.close()
    except CodedError as error:
        say(f"{error.code}: {error.message}")
        raise typer.Exit(SOME_FAILED) from None
    if save:
        files.write(save, dumps([analysis]))


def run_session(
    engine: "LiveEngine",
    sample_rate: int,
    blocks: Iterable["NDArray[np.int16]"],
    show: "Callable[[Event], None]",
    source: str,
    diarizer: "Diarizer | None" = None,
) -> "Analysis":
    """Recognises `blocks` of int16 mono, shape (n_samples,), until they end; returns the analysis.

    With a `diarizer` voices are told apart. `show` is called with each event but the last.
    Raises LiveError if the session fails.
    """
    from ser_core.recognition.live import Ended, Event, Failed, LiveSession

    events: queue.Queue[Event] = queue.Queue()
    session = LiveSession(engine, sample_rate, events.put, source, diarizer)

    def handle(event: Event) -> "Analysis | None":
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
            handle(events.get())
    session.finish()
    while not (analysis := handle(events.get())):
        pass
    return analysis


def recorded(
    blocks: Iterable["NDArray[np.int16]"], path: Path, sample_rate: int
) -> Iterator["NDArray[np.int16]"]:
    """Yields `blocks` and writes each to the WAV file `path`."""
    import soundfile

    with soundfile.SoundFile(path, "w", sample_rate, 1, "PCM_16", format="WAV") as file:
        for block in blocks:
            file.write(block)
            yield block


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """An event that Ctrl-C sets, so that the session can end properly; a second Ctrl-C ends at once."""
    stopped = threading.Event()

    def stop_listening(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, previous)
        stopped.set()

    previous = signal.signal(signal.SIGINT, stop_listening)
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGINT, previous)


class Screen:
    """Prints final segments to stdout, a line each; on a terminal, also a status line that is overwritten."""

    def __init__(self) -> None:
        self._has_status = sys.stderr.isatty()
        self._provisional = ""  # result for the segment being spoken

    def show(self, event: "Event") -> None:
        """Shows one event."""
        from ser_core.recognition.live import FallingBehind, Level, LiveSegment

        match event:
            case LiveSegment(final=True):
                self._provisional = ""
                if self._has_status:
                    typer.echo(CLEAR_LINE, err=True, nl=False)
                typer.echo(final_line(event))
            case LiveSegment():
                self._provisional = f"{event.segment.label} {event.segment.confidence:.0%}"
            case FallingBehind(skipped):
                say(f"this machine is too slow for {skipped} provisional results so far; final ones all come")
            case Level() if self._has_status:
                provisional = self._provisional if event.speech else ""
                typer.echo(f"{CLEAR_LINE}{level_line(event)}  {provisional}", err=True, nl=False)


def final_line(event: "LiveSegment") -> str:
    """A final segment as one line of text."""
    segment = event.segment
    voice = "" if segment.voice is None else f"{segment.voice:<3}"
    return f"{segment.start:8.2f} {segment.end:8.2f}  {voice}{segment.label:<10}{segment.confidence:5.0%}"


def level_line(level: "Level") -> str:
    """Time and level as text of constant width.

    >>> from ser_core.recognition.live import Level
    >>> level_line(Level(time=62.0, peak_dbfs=-30.0, rms_dbfs=-41.5, speech=True, samples_received=0))
    '    62.0 s  [##########          ]  -30 dB'
    """
    share = 1 - max(level.peak_dbfs, METER_FLOOR_DBFS) / METER_FLOOR_DBFS
    bar = "#" * round(METER_WIDTH * share)
    return f"{level.time:8.1f} s  [{bar:<{METER_WIDTH}}] {level.peak_dbfs:4.0f} dB"
