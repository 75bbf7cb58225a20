"""Uploads, and the rule that the server reads only uploaded files: no other local file, nothing remote.

Gradio checks a path only where it is marked as a file, and fetches any address it is given, of any size.
"""

import asyncio
import errno
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import gradio as gr
from gradio.route_utils import upload_fn
from gradio.routes import file_upload_statuses
from gradio.utils import get_upload_folder
from gradio_client.utils import is_file_obj, traverse
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive

from ser_core.errors import AudioError
from ser_ui import words
from ser_ui.server import failures
from ser_ui.server.guard import FILE, UPLOAD, refusal_response
from ser_ui.server.limits import LATER_S, MAX_FILE_BYTES, Refusal
from ser_ui.server.storage import SWEEP_INTERVAL_S, Storage, discard

CHUNK_BYTES = 1024**2  # size of an upload's writes
MAX_NAME = 200  # characters of a file name that is repeated in a response
log = logging.getLogger(__name__)


class Blocks(gr.Blocks):
    """A Gradio page whose events accept only uploaded files, and log no file names."""

    def __init__(self, **options: Any) -> None:
        self.storage = Storage(Path(get_upload_folder()).resolve())
        super().__init__(**options)

    async def process_api(self, block_fn: Any, inputs: list[Any], *rest: Any, **named: Any) -> dict[str, Any]:
        """As Gradio's method, which handles every call of every event."""

        def check(file: dict[str, Any]) -> dict[str, Any]:
            self.storage.use(uploaded_path(file["path"]), named.get("session_hash"))
            return file

        phrases = words.for_request(named.get("request"))
        title = phrases("refusal.title")
        try:
            traverse(inputs, check, is_file_obj)
            return await super().process_api(block_fn, inputs, *rest, **named)
        except AudioError as error:
            message = f"{error.code}: {phrases.error(error)}"
            raise gr.Error(message, title=title, print_exception=False) from None
        except gr.Error:
            raise
        except Exception as error:  # noqa: BLE001 - Gradio would log its text, which may name a file
            log.error("an event failed: %s", failures.describe(error))
            raise gr.Error(phrases("refusal.failed"), title=title, print_exception=False) from None


def uploaded_path(address: str) -> Path:
    """The path of an uploaded file. `address`: the path that the upload returned, or its URL on this server.

    Raises AudioError with code `not_uploaded`, the same for all other paths, so that the response does not
    reveal which files exist.
    """
    path = Path(unquote(urlsplit(address).path.partition(FILE)[2]) if "://" in address else address)
    folder = Path(get_upload_folder()).resolve()
    try:
        resolved = path.resolve()
        if resolved.is_relative_to(folder) and resolved.is_file():
            return resolved
    except (OSError, ValueError):  # a path that is too long or has a null byte
        pass
    raise AudioError(
        "not_uploaded",
        "this file was not uploaded here, or was deleted since: upload it (POST /gradio_api/upload) and use "
        "the path that the upload returns",
    )


def display_name(file: dict[str, Any]) -> str:
    """The original name of an uploaded `file`, without unprintable characters.

    >>> display_name({"path": "/tmp/x/a.wav", "orig_name": "b\\x1b[2J.wav"})
    'b[2J.wav'
    """
    name = file.get("orig_name")
    if not isinstance(name, str) or not name:
        name = Path(file["path"]).name
    return "".join(filter(str.isprintable, name))[:MAX_NAME]


def route(storage: Storage) -> Route:
    """The upload route in place of Gradio's: one folder per upload, deleted if the upload fails."""

    async def upload(request: Request) -> Response:
        length = request.headers.get("content-length", "")
        if not storage.has_room(int(length) if length.isdecimal() else MAX_FILE_BYTES):
            return refusal_response(_disk_is_full(), UPLOAD, request.headers)
        folder = storage.new()
        try:
            upload_id = request.query_params.get("upload_id")
            progress = file_upload_statuses if upload_id else None
            request = Request(request.scope, _in_large_chunks(request.receive))
            paths, *_ = await upload_fn(request, folder, MAX_FILE_BYTES, upload_id, upload_progress=progress)
            return JSONResponse(paths)
        except BaseException as error:
            discard(folder)
            match error:
                case Refusal():
                    return refusal_response(error, UPLOAD, request.headers)
                case MultiPartException(message=message) if "size exceeded" in message:
                    too_large = Refusal(413, "too_large", file=MAX_FILE_BYTES // 1024**2)
                    return refusal_response(too_large, UPLOAD, request.headers)
                case MultiPartException():  # never from a browser
                    return PlainTextResponse(error.message, 400)
                case HTTPException():
                    return PlainTextResponse(error.detail, error.status_code, error.headers)
                case OSError(errno=errno.ENOSPC):
                    return refusal_response(_disk_is_full(), UPLOAD, request.headers)
            raise

    return Route(UPLOAD, upload, methods=["POST"])


def _in_large_chunks(receive: Receive) -> Receive:
    """`receive` with small chunks joined to CHUNK_BYTES.

    Gradio writes each chunk on another thread, which takes long when threads are busy.
    """

    async def receive_large() -> Message:
        chunks, size = [], 0
        while True:
            message = await receive()
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            if not message.get("more_body", False) or size >= CHUNK_BYTES:
                return message | {"body": b"".join(chunks)}

    return receive_large


def _disk_is_full() -> Refusal:
    return Refusal(507, "disk_full", LATER_S)


@asynccontextmanager
async def swept(storage: Storage) -> AsyncIterator[None]:
    """Sweeps `storage` every SWEEP_INTERVAL_S for as long as the server runs."""

    async def sweep() -> None:
        while True:
            await asyncio.sleep(SWEEP_INTERVAL_S)
            try:
                await asyncio.to_thread(storage.sweep)
            except OSError as error:  # the next sweep tries again
                log.error("uploads could not be deleted: %s", failures.describe(error))

    task = asyncio.create_task(sweep())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
