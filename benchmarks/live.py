"""Live audio under load: `python -m benchmarks.live` prints a table and writes benchmarks/results/live.json.

The server is `python app.py` in a process of its own. This process is the load: sessions over the WebSocket
that send RAVDESS clips with pauses (generated vowels where ../shared/data is absent) in real time, at 48 kHz,
in frames of 100 ms as the page does. The same segmenter computes beforehand which frame causes which event;
latencies are measured from that frame:

final         from the frame at which the closing pause (min_silence_ms) is complete to the final event
after speech  from the end of the last word to the final event: the pause, and the above
provisional   from a frame to the result of the speech so far
skipped       provisional results that the server reported as left out, + those that arrived
lost          samples sent that `done` does not count, + expected finals that did not arrive
MB            resident memory of the server after the run
load late     delay of this process's own frames (95th percentile)

Then one session of an hour is sent as fast as the server accepts it, to measure how much memory it adds.
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
FAST_FRAME_SAMPLES = CLIENT_RATE  # of the session that is sent faster than real time
PAUSES_S = (0.5, 1.5)  # between clips: shortest and longest
START_SPREAD_S = 0.5  # sessions start within this time, so that their frames do not coincide
DONE_S = 120.0  # the longest wait for the end of a session
CLIPS = 200  # number of different clips
LOOP_S = 60  # audio that the long session repeats
PERCENTILES = (50, 95, 99)
PAD_S = VadOptions().speech_pad_ms / 1000  # a segment ends this long after its last word


@dataclass(frozen=True)
class Talk:
    """The audio of a session, and the events that it must cause."""

    frames: list[bytes]  # with their sequence numbers
    samples: int
    received: NDArray[np.int64]  # samples at 16 kHz that the server has after each frame
    final_frames: list[int]  # the frame that ends each segment, except one that `stop` ends
    ends: dict[float, int]  # number of each of these by its end in s, to the ms
    words_end_s: list[float | None]  # end of the last word of each of these; None if the segment was cut


@dataclass
class Report:
    """Measurements of one session. Latencies in s."""

    final: list[float] = field(default_factory=list)
    after_speech: list[float] = field(default_factory=list)
    provisional: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)  # delay of this process's own frames
    lost_samples: int = 0
    lost_finals: int = 0
    skipped: int = 0  # provisional results, as last reported by the server
    errors: list[str] = field(default_factory=list)  # codes of all others


def main(
    seconds: Annotated[float, typer.Option(help="Length of each session.")] = 120.0,
    sessions: Annotated[str, typer.Option(help="How many at once, one run for each number.")] = "1,4,8,16,32",
    long_minutes: Annotated[float, typer.Option(help="Length of the long session; 0 leaves it out.")] = 60.0,
    model: Annotated[str, typer.Option(help="The checkpoint.")] = "default",
    voices: Annotated[str, typer.Option(metavar="auto|one", help="Whether voices are told apart.")] = "one",
    results: Annotated[Path, typer.Option(help="Where the figures go.")] = RESULTS,
) -> None:
    counts = [int(count) for count in sessions.split(",")]
    measurements: dict[str, Any] = {
        "machine": machine(),
        "model": model,
        "session_s": seconds,
        "voices": voices,
    }
    kind = "RAVDESS clips" if RAVDESS.is_dir() else "generated vowels"
    measurements["speech"] = f"{kind} with pauses"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clips = list(islice(clip_paths(folder), CLIPS))
        talks = [plan(speech(clips, seed, seconds)) for seed in range(max(counts))]
        print(HEADING)
        measurements["load"] = []
        for count in counts:
            with running_app(model, folder) as (address, process):
                before = resident_mb(process.pid)
                reports = asyncio.run(speak_at_once(live_address(address), talks[:count], voices))
                memory = {"server_mb_before": before, "server_mb_after": resident_mb(process.pid)}
            measurements["load"].append({"sessions": count, **summary(reports), **memory})
            print(line(measurements["load"][-1]), flush=True)
        if long_minutes:
            with running_app(model, folder) as (address, process):
                sound = speech(clips, 0, LOOP_S)
                measurements["long_session"] = asyncio.run(
                    speak_long(live_address(address), process.pid, sound, long_minutes, voices)
                )
            print(long_line(measurements["long_session"]))
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps(measurements, indent=2) + "\n", encoding="utf-8")


def speech(clips: Sequence[Path], seed: int, seconds: float) -> NDArray[np.int16]:
    """Clips with pauses between them at `CLIENT_RATE`, in an order that depends on `seed`."""
    rng = np.random.default_rng(seed)
    pieces: list[NDArray[np.float32]] = []
    while sum(map(len, pieces)) < seconds * CLIENT_RATE:
        clip, sample_rate = soundfile.read(rng.choice(clips), dtype="float32")
        pieces.append(soxr.resample(clip, sample_rate, CLIENT_RATE))
        pieces.append(np.zeros(round(rng.uniform(*PAUSES_S) * CLIENT_RATE), np.float32))
    sound = np.concatenate(pieces)[: round(seconds * CLIENT_RATE)]
    return np.round(sound.clip(-1, 1) * 32767).astype(np.int16)


def plan(sound: NDArray[np.int16], rate: int = CLIENT_RATE) -> Talk:
    """`sound` at `rate` Hz in frames of 100 ms, and the events that they must cause."""
    resampler, stream = Resampler(rate), SpeechStream()
    frames, received, finals, spans = [], [], [], []
    for number, at in enumerate(range(0, len(sound), length := round(rate / 10))):
        samples = sound[at : at + length]
        frames.append(frame(number, samples))
        clips = stream.push(resampler.push(samples / np.float32(32768)))
        finals += [number] * len(clips)
        spans += [clip.span for clip in clips]
        received.append(stream.samples_read)
    paused = [a.end != b.start for a, b in pairwise(spans)] + [True]  # False: cut at the maximum length
    words_end = [span.end_s - PAD_S if pause else None for span, pause in zip(spans, paused, strict=False)]
    ends = {round(span.end_s, 3): number for number, span in enumerate(spans)}
    return Talk(frames, len(sound), np.array(received), finals, ends, words_end)


def frame(number: int, samples: NDArray[np.int16]) -> bytes:
    """A frame in the format that the page sends."""
    return struct.pack("<I", number) + samples.astype("<i2").tobytes()


async def speak_at_once(address: str, talks: Sequence[Talk], voices: str) -> list[Report]:
    """Runs a session for each of `talks`, all at the same time."""
    delays = np.linspace(0, START_SPREAD_S, len(talks), endpoint=False)
    return await asyncio.gather(*(speak(address, *both, voices) for both in zip(talks, delays, strict=True)))


async def speak(address: str, talk: Talk, delay: float, voices: str) -> Report:
    """Runs one session in real time, after `delay` seconds."""
    report, sent = Report(), []
    await asyncio.sleep(delay)
    async with websockets.connect(address, proxy=None, compression=None, max_size=None) as connection:
        await connection.send(start_message(voices))
        ready = json.loads(await connection.recv())
        assert ready["type"] == "ready", ready
        receiver = asyncio.create_task(take_events(connection, talk, sent, report))
        started = time.perf_counter()
        for number, data in enumerate(talk.frames):
            due = started + (number + 1) * FRAME_SAMPLES / CLIENT_RATE  # a frame is complete at its end
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            sent.append(time.perf_counter())
            report.late.append(sent[-1] - due)
            await connection.send(data)
        await connection.send('{"type": "stop"}')
        async with asyncio.timeout(DONE_S):
            await receiver
    return report


async def take_events(
    connection: websockets.ClientConnection, talk: Talk, sent: list[float], report: Report
) -> None:
    """Measures the latency of each result from the frame that caused it, until `done`."""
    finals = 0
    async for text in connection:
        now, message = time.perf_counter(), json.loads(text)
        match message["type"]:
            case "segment" if message["final"] and message["end"] in talk.ends:  # not one cut between voices
                number = talk.ends[message["end"]]
                report.final.append(now - sent[talk.final_frames[number]])
                words_end = talk.words_end_s[number]
                if words_end is not None:
                    spoken_at = sent[0] + words_end - FRAME_SAMPLES / CLIENT_RATE
                    report.after_speech.append(now - spoken_at)
                finals += 1
            case "segment" if not message["final"]:
                # It ends where the audio ended when it was computed; times are rounded to ms.
                at = int(np.searchsorted(talk.received, message["end"] * SAMPLE_RATE - SAMPLE_RATE // 1000))
                report.provisional.append(now - sent[min(at, len(sent) - 1)])  # the rest was sent with `stop`
            case "error" if message["code"] == "falling_behind":
                report.skipped = message["skipped"]
            case "error":
                report.errors.append(message["code"])
            case "done":
                report.lost_samples = talk.samples - message["samples_received"]
                report.lost_finals = len(talk.final_frames) - finals
                return


def start_message(voices: str) -> str:
    """The first message of a session."""
    return json.dumps({"type": "start", "sample_rate": CLIENT_RATE, "voices": voices})


async def speak_long(
    address: str, pid: int, loop: NDArray[np.int16], minutes: float, voices: str
) -> dict[str, Any]:
    """Sends `minutes` of audio, `loop` repeated, as fast as the server accepts it; its speed and memory."""
    pieces = [loop[at : at + FAST_FRAME_SAMPLES] for at in range(0, len(loop), FAST_FRAME_SAMPLES)]
    memory = []
    started = time.perf_counter()
    async with websockets.connect(address, proxy=None, compression=None, max_size=None) as connection:
        await connection.send(start_message(voices))
        receiver = asyncio.create_task(last_message(connection))
        sent = 0
        for number in range(round(60 * minutes)):
            samples = pieces[number % len(pieces)]
            await connection.send(frame(number, samples))
            sent += len(samples)
            if number % LOOP_S == LOOP_S - 1:
                memory.append(resident_mb(pid))
        await connection.send('{"type": "stop"}')
        done = await receiver
    return {
        "minutes": minutes,
        "times_real_time": 60 * minutes / (time.perf_counter() - started),
        "lost_samples": sent - done["samples_received"],
        "segments": len(done["analysis"]["segments"]),
        "server_mb_early": memory[0],  # after the first minute
        "server_mb_most": max(memory),
        "grown_mb": max(memory) - memory[0],
    }


async def last_message(connection: websockets.ClientConnection) -> dict[str, Any]:
    """The last message of a session."""
    message: dict[str, Any] = {}
    async for text in connection:
        message = json.loads(text)
        assert not message.get("fatal"), message
    return message


def live_address(address: str) -> str:
    """The address of the WebSocket of the app at `address`."""
    return address.replace("http", "ws", 1) + "/live"


def resident_mb(pid: int) -> float:
    """Resident memory of a process in MB (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1000


def summary(reports: Sequence[Report]) -> dict[str, Any]:
    """The measurements of all sessions of one run together; latencies in ms."""
    figures: dict[str, Any] = {}
    for name in ("final", "after_speech", "provisional", "late"):
        values = [1000 * value for report in reports for value in getattr(report, name)]
        shares = np.percentile(values, PERCENTILES) if values else [None] * len(PERCENTILES)
        figures[f"{name}_ms"] = dict(zip(map("p{}".format, PERCENTILES), map(rounded, shares), strict=True))
        figures[f"{name}_count"] = len(values)
    for name in ("lost_samples", "lost_finals", "skipped"):
        figures[name] = sum(getattr(report, name) for report in reports)
    figures["errors"] = sorted(error for report in reports for error in report.errors)
    return figures


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


def long_line(row: dict[str, Any]) -> str:
    """The results of the long session as text."""
    return (
        f"{row['minutes']:g} minutes at {row['times_real_time']:.0f} times real time: memory grew by "
        f"{row['grown_mb']:.0f} MB (from {row['server_mb_early']:.0f}), {row['segments']} segments, "
        f"{row['lost_samples']} samples lost"
    )


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))  # so that `python benchmarks/live.py` finds ser_core too
    typer.run(main)
