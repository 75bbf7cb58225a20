"""The server is complete when its port opens: every client that can connect is served."""

import time
from collections.abc import Callable, Iterator

import httpx
import pytest
from app_server import free_port, start
from support import PATIENCE_S
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from ser_ui.server import api, live_socket, uploads


@pytest.fixture
def port(model, tmp_path) -> Iterator[int]:
    """The port of an app that is starting."""
    number = free_port()
    process = start(number, model, tmp_path)
    yield number
    process.terminate()
    process.communicate(timeout=20)


def first_response(request: Callable[[], object]) -> object:
    """The result of `request` once the port is open. Any refusal but "connection refused" is raised."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            return request()
        except (ConnectionRefusedError, httpx.ConnectError):
            assert time.monotonic() < end, "the server did not open its port"


def test_a_live_session_can_begin_as_soon_as_the_port_is_open(port):
    def ask() -> str:
        with connect(f"ws://127.0.0.1:{port}{live_socket.PATH}", proxy=None) as connection:
            connection.send('{"type": "start", "sample_rate": 16000}')
            return connection.recv(PATIENCE_S)

    try:
        assert '"ready"' in first_response(ask)
    except WebSocketException as error:
        pytest.fail(f"refused while starting: {error!r}")


@pytest.mark.parametrize(
    ("path", "expected"), [(api.HEALTH, 200), ("/gradio_api/mcp/schema", 200), ("/", 200)], ids=str
)
def test_every_route_answers_as_soon_as_the_port_is_open(port, path, expected):
    response = first_response(lambda: httpx.get(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE_S))
    assert response.status_code == expected
    if path.endswith("schema"):
        assert [tool["name"] for tool in response.json()] == [api.TOOL]


def test_an_upload_is_kept_apart_as_soon_as_the_port_is_open(port, tmp_path):
    files = {"files": ("a.wav", b"RIFF")}
    address = f"http://127.0.0.1:{port}{uploads.UPLOAD}"
    (stored,) = first_response(lambda: httpx.post(address, files=files, timeout=PATIENCE_S)).json()
    assert stored.startswith(str(tmp_path / "uploads"))
