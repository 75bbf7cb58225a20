"""What telling voices apart costs in emotion: clips of made conversations under their true speakers and under
the voices that were found; see voices.py.

A clip is judged in four ways, each time in the session of its voice, in order:

clips      as the corpus has it, under its speaker
speakers   as turns that are cut where the networks cut, joined and judged under the speaker of most of each
voices     the same turns under the voices that were found, as the program does it
one        turns as for `voices`, in one session

A clip of several turns has the mean of their probabilities, by time; one that no turn covers counts as wrong.
Unweighted average recall is of the emotions of a corpus, the mean over corpora is reported. The shipped
default model was trained on these corpora, so the recalls are too high: what counts is their difference.
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import conversations
import numpy as np
from conversations import Talk
from heard import Heard, speakers_of
from numpy.typing import NDArray

from ser_core.audio.vad import Span
from ser_core.audio.waveform import SAMPLE_RATE
from ser_core.emotions import canonical
from ser_core.models.session import Session
from ser_core.recognition.diarization import turns_of
from ser_core.recognition.recognizer import Recognizer

WAYS = ("clips", "speakers", "voices", "one")
LEAST = SAMPLE_RATE // 10  # a shorter overlap of turn and clip does not count

Judged = tuple[Span, NDArray[np.float64]]  # a turn, and its class probabilities (class,)


@dataclass(frozen=True)
class Found:
    """A made conversation with the voice that was found for each of its pieces."""

    heard: Heard
    number: int  # of the conversation, for `conversations.make`
    voices: Sequence[int | None]


class Embeddings:
    """Embeddings of stretches of one conversation, kept in a file; the sound is made when one is missing."""

    def __init__(self, recognizer: Recognizer, data: Path, found: Found, folder: Path) -> None:
        key = f"{found.heard.name} {found.heard.pieces[-1].span.end} {recognizer.bundle.sha256}"
        self._path = (
            folder / f"{found.heard.name}-emotion-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz"
        )
        self._recognizer, self._data, self._found = recognizer, data, found
        self._known: dict[tuple[int, int], NDArray[np.float32]] = {}
        if self._path.is_file():
            with np.load(self._path) as file:
                self._known = dict(zip(map(tuple, file["spans"].tolist()), file["vectors"], strict=True))

    def of(self, spans: Sequence[Span]) -> NDArray[np.float32]:
        """`(span, size)`."""
        missing = [span for span in spans if (span.start, span.end) not in self._known]
        if missing:
            heard = self._found.heard
            talk = conversations.make(
                self._data, heard.corpus, len({v for *_, v in heard.truth}), self._found.number
            )
            clips = [talk.samples[span.start : span.end] for span in missing]
            vectors = self._recognizer.compute(lambda runtime: runtime.embeddings(clips))
            self._known |= {(s.start, s.end): vector for s, vector in zip(missing, vectors, strict=True)}
            np.savez(
                self._path, spans=np.array(list(self._known)), vectors=np.array(list(self._known.values()))
            )
        return np.array([self._known[span.start, span.end] for span in spans])


def recalls(
    recognizer: Recognizer, data: Path, conversations_: Sequence[Found], folder: Path
) -> dict[str, object]:
    """Unweighted average recall in percent, each of `WAYS`: the mean over corpora, and of each corpus."""
    right: dict[tuple[str, str], dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for found in conversations_:
        heard = found.heard
        classes = sorted({canonical(talk.emotion) for talk in heard.talks})
        columns = [recognizer.bundle.labels.index(label) for label in classes]
        for way, judged in _ways(recognizer, Embeddings(recognizer, data, found, folder), found).items():
            for talk in heard.talks:
                shares = _probabilities(talk, judged)
                label = None if shares is None else classes[int(shares[columns].argmax())]
                emotion = canonical(talk.emotion)
                right[heard.corpus, way][emotion].append(label == emotion)
    by_corpus = {
        corpus: {
            way: round(100 * float(np.mean([np.mean(own) for own in right[corpus, way].values()])), 1)
            for way in WAYS
        }
        for corpus in sorted({corpus for corpus, _ in right})
    }
    means = {way: round(float(np.mean([row[way] for row in by_corpus.values()])), 1) for way in WAYS}
    clips = sum(len(found.heard.talks) for found in conversations_)
    return {"conversations": len(conversations_), "clips": clips, "mean": means, "by_corpus": by_corpus}


def _ways(recognizer: Recognizer, embeddings: Embeddings, found: Found) -> dict[str, list[Judged]]:
    """The turns of each of `WAYS`, judged."""
    heard = found.heard
    true = turns_of(heard.pieces, speakers_of(heard))
    turns = turns_of(heard.pieces, found.voices)
    speakers = list(dict.fromkeys(talk.speaker for talk in heard.talks))
    clips = [Span(talk.start, talk.end) for talk in heard.talks]
    cases: dict[str, tuple[list[Span], list[int | None]]] = {
        "clips": (clips, [speakers.index(talk.speaker) for talk in heard.talks]),
        "speakers": ([turn.span for turn in true], [turn.voice for turn in true]),
        "voices": ([turn.span for turn in turns], [turn.voice for turn in turns]),
        "one": ([turn.span for turn in turns], [0] * len(turns)),
    }
    judged = {}
    for way, (spans, voices) in cases.items():
        sessions: dict[int, Session] = defaultdict(Session)
        own = [Session() if voice is None else sessions[voice] for voice in voices]
        vectors = embeddings.of(spans)
        rows = recognizer.compute(lambda runtime, v=vectors, s=own: runtime.judge(v, s)).in_session
        judged[way] = list(zip(spans, rows, strict=True))
    return judged


def _probabilities(talk: Talk, judged: Sequence[Judged]) -> NDArray[np.float64] | None:
    """The mean `(class,)` of the turns within a clip, by time; None where there is none."""
    total, length = 0.0, 0
    for span, row in judged:
        both = min(span.end, talk.end) - max(span.start, talk.start)
        if both >= LEAST:
            total, length = total + both * row, length + both
    return total / length if length else None
