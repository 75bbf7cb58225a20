"""`python -m ser_core`."""

from ser_core.commands.cli import app

app(prog_name="python -m ser_core")
