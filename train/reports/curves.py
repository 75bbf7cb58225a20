"""Curves of a run, epoch by epoch: a small CSV that a stopped run continues, and its picture."""

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
    """One row of the CSV. A run without a validation part has no values for it."""

    epoch: int  # counted from 0, as metrics.json counts
    learning_rate: float  # of the new layers, at the epoch's start
    train_loss: float  # mean over the epoch's (augmented) batches
    validation_loss: float | None
    validation_uar: float | None  # percent


class Curves(L.Callback):
    """Writes `curves.csv` into a run's folder after each epoch, before Lightning saves the epoch.

    A run that goes on keeps the rows of the epochs it does not train again.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / CSV
        self.epochs: list[Epoch] = []
        self.learning_rate = 0.0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Takes up what an earlier start of this run wrote."""
        self.epochs = [row for row in read(self.path) if row.epoch < trainer.current_epoch]

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Notes the learning rate."""
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
    """Puts `epochs` at `path` at once, so that a kill leaves the old file or the new one."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(Epoch)])
        writer.writeheader()
        for row in epochs:
            cells = {name: f"{value:.6g}" for name, value in asdict(row).items() if value is not None}
            writer.writerow(cells)
    os.replace(partial, path)


def read(path: Path) -> list[Epoch]:
    """What `write` wrote; nothing where there is no such file."""
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


def figure(epochs: Sequence[Epoch], kept: int, title: str) -> Figure:
    """Loss, UAR and learning rate over the epochs, a line at the one that was `kept`."""
    drawn = Figure(figsize=(10.5, 3.4), layout="constrained")
    loss, uar, rate = drawn.subplots(1, 3)
    numbers = [row.epoch for row in epochs]
    judged = [row for row in epochs if row.validation_loss is not None]
    loss.plot(numbers, [row.train_loss for row in epochs], ".-", label="training (augmented)")
    if judged:
        loss.plot(
            [row.epoch for row in judged], [row.validation_loss for row in judged], ".-", label="validation"
        )
        uar.plot([row.epoch for row in judged], [row.validation_uar for row in judged], ".-", color="C1")
    rate.plot(numbers, [row.learning_rate for row in epochs], ".-", color="C2")
    for axes, name in (
        (loss, "loss"),
        (uar, "UAR on the validation part (percent)"),
        (rate, "learning rate at the epoch's start"),
    ):
        axes.axvline(kept, color="black", linewidth=1, linestyle="--", label=f"kept: epoch {kept}")
        axes.set_title(name, fontsize="medium")
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
    loss.legend(fontsize="small")
    drawn.suptitle(title)
    return drawn


def draw(folder: Path, kept: int, title: str) -> None:
    """`curves.png` from the `curves.csv` of a run's folder, if there is one."""
    epochs = read(folder / CSV)
    if epochs:
        figure(epochs, kept, title).savefig(folder / PICTURE, dpi=110)
