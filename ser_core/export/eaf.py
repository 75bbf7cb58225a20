"""ELAN annotation format (EAF 2.8): the tiers `emotion` and `confidence`, linked to the recording.

Where several voices were told apart, each has both tiers, with its name before theirs and as participant.

https://www.mpi.nl/tools/elan/EAFv2.8.xsd
"""

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from pympi import Elan

from ser_core.analysis import Analysis
from ser_core.export.text import PROBABILITY_DIGITS, printable, utf8
from ser_core.export.tier import single_analysis, tiers

MEDIA_TYPES = {".wav": "audio/x-wav"}  # as ELAN calls it
ANY_AUDIO = "audio/*"


def dumps(analyses: Sequence[Analysis], folder: Path | None = None) -> str:
    """One analysis as XML; ValueError for another number of analyses.

    With `folder`, where the file is to be, its source is a path, and the file links to that recording:
    absolute, and relative to `folder`. Without, it is only a name, as the page knows it.
    The recording's name is percent-encoded in its URL, because XML cannot contain control characters.
    """
    analysis = single_analysis(analyses)
    document = Elan.Eaf(author=f"SER Studio, {analysis.model_name} {analysis.model_version}")
    document.remove_tier("default")
    url, relative_url = _urls(analysis.source, folder)
    suffix = analysis.source[-4:].lower()
    document.add_linked_file(url, relpath=relative_url, mimetype=MEDIA_TYPES.get(suffix, ANY_AUDIO))
    for voice, tier in tiers(analysis).items():
        name = printable(voice)
        emotion, confidence = f"{name} emotion".lstrip(), f"{name} confidence".lstrip()
        document.add_tier(emotion, part=name or None)
        document.add_tier(confidence, part=name or None)
        for item in tier:
            share = f"{item.segment.confidence:.{PROBABILITY_DIGITS}f}"
            document.add_annotation(emotion, item.start_ms, item.end_ms, item.segment.label)
            document.add_annotation(confidence, item.start_ms, item.end_ms, share)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{Elan.to_string(document)}\n'


def _urls(source: str, folder: Path | None) -> tuple[str, str | None]:
    """MEDIA_URL and RELATIVE_MEDIA_URL of the recording `source`; None for the latter on another drive."""
    if folder is None:
        url = quote(utf8(source))
        url = f"file://{url}" if url.startswith("/") else f"./{url}"
        return url, url
    # Links are followed in folders: `..` of a linked folder is not where its name stands.
    recording = Path(os.path.realpath(os.path.dirname(source)), os.path.basename(source))
    try:
        relative = Path(os.path.relpath(recording, os.path.realpath(folder)))
    except ValueError:  # Windows: another drive
        return recording.as_uri(), None
    relative_url = quote(os.fsencode(relative.as_posix()))
    return recording.as_uri(), relative_url if relative.parts[0] == ".." else f"./{relative_url}"
