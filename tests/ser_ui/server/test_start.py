"""The server is whole when it answers: a client that can connect is served, however early it comes."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
from app_server import free_port, start
from support import PATIENCE_S
from websockets.sync.client import connect

from ser_ui.server import api, live_socket, uploads

SCHEMA = "/gradio_api/mcp/schema"  # of the MCP tools


def first_answer(ask: Callable[[], object]) -> object:
    """What `ask` returns as soon as the port is open; any refusal but "connection refused" is raised."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            return ask()
        except (ConnectionRefusedError, httpx.ConnectError):
            assert time.monotonic() < end, "the server did not open its port"
            time.sleep(0.01)  # the server needs the processor too


def test_every_route_answers_as_soon_as_the_port_is_open(model, tmp_path):
    port = free_port()
    client = httpx.Client(
        base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S
    )  # a new one each time is slow

    def upload() -> httpx.Response:
        return client.post(uploads.UPLOAD, files={"files": ("a.wav", b"RIFF")})

    def live() -> str:
        with connect(f"ws://127.0.0.1:{port}{live_socket.PATH}", proxy=None) as connection:
            connection.send('{"type": "start", "sample_rate": 16000}')
            return connection.recv(PATIENCE_S)

    requests = [live, upload, *(lambda path=path: client.get(path) for path in (api.HEALTH, "/", SCHEMA))]
    process = start(port, model, tmp_path)
    try:
        with ThreadPoolExecutor(len(requests)) as threads:
            ready, stored, health, page, schema = threads.map(first_answer, requests)
    finally:
        client.close()
        process.terminate()
        process.communicate(timeout=20)
    assert '"ready"' in ready
    assert stored.json()[0].startswith(str(tmp_path / "uploads"))  # not where Gradio alone would put it
    assert health.json()["ok"]
    assert "SER Studio" in page.text
    assert [tool["name"] for tool in schema.json()] == [api.TOOL]
