"""Live sound under load: `python -m benchmarks.live` prints a table and writes benchmarks/results/live.json.

The server is `python app.py`, a process of its own; this process is the load: sessions over the WebSocket
that send RAVDESS clips with pauses (generated vowels where ../shared/data is absent) at real-time rate,
48 kHz, in frames of 100 ms as the page does. What each frame must lead to is computed beforehand with the
same segmenter, so that each event is set against the frame that brought it about:

final         from the frame with which the closing pause (min_silence_ms) is recognised to the final event
after speech  from the end of the last word to the final event: the pause, and the above
provisional   from a frame to the result of the speech so far
skipped       provisional results that the server said it left out, + those that came
lost          samples sent that `done` does not count, + finals due that did not come
MB            resident memory of the server after the run
load late     how late this process itself was with its frames (95th percentile)

Then one session of an hour, sent as fast as the server takes it: how far the server's memory grows.
"""

import asyncio
import json
import struct
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import soundfile
import soxr
import typer
import websockets
from numpy.typing import NDArray

from benchmarks.running_app import running_app
from benchmarks.speed import RAVDESS, clip_paths, machine
from ser_core.audio.decode import Resampler
from ser_core.audio.speech import SpeechStream
from ser_core.audio.vad import VadOptions
from ser_core.audio.waveform import SAMPLE_RATE

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "live.json"
CLIENT_RATE = 48_000  # Hz
FRAME_SAMPLES = CLIENT_RATE // 10
FAST_FRAME_SAMPLES = CLIENT_RATE  # of the session that is not sent in real time
PAUSES_S = (0.5, 1.5)  # between clips: shortest and longest
START_SPREAD_S = 0.5  # sessions begin within this, so that they do not speak in step
DONE_S = 120.0  # the longest wait for the end of a session
CLIPS = 200  # that the sessions draw from
LOOP_S = 60  # of the long session, which repeats it
PERCENTILES = (50, 95, 99)
PAD_S = VadOptions().speech_pad_ms / 1000  # a segment ends this long after its last word


@dataclass(frozen=True)
class Talk:
    """A session's sound, and what it must lead to."""

    frames: list[bytes]  # with their sequence numbers
    samples: int
    heard: NDArray[np.int64]  # samples at 16 kHz that the server has heard after each frame
    final_frames: list[int]  # the frame that ends each segment; one that only the stop ends is not here
    words_end_s: list[float | None]  # where the last word of each of these ends; None for those cut short


@dataclass
class Report:
    """What one session measured. Latencies in s."""

    final: list[float] = field(default_factory=list)
    after_speech: list[float] = field(default_factory=list)
    provisional: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)  # how late this process itself sent its frames
    lost_samples: int = 0
    lost_finals: int = 0
    skipped: int = 0  # provisional results, as the server last said
    errors: list[str] = field(default_factory=list)  # codes of all others


def main(
    seconds: Annotated[float, typer.Option(help="Length of each session.")] = 120.0,
    sessions: Annotated[str, typer.Option(help="How many at once, one run for each number.")] = "1,4,8,16,32",
    long_minutes: Annotated[float, typer.Option(help="Length of the long session; 0 leaves it out.")] = 60.0,
    model: Annotated[str, typer.Option(help="The checkpoint.")] = "default",
    results: Annotated[Path, typer.Option(help="Where the figures go.")] = RESULTS,
) -> None:
    counts = [int(count) for count in sessions.split(",")]
    found: dict[str, Any] = {"machine": machine(), "model": model, "session_s": seconds}
    found["speech"] = "RAVDESS clips with pauses" if RAVDESS.is_dir() else "generated vowels with pauses"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clips = list(islice(clip_paths(folder), CLIPS))
        talks = [plan(speech(clips, seed, seconds)) for seed in range(max(counts))]
        print(HEADING)
        found["load"] = []
        for count in counts:
            with running_app(model, folder) as (address, process):
                before = resident_mb(process.pid)
                reports = asyncio.run(speak_at_once(live_address(address), talks[:count]))
                memory = {"server_mb_before": before, "server_mb_after": resident_mb(process.pid)}
            found["load"].append({"sessions": count, **summary(reports), **memory})
            print(line(found["load"][-1]), flush=True)
        if long_minutes:
            with running_app(model, folder) as (address, process):
                sound = speech(clips, 0, LOOP_S)
                found["long_session"] = asyncio.run(
                    speak_long(live_address(address), process.pid, sound, long_minutes)
                )
            print(long_line(found["long_session"]))
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def speech(clips: Sequence[Path], seed: int, seconds: float) -> NDArray[np.int16]:
    """Clips in an order of their own for each `seed`, with pauses between them, at `CLIENT_RATE`."""
    rng = np.random.default_rng(seed)
    pieces: list[NDArray[np.float32]] = []
    while sum(map(len, pieces)) < seconds * CLIENT_RATE:
        clip, sample_rate = soundfile.read(rng.choice(clips), dtype="float32")
        pieces.append(soxr.resample(clip, sample_rate, CLIENT_RATE))
        pieces.append(np.zeros(round(rng.uniform(*PAUSES_S) * CLIENT_RATE), np.float32))
    sound = np.concatenate(pieces)[: round(seconds * CLIENT_RATE)]
    return np.round(sound.clip(-1, 1) * 32767).astype(np.int16)


