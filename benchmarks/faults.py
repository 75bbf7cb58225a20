"""What an older version of the program made of damaged and unusual recordings, beside what this one makes.

`python -m benchmarks.faults --before CHECKOUT` reads the inputs of ../shared/faults and the files that
tests/defects.py makes with both versions, each in a process of its own, prints those that are read in another
way, and writes benchmarks/results/faults.json.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from defect_kinds import KINDS, behind_id3, cut, in_latin1, whole  # noqa: E402
from defects import CASES, made  # noqa: E402
from shared_faults import FAULTS, FILES  # noqa: E402

OUT = ROOT / "benchmarks" / "results" / "faults.json"
# Prints for each line of its input, a path, a line of JSON: seconds, and names of warnings or of an error.
# Versions before the warnings were there take no list for them.
READ = """
import inspect, json, sys
from ser_core.audio.decode import stream
from ser_core.errors import AudioError
has_warnings = "warnings" in inspect.signature(stream).parameters
for line in sys.stdin:
    warnings, samples, error = [], 0, ""
    try:
        for block in stream(line.rstrip(), **({"warnings": warnings} if has_warnings else {})):
            samples += len(block)
    except AudioError as refused:
        error = refused.code
    except Exception as raised:
        error = type(raised).__name__
    said = [warning.partition(":")[0] for warning in warnings] + [error] * bool(error)
    print(json.dumps([samples / 16_000, ", ".join(said)]), flush=True)
"""


def main(
    before: Annotated[Path, typer.Option(help="a checkout of the older version")],
    out: Annotated[Path, typer.Option(help="where the figures go")] = OUT,
) -> None:
    """Reads all inputs with both versions; prints and writes what came of each."""
    commit = ["git", "-C", str(before), "rev-parse", "--short", "HEAD"]
    with TemporaryDirectory() as folder:
        inputs = {name: FAULTS / name for name in FILES if FAULTS.is_dir()}
        for number, (name, content) in enumerate(generated()):
            path = inputs[f"{number}: {name}"] = Path(folder) / f"{number}.bin"
            path.write_bytes(content)
        old, new = (read_in(checkout, list(inputs.values())) for checkout in (before, ROOT))
    rows = {name: {"before": old[i], "now": new[i]} for i, name in enumerate(inputs)}
    for name, row in rows.items():
        if row["before"] != row["now"]:
            typer.echo(f"{name:<90} {words(row['before']):<32} {words(row['now'])}")
    differ = sum(row["before"] != row["now"] for row in rows.values())
    typer.echo(f"{differ} of {len(rows)} are read in another way than before")
    report = {
        "command": "python -m benchmarks.faults --before CHECKOUT",
        "before": subprocess.run(commit, capture_output=True, text=True, check=True).stdout.strip(),
        "differ": differ,
        "inputs": rows,
    }
    out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def generated() -> Iterator[tuple[str, bytes]]:
    """The name and the content of each file of the tables in docs/reliability.md."""
    for kind in KINDS:
        name, content = f"{kind.container} {kind.codec}", whole(kind)
        yield name, content
        yield f"{name}, cut off", cut(content)
        yield f"{name}, ID3 in front", behind_id3(content)
        if kind.title:
            yield f"{name}, title in Latin-1", in_latin1(content)
    for case in CASES:
        yield f"{case.where}, {case.defect}", made(case)


def read_in(checkout: Path, paths: list[Path]) -> list[tuple[float, str]]:
    """Seconds of sound and what was said of each of `paths` by the program in `checkout`."""
    lines = "".join(f"{path}\n" for path in paths)
    done = subprocess.run(
        [sys.executable, "-c", READ], cwd=checkout, input=lines, capture_output=True, text=True, check=True
    )
    return [(round(seconds, 2), said) for seconds, said in map(json.loads, done.stdout.splitlines())]


def words(outcome: tuple[float, str]) -> str:
    """Seconds of sound, and what was said."""
    seconds, said = outcome
    return f"{seconds:.2f} s {said}"


if __name__ == "__main__":
    typer.run(main)
