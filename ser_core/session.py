"""What a model learns of a session while it goes on: a recording, a call, a person at the microphone.

Every clip is judged with what was heard up to and including it, so that files and live sound agree. The
first clip is judged by itself. After it, the mean embedding of the session stands for its voice, room and
microphone, and clips are judged by how they differ from it.

A session in which one emotion prevails would be taken for a voice that sounds like that. So the mean is
moved back by what the emotions heard so far explain of it, by half: all of it loses more where the first
impression is wrong about a new language than it gains (benchmarks/results/README.md has the numbers).
"""

from torch import Tensor

from ser_core.models.whisper_adaptive import WhisperAdaptive

TRUST_CLIPS = 1.0  # a session of so many clips counts half, its mean and the head that reads against it
EXPLAINED = 0.5  # share of what emotions explain of the mean that is taken back, 0 to 1


class Session:
    """Running means over the clips of one session. It belongs to one model and one thread at a time."""

    def __init__(self, explained: float = EXPLAINED) -> None:
        self.clips = 0
        self._explained = explained
        self._embeddings: Tensor | float = 0.0  # sum, (size,)
        self._heard: Tensor | float = 0.0  # sum of the probabilities of the clips by themselves, (class,)

    def judge(self, model: WhisperAdaptive, embedding: Tensor) -> Tensor:
        """Log-probabilities `(class,)` of the next clip, `embedding` `(size,)`; nothing is kept."""
        alone = model.read_alone(embedding[None])[0].log_softmax(-1)
        if not self.clips:
            return alone
        clips = self.clips + 1
        trust = clips / (clips + TRUST_CLIPS)
        heard = (self._heard + alone.exp()) / clips
        explained = (heard - 1 / len(heard)) @ model.class_offsets
        mean = (self._embeddings + embedding) / clips - self._explained * explained
        mean = model.mean + trust * (mean - model.mean)
        against = model.read_against(embedding[None], mean)[0].log_softmax(-1)
        return (1 - trust) * alone + trust * against

    def keep(self, model: WhisperAdaptive, embedding: Tensor) -> None:
        """Counts a clip that has ended, `embedding` `(size,)`, for those that follow."""
        self.clips += 1
        self._embeddings = self._embeddings + embedding
        self._heard = self._heard + model.read_alone(embedding[None])[0].softmax(-1)
