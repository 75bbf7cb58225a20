"""Only what was uploaded to this server is read: no other file of its, and nothing from elsewhere.

Gradio checks a file only where it is marked as one, and fetches whatever address it is told, of any size.
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
from ser_ui.server.guard import FILE, UPLOAD, refused
from ser_ui.server.limits import LATER_S, MAX_FILE_BYTES, Refusal
from ser_ui.server.storage import SWEEP_S, Storage, discard

PIECE_BYTES = 1024**2  # of an upload that is written at once
MAX_NAME = 200  # characters of a file's name that are repeated to anybody
log = logging.getLogger(__name__)


class Blocks(gr.Blocks):
    """A Gradio page whose events take only files that were uploaded to it, and log no file's name."""

    def __init__(self, **options: Any) -> None:
        self.storage = Storage(Path(get_upload_folder()).resolve())
        super().__init__(**options)

    async def process_api(self, block_fn: Any, inputs: list[Any], *rest: Any, **named: Any) -> dict[str, Any]:
        """As Gradio's, through which every call of every event goes."""

        def check(file: dict[str, Any]) -> dict[str, Any]:
            self.storage.use(uploaded(file["path"]), named.get("session_hash"))
            return file

        phrases = words.of(named.get("request"))
        title = phrases("refusal.title")
        try:
            traverse(inputs, check, is_file_obj)
            return await super().process_api(block_fn, inputs, *rest, **named)
        except AudioError as error:
            told = f"{error.code}: {phrases.error(error)}"
            raise gr.Error(told, title=title, print_exception=False) from None
        except gr.Error:
            raise
        except Exception as error:  # noqa: BLE001 - Gradio would log its words, which may name a file
            log.error("an event failed: %s", failures.describe(error))
            raise gr.Error(phrases("refusal.failed"), title=title, print_exception=False) from None


def uploaded(place: str) -> Path:
    """The uploaded file at `place`: its path as the upload returned it, or its address on this server.

    Raises AudioError with code `not_uploaded`: for all other places alike, so that nobody learns by asking
    which files there are.
    """
    path = Path(unquote(urlsplit(place).path.partition(FILE)[2]) if "://" in place else place)
    folder = Path(get_upload_folder()).resolve()
    try:
        found = path.resolve()
        if found.is_relative_to(folder) and found.is_file():
            return found
    except (OSError, ValueError):  # a name too long, or with a null byte
        pass
    raise AudioError(
        "not_uploaded",
        "this file was not uploaded here, or was deleted since: upload it (POST /gradio_api/upload) and use "
        "the path that the upload returns",
    )


def name_of(file: dict[str, Any]) -> str:
    """What the person who uploaded `file` calls it, in characters that can be printed.

    >>> name_of({"path": "/tmp/x/a.wav", "orig_name": "b\\x1b[2J.wav"})
    'b[2J.wav'
    """
    name = file.get("orig_name")
    if not isinstance(name, str) or not name:
        name = Path(file["path"]).name
    return "".join(filter(str.isprintable, name))[:MAX_NAME]


def route(storage: Storage) -> Route:
    """Takes uploads in, in place of Gradio's route: each in a folder of its own, gone if the upload fails."""

    async def upload(request: Request) -> Response:
        length = request.headers.get("content-length", "")
        if not storage.has_room(int(length) if length.isdecimal() else MAX_FILE_BYTES):
            return refused(_disk_is_full(), UPLOAD, request.headers)
        folder = storage.new()
        try:
            number = request.query_params.get("upload_id")
            told = file_upload_statuses if number else None
            request = Request(request.scope, _in_large_pieces(request.receive))
            places, *_ = await upload_fn(request, folder, MAX_FILE_BYTES, number, upload_progress=told)
            return JSONResponse(places)
        except BaseException as error:
            discard(folder)
            match error:
                case Refusal():
                    return refused(error, UPLOAD, request.headers)
                case MultiPartException(message=message) if "size exceeded" in message:
                    too_large = Refusal(413, "too_large", file=MAX_FILE_BYTES // 1024**2)
                    return refused(too_large, UPLOAD, request.headers)
                case MultiPartException():  # no browser's
                    return PlainTextResponse(error.message, 400)
                case HTTPException():
                    return PlainTextResponse(error.detail, error.status_code, error.headers)
                case OSError(errno=errno.ENOSPC):
                    return refused(_disk_is_full(), UPLOAD, request.headers)
            raise

    return Route(UPLOAD, upload, methods=["POST"])


def _in_large_pieces(receive: Receive) -> Receive:
    """`receive` with fewer pieces: Gradio writes each on another thread, and busy ones hold that up."""

    async def gathered() -> Message:
        pieces, size = [], 0
        while True:
            message = await receive()
            pieces.append(message.get("body", b""))
            size += len(pieces[-1])
            if not message.get("more_body", False) or size >= PIECE_BYTES:
                return message | {"body": b"".join(pieces)}

    return gathered


def _disk_is_full() -> Refusal:
    return Refusal(507, "disk_full", LATER_S)


@asynccontextmanager
async def swept(storage: Storage) -> AsyncIterator[None]:
    """Deletes what is due in `storage`, as long as the server runs."""

    async def sweep() -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            try:
                await asyncio.to_thread(storage.sweep)
            except OSError as error:  # it is tried again; nothing else may stop it either
                log.error("uploads could not be deleted: %s", failures.describe(error))

    task = asyncio.create_task(sweep())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
