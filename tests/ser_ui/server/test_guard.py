"""The middleware before every request, around a small app whose routes are named as Gradio's."""

import asyncio
from pathlib import Path

import pytest
from fastapi import Request
from gradio.queueing import Queue
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect
from support import run
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from ser_ui.server import guard, limits
from ser_ui.server.guard import HEADERS, UPLOAD, Guard
from ser_ui.server.limits import (
    BURST,
    MAX_BODY_BYTES,
    MAX_UPLOAD_BYTES,
    MAX_UPLOADS,
    QUEUE_SIZE,
    SPACE_PROXIES,
    Limits,
)
from ser_ui.server.storage import CLOSED_RETENTION_S, RETENTION_S, Storage

REMOTE = ("203.0.113.7", 5000)
CALL = f"{guard.API}/call/analyze"
SECRET = "my divorce.wav"
CLOSED_PATHS = [
    f"/gradio_api/{path}"
    for path in (
        *("run/analyze", "api/analyze", "proxy=http://127.0.0.1:22/", "file=http://127.0.0.1/a"),
        *("file=https://example.com/a", "deep_link", "runs", "run-history/records", "process_recording"),
        *("component_server", "vibe-edit/", "stream/event"),
    )
] + ["/monitoring", "/monitoring/summary"]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Server:
    """An app behind a guard, which responds with the number of bytes that it received."""

    def __init__(self, folder) -> None:
        self.clock = Clock()
        self.limits = Limits(Queue(True, 1, 1.0, None, blocks=None), self.clock)
        self.storage = Storage(folder, self.clock)
        self.paths: list[str] = []  # of the requests that reached the app
        self.page_upload: Path | None = None  # an upload that a page uses as soon as it is open

        async def count_bytes(request: Request) -> PlainTextResponse:
            self.paths.append(request.url.path)
            return PlainTextResponse(str(len(await request.body())))

        async def fail(_: Request) -> None:
            raise FileNotFoundError(f"/tmp/gradio/{SECRET}")

        async def full(_: Request) -> PlainTextResponse:
            return PlainTextResponse("Queue is full", 503)

        async def tool(request: Request) -> JSONResponse:
            return JSONResponse(request.headers.items())

        async def live(websocket: WebSocket) -> None:
            await websocket.accept()
            await websocket.send_text("ready")
            await websocket.close()

        async def stream(request: Request) -> StreamingResponse:
            async def lines():
                if self.page_upload:
                    self.storage.use(self.page_upload, request.path_params["page"])
                yield "data: ALIVE\n\n"

            return StreamingResponse(lines(), media_type="text/event-stream")

        routes = [
            Route(f"{guard.API}/call/fail", fail, methods=["POST"]),
            Route(guard.PAGE + "{page}", stream),
            Route(f"{guard.API}/queue/join", full, methods=["POST"]),
            Route(guard.TOOLS, tool, methods=["POST"]),
            WebSocketRoute("/live", live),
            Route("/{path:path}", count_bytes, methods=["GET", "POST"]),
        ]
        middleware = [Middleware(Guard, limits=self.limits, storage=self.storage)]
        self.app = Starlette(routes=routes, middleware=middleware)

    def client(self, address: tuple[str, int] = REMOTE) -> TestClient:
        return TestClient(self.app, "http://demo.example", client=address)


@pytest.fixture
def server(tmp_path) -> Server:
    return Server(tmp_path)


def test_every_answer_carries_the_security_headers(server):
    client = server.client()
    for response in (client.get("/"), client.get("/monitoring"), client.post(f"{guard.API}/call/fail")):
        assert response.headers.items() >= {name.lower(): value for name, value in HEADERS.items()}.items()


