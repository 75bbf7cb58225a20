"""Simulated users who send recordings to the running app, as programs and as its page do.

Each analysis has a unique source name and is compared with the library's result for the same clip, so that a
wrong result, or one delivered to the wrong user, is detected.
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
RESPONSE_TIMEOUT_S = 60.0  # an analysis whose response takes longer is counted as lost
REFUSED = (429, 503)
TIME_TOLERANCE = 0.002  # s, of a segment's edges
PROBABILITY_TOLERANCE = 0.01  # results are rounded, and the order of sums depends on threads
VISIT = 20  # recordings that a visitor sends before the page is closed

T = TypeVar("T")


@dataclass(frozen=True)
class Sample:
    """A clip and the JSON of the library's analysis."""

    path: Path
    expected: dict[str, Any]


@dataclass
class Tally:
    """Outcomes of the analyses that users requested."""

    latencies_s: list[float] = field(default_factory=list)  # from the upload's first byte to the right result
    refusals_s: list[float] = field(default_factory=list)  # from the refused request to the response
    wrong: list[str] = field(default_factory=list)  # descriptions of results that differ from the clip's
    errors: list[str] = field(default_factory=list)  # descriptions of all other failures
    lost: int = 0  # accepted and never answered

    @property
    def requests(self) -> int:
        """The number of analyses that ended in any way."""
        return len(self.latencies_s) + len(self.refusals_s) + len(self.wrong) + len(self.errors) + self.lost


class RefusedError(Exception):
    """The server refused a request because it is busy.

    `took_s`: time until the refusal, where it is known; `retry_after_s`: the Retry-After of plain HTTP.
    """

    def __init__(self, took_s: float | None = None, retry_after_s: float = 0.0) -> None:
        self.took_s, self.retry_after_s = took_s, retry_after_s


