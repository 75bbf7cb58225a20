"""Speech spans of the static page beside Python's: `make web`, then `python -m benchmarks.web_spans`.

Decoding, mixing, resampling and speech detection of `web/dist/` in Chromium, and those of `ser_core`, on the
clips and long files of `benchmarks.web`, whose `parity` adds the model's results. The figures go to
benchmarks/results/web.json as `spans`. Spans agree where both ends do to 10 ms.
"""

import base64
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from playwright.sync_api import Page, sync_playwright

from benchmarks.web_page import chromium
from benchmarks.web_parity import TOLERANCE_S, clips, long_sound, written
from ser_core.audio import vad
from ser_core.audio.decode import decode
from ser_core.audio.waveform import SAMPLE_RATE
from web.serving import serving

ROOT = Path(__file__).parents[1]
DIST, RESULTS = ROOT / "web" / "dist", ROOT / "benchmarks" / "results" / "web.json"
LONG = {1: "flac 48 kHz stereo", 2: "wav 44.1 kHz", 3: "webm"}  # kinds by the seed of the clips' order
FIND = """
async ({ base, name, bytes }) => {
    const modules = ["hearing/decode.js", "hearing/resampler.js", "hearing/speech.js"];
    const [{ decode }, { Resampler }, { SpeechStream }, { settings }, { default: fvad }] = await Promise.all(
        [...modules, "settings.js", "vendor/fvad.js"].map((path) => import(base + path)));
    window.wasm ??= await fvad();
    const file = new File([Uint8Array.from(atob(bytes), (letter) => letter.charCodeAt(0))], name);
    const [stream, spans] = [new SpeechStream(window.wasm, settings), []];
    const add = (clips) => spans.push(...clips.map(({ span }) => [span.start, span.end]));
    let resampler = null;
    for await (const { rate, samples } of decode(file, settings, [], () => null)) {
        if (resampler?.from !== rate) {
            if (resampler) add(stream.push(resampler.flush()));
            resampler = new Resampler(rate, settings.sampleRate);
        }
        add(stream.push(resampler.push(samples)));
    }
    add(stream.push(resampler.flush()));
    add(stream.flush());
    return { spans, samples: stream.samplesRead };
}
"""


def main(
    count: Annotated[int, typer.Option(help="Clips as they are stored.")] = 200,
    minutes: Annotated[float, typer.Option(help="Length of the long files.")] = 10.0,
    results: Annotated[Path, typer.Option(help="Where the figures go.")] = RESULTS,
) -> None:
    drawn = clips(count)
    with (
        tempfile.TemporaryDirectory() as folder,
        sync_playwright() as playwright,
        serving(DIST) as address,
        chromium(playwright) as browser,
    ):
        page = browser.new_context(service_workers="block").new_page()
        page.goto(f"{address}LICENCES.txt")  # of the same origin, without the page's own work
        figures: dict[str, Any] = {"as stored": compared(page, address, drawn)}
        report(figures, results)
        for seed, kind in LONG.items():
            path = written(long_sound(drawn, minutes, seed), Path(folder), f"long-{seed}", kind)
            figures[kind] = {"minutes": minutes} | compared(page, address, [path])
            report(figures, results)


def compared(page: Page, address: str, paths: Sequence[Path]) -> dict[str, Any]:
    """How the spans of the page differ from Python's."""
    both, same, samples = 0, 0, 0
    for path in paths:
        content = base64.b64encode(path.read_bytes()).decode()
        found = page.evaluate(FIND, {"base": address, "name": path.name, "bytes": content})
        waveform = decode(path)
        ours, theirs = found["spans"], [(span.start, span.end) for span in vad.segment(waveform)]
        agreeing = sum(any(is_same(one, other) for one in ours) for other in theirs)
        same += agreeing
        both += len(ours) + len(theirs) - agreeing
        samples = max(samples, abs(found["samples"] - len(waveform.samples)))
    return {
        "recordings": len(paths),
        "spans": both,
        "same_span": round(same / max(both, 1), 4),
        "lengths_differ_by_samples": samples,
    }


def is_same(one: Sequence[int], other: Sequence[int]) -> bool:
    """Whether two spans in samples agree."""
    return all(abs(a - b) <= TOLERANCE_S * SAMPLE_RATE for a, b in zip(one, other, strict=True))


def report(figures: dict[str, Any], results: Path) -> None:
    """Prints the figures so far, and writes them beside those of `benchmarks.web`."""
    print(json.dumps(figures, indent=2), flush=True)
    stored = json.loads(results.read_text(encoding="utf-8")) if results.is_file() else {}
    results.write_text(json.dumps(stored | {"spans": figures}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
