"""Pages in which benchmarks renew a part."""

from pathlib import Path


def renew(page: Path, begin: str, end: str, text: str) -> None:
    """Puts `text` between the lines `begin` and `end` of `page`; ValueError where they are not there."""
    before, found, rest = page.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"{page} has no {begin} … {end}")
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
