"""Who speaks when: speech spans cut into turns, each with a voice.

Names follow the field: a *turn* is a stretch in which one voice speaks, *diarization* finds the turns.
"""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from ser_core.audio.vad import Span
from ser_core.checkpoint import voices as checkpoint
from ser_core.checkpoint.voices import VoicesCheckpoint
from ser_core.models.middle_states import MiddleStates
from ser_core.models.voice_networks import VoiceNetworks
from ser_core.models.voice_space import VoiceSpace
from ser_core.recognition.voice_clusters import voices_of
from ser_core.recognition.voice_pieces import Piece, PieceCutter

Progress = Callable[[float], None]  # gets the share that is done, 0 to 1

OVERLAP = 0.5  # of a turn, in which two voices are heard at once
SETTLED_PIECES = 100  # of a live session, up to which its voices are settled anew with every span
GROWTH = 1.1  # of the pieces, after which they are settled anew later on
KEPT_SPANS = 2000  # of a session, whose hidden states are kept for the model of emotions: 16 MB and more


@dataclass(frozen=True)
class Turn:
    """A stretch in which one voice speaks."""

    span: Span  # inside one of the speech spans that were given
    voice: int | None  # 0, 1, … in order of first appearance; None: about equally near to two, or not heard
    overlap: bool  # the segmentation network hears two voices at once in most of it
    middle: MiddleStates | None = field(default=None, compare=False)  # of exactly this stretch, where known


class Diarizer:
    """Tells voices apart. It holds the networks, is loaded once per process, and may be used by threads."""

    def __init__(self, networks: VoiceNetworks, middle_weights: str, space: VoiceSpace) -> None:
        """As `ser_core.checkpoint.voices` gives them."""
        self._cutter, self._space = PieceCutter(networks, middle_weights), space
        self._networks = networks

    def turns(
        self,
        samples: NDArray[np.float32],
        spans: Sequence[Span],
        voices: int | None = None,
        progress: Progress | None = None,
    ) -> list[Turn]:
        """The turns of a whole recording: mono at 16 kHz, shape (n_samples,), in [-1, 1].

        `spans`: its speech, in order, without overlap, each of at most 10 s. `voices`: their number where it
        is known; None: it is found. The turns are in order and cover `spans` completely; none is longer than
        its span. Neighbouring pieces of one voice inside one span are one turn where no other voice came
        between. Raises ValueError if `voices` is less than 1.
        """
        session = self.live()
        for number, span in enumerate(spans, start=1):
            session.add(samples[span.start : span.end], span)
            if progress:
                progress(number / len(spans))
        return session.settle(voices)

    def live(self) -> "LiveVoices":
        """A session: of live sound, or of a recording that is heard span by span."""
        return LiveVoices(self._cutter, self._space, self._networks)


