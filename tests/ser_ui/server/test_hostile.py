"""Hostile clients against the real server. Each test names the guard without which it fails."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import httpx
import numpy as np
import pytest
from app_server import app_process
from fastapi import FastAPI
from live_server import PATIENCE_S, Client, live_server, serving
from support import eventually, random_bundle, syllables, write_wav

from ser_core.recognition.live_engine import MAX_SESSIONS, LiveEngine
from ser_core.recognition.recognizer import Recognizer
from ser_ui import launch
from ser_ui.server import limits, uploads
from ser_ui.server.storage import Storage

EVIL = [
    '<img src=x onerror="alert(1)">.wav',
    "a\x1b[2J\r\nb.wav",
    "../../../evil.wav",
    "$(reboot)`id`.wav",
    "x" * 999,
]
SECRET = "my divorce"  # in the name of a recording


@pytest.fixture(scope="module")
def running(model, tmp_path_factory):
    with app_process(model, tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="module")
def server(running) -> str:
    return running[0]


@pytest.fixture(scope="module")
def speech(tmp_path_factory) -> Path:
    return write_wav(tmp_path_factory.mktemp("speech") / f"{SECRET}.wav", syllables(1))


def upload(server: str, content: bytes, name: str = "a.wav") -> httpx.Response:
    return httpx.post(f"{server}/gradio_api/upload", files={"files": (name, content)}, timeout=PATIENCE_S)


def analyze(server: str, path: str, name: str | None = None) -> tuple[str, object]:
    """The kind of the event that ends an analysis, and its content."""
    file = {"path": path, "orig_name": name, "meta": {"_type": "gradio.FileData"}}
    calls = f"{server}/gradio_api/call/analyze"
    event = httpx.post(calls, json={"data": [file, "", "auto", "auto"]}).json()["event_id"]
    lines = httpx.get(f"{calls}/{event}", timeout=PATIENCE_S).text.strip().splitlines()
    return lines[-2].removeprefix("event: "), json.loads(lines[-1].removeprefix("data: "))


def fetch(server: str, path: object) -> httpx.Response:
    return httpx.get(f"{server}/gradio_api/file={path}")


@pytest.mark.parametrize("name", EVIL)
def test_a_hostile_name_becomes_neither_path_nor_markup_nor_control_character(server, speech, name):
    """The guards: Gradio strips names of uploads, `uploads.display_name` those that API clients send."""
    path = upload(server, speech.read_bytes(), name).json()[0]
    assert Path(path).resolve() == Path(path)
    assert not set(Path(path).name) & set("<>\"'`$/\x1b\r\n")
    kind, (result,) = analyze(server, path, name)
    assert kind == "complete"
    assert result["error"] is None
    assert result["source"].isprintable()
    assert len(result["source"]) <= uploads.MAX_NAME


def test_no_upload_is_found_by_those_who_hold_the_same_file(server, speech):
    """The guard: a random folder for each upload. Gradio's is named by the SHA-256, the same for all."""
    own, other = (Path(upload(server, speech.read_bytes()).json()[0]) for _ in range(2))
    assert own != other
    guessed = own.parents[2] / own.parent.name / own.name  # as Gradio alone would store it
    assert fetch(server, guessed).status_code == 403
    assert analyze(server, str(guessed))[0] == "error"
    assert fetch(server, own.parent).status_code == 403  # no listing either


def test_a_link_among_the_uploads_leads_nowhere(server, speech):
    """The guard: `uploads.uploaded_path` and Gradio look at where a path ends, not at how it is written."""
    path = Path(upload(server, speech.read_bytes()).json()[0])
    link = path.with_name("link.wav")
    link.symlink_to("/etc/passwd")
    kind, event = analyze(server, str(link))
    assert (kind, event["error"].split(":")[0]) == ("error", "not_uploaded")
    assert fetch(server, link).status_code == 403


def test_a_web_page_that_was_uploaded_is_never_shown_as_one(server):
    """The guard: Gradio sends all but known media as attachments, and `nosniff` lets no browser guess."""
    for name in ("a.html", "a.svg", "a.wav.xhtml"):
        response = fetch(server, upload(server, b"<script>alert(1)</script>", name).json()[0])
        assert response.headers["content-disposition"].startswith("attachment")
        assert "html" not in response.headers["content-type"]
        assert "svg" not in response.headers["content-type"]
        assert response.headers["x-content-type-options"] == "nosniff"


