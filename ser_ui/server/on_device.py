"""The static page of `web/` as files of this server, for the switch "on this device".

`make web` builds it. Where it was not built there is neither the route nor the switch.
"""

from pathlib import Path

from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

PATH = "/on-device"
DIST = Path(__file__).parents[2] / "web" / "dist"


def is_built() -> bool:
    """Whether the page is here."""
    return (DIST / "index.html").is_file()


def routes() -> list[Mount]:
    """The route of the page's files; none where it was not built."""
    return [Mount(PATH, StaticFiles(directory=DIST, html=True))] if is_built() else []
