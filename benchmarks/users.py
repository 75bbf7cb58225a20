"""People who send recordings to the running app, as programs do and as its page does.

Each analysis is told from all others by a name of its own, and compared with what the library gives for the
same clip: a result that came to the wrong person, or differs, is seen.
"""

import asyncio
import copy
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx
import numpy as np
import soundfile
from gradio_client import Client, handle_file
from gradio_client.utils import QueueError
from numpy.typing import NDArray

from benchmarks.speed import clip_paths
from ser_core.audio.waveform import SAMPLE_RATE
from ser_core.export.json import to_dict
from ser_core.recognition.recognizer import Recognizer

API = "/gradio_api"
ANSWER_S = 60.0  # the longest wait for an answer; one that comes later is lost
REFUSED = (429, 503)
TIME_TOLERANCE = 0.002  # s, of a segment's edges
PROBABILITY_TOLERANCE = 0.01  # results are rounded, and threads add up in an order of their own
VISIT = 20  # recordings that a visitor sends before the page is closed

T = TypeVar("T")


@dataclass(frozen=True)
class Sample:
    """A clip and the JSON that the library gives for it."""

    path: Path
    expected: dict[str, Any]


@dataclass
class Tally:
    """What became of the analyses that users asked for."""

    latencies_s: list[float] = field(default_factory=list)  # from the upload's first byte to the right result
    refusals_s: list[float] = field(default_factory=list)  # from the request that was refused to the answer
    wrong: list[str] = field(default_factory=list)  # results that are not those of the clip
    errors: list[str] = field(default_factory=list)  # kinds of all other ends
    lost: int = 0  # were taken in and never answered

    @property
    def asked(self) -> int:
        """All analyses that ended one way or another."""
        return len(self.latencies_s) + len(self.refusals_s) + len(self.wrong) + len(self.errors) + self.lost


class RefusedError(Exception):
    """The server says that it is busy.

    `took_s`: how long it took to say so, where the request is known; `retry_after_s`: when to come back, as
    plain HTTP tells.
    """

    def __init__(self, took_s: float | None = None, retry_after_s: float = 0.0) -> None:
        self.took_s, self.retry_after_s = took_s, retry_after_s


