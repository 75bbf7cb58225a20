"""Writes analyses as Parquet, one row per segment.

    column         type     what
    source         string   name of the recording
    duration       double   its length in s
    segment        int32    number of the segment within the recording, from 0
    start, end     double   s from the start of the recording
    label          string   an emotion, `unknown`, or `no_speech`
    confidence     float    probability of the most probable emotion, 0 to 1
    valence        float    expected value under the probabilities, -1 to 1
    arousal        float    the same
    voice          string   `A`, `B`, … in order of appearance, `?` where unsure; null where not told apart
    channel        int32    from 1, where the channels were heard apart
    overlap        bool     two voices at once are heard in most of it
    neutral, ...   float    a column for each of the eight emotions: its probability, 0 to 1
    peak_dbfs      float    of the whole recording, as are the next four: see `ser_core.audio.quality.Quality`
    clipped        float
    snr_db         float
    bandwidth_hz   int32
    warnings       list<string>
    error          string   the code of `AudioError`, see `ser_core.errors`
    message        string   what happened and what to do
    model          string   name and version of the checkpoint

A recording without speech has one row, labelled `no_speech`, without a segment. One that could not be read
has one row with `error` and `message`. Fields without a value are null, as are emotions that the model does
not know.
"""

import io
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ser_core.analysis import Analysis
from ser_core.emotions import LABELS
from ser_core.export.text import utf8

SCHEMA = pa.schema(
    [
        ("source", pa.string()),
        ("duration", pa.float64()),
        ("segment", pa.int32()),
        ("start", pa.float64()),
        ("end", pa.float64()),
        ("label", pa.string()),
        ("confidence", pa.float32()),
        ("valence", pa.float32()),
        ("arousal", pa.float32()),
        *((label, pa.float32()) for label in LABELS),
        ("voice", pa.string()),
        ("channel", pa.int32()),
        ("overlap", pa.bool_()),
        ("peak_dbfs", pa.float32()),
        ("clipped", pa.float32()),
        ("snr_db", pa.float32()),
        ("bandwidth_hz", pa.int32()),
        ("warnings", pa.list_(pa.string())),
        ("error", pa.string()),
        ("message", pa.string()),
        ("model", pa.string()),
    ]
)


def parquet(analyses: Sequence[Analysis]) -> bytes:
    """A Parquet file with the rows of `analyses`, in their order."""
    rows = [row for analysis in analyses for row in _rows(analysis)]
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), file, compression="zstd")
    return file.getvalue()


def _rows(analysis: Analysis) -> Iterator[dict[str, Any]]:
    recording: dict[str, Any] = {
        "source": utf8(analysis.source),
        "model": f"{analysis.model_name} {analysis.model_version}",
    }
    if analysis.error:
        yield recording | {"error": analysis.error.code, "message": utf8(analysis.error.message)}
        return
    recording["duration"] = analysis.duration
    quality = analysis.quality
    if quality:
        recording |= {
            "peak_dbfs": quality.peak_dbfs,
            "clipped": quality.clipped,
            "snr_db": quality.snr_db,
            "bandwidth_hz": quality.bandwidth_hz,
            "warnings": list(quality.warnings),
        }
    if not analysis.segments:
        yield recording | {"label": analysis.summary.label}
    for number, segment in enumerate(analysis.segments):
        yield {
            **recording,
            "segment": number,
            "start": segment.start,
            "end": segment.end,
            "label": segment.label,
            "confidence": segment.confidence,
            "valence": segment.valence,
            "arousal": segment.arousal,
            "voice": segment.voice,
            "channel": segment.channel,
            "overlap": segment.overlap,
            **segment.probabilities,
        }
