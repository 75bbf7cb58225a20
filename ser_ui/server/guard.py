"""What stands before every request: limits, closed doors, security headers, and logs that name nobody.

Gradio serves more than this page needs: a proxy for any address, a video editor for uploads, calls that skip
the queue, copies of a session on disk. These doors are closed.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from gradio.route_utils import get_hostname
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ser_ui import words
from ser_ui.server import failures
from ser_ui.server.limits import (
    MAX_BODY_BYTES,
    MAX_FILE_BYTES,
    MAX_UPLOAD_BYTES,
    SOON_S,
    STALL_S,
    Limits,
    Refusal,
    client_name,
)
from ser_ui.server.storage import Storage

API = "/gradio_api"
UPLOAD = f"{API}/upload"
CALLS = (f"{API}/queue/join", f"{API}/call/")
TOOLS = f"{API}/mcp"
RESULTS = (f"{API}/queue/data", f"{API}/call/")
FILE = f"{API}/file="
PAGE = f"{API}/heartbeat/"  # a page asks for this as long as it is open
CLOSED = (
    *(f"{API}/run/", f"{API}/api/"),  # skip the queue
    *(f"{API}/proxy=", f"{FILE}http:", f"{FILE}https:"),  # fetch from elsewhere
    *(f"{API}/deep_link", f"{API}/runs", f"{API}/run-history", "/monitoring"),  # keep or show what people do
    *(f"{API}/process_recording", f"{API}/component_server", f"{API}/vibe-", f"{API}/stream/"),  # unused here
)
HERE = ("localhost", "127.0.0.1", "0.0.0.0", "::1")  # hosts of a server for this machine alone
# Gradio's page starts with scripts in its HTML, and gr.HTML makes functions of its components' scripts: both
# have to be allowed. What is never allowed is anything from elsewhere. A Space shows the page in a frame.
POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "media-src 'self' data: blob:",
        "connect-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'self' https://huggingface.co https://*.hf.space",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
log = logging.getLogger(__name__)


class Guard:
    """ASGI middleware around all of the server's routes."""

    def __init__(self, app: ASGIApp, limits: Limits, storage: Storage) -> None:
        self._app, self._limits, self._storage = app, limits, storage

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lets a request pass, or answers it."""
        if scope["type"] == "http":
            await self._answer(scope, receive, send)
        elif scope["type"] == "websocket" and _is_foreign(Headers(scope=scope)):
            await send({"type": "websocket.close", "code": 1008})  # before it is accepted: HTTP 403
        else:
            await self._app(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        status = None

        async def tell(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                if status == 503:  # Gradio's own, of a queue that has just become full
                    headers.setdefault("Retry-After", f"{SOON_S:g}")
            await send(message)

        path = scope["path"].removeprefix(scope.get("root_path", ""))
        client = client_name(scope["client"][0] if scope.get("client") else "")
        try:
            with ExitStack() as held:
                self._admit(held, client, path, scope)
                await self._app(scope, _limited(receive, path, Headers(scope=scope)), tell)
            if scope["method"] == "POST" and status == 200:
                self._note(client, path)
            return
        except Refusal as refusal:
            answer = refused(refusal, path, Headers(scope=scope))
        except Exception as error:  # noqa: BLE001 - the last one to catch it; it is logged without its words
            log.error("a request failed: %s", failures.describe(error))
            answer = refused(Refusal(500, "failed"), path, Headers(scope=scope))
        if status is None:
            await answer(scope, receive, tell)

    def _admit(self, held: ExitStack, client: str, path: str, scope: Scope) -> None:
        """Refusal where a request may not pass; what it takes is given back when `held` ends."""
        method = scope["method"]
        if path.startswith(CLOSED):
            raise Refusal(404, "closed")
        held.enter_context(self._limits.requests.taken(client))
        if method == "POST" and _is_foreign(Headers(scope=scope)):
            raise Refusal(403, "foreign")
        if method == "POST" and path.startswith((UPLOAD, TOOLS, *CALLS)):
            self._limits.admit(client, upload=path == UPLOAD)
        if method == "POST" and path == UPLOAD:
            held.enter_context(self._limits.uploads.taken(client))
        elif method == "POST" and path.startswith(TOOLS):
            # Gradio sends tool calls on to its queue itself, with their headers: they stay this client's.
            scope["headers"] = [*scope["headers"], (b"x-forwarded-for", client.encode())]
        elif method == "GET" and path.startswith(RESULTS):
            held.enter_context(self._delivering())
        elif path.startswith(PAGE):
            held.enter_context(self._storage.open_page(path.removeprefix(PAGE)))
        elif path.startswith(FILE):
            self._storage.use(Path(path.removeprefix(FILE)))

    def _note(self, client: str, path: str) -> None:
        """What a request that was served means for those to come."""
        if path == UPLOAD:
            self._limits.promise(client)
        elif path.startswith(CALLS):
            self._limits.keep_promise(client)

    @contextmanager
    def _delivering(self) -> Iterator[None]:
        self._limits.delivering += 1
        try:
            yield
        finally:
            self._limits.delivering -= 1


def _limited(receive: Receive, path: str, headers: Headers) -> Receive:
    """`receive`, of a client that must neither send too much nor stop in the middle."""
    most = MAX_UPLOAD_BYTES if path == UPLOAD else MAX_BODY_BYTES
    too_large = Refusal(
        *(413, "too_much_sound" if path == UPLOAD else "too_much"),
        most=most // 1024**2,
        file=MAX_FILE_BYTES // 1024**2,
    )
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) > most:
        raise too_large
    size, complete = 0, False

    async def limited() -> Message:
        nonlocal size, complete
        try:
            async with asyncio.timeout(None if complete else STALL_S):
                message = await receive()
        except TimeoutError:
            raise Refusal(408, "stalled", seconds=f"{STALL_S:g}") from None
        size += len(message.get("body", b""))
        complete = not message.get("more_body", False)
        if size > most:
            raise too_large
        return message

    return limited


def refused(refusal: Refusal, path: str, headers: Mapping[str, str]) -> Response:
    """The answer to a refused request in the language that its `headers` ask for.

    Gradio's page shows that to an upload as it is, else its `detail`.
    """
    told = refusal.told(words.asked(headers))
    if path == UPLOAD:
        return PlainTextResponse(told, refusal.status_code, refusal.headers)
    return JSONResponse({"detail": told}, refusal.status_code, refusal.headers)


def _is_foreign(headers: Headers) -> bool:
    """Whether the page of another website asks a server that is for this machine: Gradio's rule for CORS."""
    origin = headers.get("origin")
    return (
        origin is not None
        and get_hostname(headers.get("host", "")) in HERE
        and get_hostname(origin) not in HERE
    )
