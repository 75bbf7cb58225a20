"""The API for programs: REST and MCP through Gradio's queue, and `/health` beside it.

Only these endpoints are public; the page's own events are private. Recordings are subject to the page's
limits. Responses are the JSON of `ser_core.export.json`, also for a recording that cannot be read.
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
from ser_core.checkpoint.bundle import BundleError
from ser_core.errors import AudioError
from ser_core.export.json import to_dict
from ser_core.recognition.recognizer import Recognizer
from ser_core.recognition.recording import VoiceOptions, diarizer_for
from ser_ui.model_cache import ModelCache
from ser_ui.server import uploads
from ser_ui.server.limits import ANALYSES, DECODE_LIMITS

HEALTH = "/health"
TOOL = "analyze_speech_emotion"  # the one MCP tool


def analysis_json(
    cache: ModelCache, address: str, source: str, model: str, voices: str = "auto", channels: str = "auto"
) -> dict[str, Any]:
    """The analysis of an uploaded file as JSON-ready values, or its `error`.

    `address`: as `uploads.uploaded_path` takes it; `source`: the name in the result; `model`: a model's name,
    the server's own where empty; `voices` and `channels`: see `VoiceOptions.named`.
    """
    try:
        options = _options(voices, channels)
        recognizer = cache.get(model)
        path = uploads.uploaded_path(address)
    except (AudioError, bundle.BundleError) as error:
        own = cache.own.bundle
        name, version = (model, "") if model else (own.name, own.version)
        return to_dict(Analysis(source, 0.0, name, version, error=AudioError(error.code, error.message)))
    return to_dict(recognizer.analyze_file(path, source, DECODE_LIMITS, options=options))


def _options(voices: str, channels: str) -> VoiceOptions:
    """What was asked for. Raises AudioError (`bad_voices`)."""
    try:
        options = VoiceOptions.named(str(voices), str(channels))
        diarizer_for(options)  # raises where it is missing
    except (ValueError, BundleError) as error:
        raise AudioError("bad_voices", f"Voices cannot be told apart like that: {error}.") from None
    return options


def add_endpoints(cache: ModelCache) -> None:
    """Adds `/analyze`, `/models` and the MCP tool to the page that is being built."""

    def analyze(
        audio: gr.FileData, model: str = "", voices: str = "auto", channels: str = "auto"
    ) -> dict[str, Any]:
        if not isinstance(audio, dict) or not isinstance(audio.get("path"), str):
            expected = '{"path": …, "meta": {"_type": "gradio.FileData"}}'
            raise gr.Error(f"not_uploaded: audio must be an uploaded file: {expected}", print_exception=False)
        source = uploads.display_name(audio)
        return analysis_json(cache, audio["path"], source, model, voices, channels)

    def analyze_speech_emotion(
        audio: str, model: str = "", voices: str = "auto", channels: str = "auto"
    ) -> str:
        """Says which acted emotion each stretch of speech in a recording sounds like, and how sure that is.

        Not what a person feels, and nothing to decide about people with. Upload the file first, with POST
        /gradio_api/upload or the tool upload_file_to_gradio, and pass what that returns. At most an hour
        of WAV, FLAC, MP3, Ogg, Opus, M4A or WebM. Returns JSON: segments with label, probabilities,
        confidence, valence, arousal, voice; each voice; the recording's quality; a summary; `error` where it
        cannot be read.

        Args:
            audio: address or path that an upload to this server returned; nothing else is fetched
            model: name of one of the server's models; its default where empty
            voices: auto finds how many speak; a number says so; one takes all for one voice
            channels: auto makes a voice of each of two channels with different speech; each of any; or mix
        """
        source = unquote(audio).rpartition("/")[2]
        found = analysis_json(cache, audio, source, model, voices, channels)
        return json.dumps(found, ensure_ascii=False, allow_nan=False)

    def models() -> list[dict[str, Any]]:
        return [catalogue.described(shipped) for shipped in bundle.shipped()]

    queue = {"concurrency_limit": ANALYSES, "concurrency_id": "model"}  # with the page's recordings
    gr.api(
        analyze,
        api_name="analyze",
        api_description="Which emotion sounds where in a recording, as JSON. `model`: a name in /models; "
        "`voices`: auto, one or a number; `channels`: auto, mix or each",
        **queue,
    )
    gr.api(analyze_speech_emotion, api_name=TOOL, **queue)
    gr.api(models, api_name="models", api_description="The shipped models and how often they are right")


def health_route(recognizer: Recognizer | None) -> Route:
    """`/health`, outside the queue: status 200 with a model, 503 without."""
    status = {"ok": recognizer is not None, "version": ser_core.__version__, "model": None}
    if recognizer:
        own = recognizer.bundle
        status["model"] = {"name": own.name, "version": own.version}

    async def health(_: Request) -> JSONResponse:
        device = str(recognizer.device) if recognizer else None  # changes if it runs out of memory
        return JSONResponse(status | {"device": device}, 200 if status["ok"] else 503)

    return Route(HEALTH, health)


def keep_one_tool(blocks: gr.Blocks) -> None:
    """Leaves `TOOL` as the only MCP tool of the launched `blocks`.

    Gradio makes a tool of every public endpoint. Its tools answer in Python notation instead of JSON where an
    endpoint does not return text.
    """
    server = blocks.mcp_server_obj
    server.tool_to_endpoint = {
        name: endpoint for name, endpoint in server.tool_to_endpoint.items() if endpoint == f"/{TOOL}"
    }
