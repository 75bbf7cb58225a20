"""Clients of the program other than the page: command line, REST and MCP."""

import json
from pathlib import Path

import httpx
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from support import run
from typer.testing import CliRunner

from ser_core.commands.cli import app

TOOL = "analyze_speech_emotion"


def upload(server: str, path: Path) -> str:
    """Uploads a file and returns its path on the server."""
    with path.open("rb") as file:
        return httpx.post(f"{server}/gradio_api/upload", files={"files": file}).json()[0]


def call_tool(server: str, arguments: dict, tool: str = TOOL):
    """Calls an MCP tool: whether it failed, and the text of its result."""

    async def call():
        async with (
            streamable_http_client(f"{server}/gradio_api/mcp/") as (receive, send, _),
            ClientSession(receive, send) as session,
        ):
            await session.initialize()
            result = await session.call_tool(tool, arguments)
            return result.isError, result.content[0].text

    return run(call())


def call_rest(server: str, body: dict, endpoint: str = "analyze") -> tuple[str, dict]:
    """Calls an endpoint without a client library: the type of the last event, and its content."""
    address = f"{server}/gradio_api/call/v2/{endpoint}"
    event = httpx.post(address, json=body).json()["event_id"]
    lines = httpx.get(f"{server}/gradio_api/call/{endpoint}/{event}", timeout=60).text.strip().splitlines()
    return lines[-2].removeprefix("event: "), json.loads(lines[-1].removeprefix("data: "))


def run_analyze(path: Path, model: str, monkeypatch) -> dict:
    """The analysis of `path` by the command `analyze`."""
    monkeypatch.chdir(path.parent)
    return json.loads(CliRunner().invoke(app, ["analyze", path.name, "--model", model]).stdout)[0]