def test_a_space_may_show_the_page_and_no_other_site_may():
    rules = dict(rule.split(" ", 1) for rule in HEADERS["Content-Security-Policy"].split("; "))
    assert rules["frame-ancestors"] == "'self' https://huggingface.co https://*.hf.space"
    elsewhere = [value for name, value in rules.items() if "http" in value and name != "frame-ancestors"]
    assert not elsewhere
    assert rules["default-src"] == "'self'"
    assert HEADERS["X-Content-Type-Options"] == "nosniff"
    assert HEADERS["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize("path", CLOSED_PATHS)
def test_what_gradio_offers_and_nobody_needs_is_closed(server, path):
    """The guard: `guard.CLOSED`."""
    client = server.client()
    assert client.get(path).status_code == 404
    assert client.post(path).status_code == 404
    assert not server.paths


@pytest.mark.parametrize(("path", "max_bytes"), [(UPLOAD, MAX_UPLOAD_BYTES), (CALL, MAX_BODY_BYTES)])
def test_too_much_is_refused_before_it_is_read(server, path, max_bytes):
    response = server.client().post(path, content=b"x", headers={"content-length": str(max_bytes + 1)})
    assert response.status_code == 413
    assert "MB" in response.text
    assert not server.paths


def test_too_much_that_is_not_announced_is_refused_where_it_becomes_too_much(server):
    pieces = (b"x" * 2**20 for _ in range(MAX_BODY_BYTES // 2**20 + 1))
    assert server.client().post(CALL, content=pieces).status_code == 413
    pieces = (b"x" * 2**20 for _ in range(MAX_BODY_BYTES // 2**20))
    assert server.client().post(CALL, content=pieces).text == str(MAX_BODY_BYTES)


def test_a_request_that_stops_in_the_middle_is_given_up(server, monkeypatch):
    monkeypatch.setattr(guard, "STALL_S", 0.01)
    messages = []

    async def half_a_body() -> dict:
        if not messages:
            return {"type": "http.request", "body": b"half", "more_body": True}
        return await asyncio.Future()

    async def ask() -> None:
        scope = {"type": "http", "method": "POST", "path": UPLOAD, "headers": [], "client": REMOTE}

        async def send(message: dict) -> None:
            messages.append(message)

        async def receive() -> dict:
            message = await half_a_body()
            messages.append(message)
            return message

        await server.app(scope | {"query_string": b"", "app": server.app}, receive, send)

    run(asyncio.wait_for(ask(), 60))
    assert [message["status"] for message in messages if "status" in message] == [408]


def test_who_sends_too_fast_is_told_when_to_go_on(server):
    client = server.client()
    for _ in range(BURST):
        assert client.post(CALL, json={}).status_code == 200
    response = client.post(CALL, json={})
    assert (response.status_code, response.headers["Retry-After"]) == (429, "1")
    assert "slower" in response.json()["detail"]
    assert client.get("/").status_code == 200  # the page itself still loads
    assert server.client(("198.51.100.2", 1)).post(CALL, json={}).status_code == 200


@pytest.mark.parametrize(
    ("peer", "forwarded", "counted"),
    [
        ("10.16.3.80", "203.0.113.7", "203.0.113.7"),
        ("10.16.3.80", "203.0.113.7, 10.16.9.1", "203.0.113.7"),
        ("10.16.3.80", "127.0.0.1, 203.0.113.7", "203.0.113.7"),  # forged: this machine has no limits
        ("10.16.3.80", "198.51.100.2, 203.0.113.7", "203.0.113.7"),  # forged: another client each time
        ("203.0.113.7", "127.0.0.1", "203.0.113.7"),  # not one of the Space's proxies
    ],
)
def test_behind_proxies_each_visitor_is_one_client_and_cannot_pass_for_another(
    server, peer, forwarded, counted
):
    """The guard: `limits.SPACE_PROXIES`; uvicorn takes the first address where it trusts everybody."""
    client = TestClient(ProxyHeadersMiddleware(server.app, SPACE_PROXIES), client=(peer, 1))
    for _ in range(BURST):
        server.limits.admit(counted)
    assert client.post(CALL, headers={"X-Forwarded-For": forwarded}).status_code == 429
    assert client.post(CALL, headers={"X-Forwarded-For": "198.51.100.9"}).status_code == (
        429 if peer == counted else 200
    )


def test_a_stopping_server_refuses_work_and_still_hands_out_results(server):
    server.limits.closing = True
    client = server.client()
    for path in (UPLOAD, CALL, f"{guard.API}/queue/join"):
        response = client.post(path, content=b"{}")
        assert response.status_code == 503
        assert response.headers["Retry-After"]
        assert "shutting down" in response.text
    assert client.get(f"{CALL}/event").status_code == 200


@pytest.mark.parametrize(
    ("accept_language", "message"),
    [("de-DE,de;q=0.9", "Der Server wird gerade"), ("en-US", "shutting down"), (None, "shutting down")],
)
def test_a_refusal_speaks_the_browsers_language(server, accept_language, message):
    server.limits.closing = True
    client = server.client()
    headers = {"accept-language": accept_language} if accept_language else {}
    assert message in client.post(f"{guard.API}/queue/join", json={}, headers=headers).json()["detail"]
    assert message in client.post(UPLOAD, content=b"x", headers=headers).text


def test_uploads_at_once_are_limited(server):
    places = [server.limits.uploads.take("127.0.0.1") for _ in range(MAX_UPLOADS)]
    for place in places:
        place.__enter__()
    response = server.client().post(UPLOAD, content=b"x")
    assert response.status_code == 503
    assert response.text.startswith("All 16 uploads are taken")
    assert response.headers["Retry-After"] == "4"  # most take a moment


@pytest.mark.parametrize("path", [UPLOAD, CALL, f"{guard.API}/queue/join", guard.TOOLS, f"{guard.TOOLS}/"])
def test_a_full_server_refuses_at_once_whatever_the_way_in_and_reads_nothing(server, path):
    """The guard: `Limits.admit` runs before the app: no body is read, no place in a queue is awaited."""
    for _ in range(QUEUE_SIZE):
        server.limits.reserve("198.51.100.2")  # recordings uploaded, whose analyses are not requested yet
    reads = []

    async def receive() -> dict:
        reads.append("more")
        return {"type": "http.request", "body": b"", "more_body": False}

    responses = []

    async def send(message: dict) -> None:
        responses.append(message)

    scope = {"type": "http", "method": "POST", "path": path, "headers": [], "client": REMOTE}
    run(server.app(scope | {"query_string": b"", "app": server.app}, receive, send))
    assert responses[0]["status"] == 503
    assert b"retry-after" in dict(responses[0]["headers"])
    assert not reads
    assert not server.paths


def test_an_upload_keeps_a_place_for_its_analysis_alone(server):
    client = server.client()
    assert client.post(UPLOAD, content=b"x").status_code == 200
    for _ in range(QUEUE_SIZE - 1):
        server.limits.reserve("198.51.100.2")
    assert client.post(UPLOAD, content=b"x").status_code == 503
    assert client.post(CALL, json={}).status_code == 200
    server.limits.reserve("198.51.100.2")
    assert client.post(CALL, json={}).status_code == 503


def test_gradios_own_refusal_says_when_to_come_back_too(server):
    response = server.client().post(f"{guard.API}/queue/join", json={})
    assert (response.status_code, response.headers["Retry-After"]) == (503, "4")


def test_a_tool_call_that_gradio_sends_on_is_still_the_clients(server):
    """The guard: Gradio forwards it from this machine, which has no limits, with the original headers."""
    headers = dict(server.client().post(guard.TOOLS, headers={"X-Forwarded-For": "198.51.100.2"}).json())
    assert headers["x-forwarded-for"] == REMOTE[0]


def test_a_failure_is_logged_without_a_word_that_could_name_a_file(server, caplog):
    """The guard: what no route caught is logged by its kind; uvicorn would log all of it."""
    response = server.client().post(f"{guard.API}/call/fail", json={})
    assert response.status_code == 500
    assert SECRET not in response.text
    assert "FileNotFoundError" in caplog.text
    assert "in fail" in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    ("host", "origin", "passes"),
    [
        ("127.0.0.1:7860", None, True),
        ("127.0.0.1:7860", "http://127.0.0.1:7860", True),
        ("localhost:7860", "http://127.0.0.1:7860", True),
        ("127.0.0.1:7860", "https://evil.example", False),
        ("[::1]:7860", "https://evil.example", False),
        ("127.0.0.1:7860", "null", False),
        ("demo.example", "https://embeds-it.example", True),  # as Gradio: a public server is open to all
    ],
)
def test_another_website_cannot_use_a_server_on_this_machine(server, host, origin, passes):
    """The guard: CORS keeps responses from other sites, not requests; and WebSockets know no CORS."""
    headers = {"host": host} | ({"origin": origin} if origin else {})
    client = server.client(("127.0.0.1", 1))
    assert client.post(UPLOAD, content=b"x", headers=headers).status_code == (200 if passes else 403)
    try:
        with client.websocket_connect("/live", headers=headers) as socket:
            assert socket.receive_text() == "ready"
        connected = True
    except WebSocketDisconnect:
        connected = False
    assert connected == passes


def test_a_page_that_closes_takes_its_uploads_with_it_and_playing_keeps_them(server):
    folder = server.storage.new()
    (folder / "a.wav").touch()
    with server.client() as client:
        server.clock.now += RETENTION_S - 1
        client.get(f"{guard.FILE}{folder}/a.wav")
        server.clock.now += RETENTION_S - 1
        server.storage.sweep()
        assert folder.is_dir()
        server.page_upload = folder
        client.get(f"{guard.PAGE}mine")  # opens and closes
    server.clock.now += CLOSED_RETENTION_S
    server.storage.sweep()
    assert not folder.exists()


def test_the_count_of_connections_holds_for_all_and_for_one(server, monkeypatch):
    monkeypatch.setattr(server.limits, "requests", limits.Places("connections", 2))
    with server.limits.requests.take("203.0.113.7"):
        assert server.client().get("/").status_code == 429
        assert server.client(("198.51.100.2", 1)).get("/").status_code == 200
    assert server.client().get("/").status_code == 200