def plan(sound: NDArray[np.int16]) -> Talk:
    """`sound` in frames, and what they must lead to."""
    resampler, stream = Resampler(CLIENT_RATE), SpeechStream()
    frames, heard, finals, spans = [], [], [], []
    for number, at in enumerate(range(0, len(sound), FRAME_SAMPLES)):
        samples = sound[at : at + FRAME_SAMPLES]
        frames.append(frame(number, samples))
        clips = stream.push(resampler.push(samples / np.float32(32768)))
        finals += [number] * len(clips)
        spans += [clip.span for clip in clips]
        heard.append(stream.samples_read)
    paused = [a.end != b.start for a, b in pairwise(spans)] + [True]  # else cut for its length
    words_end = [span.end_s - PAD_S if pause else None for span, pause in zip(spans, paused, strict=False)]
    return Talk(frames, len(sound), np.array(heard), finals, words_end)


def frame(number: int, samples: NDArray[np.int16]) -> bytes:
    """A frame as the page sends it."""
    return struct.pack("<I", number) + samples.astype("<i2").tobytes()


async def speak_at_once(address: str, talks: Sequence[Talk]) -> list[Report]:
    """A session for each of `talks`, all at the same time."""
    delays = np.linspace(0, START_SPREAD_S, len(talks), endpoint=False)
    return await asyncio.gather(*(speak(address, *both) for both in zip(talks, delays, strict=True)))


async def speak(address: str, talk: Talk, delay: float) -> Report:
    """One session in real time, after `delay` seconds."""
    report, sent = Report(), []
    await asyncio.sleep(delay)
    async with websockets.connect(address, proxy=None, compression=None, max_size=None) as connection:
        await connection.send(json.dumps({"type": "start", "sample_rate": CLIENT_RATE}))
        ready = json.loads(await connection.recv())
        assert ready["type"] == "ready", ready
        listening = asyncio.create_task(take_events(connection, talk, sent, report))
        began = time.perf_counter()
        for number, data in enumerate(talk.frames):
            due = began + (number + 1) * FRAME_SAMPLES / CLIENT_RATE  # a frame is there when it was spoken
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            sent.append(time.perf_counter())
            report.late.append(sent[-1] - due)
            await connection.send(data)
        await connection.send('{"type": "stop"}')
        async with asyncio.timeout(DONE_S):
            await listening
    return report


