"""Every architecture in one table of docs/accuracy.md: `python -m benchmarks.architectures` measures it.

Measured with random weights: parameters, size as shipped (float16), and milliseconds for a clip of 3 s,
features included, on one core. Accuracy comes from reports of runs in `benchmarks/results/NAME/PROTOCOL/`,
which `python -m train crossval` made and `python -m train report RUN --keep benchmarks/results` copied. A row
whose folds are incomplete says which it has. Writes results/architectures.json, the figure
assets/architectures.png, and the table between the marks in docs/accuracy.md.
"""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import torch
import typer
from torch import nn

from benchmarks.pages import replace_section
from benchmarks.speed import machine
from ser_core.audio.waveform import SAMPLE_RATE
from ser_core.emotions import LABELS
from ser_core.models.features import FeatureExtractor
from ser_core.models.registry import ARCHITECTURES, build
from train.reports import compare

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
MEASURED = RESULTS / "architectures.json"
FIGURE = ROOT / "assets" / "architectures.png"
PAGE = ROOT / "docs" / "accuracy.md"
BEGIN, END = "<!-- architectures -->", "<!-- /architectures -->"
CLIP_S = 3.0
REPEATS = 15
UNSEEN = ("ravdess_5fold", "ravdess_fold0")  # a row shows the first that exists
BY_FILE = "random_by_file"


@dataclass(frozen=True)
class Cost:
    """What a network costs, independent of its weights."""

    parameters: int
    megabytes: float  # in float16, buffers included
    ms: float  # for a clip of CLIP_S, one core


def main(
    page: Annotated[Path, typer.Option(help="The page whose table is written.")] = PAGE,
    measure: Annotated[bool, typer.Option(help="Measure anew; else what was measured last.")] = True,
) -> None:
    if measure:
        report = {"machine": machine(), "clip_s": CLIP_S, "threads": 1}
        report["costs"] = {name: asdict(cost(name)) for name in ARCHITECTURES}
        MEASURED.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    costs = {name: Cost(**fields) for name, fields in measured()["costs"].items()}
    text = table(costs)
    replace_section(page, BEGIN, END, text)
    rows = [row for name in ranked(costs) for row in (unseen(name), by_file(name)) if row]
    compare.figure(rows).savefig(FIGURE, dpi=80)
    typer.echo(text)


def measured() -> dict[str, Any]:
    """The latest measurements."""
    return dict(json.loads(MEASURED.read_text(encoding="utf-8")))


def cost(name: str) -> Cost:
    """Parameters, size and time of the architecture `name` with random weights."""
    torch.set_num_threads(1)
    model = build(name, len(LABELS)).eval()
    tensors = model.state_dict().values()
    return Cost(
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        megabytes=round(2 * sum(tensor.numel() for tensor in tensors) / 1e6, 2),
        ms=round(milliseconds(model), 2),
    )


def milliseconds(model: nn.Module) -> float:
    """Time from samples to logits: the median of REPEATS runs after a first one."""
    extract = FeatureExtractor(model.features)  # type: ignore[arg-type]
    samples = torch.randn(1, round(CLIP_S * SAMPLE_RATE), generator=torch.Generator().manual_seed(0)) / 10
    lengths = torch.tensor([samples.shape[1]])
    times = []
    with torch.inference_mode():
        for _ in range(REPEATS + 1):
            started = time.perf_counter()
            model(*extract(samples, lengths))
            times.append(1000 * (time.perf_counter() - started))
    return median(times[1:])


def unseen(name: str) -> compare.Row | None:
    """Accuracy of `name` on RAVDESS actors that it was not trained on; None if no run is kept."""
    folder = next((RESULTS / name / p for p in UNSEEN if (RESULTS / name / p).is_dir()), None)
    return compare.rows([folder])[0] if folder else None


def by_file(name: str) -> compare.Row | None:
    """Accuracy of `name` on random RAVDESS clips of actors that it was trained on."""
    folder = RESULTS / name / BY_FILE
    return compare.rows([folder])[0] if folder.is_dir() else None


def ranked(costs: dict[str, Cost]) -> list[str]:
    """The architectures that have a row, best first."""
    rows = {name: unseen(name) for name in costs}
    return sorted((name for name in rows if rows[name]), key=lambda name: -(rows[name].uar or 0))


def table(costs: dict[str, Cost]) -> str:
    """The results as a Markdown table; percent with 95 % intervals over speakers."""
    lines = [
        "| architecture | parameters | MB | ms a clip | test | accuracy | UAR | macro-F1 | ECE "
        "| accuracy by file, *speaker-dependent* |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name in ranked(costs):
        row, dependent, needs = unseen(name), by_file(name), costs[name]
        assert row
        tested = "five folds" if (RESULTS / name / UNSEEN[0]).is_dir() else "fold 0 only"
        cells = (
            f"`{name}`",
            f"{needs.parameters / 1e6:.2f} M",
            f"{needs.megabytes:.1f}",
            f"{needs.ms:.1f}",
            tested,
            compare.with_interval(row.accuracy, row.accuracy_ci95),
            compare.with_interval(row.uar, row.uar_ci95),
            f"{row.macro_f1:.1f}",
            f"{row.ece:.3f}",
            f"{dependent.accuracy:.1f}" if dependent else "",
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    typer.run(main)