def samples(folder: Path, recognizer: Recognizer, lengths_s: Sequence[float]) -> list[Sample]:
    """A clip of each length, of speech after speech, as 16-bit WAV in `folder`, with its analysis."""
    clips = clip_paths(folder)
    made = []
    for number, length_s in enumerate(lengths_s):
        pieces: list[NDArray[np.float32]] = []
        while sum(map(len, pieces)) < length_s * SAMPLE_RATE:
            sound, _ = soundfile.read(next(clips), dtype="float32")
            pieces += [sound, np.zeros(SAMPLE_RATE // 4, np.float32)]
        path = folder / f"clip-{number}-{secrets.token_hex(2)}.wav"
        soundfile.write(path, np.concatenate(pieces)[: round(length_s * SAMPLE_RATE)], SAMPLE_RATE)
        made.append(Sample(path, to_dict(recognizer.analyze_file(path))))
    return made


class HttpUser:
    """A program that uses plain HTTP; with `page`, a visitor whose page is open meanwhile."""

    def __init__(self, address: str, page: str | None = None) -> None:
        self._page = page
        # Without certificates, which plain HTTP does not need: to load them keeps all other users for 15 ms.
        self._client = httpx.AsyncClient(base_url=address, timeout=ANSWER_S, verify=False)

    async def __aenter__(self) -> "HttpUser":
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._client.aclose()

    async def analyze(self, path: Path, name: str) -> dict[str, Any]:
        """The JSON for a file that is called `name`. Raises RefusedError and httpx.HTTPError."""
        upload = await self._client.post(f"{API}/upload", files={"files": (name, path.read_bytes())})
        (place,) = _accepted(upload).json()
        file = {"path": place, "orig_name": name, "meta": {"_type": "gradio.FileData"}}
        body = {"data": [file, ""], "session_hash": self._page}
        call = await self._client.post(f"{API}/call/analyze", json=body)
        event = _accepted(call).json()["event_id"]
        answer = _accepted(await self._client.get(f"{API}/call/analyze/{event}"))
        kind, data = answer.text.strip().rsplit("event: ", 1)[1].split("\ndata: ", 1)
        if kind != "complete":
            raise httpx.ProtocolError(f"{kind}: {data[:200]}")
        found: dict[str, Any] = json.loads(data)[0]
        return found

    @asynccontextmanager
    async def visit(self) -> AsyncIterator[None]:
        """Keeps the page open."""
        async with self._client.stream("GET", f"{API}/heartbeat/{self._page}", timeout=None):
            yield


class LibraryUser:
    """A program that uses gradio_client, on a thread of its own: asyncio's are few, and all would wait."""

    def __init__(self, address: str) -> None:
        self._address, self._thread = address, ThreadPoolExecutor(1)

    async def __aenter__(self) -> "LibraryUser":
        self._client = await self._run(partial(Client, self._address, verbose=False, download_files=False))
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._run(self._client.close)
        self._thread.shutdown(wait=False)

    async def analyze(self, path: Path, name: str) -> dict[str, Any]:
        """As that of `HttpUser`."""
        named = path.with_name(name)  # the library sends the name on disk
        named.hardlink_to(path)
        try:
            ask = partial(self._client.predict, audio=handle_file(named), api_name="/analyze")
            found: dict[str, Any] = await self._run(ask)
        except QueueError:
            raise RefusedError from None
        except httpx.HTTPStatusError as error:
            if error.response.status_code in REFUSED:
                raise RefusedError(error.response.elapsed.total_seconds()) from None
            raise
        finally:
            named.unlink()
        return found

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


User = HttpUser | LibraryUser


def user(address: str, number: int) -> User:
    """User `number`; every fourth has gradio_client."""
    return LibraryUser(address) if number % 4 == 3 else HttpUser(address)


async def send(sender: User, number: int, sample: Sample, tally: Tally) -> float:
    """One analysis, and what became of it; returns for how long (s) the server says not to come back."""
    name = f"user {number} {secrets.token_hex(4)}.wav"
    began = time.perf_counter()
    try:
        async with asyncio.timeout(ANSWER_S):
            found = await sender.analyze(sample.path, name)
    except RefusedError as refusal:
        tally.refusals_s.append(refusal.took_s or time.perf_counter() - began)
        return refusal.retry_after_s
    except (TimeoutError, httpx.TimeoutException):
        tally.lost += 1
    except Exception as error:  # noqa: BLE001 - whatever a client runs into is a figure of the benchmark
        tally.errors.append(f"{type(error).__name__}: {error}"[:200])
    else:
        difference = compare(found, sample.expected | {"source": name})
        if difference:
            tally.wrong.append(difference)
        else:
            tally.latencies_s.append(time.perf_counter() - began)
    return 0.0


async def regular(address: str, number: int, clips: Sequence[Sample], every_s: float, end: float) -> Tally:
    """A user who sends a clip every so often until `end` (s, `time.monotonic`), one after the other."""
    tally = Tally()
    async with user(address, number) as sender:
        await send_regularly(sender, number, clips, every_s, end, np.random.default_rng(number), tally)
    return tally


async def send_regularly(
    sender: User,
    number: int,
    clips: Sequence[Sample],
    every_s: float,
    end: float,
    rng: np.random.Generator,
    tally: Tally,
) -> None:
    """A clip every so often until `end`, beginning at any time within `every_s`."""
    due = time.monotonic() + rng.uniform(0, every_s)
    while due < end:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        await send(sender, number, clips[rng.integers(len(clips))], tally)
        due = max(due + every_s, time.monotonic())  # who waits for an answer sends nothing meanwhile


async def visitor(address: str, number: int, clips: Sequence[Sample], every_s: float, end: float) -> Tally:
    """As `regular`, of one who opens the page, and closes it and comes again after some clips."""
    tally, rng = Tally(), np.random.default_rng(number)
    while time.monotonic() < end:
        async with HttpUser(address, secrets.token_hex(6)) as sender, sender.visit():
            leaving = min(end, time.monotonic() + VISIT * every_s)
            await send_regularly(sender, number, clips, every_s, leaving, rng, tally)
    return tally


async def crowd(address: str, count: int, clips: Sequence[Sample], seconds: float) -> Tally:
    """Users who send whenever they may, and after `seconds` are gone, in the middle of whatever they did."""
    tally = Tally()

    async def one(number: int) -> None:
        rng = np.random.default_rng(number)
        async with HttpUser(address) as sender:
            while True:
                await asyncio.sleep(await send(sender, number, clips[rng.integers(len(clips))], tally))

    everyone = [asyncio.create_task(one(number)) for number in range(count)]
    await asyncio.sleep(seconds)
    for task in everyone:
        task.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.gather(*everyone, return_exceptions=True)
    return tally


def together(tallies: Sequence[Tally]) -> Tally:
    """All of them as one."""
    whole = Tally()
    for tally in tallies:
        whole.latencies_s += tally.latencies_s
        whole.refusals_s += tally.refusals_s
        whole.wrong += tally.wrong
        whole.errors += tally.errors
        whole.lost += tally.lost
    return whole


def compare(found: dict[str, Any], expected: dict[str, Any]) -> str:
    """In what `found` is not the analysis that was expected; empty where it is."""
    for key in ("source", "duration", "model", "error"):
        if found[key] != expected[key]:
            return f"{key}: {found[key]!r} instead of {expected[key]!r}"
    if len(found["segments"]) != len(expected["segments"]):
        return f"{len(found['segments'])} segments instead of {len(expected['segments'])}"
    for ours, theirs in zip(expected["segments"], found["segments"], strict=True):
        times = abs(ours["start"] - theirs["start"]) + abs(ours["end"] - theirs["end"])
        if times > TIME_TOLERANCE or _distance(ours, theirs) > PROBABILITY_TOLERANCE:
            return f"segment {theirs} instead of {ours}"
    return ""


def _distance(ours: dict[str, Any], theirs: dict[str, Any]) -> float:
    wanted, got = ours["probabilities"], copy.copy(theirs["probabilities"])
    return max(abs(wanted[label] - got.pop(label, 9.0)) for label in wanted) + 9.0 * len(got)


def _accepted(answer: httpx.Response) -> httpx.Response:
    if answer.status_code in REFUSED:
        raise RefusedError(answer.elapsed.total_seconds(), float(answer.headers["Retry-After"]))
    return answer.raise_for_status()
