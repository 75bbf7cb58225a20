"""Processes chunks of recordings: in this process, or on a Ray cluster, with the same result."""

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
from ser_core.recognition.recording import ONE_VOICE, VoiceOptions

FETCHES = 8  # remote recordings that are copied at the same time
DECODING = WorkerLimits(cpu_s=3600)  # per file: an archive may have files that last days
TASK_RETRIES = 3  # of a chunk whose worker died; after that a recording is taken to be the cause


@dataclass(frozen=True)
class Part:
    """The result of a chunk."""

    name: str  # file name; the same for the same recordings
    table: bytes  # content of the file
    sources: list[str]
    failed: int  # recordings that could not be read
    seconds: float  # of audio


def analyse(recognizer: Recognizer, chunk: Sequence[Recording], options: VoiceOptions = ONE_VOICE) -> Part:
    """The rows of a chunk; remote recordings are copied to a temporary folder while it is processed."""
    errors: dict[str, AudioError] = {}

    def local_paths(folder: Path, pool: ThreadPoolExecutor) -> Iterator[Path]:
        copies = [
            pool.submit(fetch, recording, folder, str(number)) for number, recording in enumerate(chunk)
        ]
        for recording, copy in zip(chunk, copies, strict=True):
            try:
                yield copy.result()
            except AudioError as error:
                errors[recording.source] = error

    with TemporaryDirectory() as folder, ThreadPoolExecutor(FETCHES) as pool:
        results = iter(list(recognizer.analyze_files(local_paths(Path(folder), pool), options=options)))
    bundle = recognizer.bundle
    analyses = [
        Analysis(recording.source, 0.0, bundle.name, bundle.version, error=errors[recording.source])
        if recording.source in errors
        else replace(next(results), source=recording.source)
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


def local(
    chunks: Iterable[Sequence[Recording]], recognizer: Recognizer, options: VoiceOptions = ONE_VOICE
) -> Iterator[Part]:
    """Processes one chunk after the other in this process; files are decoded in isolated workers."""
    with Decoder(DECODING) as decoder:
        isolated = Recognizer(recognizer.runtime, decoder.stream)
        for chunk in chunks:
            yield analyse(isolated, chunk, options)


def ray(
    chunks: Sequence[Sequence[Recording]], model: str, gpus: int, options: VoiceOptions = ONE_VOICE
) -> Iterator[Part]:
    """Processes chunks on the cluster of this machine or RAY_ADDRESS, else on this machine's cores.

    Parts are yielded as they are finished. An actor holds the model and one GPU, or one core if `gpus` is 0.
    The recordings of a chunk whose worker dies repeatedly are tried once more, each by itself; those for
    which it dies again are left out. Raises ConnectionError if the cluster does not answer.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # else Ray reports usage statistics to its makers
    import ray as cluster

    cluster.init(logging_level="warning", log_to_driver=False, ignore_reinit_error=True)
    unfinished = {chunk[0].source: chunk for chunk in chunks}
    for part in _map_chunks(chunks, model, gpus, options):
        del unfinished[part.sources[0]]
        yield part
    if unfinished:
        single = [[recording] for chunk in unfinished.values() for recording in chunk]
        yield from _map_chunks(single, model, gpus, options)


def _map_chunks(
    chunks: Sequence[Sequence[Recording]], model: str, gpus: int, options: VoiceOptions
) -> Iterator[Part]:
    """The parts of `chunks`, in any order.

    Ray Data limits the chunks in progress by the number of actors and the memory for results. It gives the
    chunk of an actor that died to another actor.
    """
    import ray as cluster

    context = cluster.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1  # a chunk that fails does not stop the others
    workers = gpus or int(cluster.cluster_resources()["CPU"])
    dataset = cluster.data.from_items(
        [{"chunk": json.dumps([asdict(recording) for recording in chunk])} for chunk in chunks],
        override_num_blocks=len(chunks),
    ).map_batches(
        _Actor,
        fn_constructor_args=(model, "cuda" if gpus else "cpu", asdict(options)),
        batch_size=1,
        compute=cluster.data.ActorPoolStrategy(min_size=1, max_size=workers, initial_size=workers),
        num_cpus=1,
        num_gpus=1 if gpus else 0,
        ray_remote_args_fn=lambda: {"max_task_retries": TASK_RETRIES},
    )
    for row in dataset.iter_rows():
        yield Part(**{**row, "sources": list(row["sources"])})


class _Actor:
    """A worker of the cluster."""

    def __init__(self, model: str, device: str, options: Mapping[str, Any]) -> None:
        self._options = VoiceOptions(**options)
        self._recognizer = Recognizer.load(model, device, read=Decoder(DECODING).stream)

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
        [chunk] = (json.loads(text) for text in batch["chunk"])
        recordings = [
            Recording(**{**values, "error": values["error"] and tuple(values["error"])}) for values in chunk
        ]
        part = analyse(self._recognizer, recordings, self._options)
        return {name: [value] for name, value in asdict(part).items()}