async def take_events(
    connection: websockets.ClientConnection, talk: Talk, sent: list[float], report: Report
) -> None:
    """Sets each result against the frame that led to it, until `done`."""
    finals = 0
    async for text in connection:
        now, message = time.perf_counter(), json.loads(text)
        match message["type"]:
            case "segment" if message["final"] and message["id"] < len(talk.final_frames):
                at = talk.final_frames[message["id"]]
                report.final.append(now - sent[at])
                words_end = talk.words_end_s[message["id"]]
                if words_end is not None:
                    spoken = sent[0] + words_end - FRAME_SAMPLES / CLIENT_RATE  # when it was said
                    report.after_speech.append(now - spoken)
                finals += 1
            case "segment" if not message["final"]:
                # It ends where the sound did when it was asked for; times come to the ms.
                at = int(np.searchsorted(talk.heard, message["end"] * SAMPLE_RATE - SAMPLE_RATE // 1000))
                report.provisional.append(now - sent[min(at, len(sent) - 1)])  # the stop brought the rest
            case "error" if message["code"] == "falling_behind":
                report.skipped = message["skipped"]
            case "error":
                report.errors.append(message["code"])
            case "done":
                report.lost_samples = talk.samples - message["samples_received"]
                report.lost_finals = len(talk.final_frames) - finals
                return


async def speak_long(address: str, pid: int, loop: NDArray[np.int16], minutes: float) -> dict[str, Any]:
    """One session of `minutes` of `loop` over and over, as fast as the server takes it, and its memory."""
    pieces = [loop[at : at + FAST_FRAME_SAMPLES] for at in range(0, len(loop), FAST_FRAME_SAMPLES)]
    memory = []
    began = time.perf_counter()
    async with websockets.connect(address, proxy=None, compression=None, max_size=None) as connection:
        await connection.send(json.dumps({"type": "start", "sample_rate": CLIENT_RATE}))
        listening = asyncio.create_task(last_message(connection))
        sent = 0
        for number in range(round(60 * minutes)):
            samples = pieces[number % len(pieces)]
            await connection.send(frame(number, samples))
            sent += len(samples)
            if number % LOOP_S == LOOP_S - 1:
                memory.append(resident_mb(pid))
        await connection.send('{"type": "stop"}')
        done = await listening
    return {
        "minutes": minutes,
        "times_real_time": 60 * minutes / (time.perf_counter() - began),
        "lost_samples": sent - done["samples_received"],
        "segments": len(done["analysis"]["segments"]),
        "server_mb_early": memory[0],  # after the first minute
        "server_mb_most": max(memory),
        "grown_mb": max(memory) - memory[0],
    }


async def last_message(connection: websockets.ClientConnection) -> dict[str, Any]:
    """The message that ends a session."""
    message: dict[str, Any] = {}
    async for text in connection:
        message = json.loads(text)
        assert not message.get("fatal"), message
    return message


def live_address(address: str) -> str:
    """The WebSocket of the app at `address`."""
    return address.replace("http", "ws", 1) + "/live"


def resident_mb(pid: int) -> float:
    """What a process holds in memory now (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1000


def summary(reports: Sequence[Report]) -> dict[str, Any]:
    """All sessions of one run together; latencies in ms."""
    found: dict[str, Any] = {}
    for name in ("final", "after_speech", "provisional", "late"):
        values = [1000 * value for report in reports for value in getattr(report, name)]
        shares = np.percentile(values, PERCENTILES) if values else [None] * len(PERCENTILES)
        found[f"{name}_ms"] = dict(zip(map("p{}".format, PERCENTILES), map(rounded, shares), strict=True))
        found[f"{name}_count"] = len(values)
    for name in ("lost_samples", "lost_finals", "skipped"):
        found[name] = sum(getattr(report, name) for report in reports)
    found["errors"] = sorted(error for report in reports for error in report.errors)
    return found


def rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 1)


HEADING = f"{'sessions':>8}{'final ms':>20}{'after speech ms':>20}{'provisional ms':>20}" + (
    f"{'skipped':>12}{'lost':>9}{'MB':>7}{'load late ms':>14}\n{'':8}" + 3 * f"{'p50 / p95 / p99':>20}"
)


def line(row: dict[str, Any]) -> str:
    """One run as a line under `HEADING`."""
    cells = []
    for name in ("final", "after_speech", "provisional"):
        shares = row[f"{name}_ms"].values()
        cells.append(" / ".join("-" if share is None else f"{share:.0f}" for share in shares))
    skipped = f"{row['skipped']}+{row['provisional_count']}"
    return (
        f"{row['sessions']:>8}"
        + "".join(f"{cell:>20}" for cell in cells)
        + f"{skipped:>12}{row['lost_samples']:>6}+{row['lost_finals']}"
        + f"{row['server_mb_after']:>8.0f}{row['late_ms']['p95']:>14.1f}"
    )


def long_line(found: dict[str, Any]) -> str:
    """The long session as text."""
    return (
        f"{found['minutes']:g} minutes at {found['times_real_time']:.0f} times real time: memory grew by "
        f"{found['grown_mb']:.0f} MB (from {found['server_mb_early']:.0f}), {found['segments']} segments, "
        f"{found['lost_samples']} samples lost"
    )


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))  # so that `python benchmarks/live.py` finds ser_core too
    typer.run(main)
