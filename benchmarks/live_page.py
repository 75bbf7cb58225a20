"""The tab "Live" in a real Chromium whose microphone plays a recording: `python -m benchmarks.live_page`.

The recording is RAVDESS clips of known emotion, trimmed, with known pauses between them. Printed, and written
to benchmarks/results/live_page.json:

found      share of the clips that a segment matches with an intersection over union (IoU) of 0.5 or more
invented   number of segments that lie in pauses
lag_s      delay of the first and the last clip in the session: the fake microphone starts before the session
           and has a clock of its own. Clips are located in the audio that the page kept
sent       samples that the page sent, and those that the server says it received
file path  number of segments that differ when the audio that the page kept is analysed as a file
"""

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import soundfile
import soxr
import typer
from numpy.typing import NDArray
from playwright.sync_api import Page, sync_playwright
from scipy.signal import correlate

from benchmarks.running_app import running_app
from ser_core import Recognizer
from ser_core.audio.waveform import SAMPLE_RATE
from ser_core.export.json import to_dict
from ser_core.recognition.recording import VoiceOptions

ROOT = Path(__file__).parents[1]
RAVDESS = ROOT.parent / "shared" / "data" / "ravdess"
RESULTS = ROOT / "benchmarks" / "results" / "live_page.json"
CHROMIUM = Path("/usr/bin/chromium")
PAUSES_S = (0.8, 1.6)  # between clips: shortest and longest
QUIET_DB = 40.0  # a clip begins and ends where its level is this far below its loudest 20 ms
FRAME = SAMPLE_RATE // 50  # 20 ms
HISS = 3e-4  # standard deviation of the noise under everything, full scale at 1: about -70 dBFS
GOOD_IOU = 0.5
MAX_LAG = SAMPLE_RATE // 2  # samples; less than the shortest pause
TAIL_S = 2.0  # the page listens for so much longer than the recording
SUMMARY_MS = 60_000
TIME_DIGITS, PROBABILITY_TOLERANCE = 3, 1e-3  # tolerances between the page's and the file's segments

Samples = NDArray[np.float32]
Span = tuple[float, float]


@dataclass(frozen=True)
class SessionResult:
    """The files that the page saved of a session, and its counts of samples."""

    analysis: dict[str, Any]  # the saved JSON
    wav: Path  # the saved sound
    sent: int  # samples
    received: int  # samples, as the server counted


def main(
    minutes: Annotated[float, typer.Option(help="Length of the recording.")] = 5.0,
    model: Annotated[str, typer.Option(help="The checkpoint.")] = "default",
    results: Annotated[Path, typer.Option(help="Where the figures go.")] = RESULTS,
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        samples, spans = join(ravdess_clips(), 60 * minutes)
        soundfile.write(folder / "microphone.wav", samples, SAMPLE_RATE, subtype="PCM_16")
        with running_app(model, folder) as (address, _), sync_playwright() as playwright:
            arguments = microphone_arguments(folder / "microphone.wav")
            browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=arguments)
            page = browser.new_context(permissions=["microphone"]).new_page()
            page.goto(address)
            result = listen(page, len(samples) / SAMPLE_RATE + TAIL_S, folder)
            browser.close()
        lags = list(lags_of(samples, spans, result.wav))
        shifted = [(start + lag, end + lag) for (start, end), lag in zip(spans, lags, strict=True)]
        report = score(shifted, result) | {"lag_s": [round(lags[0], 3), round(lags[-1], 3)]}
        report |= {"minutes": minutes, "model": model, "clips": len(spans)}
        by_file = to_dict(Recognizer.load(model).analyze_file(result.wav, options=VoiceOptions()))
        report["differ_from_the_file"] = differences(result.analysis["segments"], by_file["segments"])
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print("\n".join(f"{name:22} {value}" for name, value in report.items()))


def ravdess_clips() -> Iterator[Samples]:
    """RAVDESS clips of all emotions and actors, in random order."""
    for path in np.random.default_rng(5).permutation(sorted(RAVDESS.glob("Actor_*/*.flac"))):
        yield soundfile.read(path, dtype="float32")[0]


def join(clips: Iterator[Samples], seconds: float) -> tuple[Samples, list[Span]]:
    """About `seconds` of clips with pauses between them, and where each clip begins and ends, in seconds."""
    rng = np.random.default_rng(0)
    pieces, spans, at = [], [], 0
    while at < seconds * SAMPLE_RATE:
        pause = np.zeros(int(rng.uniform(*PAUSES_S) * SAMPLE_RATE), np.float32)
        clip = trim(next(clips))
        pieces += [pause, 0.5 * clip / np.abs(clip).max()]
        spans.append(((at + len(pause)) / SAMPLE_RATE, (at + len(pause) + len(clip)) / SAMPLE_RATE))
        at += len(pause) + len(clip)
    sound = np.concatenate(pieces)
    return (sound + rng.normal(0, HISS, len(sound))).astype(np.float32), spans