def test_the_server_fetches_nothing_for_anybody(server):
    """The guard: `guard.CLOSED`; Gradio serves any public address at /file=, as a proxy for everyone."""
    requested = []
    app = FastAPI()

    @app.get("/{path:path}")
    def serve(path: str) -> str:
        requested.append(path)
        return "sound"

    with serving(app) as address:
        place = address.replace("ws:", "http:") + "/a.wav"
        for path in (f"file={place}", f"proxy={place}", f"file=//{place.partition('//')[2]}"):
            assert httpx.get(f"{server}/gradio_api/{path}").status_code in (403, 404)
        file = {"path": "a.wav", "url": place, "meta": {"_type": "gradio.FileData"}}
        calls = f"{server}/gradio_api/call/analyze"
        event = httpx.post(calls, json={"data": [file, "", "auto", "auto"]}).json()["event_id"]
        assert "event: error" in httpx.get(f"{calls}/{event}", timeout=PATIENCE_S).text
    assert not requested


def test_calls_that_skip_the_queue_are_refused(server):
    """The guard: `api_open=False` and `guard.CLOSED`; such a call is under no limit."""
    for way in ("run", "api"):
        response = httpx.post(f"{server}/gradio_api/{way}/analyze", json={"data": [None, "", "auto", "auto"]})
        assert response.status_code == 404


def test_nobody_keeps_or_reports_what_people_do(server):
    """The guards: the options in `launch.launch`. Run history is on in Gradio unless it is switched off."""
    config = httpx.get(f"{server}/config").json()
    assert not config["analytics_enabled"]
    assert not config.get("run_history")
    for path in ("/monitoring", "/monitoring/summary", "/gradio_api/runs", "/gradio_api/run-history/records"):
        assert httpx.get(server + path).status_code == 404


def test_a_stranger_gets_no_permission_to_read_answers(server):
    """The guard: Gradio's CORS."""
    foreign = httpx.get(f"{server}/config", headers={"origin": "https://evil.example"})
    assert "access-control-allow-origin" not in foreign.headers
    own = httpx.get(f"{server}/config", headers={"origin": server})
    assert own.headers["access-control-allow-origin"] == server


def test_nothing_that_is_said_in_the_log_names_a_recording(running, speech):
    """The guards: `failures.describe`; Gradio prints tracebacks with their words."""
    server, _, log = running
    name = f"{SECRET}.wav"
    path = upload(server, speech.read_bytes(), name).json()[0]
    assert analyze(server, path, name)[0] == "complete"
    assert analyze(server, upload(server, b"no sound " * 99, name).json()[0], name)[0] == "complete"
    assert analyze(server, path + "gone", name)[0] == "error"
    for data in ([path], [[path], path], [{"path": path}, {"path": path}, path]):
        httpx.post(f"{server}/gradio_api/call/analyze", json={"data": data})
    httpx.post(f"{server}/gradio_api/call/{SECRET}", json={"data": [path]})
    assert eventually(lambda: any("KeyError" in line or "failed" in line for line in log))
    assert SECRET not in "".join(log)


def test_an_upload_that_breaks_off_leaves_nothing(tmp_path):
    """The guard: `uploads.route` deletes an upload's folder; Gradio's parser keeps the part that arrived."""
    app = FastAPI(routes=[uploads.route(Storage(tmp_path))])

    def half() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.wav"\r\n\r\n' + b"x" * 2**20
        assert eventually(lambda: any(path.is_file() for path in tmp_path.rglob("*")))
        raise ConnectionAbortedError

    headers = {"content-type": "multipart/form-data; boundary=b"}
    with serving(app) as address:
        place = address.replace("ws:", "http:") + "/gradio_api/upload"
        with pytest.raises(ConnectionAbortedError):
            httpx.post(place, content=half(), headers=headers)
        assert eventually(lambda: not list(tmp_path.iterdir()))


def test_a_file_that_is_too_large_is_refused_in_words_and_leaves_nothing(tmp_path, monkeypatch):
    """The guard: the limit of `uploads.route`."""
    monkeypatch.setattr(uploads, "MAX_FILE_BYTES", 1000)
    app = FastAPI(routes=[uploads.route(Storage(tmp_path))])
    with serving(app) as address:
        server = address.replace("ws:", "http:")
        response = upload(server, b"x" * 1001)
        assert response.status_code == 413
        assert "Save it as FLAC or MP3" in response.text
        assert not list(tmp_path.iterdir())
        assert upload(server, b"x" * 1000).status_code == 200


