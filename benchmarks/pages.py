"""Replaces a section of a Markdown page, for benchmarks that update one."""

from pathlib import Path


def replace_section(page: Path, begin: str, end: str, text: str) -> None:
    """Puts `text` between the lines `begin` and `end` of `page`. Raises ValueError if they are missing."""
    before, begin_mark, rest = page.read_text(encoding="utf-8").partition(begin)
    _, end_mark, after = rest.partition(end)
    if not (begin_mark and end_mark):
        raise ValueError(f"{page} has no {begin} … {end}")
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
