"""The command itself; what it uses is imported in it, as in `ser_core.commands.cli`."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ser_core.commands.terminal import SOME_FAILED, load, say, stop
from ser_core.commands.voices import Channels, Voices, described, options_of
from ser_core.errors import how_to_install

if TYPE_CHECKING:
    from ser_core.commands.batch.engines import Part
    from ser_core.commands.batch.output import Output

ENGINES = ("local", "ray")
ROWS = "2"  # raised when a column is added or changes its meaning
HOUR_S = 3600


def batch(
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT…", help="Files, folders, patterns, or URLs of these.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Gets the Parquet files.")],
    engine: Annotated[str, typer.Option(metavar="|".join(ENGINES), help="Who does the work.")] = "local",
    gpus: Annotated[int, typer.Option(metavar="N", min=0, help="How many GPUs work; else cores do.")] = 0,
    model: Annotated[
        str, typer.Option(metavar="NAME", help="A shipped checkpoint, or a folder.")
    ] = "default",
    voices: Voices = None,
    channels: Channels = None,
) -> None:
    """Archives of recordings to Parquet, a row a segment; given again, it goes on where it was stopped.

    URLs are of s3, gs, hf or any file system of fsspec. A recording that cannot be read is a row with its
    error. A recording is known by its name: what is in DIR already is not done again. Exit code: 0 all good,
    1 some recordings could not be read, 2 usage.
    """
    from ser_core import __version__
    from ser_core.checkpoint import bundle as bundles

    if engine not in ENGINES:
        stop(f"no engine is called {engine!r}; there are {', '.join(ENGINES)}")
    if engine == "local" and gpus > 1:
        stop("the local engine works on one GPU: ask for --engine ray")
    options = options_of(voices, channels)
    for package in ("pyarrow", "fsspec", *(("ray",) if engine == "ray" else ())):
        if find_spec(package) is None:
            stop(f"batch needs {package}, which is not installed: {how_to_install('scale')}")

    from ser_core.commands.batch import engines, recordings
    from ser_core.commands.batch.output import Output, OutputError
    from ser_core.commands.journal import JournalError

    try:
        bundle = bundles.read(model)
        found, remarks = recordings.expand(inputs)
        work = {"model": f"{bundle.name} {bundle.version} {bundle.sha256[:16]}"}
        output = Output(out, work | described(options) | {"rows": ROWS, "ser_core": __version__})
    except (bundles.BundleError, recordings.ListingError, OutputError, JournalError) as error:
        stop(error.message)
    except OSError as error:
        stop(f"--out {out} cannot be written: {error.strerror}")
    todo = list(recordings.chunks([item for item in found if item.source not in output.done]))
    say(f"{len(found)} recordings, {len(found) - sum(map(len, todo))} of them done before")
    if engine == "ray":
        parts = engines.ray(todo, str(bundle.path), gpus, options)
    else:
        parts = engines.local(todo, load(model, "cuda" if gpus else "cpu"), options)
    seconds = 0.0
    try:
        for part in parts if todo else ():
            _add(output, part)
            seconds += part.seconds
            failed = f", {output.failed} of them could not be read" if output.failed else ""
            say(f"{len(output.done)} done{failed}; {seconds / HOUR_S:.2f} h of sound in this run")
    except ConnectionError as error:
        stop(f"the Ray cluster does not answer: {error}")
    output.close()
    for remark in remarks:
        say(remark)
    undone = [item.source for item in found if item.source not in output.done]
    if undone:
        say(f"{len(undone)} not done, as the workers died over them; given again they are tried: {undone[0]}")
    raise typer.Exit(SOME_FAILED if output.failed or undone else 0)


def _add(output: "Output", part: "Part") -> None:
    try:
        output.add(part)
    except OSError as error:
        stop(f"--out cannot be written: {error.strerror}")