def samples(folder: Path, recognizer: Recognizer, lengths_s: Sequence[float]) -> list[Sample]:
    """A clip of each length in `folder`, continuous speech as 16-bit WAV, with its analysis."""
    clips = clip_paths(folder)
    results = []
    for number, length_s in enumerate(lengths_s):
        pieces: list[NDArray[np.float32]] = []
        while sum(map(len, pieces)) < length_s * SAMPLE_RATE:
            sound, _ = soundfile.read(next(clips), dtype="float32")
            pieces += [sound, np.zeros(SAMPLE_RATE // 4, np.float32)]
        path = folder / f"clip-{number}-{secrets.token_hex(2)}.wav"
        soundfile.write(path, np.concatenate(pieces)[: round(length_s * SAMPLE_RATE)], SAMPLE_RATE)
        results.append(Sample(path, to_dict(recognizer.analyze_file(path))))
    return results


class HttpUser:
    """A program that uses plain HTTP; with `page`, a visitor whose page is open."""

    def __init__(self, address: str, page: str | None = None) -> None:
        self._page = page
        # verify=False: loading certificates, which plain HTTP does not need, would block all users for 15 ms.
        self._client = httpx.AsyncClient(base_url=address, timeout=RESPONSE_TIMEOUT_S, verify=False)

    async def __aenter__(self) -> "HttpUser":
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._client.aclose()

    async def analyze(self, path: Path, name: str) -> dict[str, Any]:
        """The JSON for a file, sent under `name`. Raises RefusedError and httpx.HTTPError."""
        upload = await self._client.post(f"{API}/upload", files={"files": (name, path.read_bytes())})
        (uploaded_path,) = _accepted(upload).json()
        file = {"path": uploaded_path, "orig_name": name, "meta": {"_type": "gradio.FileData"}}
        body = {"data": [file, ""], "session_hash": self._page}
        call = await self._client.post(f"{API}/call/analyze", json=body)
        event = _accepted(call).json()["event_id"]
        result_stream = _accepted(await self._client.get(f"{API}/call/analyze/{event}"))
        kind, data = result_stream.text.strip().rsplit("event: ", 1)[1].split("\ndata: ", 1)
        if kind != "complete":
            raise httpx.ProtocolError(f"{kind}: {data[:200]}")
        analysis: dict[str, Any] = json.loads(data)[0]
        return analysis

    @asynccontextmanager
    async def visit(self) -> AsyncIterator[None]:
        """Keeps the page open while the block runs."""
        async with self._client.stream("GET", f"{API}/heartbeat/{self._page}", timeout=None):
            yield


class LibraryUser:
    """A program that uses gradio_client, on a thread of its own, because asyncio's threads are few."""

    def __init__(self, address: str) -> None:
        self._address, self._thread = address, ThreadPoolExecutor(1)

    async def __aenter__(self) -> "LibraryUser":
        self._client = await self._run(partial(Client, self._address, verbose=False, download_files=False))
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._run(self._client.close)
        self._thread.shutdown(wait=False)

    async def analyze(self, path: Path, name: str) -> dict[str, Any]:
        """As `HttpUser.analyze`."""
        link = path.with_name(name)  # gradio_client sends the name on disk
        link.hardlink_to(path)
        try:
            request = partial(self._client.predict, audio=handle_file(link), api_name="/analyze")
            analysis: dict[str, Any] = await self._run(request)
        except QueueError:
            raise RefusedError from None
        except httpx.HTTPStatusError as error:
            if error.response.status_code in REFUSED:
                raise RefusedError(error.response.elapsed.total_seconds()) from None
            raise
        finally:
            link.unlink()
        return analysis

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


User = HttpUser | LibraryUser


def user(address: str, number: int) -> User:
    """User `number`; every fourth uses gradio_client."""
    return LibraryUser(address) if number % 4 == 3 else HttpUser(address)


async def send(sender: User, number: int, sample: Sample, tally: Tally) -> float:
    """Runs one analysis and adds its outcome to `tally`; returns the Retry-After in s, 0 if not refused."""
    name = f"user {number} {secrets.token_hex(4)}.wav"
    started = time.perf_counter()
    try:
        async with asyncio.timeout(RESPONSE_TIMEOUT_S):
            analysis = await sender.analyze(sample.path, name)
    except RefusedError as refusal:
        tally.refusals_s.append(refusal.took_s or time.perf_counter() - started)
        return refusal.retry_after_s
    except (TimeoutError, httpx.TimeoutException):
        tally.lost += 1
    except Exception as error:  # noqa: BLE001 - every failure of a client is counted
        tally.errors.append(f"{type(error).__name__}: {error}"[:200])
    else:
        difference = compare(analysis, sample.expected | {"source": name})
        if difference:
            tally.wrong.append(difference)
        else:
            tally.latencies_s.append(time.perf_counter() - started)
    return 0.0


async def regular(address: str, number: int, clips: Sequence[Sample], every_s: float, end: float) -> Tally:
    """A user who sends a clip every `every_s` until `end` (s, `time.monotonic`), one after the other."""
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
    """Sends a clip every `every_s` until `end`; the first at a random time within `every_s`."""
    due = time.monotonic() + rng.uniform(0, every_s)
    while due < end:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        await send(sender, number, clips[rng.integers(len(clips))], tally)
        due = max(due + every_s, time.monotonic())  # one request at a time


async def visitor(address: str, number: int, clips: Sequence[Sample], every_s: float, end: float) -> Tally:
    """As `regular`, for a visitor who opens the page, and after some clips closes and reopens it."""
    tally, rng = Tally(), np.random.default_rng(number)
    while time.monotonic() < end:
        async with HttpUser(address, secrets.token_hex(6)) as sender, sender.visit():
            visit_end = min(end, time.monotonic() + VISIT * every_s)
            await send_regularly(sender, number, clips, every_s, visit_end, rng, tally)
    return tally


async def send_without_pause(address: str, count: int, clips: Sequence[Sample], seconds: float) -> Tally:
    """Users who send as often as they may, and all disconnect after `seconds`, in the middle of requests."""
    tally = Tally()

    async def run_user(number: int) -> None:
        rng = np.random.default_rng(number)
        async with HttpUser(address) as sender:
            while True:
                await asyncio.sleep(await send(sender, number, clips[rng.integers(len(clips))], tally))

    tasks = [asyncio.create_task(run_user(number)) for number in range(count)]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks, return_exceptions=True)
    return tally


def merged(tallies: Sequence[Tally]) -> Tally:
    """The sum of all tallies."""
    total = Tally()
    for tally in tallies:
        total.latencies_s += tally.latencies_s
        total.refusals_s += tally.refusals_s
        total.wrong += tally.wrong
        total.errors += tally.errors
        total.lost += tally.lost
    return total


def compare(analysis: dict[str, Any], expected: dict[str, Any]) -> str:
    """How `analysis` differs from the expected analysis; empty if it does not."""
    for key in ("source", "duration", "model", "error"):
        if analysis[key] != expected[key]:
            return f"{key}: {analysis[key]!r} instead of {expected[key]!r}"
    if len(analysis["segments"]) != len(expected["segments"]):
        return f"{len(analysis['segments'])} segments instead of {len(expected['segments'])}"
    for expected_segment, segment in zip(expected["segments"], analysis["segments"], strict=True):
        times = sum(abs(expected_segment[edge] - segment[edge]) for edge in ("start", "end"))
        if times > TIME_TOLERANCE or _distance(expected_segment, segment) > PROBABILITY_TOLERANCE:
            return f"segment {segment} instead of {expected_segment}"
    return ""


def _distance(expected: dict[str, Any], actual: dict[str, Any]) -> float:
    """The largest difference of a probability; 9 or more if the labels differ."""
    expected_shares, shares = expected["probabilities"], copy.copy(actual["probabilities"])
    difference = max(abs(share - shares.pop(label, 9.0)) for label, share in expected_shares.items())
    return difference + 9.0 * len(shares)


def _accepted(response: httpx.Response) -> httpx.Response:
    """`response`, if the server accepted the request. Raises RefusedError and httpx.HTTPStatusError."""
    if response.status_code in REFUSED:
        raise RefusedError(response.elapsed.total_seconds(), float(response.headers["Retry-After"]))
    return response.raise_for_status()
