"""ELAN annotation format (EAF 2.8): the tiers `emotion` and `confidence`, linked to the recording.

https://www.mpi.nl/tools/elan/EAFv2.8.xsd
"""

from collections.abc import Sequence
from urllib.parse import quote

from pympi import Elan

from ser_core.analysis import Analysis
from ser_core.export.text import PROBABILITY_DIGITS, utf8
from ser_core.export.tier import intervals, single_analysis

MEDIA_TYPES = {".wav": "audio/x-wav"}  # as ELAN calls it
ANY_AUDIO = "audio/*"


def dumps(analyses: Sequence[Analysis]) -> str:
    """One analysis as XML; ValueError for another number of analyses.

    The recording's name is percent-encoded in its URL, because XML cannot contain control characters.
    """
    analysis = single_analysis(analyses)
    document = Elan.Eaf(author=f"SER Studio, {analysis.model_name} {analysis.model_version}")
    document.remove_tier("default")
    url = quote(utf8(analysis.source))
    url = f"file://{url}" if url.startswith("/") else f"./{url}"
    suffix = analysis.source[-4:].lower()
    document.add_linked_file(url, relpath=url, mimetype=MEDIA_TYPES.get(suffix, ANY_AUDIO))
    document.add_tier("emotion")
    document.add_tier("confidence")
    for item in intervals(analysis):
        confidence = f"{item.segment.confidence:.{PROBABILITY_DIGITS}f}"
        document.add_annotation("emotion", item.start_ms, item.end_ms, item.segment.label)
        document.add_annotation("confidence", item.start_ms, item.end_ms, confidence)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{Elan.to_string(document)}\n'