def trim(clip: Samples) -> Samples:
    """`clip` without the silence at both ends."""
    frames = clip[: len(clip) // FRAME * FRAME].reshape(-1, FRAME)  # (frame, sample)
    level = np.sqrt((frames**2).mean(axis=1))
    loud = np.flatnonzero(level > level.max() * 10 ** (-QUIET_DB / 20))
    return clip[loud[0] * FRAME : (loud[-1] + 1) * FRAME]


def microphone_arguments(recording: Path | str) -> list[str]:
    """Chromium's arguments for a microphone that plays `recording` once."""
    return [
        "--no-sandbox",
        "--headless=new",
        "--disable-gpu",
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={recording}%noloop",
    ]


def listen(page: Page, seconds: float, folder: Path) -> SessionResult:
    """Runs a session of `seconds` and saves its files in `folder`."""
    page.get_by_role("tab", name="Live").click()
    page.get_by_role("button", name="Start").click()
    page.wait_for_function(
        """seconds => {
            const [minutes, rest] = document.querySelector('#live output').textContent.split(':').map(Number);
            return 60 * minutes + rest >= seconds;
        }""",
        arg=seconds,
        timeout=1000 * (2 * seconds + 60),
        polling=200,
    )
    page.get_by_role("button", name="Stop", exact=True).click()
    facts = page.locator("#live .facts")
    facts.filter(has_text="received").wait_for(timeout=SUMMARY_MS)
    words = facts.inner_text().split()  # "48000 samples sent, 48000 received · …"
    saved = {}
    for kind in ("WAV", "JSON"):
        with page.expect_download() as download:
            page.get_by_role("button", name=f"({kind})").click()
        saved[kind] = folder / download.value.suggested_filename
        download.value.save_as(saved[kind])
    (analysis,) = json.loads(saved["JSON"].read_text(encoding="utf-8"))
    return SessionResult(analysis, saved["WAV"], int(words[0]), int(words[3]))


def lags_of(samples: Samples, spans: Sequence[Span], wav: Path) -> Iterator[float]:
    """The delay in seconds of each of `spans` of the recording `samples` in the audio of `wav`."""
    sound, sample_rate = soundfile.read(wav, dtype="float32")
    sound = soxr.resample(sound, sample_rate, SAMPLE_RATE)
    for span in spans:
        start, end = (round(edge * SAMPLE_RATE) for edge in span)
        begin = max(0, start - MAX_LAG)
        match = correlate(sound[begin : end + MAX_LAG], samples[start:end], mode="valid")
        yield (begin + int(np.argmax(match)) - start) / SAMPLE_RATE


def score(spans: Sequence[Span], result: SessionResult) -> dict[str, Any]:
    """The share of `spans` that a session found, and the number of segments it invented."""
    segments = [(segment["start"], segment["end"]) for segment in result.analysis["segments"]]
    matched = sum(any(iou(span, segment) >= GOOD_IOU for segment in segments) for span in spans)
    invented = sum(all(iou(span, segment) == 0 for span in spans) for segment in segments)
    return {
        "found": matched / len(spans),
        "invented": invented,
        "samples_sent": result.sent,
        "samples_received": result.received,
    }


def iou(one: Span, other: Span) -> float:
    """Intersection over union of two spans, 0 to 1."""
    common = min(one[1], other[1]) - max(one[0], other[0])
    return max(0.0, common / (one[1] - one[0] + other[1] - other[0] - common))


def differences(live: Sequence[dict[str, Any]], by_file: Sequence[dict[str, Any]]) -> int:
    """The number of segments that differ between a session and the same audio as a file."""
    pairs = list(zip(live, by_file, strict=False))
    return len(live) + len(by_file) - 2 * len(pairs) + sum(not same(*pair) for pair in pairs)


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two segments have the same times, label and, nearly, probabilities."""
    shares = zip(one["probabilities"].values(), other["probabilities"].values(), strict=True)
    return (
        one["label"] == other["label"]
        and all(round(one[edge] - other[edge], TIME_DIGITS) == 0 for edge in ("start", "end"))
        and all(abs(a - b) <= PROBABILITY_TOLERANCE for a, b in shares)
    )


if __name__ == "__main__":
    typer.run(main)
