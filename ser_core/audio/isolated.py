"""Decodes untrusted recordings in worker processes with limits on memory and time.

libsndfile and FFmpeg are written in C. A file can crash them, keep them busy for hours, or make them allocate
all memory. `Decoder` sends files to workers, and replaces a worker that crashes or exceeds a limit. It yields
the same blocks and raises the same errors as `decode.stream`.

A worker is `python -m ser_core.audio.isolated`. It imports numpy, soxr and the decoders, not torch; nothing
is forked. A request is a line of JSON on stdin; if the source is bytes, they follow it. The response on
stdout is a sequence of frames (kind, length, content): STARTED, then SAMPLES (float32, mono) or CHANNELS
(their number in a byte, then float32, the channels of a sample together), then END (with the warnings) or
ERROR.
A pipe holds no more than 64 kB, so a worker is never more than one block ahead.
"""

import json
import logging
import os
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from math import ceil
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ser_core.audio.channels import MIX
from ser_core.audio.decode import DecodeLimits, stream
from ser_core.audio.waveform import Samples
from ser_core.errors import AudioError

try:
    import resource
except ImportError:  # Windows: there the response time is the only limit
    resource = None  # type: ignore[assignment]

ROOT = Path(__file__).parents[2]
SPARE = 2  # idle workers that are kept; more are started while more files are read
FILES_A_WORKER = 200  # then it is replaced, which frees memory that C libraries leak
FRAME = struct.Struct("<cI")  # kind, length in bytes
STARTED, SAMPLES, CHANNELS, END, ERROR = b"b", b"s", b"c", b".", b"e"
MAX_FRAME_BYTES = 16_000_000  # a longer frame means that the worker is broken
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WorkerLimits:
    """Limits for reading one file; the largest valid files need a fraction (benchmarks/decoder.py)."""

    memory_bytes: int = 512_000_000  # data segment, with the interpreter and its libraries
    cpu_s: int = 120
    answer_s: float = 30.0  # to wait for the next block of 10 s, or for a worker to start


