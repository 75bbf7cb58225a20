"""One recording through every way in: page, command line, REST and MCP."""

import json

from browser.steps import drop, wait_for_figures
from clients import ask_tool, by_command, upload
from gradio_client import Client, handle_file

TOLD_MS = 60_000


def by_page(page, path) -> dict:
    """What the page saves of a recording as JSON."""
    drop(page, path)
    wait_for_figures(page)
    with page.expect_download(timeout=TOLD_MS) as download:
        page.get_by_role("button", name="Save results").click()
    [analysis] = json.loads(download.value.path().read_text(encoding="utf-8"))
    return analysis


def test_page_command_line_rest_and_mcp_give_the_same_json(page, server, model, three_clips, monkeypatch):
    path = three_clips.with_name("Grüße, 50%.wav")
    path.write_bytes(three_clips.read_bytes())
    shown = by_page(page, path)
    assert len(shown["segments"]) >= 3
    assert shown == by_command(path, model, monkeypatch)
    assert shown == Client(server, verbose=False).predict(audio=handle_file(path), api_name="/analyze")
    failed, told = ask_tool(server, {"audio": upload(server, path)})
    assert not failed
    assert shown == json.loads(told)
