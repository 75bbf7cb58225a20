"""A plain file server on 127.0.0.1 for the built page: no headers of its own, no other routes."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

Log = list[tuple[str, int]]  # path and bytes of each answer, in order


class _Handler(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *arguments: object, log: Log, **options: object) -> None:
        self._log = log
        super().__init__(*arguments, **options)  # type: ignore[arg-type]

    def send_header(self, keyword: str, value: str) -> None:
        """As inherited; notes the size of what is sent."""
        if keyword == "Content-Length":
            self._log.append((self.path, int(value)))
        super().send_header(keyword, value)

    def log_message(self, format: str, *arguments: object) -> None:
        """Prints nothing."""


@contextmanager
def serving(folder: Path, log: Log | None = None) -> Iterator[str]:
    """The address under which `folder` is served; `log` gets every answer."""
    handler = partial(_Handler, directory=str(folder), log=[] if log is None else log)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
