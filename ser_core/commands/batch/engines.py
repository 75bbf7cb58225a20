"""Who works on the chunks: this process, or the actors of a Ray cluster. Both make the same of them."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ser_core.analysis import Analysis
from ser_core.audio.isolated import Decoder, WorkerLimits
from ser_core.commands.batch.recordings import Recording, fetch
from ser_core.commands.batch.table import parquet
from ser_core.errors import AudioError
from ser_core.recognition.recognizer import Recognizer

FETCHES = 8  # copies made at once of recordings that lie elsewhere
DECODING = WorkerLimits(cpu_s=3600)  # of a file: an archive may hold days in one
TASK_RETRIES = 3  # of a chunk whose worker died; after that a recording must be at fault


@dataclass(frozen=True)
class Part:
    """What became of a chunk."""

    name: str  # of its file; the same for the same recordings
    table: bytes  # the file
    sources: list[str]
    failed: int  # recordings that could not be read
    seconds: float  # of sound


def analyse(recognizer: Recognizer, chunk: Sequence[Recording]) -> Part:
    """The rows of a chunk; recordings that lie elsewhere are copied here for as long as it takes."""
    errors: dict[str, AudioError] = {}

    def here(folder: Path, pool: ThreadPoolExecutor) -> Iterator[Path]:
        copies = [
            pool.submit(fetch, recording, folder, str(number)) for number, recording in enumerate(chunk)
        ]
        for recording, copy in zip(chunk, copies, strict=True):
            try:
                yield copy.result()
            except AudioError as error:
                errors[recording.source] = error

    with TemporaryDirectory() as folder, ThreadPoolExecutor(FETCHES) as pool:
        found = iter(list(recognizer.analyze_files(here(Path(folder), pool))))
    bundle = recognizer.bundle
    analyses = [
        Analysis(recording.source, 0.0, bundle.name, bundle.version, error=errors[recording.source])
        if recording.source in errors
        else replace(next(found), source=recording.source)
        for recording in chunk
    ]
    sources = [recording.source for recording in chunk]
    digest = hashlib.sha256(json.dumps(sources).encode()).hexdigest()[:16]
    return Part(
        name=f"part-{digest}.parquet",
        table=parquet(analyses),
        sources=sources,
        failed=sum(analysis.error is not None for analysis in analyses),
        seconds=sum(analysis.duration for analysis in analyses),
    )


def local(chunks: Iterable[Sequence[Recording]], recognizer: Recognizer) -> Iterator[Part]:
    """One chunk after the other in this process; files are decoded where they can do it no harm."""
    with Decoder(DECODING) as decoder:
        guarded = Recognizer(recognizer.runtime, decoder.stream)
        for chunk in chunks:
            yield analyse(guarded, chunk)


def ray(chunks: Sequence[Sequence[Recording]], model: str, gpus: int) -> Iterator[Part]:
    """Chunks as they get done, on the cluster that this machine or RAY_ADDRESS belongs to, else on its cores.

    An actor holds the model and one GPU, or one core where `gpus` is 0. Recordings whose worker dies over
    them, again and again, are tried once more each by itself; those over which it still dies are left out.
    Raises ConnectionError where a cluster is named that does not answer.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # else a cluster begun here reports to its makers
    import ray as cluster

    cluster.init(logging_level="warning", log_to_driver=False, ignore_reinit_error=True)
    left = {chunk[0].source: chunk for chunk in chunks}
    for part in _mapped(chunks, model, gpus):
        del left[part.sources[0]]
        yield part
    if left:
        yield from _mapped([[recording] for chunk in left.values() for recording in chunk], model, gpus)


def _mapped(chunks: Sequence[Sequence[Recording]], model: str, gpus: int) -> Iterator[Part]:
    """The parts that come of `chunks`, in any order.

    Ray Data starts no more chunks than there are actors and room for results, and gives the chunk of an actor
    that died to another.
    """
    import ray as cluster

    context = cluster.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1  # a chunk that fails leaves the others alone
    workers = gpus or int(cluster.cluster_resources()["CPU"])
    done = cluster.data.from_items(
        [{"chunk": json.dumps([asdict(recording) for recording in chunk])} for chunk in chunks],
        override_num_blocks=len(chunks),
    ).map_batches(
        _Actor,
        fn_constructor_args=(model, "cuda" if gpus else "cpu"),
        batch_size=1,
        compute=cluster.data.ActorPoolStrategy(min_size=1, max_size=workers, initial_size=workers),
        num_cpus=1,
        num_gpus=1 if gpus else 0,
        ray_remote_args_fn=lambda: {"max_task_retries": TASK_RETRIES},
    )
    for row in done.iter_rows():
        yield Part(**{**row, "sources": list(row["sources"])})


class _Actor:
    """A worker of the cluster."""

    def __init__(self, model: str, device: str) -> None:
        self._recognizer = Recognizer.load(model, device, read=Decoder(DECODING).stream)

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
        [chunk] = (json.loads(text) for text in batch["chunk"])
        recordings = [
            Recording(**{**values, "error": values["error"] and tuple(values["error"])}) for values in chunk
        ]
        part = analyse(self._recognizer, recordings)
        return {name: [value] for name, value in asdict(part).items()}
