"""Decoding where it can do no harm: strangers' recordings are read in processes of their own.

libsndfile and FFmpeg are written in C. A file can crash them, keep them busy for hours, or make them ask for
all the memory there is. `Decoder` hands files to workers that have limits on memory and time, and replaces
one that dies or overruns. What comes back is what `decode.stream` yields: the same blocks, the same errors.

A worker is `python -m ser_core.audio.isolated`. It imports numpy, soxr and the decoders, not torch; nothing
is forked. It is asked by a line of JSON on stdin, and answers on stdout with frames of a kind, a length and
so many bytes: first that it begins, then blocks of float32, then warnings and the end, or an
error. A pipe holds no more than 64 kB, so a worker never runs further ahead than a block.
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

from ser_core.audio.decode import DecodeLimits, stream
from ser_core.audio.waveform import Samples
from ser_core.errors import AudioError

try:
    import resource
except ImportError:  # Windows: there the time for an answer is the only limit
    resource = None  # type: ignore[assignment]

ROOT = Path(__file__).parents[2]
SPARE = 2  # workers that wait for the next file; more are started while more files are read
FILES_A_WORKER = 200  # then it is replaced: what C libraries lose of memory is lost with it
FRAME = struct.Struct("<cI")  # kind, length in bytes
BEGUN, SAMPLES, END, ERROR = b"b", b"s", b".", b"e"
MAX_FRAME_BYTES = 16_000_000  # an answer that claims more comes from a worker gone mad
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WorkerLimits:
    """What reading one file may take; the worst honest files need a fraction (benchmarks/decoder.py)."""

    memory_bytes: int = 512_000_000  # of data, the interpreter and its libraries included
    cpu_s: int = 120
    answer_s: float = 30.0  # to wait for the next block of 10 s, or for a worker to start


class Decoder:
    """Reads files in worker processes, each in one, as many at once as are asked for; any thread may ask.

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
        """Starts workers until enough wait, so that the next files do not have to."""
        with suppress(AudioError):  # it was logged, and the next file is told
            while len(self._idle) < SPARE and not self._closed:
                worker = _Worker(self._limits)
                if not self._keep(worker):
                    worker.kill()

    def stream(
        self,
        source: Path | str | bytes,
        limits: DecodeLimits = DecodeLimits(),
        warnings: list[str] | None = None,
    ) -> Iterator[Samples]:
        """As `decode.stream`. Whoever stops before the end closes the iterator: that ends its worker.

        Raises:
            AudioError: also with code `decoder_crashed`, `too_slow` or `too_much_memory`.
        """
        worker = self._take()
        try:
            while not worker.begin(source, limits):
                worker = self._take()
            yield from worker.blocks(source, [] if warnings is None else warnings)
        finally:
            if not (worker.reusable and self._keep(worker)):
                worker.kill()
                self.prepare()

    def close(self) -> None:
        """Ends the workers that wait; those that read a file end with it."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.kill()

    def _take(self) -> "_Worker":
        """A worker that waits, else a new one."""
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return _Worker(self._limits)

    def _keep(self, worker: "_Worker") -> bool:
        """Lets `worker` wait for a file, unless enough do."""
        with self._lock:
            wanted = not self._closed and len(self._idle) < SPARE
            if wanted:
                worker.waited = True
                self._idle.append(worker)
            return wanted


class _Worker:
    """One process, which reads one file at a time."""

    def __init__(self, limits: WorkerLimits) -> None:
        self.reusable = True  # it waits for a file, and has not read too many
        self.waited = False  # for a file, once at least
        self._files = 0
        self._overran = False
        self._answer_s = limits.answer_s
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ser_core.audio.isolated", json.dumps(asdict(limits))],
                cwd=ROOT,
                env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},  # a thread of it takes 30 MB
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # what the libraries say of a file is nobody's business
                start_new_session=True,  # Ctrl-C is for the program, which ends its workers when it is ready
            )
        except OSError as error:
            log.warning("no decoder can be started: %s", error)
            raise _crashed() from None

    def kill(self) -> None:
        """Ends the process, whatever it does."""
        self._process.kill()
        self._process.communicate()

    def begin(self, source: Path | str | bytes, limits: DecodeLimits) -> bool:
        """Asks for `source`; False where the process ended before, while it waited for a file.

        Until the last of its `blocks` was asked for, the worker is not `reusable`.
        """
        self.reusable = False
        self._files += 1
        asked: dict[str, object] = {"limits": asdict(limits)}
        if isinstance(source, bytes):
            asked["size"] = len(source)
        else:
            asked["path"] = os.path.abspath(source)
        try:
            self._answer(json.dumps(asked).encode() + b"\n")
        except AudioError:
            if self.waited and not self._overran:
                return False
            raise
        return True

    def blocks(self, source: Path | str | bytes, warnings: list[str]) -> Iterator[Samples]:
        """The blocks of the `source` that it has begun with; at the end its `warnings` are added."""
        kind, answer = self._answer(source if isinstance(source, bytes) else b"")
        while kind == SAMPLES:
            yield np.frombuffer(answer, np.float32)
            kind, answer = self._answer()
        error = json.loads(answer) if kind == ERROR else None
        self.reusable = self._files < FILES_A_WORKER
        if error:
            raise AudioError(**error)
        warnings += json.loads(answer)

    def _answer(self, request: bytes = b"") -> tuple[bytes, bytearray]:
        """The kind and content of the next frame; AudioError where none comes in time."""
        overrun = threading.Timer(self._answer_s, self._overrun)
        overrun.daemon = True
        overrun.start()
        try:
            assert self._process.stdin
            self._process.stdin.write(request)
            self._process.stdin.flush()
            kind, size = FRAME.unpack(self._read(FRAME.size))
            if size > MAX_FRAME_BYTES:
                raise EOFError
            return kind, self._read(size)
        except (EOFError, BrokenPipeError):
            raise self._failure() from None
        finally:
            overrun.cancel()

    def _read(self, size: int) -> bytearray:
        assert self._process.stdout
        content = bytearray(size)
        if self._process.stdout.readinto(content) < size:  # type: ignore[attr-defined]
            raise EOFError
        return content

    def _overrun(self) -> None:
        self._overran = True
        self._process.kill()

    def _failure(self) -> AudioError:
        """Why there is no answer."""
        self.kill()
        code = self._process.returncode
        if self._overran or (resource and code == -signal.SIGXCPU):
            return AudioError(
                "too_slow",
                "Reading this file takes longer than is allowed here. It is probably damaged: export it "
                "again, as WAV or FLAC.",
            )
        log.warning("a decoder ended with code %s", code)
        return _crashed()


def _crashed() -> AudioError:
    return AudioError(
        "decoder_crashed",
        "The program that reads recordings stopped at this file. Try it once more; if that does not help, "
        "the file is damaged: export it again, as WAV or FLAC.",
    )


def main() -> None:
    """A worker: reads the files it is asked for, until stdin ends."""
    limits = WorkerLimits(**json.loads(sys.argv[1]))
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # nothing that a library prints gets among the answers
    if resource:
        _limit(resource.RLIMIT_DATA, limits.memory_bytes)
        _limit(resource.RLIMIT_CORE, 0)  # no image of somebody's recording on disk
        _limit(resource.RLIMIT_FSIZE, 0)
    while line := sys.stdin.buffer.readline():
        asked = json.loads(line)
        _write(answers, BEGUN, b"")
        source = asked["path"] if "path" in asked else sys.stdin.buffer.read(asked["size"])
        if resource:
            used = resource.getrusage(resource.RUSAGE_SELF)
            _limit(resource.RLIMIT_CPU, ceil(used.ru_utime + used.ru_stime) + limits.cpu_s)
        _answer(source, DecodeLimits(**asked["limits"]), answers)


def _limit(kind: int, value: int) -> None:
    """Lowers a limit of this process, where it is not lower already."""
    hard = resource.getrlimit(kind)[1]
    if hard == resource.RLIM_INFINITY or value < hard:
        resource.setrlimit(kind, (value, hard))


def _answer(source: str | bytes, limits: DecodeLimits, answers: BinaryIO) -> None:
    """Writes all frames of one file. What nobody foresaw ends the worker, and the file with it."""
    warnings: list[str] = []
    try:
        for block in stream(source, limits, warnings):
            _write(answers, SAMPLES, block.astype(np.float32, copy=False).tobytes())
        kind, last = END, json.dumps(warnings).encode()
    except AudioError as error:
        kind, last = ERROR, json.dumps({"code": error.code, "message": error.message}).encode()
    except MemoryError:
        message = (
            "Reading this file takes more memory than is allowed here. It is probably damaged: export it "
            "again, as WAV or FLAC."
        )
        kind, last = ERROR, json.dumps({"code": "too_much_memory", "message": message}).encode()
    _write(answers, kind, last)


def _write(answers: BinaryIO, kind: bytes, content: bytes) -> None:
    answers.write(FRAME.pack(kind, len(content)))
    answers.write(content)
    answers.flush()


if __name__ == "__main__":
    main()
