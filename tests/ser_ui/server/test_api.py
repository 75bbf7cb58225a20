"""REST, MCP and `/health` of a real server: same results as the command line; no access to other files."""

import json
import re
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile
from app_server import ROOT, app_server
from clients import call_rest, call_tool, run_analyze, upload
from gradio_client import Client, handle_file
from shared_faults import CALLS, FAULTS, FILES, SPEAKERS, TRAINED, check, needs_faults, speakers_of
from support import syllables, write_wav
from typer.testing import CliRunner

import ser_core
from ser_core.checkpoint import bundle
from ser_core.commands.cli import app

TOOL = "analyze_speech_emotion"


@pytest.fixture(scope="module")
def server(model, tmp_path_factory):
    with app_server(model, tmp_path_factory.mktemp("server")) as address:
        yield address


@pytest.fixture(scope="module")
def client(server) -> Client:
    return Client(server, verbose=False)


@pytest.fixture(scope="module")
def speech(tmp_path_factory) -> Path:
    return write_wav(tmp_path_factory.mktemp("speech") / "Grüße, 50%.wav", syllables(3))


def test_command_line_rest_and_mcp_give_the_same_json(server, client, speech, model, monkeypatch):
    expected = run_analyze(speech, model, monkeypatch)
    assert expected["segments"]
    assert client.predict(audio=handle_file(speech), api_name="/analyze") == expected
    uploaded = upload(server, speech)
    file = {"path": uploaded, "orig_name": speech.name, "meta": {"_type": "gradio.FileData"}}
    assert call_rest(server, {"audio": file}) == ("complete", [expected])
    for address in (uploaded, f"{server}/gradio_api/file={uploaded}"):
        failed, text = call_tool(server, {"audio": address})
        assert not failed
        assert json.loads(text) == expected


def test_a_bad_file_is_an_error_object_the_same_everywhere(server, client, tmp_path, model, monkeypatch):
    bad = tmp_path / "not a recording.wav"
    bad.write_text("This is a text file that calls itself a recording. " * 20)
    expected = run_analyze(bad, model, monkeypatch)
    assert expected["error"]["code"] == "unsupported_format"
    assert client.predict(audio=handle_file(bad), api_name="/analyze") == expected
    assert json.loads(call_tool(server, {"audio": upload(server, bad)})[1]) == expected


@needs_faults
def test_voices_and_channels_can_be_asked_for(client):
    call = handle_file(FAULTS / "call_turns.flac")
    apart = client.predict(audio=call, api_name="/analyze")
    assert [one["channel"] for one in apart["segments"]] == [1, 2] * 4
    assert [voice["voice"] for voice in apart["voices"]] == ["A", "B"]
    one = client.predict(audio=call, voices="one", api_name="/analyze")
    assert one["voices"] == []
    wrong = client.predict(audio=call, voices="many", api_name="/analyze")
    assert wrong["error"]["code"] == "bad_voices"


@needs_faults
@pytest.mark.parametrize("name", FILES)
def test_a_recording_with_a_fault_is_read_as_far_as_it_goes(client, name):
    model = {"model": bundle.DEFAULT} if TRAINED else {}
    check(client.predict(audio=handle_file(FAULTS / name), **model, api_name="/analyze"), FILES[name])


@needs_faults
@pytest.mark.skipif(not TRAINED, reason="needs the default model")
@pytest.mark.parametrize("name", CALLS)
def test_the_speakers_of_a_call_are_told_apart(client, name):
    call = client.predict(audio=handle_file(FAULTS / name), model=bundle.DEFAULT, api_name="/analyze")
    assert call["error"] is None
    assert speakers_of(call) == SPEAKERS


def test_the_page_limits_hold(client, tmp_path):
    """The guard: `limits.DECODE_LIMITS`."""
    soundfile.write(tmp_path / "long.flac", np.zeros(3601 * 4_000, np.int16), 4_000)
    result = client.predict(audio=handle_file(tmp_path / "long.flac"), api_name="/analyze")
    assert result["error"]["code"] == "too_long"
    assert client.config["max_file_size"] == 200 * 1024**2


def test_models_are_those_of_the_command(client):
    models = json.loads(CliRunner().invoke(app, ["models", "--format", "json"]).stdout)
    assert client.predict(api_name="/models") == models


