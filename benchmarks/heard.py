"""What the networks hear in a recording, kept in files; see voices.py."""

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from conversations import Talk
from numpy.typing import NDArray

from ser_core.audio.vad import Span, segment
from ser_core.audio.waveform import SAMPLE_RATE, Waveform
from ser_core.recognition.voice_clusters import LONG_S
from ser_core.recognition.voice_pieces import Piece, PieceCutter
from train.fitting.voice_space import Voice

VERSION = 4  # of what the networks hear; raised when `voice_pieces` changes it


@dataclass(frozen=True)
class Heard:
    """A recording as the clustering gets it, and the truth: (start, end, voice), in samples."""

    name: str
    corpus: str
    spans: tuple[Span, ...]
    pieces: tuple[Piece, ...]
    truth: tuple[tuple[int, int, int], ...]
    n_samples: int
    talks: tuple[Talk, ...] = ()  # of a made conversation


def voices_in(heard: Heard) -> list[Voice]:
    """The vectors and lengths (s) of each true voice's pieces, of those that are clearly of one."""
    found: dict[int, list[tuple[NDArray[np.float32], float]]] = {}
    for piece in heard.pieces:
        length = piece.span.end - piece.span.start
        shares: dict[int, int] = {}
        for start, end, voice in heard.truth:
            both = min(end, piece.span.end) - max(start, piece.span.start)
            if both > 0:
                shares[voice] = shares.get(voice, 0) + both
        voice = max(shares, key=lambda one: shares[one], default=-1)
        if piece.embedding is not None and length >= LONG_S * SAMPLE_RATE and len(shares) == 1:
            found.setdefault(voice, []).append((piece.embedding, length / SAMPLE_RATE))
    return [
        (np.array([vector for vector, _ in own], np.float64), np.array([seconds for _, seconds in own]))
        for own in found.values()
    ]


def speakers_of(heard: Heard) -> list[int | None]:
    """The true voice of most of each piece; None where nobody speaks in it."""
    found: list[int | None] = []
    for piece in heard.pieces:
        shares: dict[int, int] = defaultdict(int)
        for start, end, voice in heard.truth:
            shares[voice] += max(0, min(end, piece.span.end) - max(start, piece.span.start))
        voice = max(shares, key=lambda one: shares[one])
        found.append(voice if shares[voice] else None)
    return found


def hear(
    name: str,
    corpus: str,
    samples: NDArray[np.float32],
    truth: list[tuple[int, int, int]],
    cutter: PieceCutter,
    folder: Path,
    talks: tuple[Talk, ...] = (),
) -> Heard:
    """The recording as the networks hear it, read from `folder` where it was heard before."""
    code = repr(VERSION).encode() + samples.tobytes()
    path = folder / f"{name}-{hashlib.sha256(code).hexdigest()[:16]}.npz"
    if not path.is_file():
        spans = segment(Waveform(samples))
        pieces = [
            piece
            for owner, span in enumerate(spans)
            for piece in cutter.pieces(samples[span.start : span.end], span, owner)
        ]
        missing = np.full(192, np.nan, np.float32)
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(
            path,
            spans=np.array([(span.start, span.end) for span in spans], np.int64).reshape(-1, 2),
            places=np.array([(p.span.start, p.span.end, p.owner, p.local) for p in pieces], np.int64).reshape(
                -1, 4
            ),
            overlap=np.array([piece.overlap for piece in pieces]),
            heard=np.array([piece.heard for piece in pieces], bool),
            vectors=np.array(
                [missing if piece.embedding is None else piece.embedding for piece in pieces]
            ).reshape(-1, 192),
        )
    with np.load(path) as file:
        spans = [Span(*row) for row in file["spans"].tolist()]
        columns = file["places"].tolist(), file["overlap"].tolist(), file["vectors"], file["heard"].tolist()
        pieces = [
            Piece(Span(start, end), owner, local, overlap, None if np.isnan(vector[0]) else vector, heard)
            for (start, end, owner, local), overlap, vector, heard in zip(*columns, strict=True)
        ]
    return Heard(name, corpus, tuple(spans), tuple(pieces), tuple(truth), len(samples), talks)


def read_rttm(path: Path, end_s: float) -> list[tuple[int, int, int]]:
    """The truth of a file of NIST's Rich Transcription Time Marked format, cut at the recording's end."""
    rows = [
        line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("SPEAKER")
    ]
    numbers: dict[str, int] = {}
    truth = []
    for row in rows:
        start, end = float(row[3]), min(end_s, float(row[3]) + float(row[4]))
        if end > start:
            number = numbers.setdefault(row[7], len(numbers))
            truth.append((int(start * SAMPLE_RATE), int(end * SAMPLE_RATE), number))
    return truth
