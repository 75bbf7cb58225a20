"""Middleware before every request: limits, closed endpoints, security headers, logs without personal data.

Gradio serves more than this page needs: a proxy for any address, a video editor for uploads, calls that skip
the queue, copies of a session on disk. These endpoints are closed.
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
PAGE = f"{API}/heartbeat/"  # open for as long as the page is
CLOSED = (
    *(f"{API}/run/", f"{API}/api/"),  # skip the queue
    *(f"{API}/proxy=", f"{FILE}http:", f"{FILE}https:"),  # fetch from other servers
    *(f"{API}/deep_link", f"{API}/runs", f"{API}/run-history", "/monitoring"),  # record what visitors do
    *(f"{API}/process_recording", f"{API}/component_server", f"{API}/vibe-", f"{API}/stream/"),  # unused here
)
LOCAL_HOSTS = ("localhost", "127.0.0.1", "0.0.0.0", "::1")  # of a server for this machine alone
# Inline scripts and eval are allowed because Gradio's page has scripts in its HTML, and gr.HTML makes
# functions of its components' scripts. Other servers are never allowed. A Space shows the page in a frame.
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
    """ASGI middleware around all routes of the server."""

    def __init__(self, app: ASGIApp, limits: Limits, storage: Storage) -> None:
        self._app, self._limits, self._storage = app, limits, storage

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or refuses it."""
        if scope["type"] == "http":
            await self._handle(scope, receive, send)
        elif scope["type"] == "websocket" and _is_foreign(Headers(scope=scope)):
            await send({"type": "websocket.close", "code": 1008})  # before it is accepted: HTTP 403
        else:
            await self._app(scope, receive, send)

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Admits an HTTP request, adds the security headers to its response, and logs a failure."""
        status = None

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                if status == 503:  # Gradio's own refusal when its queue is full
                    headers.setdefault("Retry-After", f"{SOON_S:g}")
            await send(message)

        path = scope["path"].removeprefix(scope.get("root_path", ""))
        client = client_name(scope["client"][0] if scope.get("client") else "")
        try:
            with ExitStack() as resources:
                self._admit(resources, client, path, scope)
                await self._app(scope, _limited(receive, path, Headers(scope=scope)), send_with_headers)
            if scope["method"] == "POST" and status == 200:
                self._update_reservations(client, path)
            return
        except Refusal as refusal:
            response = refusal_response(refusal, path, Headers(scope=scope))
        except Exception as error:  # noqa: BLE001 - the last handler; logged without its text
            log.error("a request failed: %s", failures.describe(error))
            response = refusal_response(Refusal(500, "failed"), path, Headers(scope=scope))
        if status is None:
            await response(scope, receive, send_with_headers)

    def _admit(self, resources: ExitStack, client: str, path: str, scope: Scope) -> None:
        """Raises Refusal if a request may not pass; what it takes is released when `resources` closes."""
        method = scope["method"]
        if path.startswith(CLOSED):
            raise Refusal(404, "closed")
        resources.enter_context(self._limits.requests.take(client))
        if method == "POST" and _is_foreign(Headers(scope=scope)):
            raise Refusal(403, "foreign")
        if method == "POST" and path.startswith((UPLOAD, TOOLS, *CALLS)):
            self._limits.admit(client, upload=path == UPLOAD)
        if method == "POST" and path == UPLOAD:
            resources.enter_context(self._limits.uploads.take(client))
        elif method == "POST" and path.startswith(TOOLS):
            # Gradio forwards tool calls to its queue with their headers: this attributes them to the client.
            scope["headers"] = [*scope["headers"], (b"x-forwarded-for", client.encode())]
        elif method == "GET" and path.startswith(RESULTS):
            resources.enter_context(self._delivering())
        elif path.startswith(PAGE):
            resources.enter_context(self._storage.open_page(path.removeprefix(PAGE)))
        elif path.startswith(FILE):
            self._storage.use(Path(path.removeprefix(FILE)))

    def _update_reservations(self, client: str, path: str) -> None:
        """Reserves a place for the analysis of an upload, or releases it when the analysis is queued."""
        if path == UPLOAD:
            self._limits.reserve(client)
        elif path.startswith(CALLS):
            self._limits.release(client)

    @contextmanager
    def _delivering(self) -> Iterator[None]:
        self._limits.delivering += 1
        try:
            yield
        finally:
            self._limits.delivering -= 1


def _limited(receive: Receive, path: str, headers: Headers) -> Receive:
    """`receive` with limits on size and stalling. Raises Refusal if the content-length is too large."""
    max_bytes = MAX_UPLOAD_BYTES if path == UPLOAD else MAX_BODY_BYTES
    too_large = Refusal(
        *(413, "too_much_sound" if path == UPLOAD else "too_much"),
        most=max_bytes // 1024**2,
        file=MAX_FILE_BYTES // 1024**2,
    )
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) > max_bytes:
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
        if size > max_bytes:
            raise too_large
        return message

    return limited


def refusal_response(refusal: Refusal, path: str, headers: Mapping[str, str]) -> Response:
    """The response to a refused request, in the language that its `headers` ask for.

    Gradio's page shows an upload's response as it is, and the `detail` of all others.
    """
    message = refusal.message(words.for_headers(headers))
    if path == UPLOAD:
        return PlainTextResponse(message, refusal.status_code, refusal.headers)
    return JSONResponse({"detail": message}, refusal.status_code, refusal.headers)


def _is_foreign(headers: Headers) -> bool:
    """Whether another website's page calls a server that is for this machine alone: Gradio's CORS rule."""
    origin = headers.get("origin")
    return (
        origin is not None
        and get_hostname(headers.get("host", "")) in LOCAL_HOSTS
        and get_hostname(origin) not in LOCAL_HOSTS
    )