@pytest.mark.skipif(
    not bundle.CHECKPOINTS.joinpath(bundle.DEFAULT).is_dir(), reason="needs the default model"
)
def test_another_model_can_be_asked(client, speech):
    result = client.predict(audio=handle_file(speech), model=bundle.DEFAULT, api_name="/analyze")
    assert result["model"]["name"] == bundle.DEFAULT


@pytest.mark.parametrize("name", ["nonsense", "../checkpoints/default", "/etc"])
def test_a_model_that_is_not_shipped_is_an_error_object(client, speech, name):
    result = client.predict(audio=handle_file(speech), model=name, api_name="/analyze")
    assert result["error"]["code"] == "unknown_model"
    assert result["model"]["name"] == name


def foreign(server: str, tmp_path: Path, folder: Path) -> list[str]:
    """Paths that no client uploaded: a file of the server, folders, traversals, other servers."""
    mine = str(write_wav(tmp_path / "mine.wav", syllables(1)))
    uploads = str(folder)
    return [
        *(mine, "/etc/passwd", "app.py", uploads, f"{uploads}/../../mine.wav", f"{uploads}/nothing.wav"),
        *(f"{server}/gradio_api/file={mine}", "http://example.com/a.wav", "file:///etc/passwd", "a\0b"),
        *("x" * 5000, ""),
    ]


def test_nothing_is_read_that_was_not_uploaded(server, tmp_path, speech):
    folder = Path(upload(server, speech)).parents[1]
    for path in foreign(server, tmp_path, folder):
        result = json.loads(call_tool(server, {"audio": path})[1])
        assert result["error"]["code"] == "not_uploaded", path
        for marked in ({}, {"meta": {"_type": "gradio.FileData"}}):
            kind, response = call_rest(server, {"audio": {"path": path} | marked})
            assert kind == "error", path
            assert response["error"].startswith("not_uploaded"), path
            assert str(ROOT) not in response["error"]
    disguised = {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}
    failed, text = call_tool(server, {"audio": disguised})
    assert failed
    assert "not of type 'string'" in text


def test_the_page_itself_fetches_nothing_either(server, client):
    """Its own events are private, but whoever knows their number can send them anything."""
    number = next(d["id"] for d in client.config["dependencies"] if d["targets"][0:1] and d["inputs"])
    file = {"path": "http://example.com/a.wav", "meta": {"_type": "gradio.FileData"}}
    body = {"data": [file, {"width": 800, "bars": 300}], "fn_index": number, "session_hash": "remote"}
    assert httpx.post(f"{server}/gradio_api/queue/join", json=body).status_code == 200
    with httpx.stream("GET", f"{server}/gradio_api/queue/data?session_hash=remote", timeout=60) as events:
        message = next(line for line in events.iter_lines() if "process_completed" in line)
    assert "not_uploaded" in message


@pytest.mark.parametrize("audio", ["abc", None, 3, [], {"path": 3}])
def test_what_is_no_file_is_refused_in_words(server, audio):
    kind, response = call_rest(server, {"audio": audio})
    assert kind == "error"
    assert "uploaded" in response["error"]


def test_health_tells_version_model_and_device_and_takes_no_place_in_the_queue(server):
    response = httpx.get(f"{server}/health")
    assert response.status_code == 200
    health = response.json()
    assert health.pop("device") in ("cpu", "cuda", "cuda:0", "mps")
    assert health == {
        "ok": True,
        "version": ser_core.__version__,
        "model": {"name": "random", "version": "0.1"},
    }


def test_openapi_and_tools_offer_the_api_and_nothing_of_the_page(server):
    paths = httpx.get(f"{server}/gradio_api/openapi.json").json()["paths"]
    calls = {path.rpartition("/")[2] for path in paths if "/call/v2/" in path}
    assert calls == {"analyze", "models", TOOL}
    tools = httpx.get(f"{server}/gradio_api/mcp/schema").json()
    assert [tool["name"] for tool in tools] == [TOOL]
    assert tools[0]["inputSchema"]["required"] == ["audio"]
    assert "no" in call_tool(server, {}, "models")[1].lower()


def test_the_example_in_the_documentation_runs(server, speech, monkeypatch, capsys):
    page = (ROOT / "docs" / "programs.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (example,) = [block for block in blocks if "gradio_client" in block]
    monkeypatch.chdir(speech.parent)
    (speech.parent / "interview.wav").write_bytes(speech.read_bytes())
    exec(compile(example.replace("http://127.0.0.1:7860", server), "programs.md", "exec"), {})
    assert re.search(r"^\w+ \[.*\]$", capsys.readouterr().out, re.MULTILINE)