def test_a_disk_that_is_nearly_full_takes_no_upload(tmp_path, monkeypatch):
    """The guard: `Storage.has_room`."""
    monkeypatch.setattr("ser_ui.server.storage.MIN_FREE_BYTES", 2**60)
    app = FastAPI(routes=[uploads.route(Storage(tmp_path))])
    with serving(app) as address:
        response = upload(address.replace("ws:", "http:"), b"x")
    assert response.status_code == 507
    assert response.headers["Retry-After"]
    assert not list(tmp_path.iterdir())


def test_one_address_cannot_take_every_live_session(tmp_path_factory):
    """The guard: `limits.Places` in `live_socket`."""
    engine = LiveEngine(Recognizer.load(random_bundle(tmp_path_factory.mktemp("live")), device="cpu"))
    remote = {"X-Forwarded-For": "203.0.113.7"}
    clients = []
    try:
        with live_server(engine) as address:
            for _ in range(MAX_SESSIONS // 2):
                clients.append(Client(address, remote))
                assert clients[-1].__enter__().start()["type"] == "ready"
            with Client(address, remote) as refused:
                assert refused.start()["code"] == "busy"
                assert refused.end()[1] == 1013
            with Client(address, {"X-Forwarded-For": "198.51.100.2"}) as other:
                assert other.start()["type"] == "ready"
            for client in clients:
                client.__exit__(None, None, None)
    finally:
        engine.close()


@pytest.fixture
def slow() -> Iterator[tuple[str, threading.Event, FastAPI]]:
    """A server whose only analysis waits for the event `go`: its address, the event, and the app."""
    go = threading.Event()

    def analyze(number: float) -> float:
        assert go.wait(PATIENCE_S)
        return number

    with uploads.Blocks() as blocks:
        gr.api(analyze, api_name="analyze", concurrency_id=limits.MODEL, concurrency_limit=1)
    blocks.translations = gr.I18n()
    served = launch.launch(blocks)
    try:
        yield blocks.local_url.rstrip("/"), go, served
    finally:
        go.set()
        blocks.close(verbose=False)


def test_beyond_capacity_each_is_refused_at_once_or_served_and_nothing_is_lost(slow):
    """The guards: `Limits.admit`, and behind it the size of Gradio's queue."""
    server, go, _ = slow
    calls = f"{server}/gradio_api/call/analyze"
    responses = [httpx.post(calls, json={"data": [number]}) for number in range(2 * limits.QUEUE_SIZE)]
    accepted = {n: response.json()["event_id"] for n, response in enumerate(responses) if response.is_success}
    refused = [response for response in responses if not response.is_success]
    assert 0 < len(accepted) <= limits.QUEUE_SIZE + 1  # one runs; fewer where the first has waited for long
    assert {response.status_code for response in refused} == {503}
    assert all(response.headers["Retry-After"] for response in refused)
    go.set()
    for number, event in accepted.items():
        text = httpx.get(f"{calls}/{event}", timeout=PATIENCE_S).text
        assert f"event: complete\ndata: [{number}" in text
    assert eventually(lambda: httpx.post(calls, json={"data": [1]}).is_success)


def test_stopping_waits_for_what_is_under_way_and_says_where_that_took_too_long(slow):
    server, go, served = slow
    calls = f"{server}/gradio_api/call/analyze"
    event = httpx.post(calls, json={"data": [7]}).json()["event_id"]
    assert not launch.finished(served.state.limits, 0.1)
    assert httpx.post(calls, json={"data": [8]}).status_code == 503
    go.set()
    assert "event: complete" in httpx.get(f"{calls}/{event}", timeout=PATIENCE_S).text
    assert launch.finished(served.state.limits, PATIENCE_S)


def test_noise_for_a_body_is_a_client_error_or_a_refusal_in_words(server):
    rng = np.random.default_rng(0)
    for path in ("upload", "queue/join", "call/analyze", "call/v2/analyze"):
        for body in (b"", rng.bytes(1000), b"[" * 10_000, b'{"data": 3}', b'{"data": [[[]]]}'):
            response = httpx.post(f"{server}/gradio_api/{path}", content=body, timeout=PATIENCE_S)
            assert response.status_code < 500 or "The server failed" in response.text, (path, body[:20])
    assert httpx.get(f"{server}/health").json()["ok"]
