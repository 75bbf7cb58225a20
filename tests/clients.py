"""The ways into the program other than the page: command line, REST and MCP."""

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
    with path.open("rb") as file:
        return httpx.post(f"{server}/gradio_api/upload", files={"files": file}).json()[0]


def ask_tool(server: str, arguments: dict, tool: str = TOOL):
    """What an MCP client gets: whether it failed, and the text."""

    async def ask():
        async with (
            streamable_http_client(f"{server}/gradio_api/mcp/") as (receive, send, _),
            ClientSession(receive, send) as session,
        ):
            await session.initialize()
            answer = await session.call_tool(tool, arguments)
            return answer.isError, answer.content[0].text

    return run(ask())


def by_rest(server: str, body: dict, endpoint: str = "analyze") -> tuple[str, dict]:
    """The kind of the event that ends a call without any library, and its content."""
    place = f"{server}/gradio_api/call/v2/{endpoint}"
    event = httpx.post(place, json=body).json()["event_id"]
    lines = httpx.get(f"{server}/gradio_api/call/{endpoint}/{event}", timeout=60).text.strip().splitlines()
    return lines[-2].removeprefix("event: "), json.loads(lines[-1].removeprefix("data: "))


def by_command(path: Path, model: str, monkeypatch) -> dict:
    monkeypatch.chdir(path.parent)
    return json.loads(CliRunner().invoke(app, ["analyze", path.name, "--model", model]).stdout)[0]
