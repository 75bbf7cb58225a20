"""What a model learns of a session while it goes on: a recording, a call, a person at the microphone.

Every clip is judged with what was heard up to and including it, so that files and live sound agree. The
first clip is judged by itself. After it, the mean embedding of the session stands for its voice, room and
microphone, and clips are judged by how they differ from it (`WhisperAdaptive.judge`).

A session in which one emotion prevails would be taken for a voice that sounds like that. So the mean is
moved back by what the emotions heard so far explain of it, by half: all of it loses more where the first
impression is wrong about a new language than it gains (docs/accuracy.md has the numbers).

That is half of the cure. A model with a gate also asks how much the emotions of a session vary: by how many
nats the entropy of the mean of its clips' probabilities exceeds the mean of their entropies (Jensen-Shannon
divergence, Lin 1991, "Divergence measures based on the Shannon entropy"). Where they hardly vary, clips are
judged by themselves, as surely as a first clip is; the more they vary, the more by how they differ from the
mean. The first clips of a session, of which nothing can be told yet, are mostly judged by themselves.

With a joint model (`ser_core.models.joint`) "by themselves" includes what the clips before tell of the voice
and of the emotions that prevail: by weights `joint`, which also belong to a checkpoint.

Answers grow surer as a session goes on. Of a voice and a room that nothing is known of the model is far too
sure, and of the clip after it less so: log-probabilities with `n` clips heard are divided by
`1 + modesty / n`, where `modesty` belongs to a checkpoint (`python -m benchmarks.left_out` fits it).

Recordings that are all there already need not be judged in some order: a session that was heard once is
settled, and each of its clips is then judged with all the others.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

TRUST_CLIPS = 1.0  # a session of so many clips counts half, its mean and the head that reads against it
EXPLAINED = 0.5  # share of what emotions explain of the mean that is taken back, 0 to 1
MODESTY = 0.4  # of checkpoints that have none of their own; at least 0, and the less the more was heard


class Judged(NamedTuple):
    """Class probabilities of clips, `(clip, class)` each, rows sum to 1."""

    in_session: "NDArray[np.float64]"  # with what was kept of the session of each
    by_itself: "NDArray[np.float64]"


class SessionModel(Protocol):
    """What a session asks of a model: see `ser_core.models.whisper_adaptive.WhisperAdaptive`."""

    def unheard(self) -> "Tensor":
        """The state `(state_size,)` of a session without clips."""

    def noted(self, embeddings: "Tensor") -> "Tensor":
        """What each of `embeddings` `(batch, size)` adds to a state, `(batch, state_size)`."""

    def judge(self, embeddings: "Tensor", states: "Tensor", explained: float = EXPLAINED) -> "Tensor":
        """Log-probabilities `(batch, class)` of clips, each after the clips in its state."""


class Session:
    """What was heard of one session so far. It belongs to one model and one thread at a time."""

    def __init__(self, explained: float = EXPLAINED) -> None:
        self.state: Any = None  # (state_size,), an array of the runtime; None before the first clip
        self.settled = False
        self._explained = explained

    def settle(self) -> None:
        """All clips were heard once: heard again, each is judged with the others, and nothing is added."""
        self.settled = True

    def judge(self, model: SessionModel, embedding: "Tensor") -> "Tensor":
        """Log-probabilities `(class,)` of the next clip, `embedding` `(size,)`; nothing is kept.

        Of a settled session it must be a clip that was kept.
        """
        state = model.unheard() if self.state is None else self.state
        if self.settled:
            state = state - model.noted(embedding[None])[0]
        return model.judge(embedding[None], state[None], self._explained)[0]

    def keep(self, model: SessionModel, embedding: "Tensor") -> None:
        """Counts a clip that has ended, `embedding` `(size,)`, for those that follow."""
        noted = model.noted(embedding[None])[0]
        self.state = noted if self.state is None else self.state + noted


def checked_gate(gate: Sequence[float], most: float) -> tuple[float, float]:
    """`gate` as two floats; ValueError where it is no `0 <= low < high <= most`."""
    if not isinstance(gate, list | tuple) or [type(end) in (int, float) for end in gate] != [True, True]:
        raise ValueError(f"gate must be two numbers [low, high], not {gate!r}")
    low, high = float(gate[0]), float(gate[1])
    if not 0 <= low < high <= most:
        raise ValueError(f"gate {list(gate)} must be 0 <= low < high <= {most:.3f} (nats)")
    return low, high


def checked_weights(weights: Sequence[float]) -> tuple[float, float]:
    """`weights` as two floats; ValueError where they are not two numbers from 0 to 1."""
    if not isinstance(weights, list | tuple) or [type(one) in (int, float) for one in weights] != [
        True,
        True,
    ]:
        raise ValueError(f"joint must be two numbers [of voice, of emotions], not {weights!r}")
    of_voice, of_emotions = float(weights[0]), float(weights[1])
    if not (0 <= of_voice <= 1 and 0 <= of_emotions <= 1):
        raise ValueError(f"joint {list(weights)} must be two numbers from 0 to 1")
    return of_voice, of_emotions
