"""Who speaks when: speech spans cut into turns, each with a voice.

Names follow the field: a *turn* is a stretch in which one voice speaks, *diarization* finds the turns.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ser_core.audio.vad import Span

Progress = Callable[[float], None]  # gets the share that is done, 0 to 1


@dataclass(frozen=True)
class Turn:
    """A stretch in which one voice speaks."""

    span: Span  # inside one of the speech spans that were given
    voice: int | None  # 0, 1, … in order of first appearance; None: about equally near to two voices
    overlap: bool  # the segmentation network hears two voices at once in most of it


class Diarizer:
    """Tells voices apart. It holds both networks, is loaded once per process, and may be used by threads."""

    def turns(
        self,
        samples: NDArray[np.float32],
        spans: Sequence[Span],
        voices: int | None = None,
        progress: Progress | None = None,
    ) -> list[Turn]:
        """The turns of a whole recording: mono at 16 kHz, shape (n_samples,), in [-1, 1].

        `spans`: its speech, in order, without overlap. `voices`: their number where it is known, at least 1;
        None: it is found. The turns are in order and cover `spans` completely; none is longer than its span.
        Neighbouring pieces of one voice inside one span are one turn where no other voice came between.
        """
        raise NotImplementedError

    def live(self) -> "LiveVoices":
        """A live session, which numbers voices as they appear."""
        raise NotImplementedError


class LiveVoices:
    """Tells the voices of one live session apart."""

    def turns(self, samples: NDArray[np.float32], span: Span) -> list[Turn]:
        """The turns of a span that has just ended, from its `samples` (n_samples,) and what was heard before.

        They cover `span`. What was said is not changed by later spans.
        """
        raise NotImplementedError

    def settle(self) -> list[Turn]:
        """All turns of the session anew, as `Diarizer.turns` gives them for the same sound and spans."""
        raise NotImplementedError


def default_diarizer() -> Diarizer:
    """The diarizer of the shipped checkpoint; raises BundleError if it is missing or was changed."""
    raise NotImplementedError
