"""Two Ray nodes and a killed worker: `python -m benchmarks.ray_nodes` writes results/ray_nodes.json.

Needs requirements-scale.txt. Two nodes of one core each are started on this machine (two `ray start` on
127.0.0.1). `batch --engine ray` analyses generated clips; when a quarter of them is done, one of the two
workers gets SIGKILL. Then `batch --engine local` analyses the same clips, and all rows are compared.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Annotated, Any

import numpy as np
import pyarrow.dataset
import typer

from benchmarks.processes import free_port, running_process
from benchmarks.resume import make
from benchmarks.speed import ROOT, machine
from ser_core.commands.batch.output import MANIFEST
from ser_core.emotions import LABELS

RESULTS = ROOT / "benchmarks" / "results" / "ray_nodes.json"
RAY = "import sys; from ray.scripts.scripts import main; sys.argv[0] = 'ray'; main()"
POLL_S = 0.1


def main(
    clips: Annotated[int, typer.Option(help="How many.")] = 2000,
    broken: Annotated[int, typer.Option(help="How many of these cannot be read.")] = 20,
    model: Annotated[str, typer.Option(help="The checkpoint.")] = "default",
    results: Annotated[Path, typer.Option(help="Where the figures go.")] = RESULTS,
) -> None:
    report: dict[str, Any] = {"machine": machine(), "model": model, "clips": clips, "broken": broken}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "calls").mkdir()
        make(folder / "calls", clips, broken)
        with two_nodes(folder) as environment:
            report |= with_a_kill(command(folder, "ray", model), environment, folder / "ray", clips)
        started = time.perf_counter()
        subprocess.run(command(folder, "local", model), cwd=ROOT, check=False, stderr=subprocess.DEVNULL)
        report["local_s"] = time.perf_counter() - started
        report |= row_differences(folder / "ray", folder / "local")
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print("\n".join(f"{key:<28}{value}" for key, value in report.items() if key != "machine"))


def command(folder: Path, engine: str, model: str) -> list[str]:
    """The command that analyses the clips."""
    calls, out = str(folder / "calls"), str(folder / engine)
    return [
        *(sys.executable, "-m", "ser_core", "batch", calls),
        *("--out", out, "--engine", engine, "--model", model),
    ]


@contextmanager
def two_nodes(folder: Path) -> Iterator[Mapping[str, str]]:
    """A cluster of two nodes of one core each; yields the environment for its clients."""
    port = str(free_port())
    environment = {
        **os.environ,
        "RAY_ADDRESS": f"127.0.0.1:{port}",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
        "PYTHONPATH": str(ROOT),
    }
    head = ["--head", "--port", port, "--include-dashboard", "false", "--temp-dir", str(folder / "r")]
    with node(head, environment), node(["--address", environment["RAY_ADDRESS"]], environment):
        yield environment


def node(
    arguments: list[str], environment: Mapping[str, str]
) -> AbstractContextManager[subprocess.Popen[str]]:
    """A node that runs while the block runs."""
    options = ["--node-ip-address", "127.0.0.1", "--num-cpus", "1", "--object-store-memory", "200000000"]
    command = [sys.executable, "-c", RAY, "start", *arguments, *options, "--block"]
    own_environment = {key: value for key, value in environment.items() if key != "RAY_ADDRESS"}
    return running_process(command, "This command will now block", own_environment)


def with_a_kill(
    arguments: list[str], environment: Mapping[str, str], out: Path, clips: int
) -> dict[str, Any]:
    """Runs the command, and kills a worker when a quarter of the clips is done."""
    started = time.perf_counter()
    process = subprocess.Popen(arguments, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and done(out) < clips // 4:
        time.sleep(POLL_S)
    workers = workers_running()
    done_at_kill = done(out)
    if workers:
        os.kill(workers[0], signal.SIGKILL)
    _, stderr = process.communicate()
    if done(out) < clips:
        raise RuntimeError(f"only {done(out)} of {clips} were done: {stderr}")
    return {
        "workers": len(workers),
        "done_at_the_kill": done_at_kill,
        "ray_s": time.perf_counter() - started,
        "exit_code": process.returncode,
    }


def done(out: Path) -> int:
    """The number of clips in the manifest."""
    try:
        lines = (out / MANIFEST).read_text(encoding="utf-8").splitlines()[1:]
        return sum(len(json.loads(line)["sources"]) for line in lines)
    except (FileNotFoundError, ValueError):  # not started, or in the middle of a line
        return 0


def workers_running() -> list[int]:
    """The ids of the processes that have the model loaded."""
    workers = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().startswith(b"ray::") and b"_Actor" in path.read_bytes():
                workers.append(int(path.parent.name))
        except OSError:
            continue  # it has ended
    return workers


def row_differences(left: Path, right: Path) -> dict[str, Any]:
    """Differences between the rows of two folders."""
    rows = [
        pyarrow.dataset.dataset(folder, format="parquet")
        .to_table()
        .sort_by([("source", "ascending"), ("segment", "ascending")])
        .to_pylist()
        for folder in (left, right)
    ]
    keys = [[(row["source"], row["segment"]) for row in table] for table in rows]
    difference = 0.0
    if keys[0] == keys[1]:
        numbers = [np.array([[row[label] or 0.0 for label in LABELS] for row in table]) for table in rows]
        difference = float(np.abs(numbers[0] - numbers[1]).max())
    return {
        "rows": len(keys[1]),
        "lost": len(set(keys[1]) - set(keys[0])),
        "doubled": len(keys[0]) - len(set(keys[0])),
        "invented": len(set(keys[0]) - set(keys[1])),
        "same_labels": keys[0] == keys[1]
        and all(a["label"] == b["label"] and a["error"] == b["error"] for a, b in zip(*rows, strict=True)),
        "largest_difference": difference,  # of a probability
    }


if __name__ == "__main__":
    typer.run(main)