class Decoder:
    """Reads files in worker processes, one file per process. Thread-safe.

    As many files are read at the same time as callers request.

    >>> with Decoder() as decoder:
    ...     blocks = list(decoder.stream(b"no recording"))
    Traceback (most recent call last):
    ser_core.errors.AudioError: This is not a recording in a format that can be read here. ...
    """

    def __init__(self, limits: WorkerLimits = WorkerLimits()) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._closed = False

    def __enter__(self) -> "Decoder":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def prepare(self) -> None:
        """Starts workers until SPARE are idle, so that the next files need not wait for one to start."""
        with suppress(AudioError):  # already logged; the next file raises it again
            while len(self._idle) < SPARE and not self._closed:
                worker = _Worker(self._limits)
                if not self._keep(worker):
                    worker.kill()

    def stream(
        self,
        source: Path | str | bytes,
        limits: DecodeLimits = DecodeLimits(),
        warnings: list[str] | None = None,
        channels: str = MIX,
    ) -> Iterator[Samples]:
        """As `decode.stream`. A caller that stops early closes the iterator, which ends its worker.

        Raises:
            AudioError: also with code `decoder_crashed`, `too_slow` or `too_much_memory`.
        """
        worker = self._take()
        try:
            while not worker.start(source, limits, channels):
                worker = self._take()
            yield from worker.blocks(source, [] if warnings is None else warnings)
        finally:
            if not (worker.reusable and self._keep(worker)):
                worker.kill()
                self.prepare()

    def close(self) -> None:
        """Ends the idle workers; the others end when they have read their file."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.kill()

    def _take(self) -> "_Worker":
        """An idle worker, else a new one."""
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return _Worker(self._limits)

    def _keep(self, worker: "_Worker") -> bool:
        """Keeps `worker` as idle; False if SPARE workers are idle already, or the decoder is closed."""
        with self._lock:
            has_room = not self._closed and len(self._idle) < SPARE
            if has_room:
                worker.was_idle = True
                self._idle.append(worker)
            return has_room


class _Worker:
    """One process, which reads one file at a time."""

    def __init__(self, limits: WorkerLimits) -> None:
        self.reusable = True  # it can read another file
        self.was_idle = False  # at least once
        self._files = 0
        self._timed_out = False
        self._timeout_s = limits.answer_s
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ser_core.audio.isolated", json.dumps(asdict(limits))],
                cwd=ROOT,
                env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},  # each of its threads takes 30 MB
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # messages of the libraries about a file are not shown
                start_new_session=True,  # Ctrl-C goes to the program, which ends its workers itself
            )
        except OSError as error:
            log.warning("no decoder can be started: %s", error)
            raise _crashed() from None

    def kill(self) -> None:
        """Ends the process at once."""
        self._process.kill()
        self._process.communicate()

    def start(self, source: Path | str | bytes, limits: DecodeLimits, channels: str) -> bool:
        """Requests `source`; False if the process had ended while it was idle.

        The worker is not `reusable` until the last of its `blocks` has been read.
        """
        self.reusable = False
        self._files += 1
        request: dict[str, object] = {"limits": asdict(limits), "channels": channels}
        if isinstance(source, bytes):
            request["size"] = len(source)
        else:
            request["path"] = os.path.abspath(source)
        try:
            self._next_frame(json.dumps(request).encode() + b"\n")
        except AudioError:
            if self.was_idle and not self._timed_out:
                return False
            raise
        return True

    def blocks(self, source: Path | str | bytes, warnings: list[str]) -> Iterator[Samples]:
        """The blocks of the `source` requested with `start`; its warnings are added to `warnings`."""
        kind, content = self._next_frame(source if isinstance(source, bytes) else b"")
        while kind in (SAMPLES, CHANNELS):
            yield _samples(content) if kind == SAMPLES else _in_channels(content)
            kind, content = self._next_frame()
        error = json.loads(content) if kind == ERROR else None
        self.reusable = self._files < FILES_A_WORKER
        if error:
            raise AudioError(**error)
        warnings += json.loads(content)

    def _next_frame(self, message: bytes = b"") -> tuple[bytes, bytearray]:
        """Sends `message`, then reads a frame: its kind and content. AudioError if none comes in time."""
        timer = threading.Timer(self._timeout_s, self._time_out)
        timer.daemon = True
        timer.start()
        try:
            assert self._process.stdin
            self._process.stdin.write(message)
            self._process.stdin.flush()
            kind, size = FRAME.unpack(self._read(FRAME.size))
            if size > MAX_FRAME_BYTES:
                raise EOFError
            return kind, self._read(size)
        except (EOFError, BrokenPipeError):
            raise self._failure() from None
        finally:
            timer.cancel()

    def _read(self, size: int) -> bytearray:
        assert self._process.stdout
        content = bytearray(size)
        if self._process.stdout.readinto(content) < size:  # type: ignore[attr-defined]
            raise EOFError
        return content

    def _time_out(self) -> None:
        self._timed_out = True
        self._process.kill()

    def _failure(self) -> AudioError:
        """Ends the process; the error that says why there is no response."""
        self.kill()
        code = self._process.returncode
        if self._timed_out or (resource and code == -signal.SIGXCPU):
            return AudioError(
                "too_slow",
                "Reading this file takes longer than is allowed here. It is probably damaged: export it "
                "again, as WAV or FLAC.",
            )
        log.warning("a decoder ended with code %s", code)
        return _crashed()


def _samples(content: bytearray) -> Samples:
    """Mono `(n_samples,)`."""
    return np.frombuffer(content, np.float32)


def _in_channels(content: bytearray) -> Samples:
    """`(n_samples, channel)`, from a frame of kind CHANNELS."""
    return np.frombuffer(memoryview(content)[1:].tobytes(), np.float32).reshape(-1, content[0])


def _crashed() -> AudioError:
    return AudioError(
        "decoder_crashed",
        "The program that reads recordings stopped at this file. Try it once more; if that does not help, "
        "the file is damaged: export it again, as WAV or FLAC.",
    )


def main() -> None:
    """A worker: reads the requested files until stdin ends."""
    limits = WorkerLimits(**json.loads(sys.argv[1]))
    response = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints must not mix with the frames
    if resource:
        _limit(resource.RLIMIT_DATA, limits.memory_bytes)
        _limit(resource.RLIMIT_CORE, 0)  # no core dump, which would hold the recording, on disk
        _limit(resource.RLIMIT_FSIZE, 0)
    while line := sys.stdin.buffer.readline():
        request = json.loads(line)
        _write(response, STARTED, b"")
        source = request["path"] if "path" in request else sys.stdin.buffer.read(request["size"])
        if resource:
            used = resource.getrusage(resource.RUSAGE_SELF)
            _limit(resource.RLIMIT_CPU, ceil(used.ru_utime + used.ru_stime) + limits.cpu_s)
        _send_blocks(source, DecodeLimits(**request["limits"]), request["channels"], response)


def _limit(kind: int, value: int) -> None:
    """Lowers a resource limit of this process to `value`, unless it is lower already."""
    hard = resource.getrlimit(kind)[1]
    if hard == resource.RLIM_INFINITY or value < hard:
        resource.setrlimit(kind, (value, hard))


def _send_blocks(source: str | bytes, limits: DecodeLimits, channels: str, response: BinaryIO) -> None:
    """Writes all frames of one file after STARTED. An unexpected exception ends the worker."""
    warnings: list[str] = []
    try:
        for block in stream(source, limits, warnings, channels):
            content = block.astype(np.float32, copy=False).tobytes()
            if block.ndim == 1:
                _write(response, SAMPLES, content)
            else:
                _write(response, CHANNELS, bytes([block.shape[1]]) + content)
        kind, content = END, json.dumps(warnings).encode()
    except AudioError as error:
        kind, content = ERROR, json.dumps({"code": error.code, "message": error.message}).encode()
    except MemoryError:
        message = (
            "Reading this file takes more memory than is allowed here. It is probably damaged: export it "
            "again, as WAV or FLAC."
        )
        kind, content = ERROR, json.dumps({"code": "too_much_memory", "message": message}).encode()
    _write(response, kind, content)


def _write(response: BinaryIO, kind: bytes, content: bytes) -> None:
    response.write(FRAME.pack(kind, len(content)))
    response.write(content)
    response.flush()


if __name__ == "__main__":
    main()
