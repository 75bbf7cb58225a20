"""One recording through every interface: page, command line, REST and MCP."""

import json

from browser.steps import drop, wait_for_figures
from clients import call_tool, run_analyze, upload
from gradio_client import Client, handle_file

RESULT_TIMEOUT_MS = 60_000


def save_from_page(page, path) -> dict:
    """The JSON that the page saves for a recording."""
    drop(page, path)
    wait_for_figures(page)
    with page.expect_download(timeout=RESULT_TIMEOUT_MS) as download:
        page.get_by_role("button", name="Save results").click()
    [analysis] = json.loads(download.value.path().read_text(encoding="utf-8"))
    return analysis


def test_page_command_line_rest_and_mcp_give_the_same_json(page, server, model, three_clips, monkeypatch):
    path = three_clips.with_name("Grüße, 50%.wav")
    path.write_bytes(three_clips.read_bytes())
    saved = save_from_page(page, path)
    assert len(saved["segments"]) >= 3
    assert saved == run_analyze(path, model, monkeypatch)
    assert saved == Client(server, verbose=False).predict(audio=handle_file(path), api_name="/analyze")
    failed, text = call_tool(server, {"audio": upload(server, path)})
    assert not failed
    assert saved == json.loads(text)
