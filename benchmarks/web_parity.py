"""Real clips as files of several kinds, and how the static page's results for them differ from Python's."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from ser_core import Analysis
from ser_core.audio.decode import decode
from ser_core.audio.waveform import SAMPLE_RATE

DATA = Path(__file__).parents[2] / "shared" / "data"
NOT_CLIPS = "vad"  # of the corpora
TOLERANCE_S = 0.01
PAUSES_S = (0.3, 1.5)  # between the clips of a long file: shortest and longest
# Kinds of file: extension, sampling rate in Hz, channels, and FFmpeg's codec; None: libsndfile writes it.
KINDS: dict[str, tuple[str, int, int, str | None]] = {
    "wav 44.1 kHz": ("wav", 44_100, 1, None),
    "flac 48 kHz stereo": ("flac", 48_000, 2, None),
    "mp3": ("mp3", 44_100, 1, "libmp3lame"),
    "m4a": ("m4a", 44_100, 2, "aac"),
    "webm": ("webm", 48_000, 1, "libopus"),
}

Samples = NDArray[np.float32]


@dataclass
class Parity:
    """How the page's results differ from Python's over several recordings."""

    recordings: int = 0
    refused: int = 0  # by one of them alone
    segments: int = 0  # of Python
    invented: int = 0  # segments of the page alone
    same_span: int = 0  # within `TOLERANCE_S` at both ends
    same_label: int = 0  # of these
    largest: float = 0.0  # difference of a probability, of these
    within: int = 0  # of these, how many have each probability within 0.02

    def add(self, page: dict[str, Any] | None, python: Analysis) -> None:
        """Compares the results for one recording; None: the page refused it."""
        self.recordings += 1
        if page is None or python.error:
            self.refused += page is not None or python.error is None
            return
        left = list(page["segments"])
        self.segments += len(python.segments)
        for segment in python.segments:
            found = [one for one in left if same_span(one, segment.start, segment.end)]
            if not found:
                continue
            left.remove(found[0])
            self.same_span += 1
            self.same_label += found[0]["label"] == segment.label
            shares = [abs(found[0]["probabilities"][name] - p) for name, p in segment.probabilities.items()]
            self.largest = max(self.largest, *shares)
            self.within += max(shares) <= 0.02
        self.invented += len(left)

    def figures(self) -> dict[str, Any]:
        """The counts, and shares of the segments."""
        return {
            "recordings": self.recordings,
            "refused_by_one": self.refused,
            "segments": self.segments,
            "invented": self.invented,
            "same_span": round(self.same_span / max(self.segments + self.invented, 1), 4),
            "same_label": round(self.same_label / max(self.same_span, 1), 4),
            "probabilities_within_0.02": round(self.within / max(self.same_span, 1), 4),
            "largest_difference": round(self.largest, 4),
        }


def same_span(one: dict[str, Any], start: float, end: float) -> bool:
    """Whether a segment of the page lies where one of Python does; JSON rounds to ms."""
    return max(abs(one["start"] - start), abs(one["end"] - end)) <= TOLERANCE_S + 5e-4


def clips(count: int, seed: int = 22) -> list[Path]:
    """`count` clips, as many of each corpus, drawn by `seed`; files as they are stored."""
    corpora = sorted(path.parent for path in DATA.glob("*/metadata.csv") if path.parent.name != NOT_CLIPS)
    rng = np.random.default_rng(seed)
    drawn = []
    for number, corpus in enumerate(corpora):
        each = count // len(corpora) + (number < count % len(corpora))
        files = sorted([*corpus.rglob("*.flac"), *corpus.rglob("*.opus")])
        drawn += [files[i] for i in rng.choice(len(files), each, replace=False)]
    return drawn


def long_sound(paths: Sequence[Path], minutes: float, seed: int) -> Samples:
    """Clips in random order with pauses between them, `(n_samples,)` at 16 kHz."""
    rng = np.random.default_rng(seed)
    pieces: list[Samples] = []
    while sum(map(len, pieces)) < 60 * minutes * SAMPLE_RATE:
        pieces.append(decode(paths[rng.integers(len(paths))]).samples)
        pieces.append(np.zeros(round(rng.uniform(*PAUSES_S) * SAMPLE_RATE), np.float32))
    return np.concatenate(pieces)[: round(60 * minutes * SAMPLE_RATE)]


def written(samples: Samples, folder: Path, stem: str, kind: str) -> Path:
    """`samples` at 16 kHz as a file of one of `KINDS`."""
    extension, rate, channels, codec = KINDS[kind]
    path = folder / f"{stem}.{extension}"
    sound = np.stack(
        [soxr.resample(samples, SAMPLE_RATE, rate).clip(-1, 1)] * channels
    )  # (channel, n_samples)
    if codec is None:
        soundfile.write(path, sound.T, rate, subtype="PCM_16")
        return path
    layout = "mono" if channels == 1 else "stereo"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        frame = av.AudioFrame.from_ndarray(sound.astype(np.float32), format="fltp", layout=layout)
        frame.sample_rate = rate
        resampler = av.AudioResampler(stream.format, layout, rate, stream.frame_size or 1024)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return path


def plain_wav(path: Path, folder: Path) -> Path:
    """The samples of `path` as Python decodes them, as WAV at 16 kHz."""
    target = folder / "plain.wav"
    soundfile.write(target, decode(path).samples, SAMPLE_RATE, subtype="PCM_16")
    return target


def as_kinds(paths: Sequence[Path], folder: Path, each: int) -> Iterator[tuple[str, Path]]:
    """The kind and the file of the first clips of every corpus, `each` for each of `KINDS`."""
    step = max(len(paths) // each, 1)
    for kind in KINDS:
        for number, path in enumerate(paths[::step][:each]):
            yield kind, written(decode(path).samples, folder, f"{number}-{kind[:4].strip()}", kind)
