"""Writers of analyses, one format a file; a writer takes analyses and returns the whole text."""

from collections.abc import Callable, Mapping, Sequence

from ser_core.analysis import Analysis
from ser_core.export import csv, json

WRITERS: Mapping[str, Callable[[Sequence[Analysis]], str]] = {"json": json.dumps, "csv": csv.dumps}
