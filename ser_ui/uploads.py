"""Only what was uploaded to this server is read: no other file of its, and nothing from elsewhere.

Gradio checks a file only where it is marked as one, and fetches whatever address it is told, of any size.
"""

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import gradio as gr
from gradio.utils import get_upload_folder
from gradio_client.utils import is_file_obj, traverse

from ser_core.audio import AudioError

SERVED_AT = "/gradio_api/file="  # where this server's uploads are; the path in it follows


class Blocks(gr.Blocks):
    """A Gradio page none of whose events takes a file that was not uploaded to it."""

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *rest: Any, **named: Any) -> Any:
        """As Gradio's, which runs it on the inputs of every event before anything is done with them."""
        traverse(inputs, _check, is_file_obj)
        return await super().preprocess_data(block_fn, inputs, *rest, **named)


def uploaded(place: str) -> Path:
    """The uploaded file at `place`: its path as the upload returned it, or its address on this server.

    Raises AudioError with code `not_uploaded`: for all other places alike, so that nobody learns by asking
    which files there are.
    """
    path = Path(unquote(urlsplit(place).path.partition(SERVED_AT)[2]) if "://" in place else place)
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


def _check(file: dict[str, Any]) -> dict[str, Any]:
    try:
        uploaded(file["path"])
    except AudioError as error:
        raise gr.Error(f"{error.code}: {error.message}", print_exception=False) from None
    return file


def name_of(file: dict[str, Any]) -> str:
    """What the person who uploaded `file` calls it."""
    name = file.get("orig_name")
    return name if isinstance(name, str) and name else Path(file["path"]).name
