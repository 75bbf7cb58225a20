"""The ways in for programs: REST and MCP through Gradio's queue, and `/health` beside it.

What the page's own events do stays private. A recording is held to the page's limits, and answers are the
JSON of `ser_core.export.json`, also where a recording cannot be read.
"""

import json
from typing import Any
from urllib.parse import unquote

import gradio as gr
from fastapi.responses import JSONResponse
from starlette.requests import Request
from starlette.routing import Route

import ser_core
from ser_core.analysis import Analysis
from ser_core.checkpoint import bundle, catalogue
from ser_core.errors import AudioError
from ser_core.export.json import to_dict
from ser_core.recognition.recognizer import Recognizer
from ser_ui.server import uploads
from ser_ui.server.limits import ANALYSES, DECODE_LIMITS
from ser_ui.shelf import Shelf

HEALTH = "/health"
TOOL = "analyze_speech_emotion"  # the one MCP tool


def answer(shelf: Shelf, place: str, source: str, model: str) -> dict[str, Any]:
    """The JSON of the analysis of an uploaded file, or of why there is none."""
    try:
        recognizer = shelf.get(model)
        path = uploads.uploaded(place)
    except (AudioError, bundle.BundleError) as error:
        own = shelf.own.bundle
        name, version = (model, "") if model else (own.name, own.version)
        return to_dict(Analysis(source, 0.0, name, version, error=AudioError(error.code, error.message)))
    return to_dict(recognizer.analyze_file(path, source, DECODE_LIMITS))


def add_endpoints(shelf: Shelf) -> None:
    """Adds `/analyze`, `/models` and the MCP tool to the page that is being built."""

    def analyze(audio: gr.FileData, model: str = "") -> dict[str, Any]:
        if not isinstance(audio, dict) or not isinstance(audio.get("path"), str):
            wanted = '{"path": …, "meta": {"_type": "gradio.FileData"}}'
            raise gr.Error(f"not_uploaded: audio must be an uploaded file: {wanted}", print_exception=False)
        return answer(shelf, audio["path"], uploads.name_of(audio), model)

    def analyze_speech_emotion(audio: str, model: str = "") -> str:
        """Says which acted emotion each stretch of speech in a recording sounds like, and how sure that is.

        Not what a person feels, and nothing to decide about people with. Upload the file first, with POST
        /gradio_api/upload or the tool upload_file_to_gradio, and pass what that returns. At most an hour
        of WAV, FLAC, MP3, Ogg, Opus, M4A or WebM. Returns JSON: segments with label, probabilities,
        confidence, valence and arousal; the recording's quality; a summary; `error` where it cannot be read.

        Args:
            audio: address or path that an upload to this server returned; nothing else is fetched
            model: name of one of the server's models; its default where empty
        """
        source = unquote(audio).rpartition("/")[2]
        return json.dumps(answer(shelf, audio, source, model), ensure_ascii=False, allow_nan=False)

    def models() -> list[dict[str, Any]]:
        return [catalogue.described(shipped) for shipped in bundle.shipped()]

    sharing = {"concurrency_limit": ANALYSES, "concurrency_id": "model"}  # with the page's recordings
    gr.api(
        analyze,
        api_name="analyze",
        api_description="Which emotion sounds where in a recording, as JSON. `model`: a name in /models",
        **sharing,
    )
    gr.api(analyze_speech_emotion, api_name=TOOL, **sharing)
    gr.api(models, api_name="models", api_description="The shipped models and how often they are right")


def health_route(recognizer: Recognizer | None) -> Route:
    """`/health`, outside the queue: 200 with a model, else 503."""
    answer = {"ok": recognizer is not None, "version": ser_core.__version__, "model": None}
    if recognizer:
        described = recognizer.bundle
        answer["model"] = {"name": described.name, "version": described.version}

    async def health(_: Request) -> JSONResponse:
        device = str(recognizer.device) if recognizer else None  # it may have been full since
        return JSONResponse(answer | {"device": device}, 200 if answer["ok"] else 503)

    return Route(HEALTH, health)


def keep_one_tool(blocks: gr.Blocks) -> None:
    """Leaves `TOOL` as the only MCP tool of the launched `blocks`.

    Gradio makes a tool of every public endpoint, and answers with Python's notation instead of JSON where
    that does not return text.
    """
    server = blocks.mcp_server_obj
    server.tool_to_endpoint = {
        name: endpoint for name, endpoint in server.tool_to_endpoint.items() if endpoint == f"/{TOOL}"
    }
