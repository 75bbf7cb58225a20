"""Commands of `python -m ser_core`."""

from typing import Annotated

import typer

from ser_core import doctor as health

app = typer.Typer(help="Which emotion sounds where in recorded speech.", no_args_is_help=True, add_completion=False)


@app.callback()
def main() -> None:
    """Keep `doctor` a subcommand while it is alone."""


@app.command()
def doctor(
    repair: Annotated[bool, typer.Option("--repair", help="Mend torchaudio's import.")] = False,
) -> None:
    """What is there and what is missing, one line each."""
    if repair:
        mended = health.repair_torchaudio()
        typer.echo(mended.line)
        raise typer.Exit(0 if mended.ok else 1)
    failed = False
    for check in health.checks():
        typer.echo(check.line)
        failed = failed or (check.needed and not check.ok)
    raise typer.Exit(1 if failed else 0)
