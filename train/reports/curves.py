"""Learning curves of a run: a CSV with a row for each epoch, and a figure."""

import csv
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import lightning as L
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

CSV = "curves.csv"
PICTURE = "curves.png"


@dataclass(frozen=True)
class Epoch:
    """One row of the CSV. Validation values are None in a run without a validation part."""

    epoch: int  # counted from 0, as metrics.json counts
    learning_rate: float  # of the new layers, at the epoch's start
    train_loss: float  # mean over the epoch's (augmented) batches
    validation_loss: float | None
    validation_uar: float | None  # percent


class Curves(L.Callback):
    """Writes `curves.csv` into a run's folder after each epoch, before Lightning saves the epoch.

    A resumed run keeps the rows of the epochs that it does not train again.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / CSV
        self.epochs: list[Epoch] = []
        self.learning_rate = 0.0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Reads the rows of finished epochs where a run is resumed."""
        self.epochs = [row for row in read(self.path) if row.epoch < trainer.current_epoch]

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stores the learning rate at the start of the epoch."""
        self.learning_rate = float(trainer.optimizers[0].param_groups[0]["lr"])

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Adds the epoch's row."""
        logged = {name: float(value) for name, value in trainer.callback_metrics.items()}
        loss, uar = logged.get("validation/loss"), logged.get("validation/uar")
        self.epochs.append(
            Epoch(
                trainer.current_epoch,
                self.learning_rate,
                logged["train/loss"],
                loss,
                None if uar is None else 100 * uar,
            )
        )
        if trainer.is_global_zero:
            write(self.path, self.epochs)


def write(path: Path, epochs: Sequence[Epoch]) -> None:
    """Writes `epochs` to `path` atomically: a killed process leaves the old file or the new one."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(Epoch)])
        writer.writeheader()
        for row in epochs:
            cells = {name: f"{value:.6g}" for name, value in asdict(row).items() if value is not None}
            writer.writerow(cells)
    os.replace(partial, path)


def read(path: Path) -> list[Epoch]:
    """The rows that `write` wrote; empty where there is no such file."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Epoch(
                int(row["epoch"]),
                float(row["learning_rate"]),
                float(row["train_loss"]),
                float(row["validation_loss"]) if row["validation_loss"] else None,
                float(row["validation_uar"]) if row["validation_uar"] else None,
            )
            for row in csv.DictReader(file)
        ]


def figure(epochs: Sequence[Epoch], selected: int, title: str) -> Figure:
    """Loss, UAR and learning rate over the epochs, with a line at the `selected` epoch."""
    chart = Figure(figsize=(10.5, 3.4), layout="constrained")
    loss, uar, rate = chart.subplots(1, 3)
    numbers = [row.epoch for row in epochs]
    validated = [row for row in epochs if row.validation_loss is not None]
    loss.plot(numbers, [row.train_loss for row in epochs], ".-", label="training (augmented)")
    if validated:
        loss.plot(
            [row.epoch for row in validated],
            [row.validation_loss for row in validated],
            ".-",
            label="validation",
        )
        uar.plot(
            [row.epoch for row in validated], [row.validation_uar for row in validated], ".-", color="C1"
        )
    rate.plot(numbers, [row.learning_rate for row in epochs], ".-", color="C2")
    for axes, name in (
        (loss, "loss"),
        (uar, "UAR on the validation part (percent)"),
        (rate, "learning rate at the epoch's start"),
    ):
        axes.axvline(selected, color="black", linewidth=1, linestyle="--", label=f"kept: epoch {selected}")
        axes.set_title(name, fontsize="medium")
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
    loss.legend(fontsize="small")
    chart.suptitle(title)
    return chart


def draw(folder: Path, selected: int, title: str) -> None:
    """`curves.png` from the `curves.csv` of a run's folder, if there is one."""
    epochs = read(folder / CSV)
    if epochs:
        figure(epochs, selected, title).savefig(folder / PICTURE, dpi=110)