class LiveVoices:
    """Tells the voices of one session apart. It belongs to one thread at a time.

    It keeps a kilobyte for each 3 s of what was heard, up to `KEPT_SPANS` 9 kB, and no sound.
    """

    def __init__(self, cutter: PieceCutter, space: VoiceSpace, networks: VoiceNetworks) -> None:
        self._cutter, self._space, self._networks = cutter, space, networks
        self._waiting: deque[Future[list[Piece]]] = deque()  # pieces of the last spans
        self._spans = 0  # heard so far
        self._pieces: list[Piece] = []  # of the spans before those
        self._assigned: dict[tuple[int, int], int] = {}  # (start, end) of a piece: its voice, as it was said
        self._known: list[tuple[int, NDArray[np.float32]]] = []  # voices and sums of their vectors
        self._settled_at = 0  # pieces heard when the voices were last settled

    def add(self, samples: NDArray[np.float32], span: Span) -> None:
        """Adds a span, with its `samples` (n_samples,), whose turns are asked for by `settle` alone.

        So a recording of any length is diarized in little memory, several spans at a time. Spans are in
        order, of at most 10 s each.
        """
        self._waiting.append(self._networks.pool.submit(self._cutter.pieces, samples, span, self._spans))
        self._spans += 1
        self._collect(2 * self._networks.workers)

    def _collect(self, max_waiting: int = 0) -> None:
        """Waits until no more than so many of the spans that were added wait."""
        while len(self._waiting) > max_waiting:
            pieces = self._waiting.popleft().result()
            kept = pieces[0].owner < KEPT_SPANS
            self._pieces += pieces if kept else [replace(piece, stretch=None) for piece in pieces]

    def turns(self, samples: NDArray[np.float32], span: Span) -> list[Turn]:
        """The turns of a span that has just ended, from its `samples` (n_samples,) and what was heard before.

        They cover `span`. Voices are numbered as they appear. What was said is not changed by later spans.
        """
        self._collect()
        before = len(self._pieces)
        pieces = self._cutter.pieces(samples, span, self._spans)
        self._spans += 1
        self._pieces += [replace(piece, stretch=None) for piece in pieces]  # it is needed now alone
        count = len(self._pieces)
        if count <= SETTLED_PIECES or count >= GROWTH * self._settled_at:
            voices = self._settle_live()[before:]
        else:
            voices = [self._nearest(piece) for piece in pieces]
        for piece, voice in zip(pieces, voices, strict=True):
            if voice is not None:
                self._assigned[piece.span.start, piece.span.end] = voice
        return turns_of(pieces, voices)

    def settle(self, voices: int | None = None) -> list[Turn]:
        """All turns of the session anew, as `Diarizer.turns` gives them for the same sound and spans."""
        if voices is not None and voices < 1:
            raise ValueError(f"there is at least one voice, not {voices}")
        self._collect()
        return turns_of(self._pieces, voices_of(self._pieces, self._space, voices))

    def _settle_live(self) -> list[int | None]:
        """The voices of all pieces, under the numbers that were said before."""
        pieces = self._pieces
        found = voices_of(pieces, self._space)
        self._settled_at = len(pieces)
        assigned = [self._assigned.get((piece.span.start, piece.span.end)) for piece in pieces]
        names = _matched(pieces, found, assigned)
        self._known = []
        for voice, name in names.items():
            own = [p for p, v in zip(pieces, found, strict=True) if v == voice and p.embedding is not None]
            if own:
                vectors = np.array([p.embedding for p in own]) * np.array(
                    [[_length(p)] for p in own], np.float32
                )
                self._known.append((name, vectors.sum(axis=0)))
        return [None if voice is None else names[voice] for voice in found]

    def _nearest(self, piece: Piece) -> int | None:
        """The known voice that is nearest to a piece."""
        if piece.embedding is None or not self._known:
            return None
        vector = piece.embedding
        return max(self._known, key=lambda item: float(vector @ item[1]) / float(np.linalg.norm(item[1])))[0]


def default_diarizer() -> Diarizer:
    """The diarizer of the shipped checkpoint, loaded once.

    Raises BundleError with code `not_found`, `bad_description`, `newer_format` or `hash_mismatch`.
    """
    return _diarizer(checkpoint.shipped())


@cache
def _diarizer(loaded: VoicesCheckpoint) -> Diarizer:
    return Diarizer(loaded.networks, loaded.middle_weights, loaded.space)


def _matched(
    pieces: Sequence[Piece], found: Sequence[int | None], said: Sequence[int | None]
) -> dict[int, int]:
    """The number under which each voice that was found is known: the one that most of it was said to be.

    A voice of which nothing was said yet gets the next number.
    """
    shared: dict[tuple[int, int], int] = {}
    for piece, voice, name in zip(pieces, found, said, strict=True):
        if voice is not None and name is not None:
            shared[voice, name] = shared.get((voice, name), 0) + _length(piece)
    names: dict[int, int] = {}
    for voice, name in sorted(shared, key=lambda pair: -shared[pair]):
        if voice not in names and name not in names.values():
            names[voice] = name
    following = max((name for name in said if name is not None), default=-1) + 1
    for voice in dict.fromkeys(voice for voice in found if voice is not None):
        if voice not in names:
            names[voice] = following
            following += 1
    return names


def turns_of(pieces: Sequence[Piece], voices: Sequence[int | None]) -> list[Turn]:
    """The turns of pieces with their voices: the neighbouring pieces of one voice inside one span."""
    turns = []
    items = zip(pieces, voices, strict=True)
    for (_, voice), group in groupby(items, key=lambda item: (item[0].owner, item[1])):
        own = [piece for piece, _ in group]
        span = Span(own[0].span.start, own[-1].span.end)
        both = sum(piece.overlap * _length(piece) for piece in own)
        stretch = own[0].stretch
        middle = stretch.middle if stretch and stretch.span == span else None
        turns.append(Turn(span, voice, both > OVERLAP * (span.end - span.start), middle))
    return turns


def _length(piece: Piece) -> int:
    return piece.span.end - piece.span.start
