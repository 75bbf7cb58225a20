"""Clips of a session, judged right whether its emotions change or one stays.

Two readings are weighed by how much a session's emotions vary. Where they do not, a clip is judged by itself,
with what the joint model of voice and emotion (`joint_model`) has learned from the clips before. Where they
do, it is judged by how it differs from the session's mean. How much they vary is the information that knowing
the clip gives on its emotion: the entropy of the mean of the clips' probabilities less the mean of their
entropies (Jensen-Shannon divergence, Lin 1991), of what the head `alone` makes of them.
The shipped gate (`ser_core.models.session`) is this rule without the joint model.

Of a first clip nothing varies and nothing was learned: it is judged by itself.
"""

from dataclasses import dataclass, replace

from torch import Tensor

from benchmarks.session_reader import joint_model
from benchmarks.session_reader.joint_model import Explanation, Heard, JointModel
from ser_core.models.whisper_adaptive import WhisperAdaptive

EXPLAINED = 0.5  # share of what emotions explain of the session's mean that is taken back, 0 to 1
TRUST_CLIPS = 1.0  # a session of so many clips counts half, its mean and the head that reads against it


@dataclass(frozen=True)
class Clips:
    """One clip of each of some sessions, as the network hears it by itself."""

    embeddings: Tensor  # (session, size)
    alone: Tensor  # (session, class) log-probabilities, uncalibrated
    z: Tensor  # (session, direction) for the joint model


@dataclass(frozen=True)
class Sessions:
    """What was heard of some sessions, `(session, …)`: 88 kB each with the embeddings of whisper-base."""

    voice: Heard
    embedding_sum: Tensor  # (session, size)
    probability_sum: Tensor  # (session, class) of clips by themselves
    entropy_sum: Tensor  # (session,) of these, in nats

    def bytes_per_session(self) -> int:
        """How much is kept of one session."""
        sums = (self.embedding_sum, self.probability_sum, self.entropy_sum)
        return self.voice.bytes_per_session() + sum(part[0].nbytes for part in sums)


@dataclass(frozen=True)
class SessionReader:
    """Judges clips with what their sessions held before; all numbers but the network's are fitted on voices
    of corpora that the network has not been tuned on.
    """

    network: WhisperAdaptive
    joint: JointModel
    share: float = 0.3  # of what the joint model has learned; it is overconfident
    one: float = 0.3  # nats: at this variety and below a session is taken for one of a single emotion
    many: float = 0.6  # nats: at this variety and above for one of many
    temperature: float = 1.3  # of late clips
    modesty: float = (
        0.5  # of first clips: with n clips heard, log-probabilities are divided by 1 + modesty / n
    )

    def hear(self, embeddings: Tensor) -> Clips:
        """Clips of which the network makes `embeddings` `(session, size)`."""
        alone = self.network.read_alone(embeddings).double().log_softmax(-1)
        return Clips(embeddings, alone, self.joint.directions(embeddings))

    def begin(self, sessions: int = 1) -> Sessions:
        """Nothing was heard of any of the `sessions`."""
        classes = len(self.joint.emotions)
        empty = self.joint.emotions.new_zeros(sessions)
        mean = self.network.mean.new_zeros(sessions, len(self.network.mean))
        return Sessions(self.joint.begin(sessions), mean, empty.new_zeros(sessions, classes), empty)

    def log_probabilities(self, sessions: Sessions, clips: Clips) -> Tensor:
        """Calibrated, `(session, class)`, of the next clip of each session; nothing is kept."""
        return self.step(sessions, clips)[0]

    def update(self, sessions: Sessions, clips: Clips) -> Sessions:
        """`sessions` with a further clip of each, for the clips that follow."""
        return self.step(sessions, clips)[1]

    def step(self, sessions: Sessions, clips: Clips) -> tuple[Tensor, Sessions]:
        """`log_probabilities` and `update` at once, for the price of one."""
        together, voice = self.joint.step(sessions.voice, clips.z)
        after = self._with_sums(replace(sessions, voice=voice), clips)
        return self._judged(after, clips, together - self.joint.alone(clips.z)), after

    def explain(self, sessions: Sessions, clips: Clips) -> Explanation:
        """What of the clips is the voice's and what an emotion's, for people."""
        return joint_model.explain(self.joint, sessions.voice, clips.z)

    def settled(self, embeddings: Tensor) -> Tensor:
        """Calibrated log-probabilities `(clip, class)` of all clips of one session, each with all others."""
        clips = self.hear(embeddings)
        count = len(embeddings)
        every = Sessions(
            replace(self.joint.begin(count), clips=clips.alone.new_full((count,), count)),
            embeddings.sum(0).expand(count, -1),
            clips.alone.exp().sum(0).expand(count, -1),
            _entropy(clips.alone).sum().expand(count),
        )
        learned = joint_model.settled(self.joint, clips.z) - self.joint.alone(clips.z)
        return self._judged(every, clips, learned)

    def _with_sums(self, sessions: Sessions, clips: Clips) -> Sessions:
        return replace(
            sessions,
            embedding_sum=sessions.embedding_sum + clips.embeddings,
            probability_sum=sessions.probability_sum + clips.alone.exp(),
            entropy_sum=sessions.entropy_sum + _entropy(clips.alone),
        )

    def _judged(self, after: Sessions, clips: Clips, learned: Tensor) -> Tensor:
        """Of `clips` that `after` holds already; `learned` `(session, class)`: what the joint model adds."""
        network, count = self.network, after.voice.clips[:, None]
        trust = count / (count + TRUST_CLIPS)
        heard = after.probability_sum / count
        of_emotions = (heard - 1 / heard.shape[1]).to(network.mean.dtype) @ network.class_offsets
        mean = after.embedding_sum / count.to(network.mean.dtype) - EXPLAINED * of_emotions - network.mean
        mean = network.mean + trust.to(network.mean.dtype) * mean
        against = network.read_against(clips.embeddings, mean).double().log_softmax(-1)
        # The first clip's variety is 0 but for rounding.
        variety = _entropy(heard.log())[:, None] - after.entropy_sum[:, None] / count
        open_ = ((variety - self.one) / (self.many - self.one)).clamp(0, 1)
        staying = clips.alone + self.share * learned
        varying = clips.alone + trust * (against - clips.alone)
        temperature = self.temperature * (1 + self.modesty / count)
        return (((1 - open_) * staying + open_ * varying) / temperature).log_softmax(-1)


def _entropy(log_probabilities: Tensor) -> Tensor:
    """In nats, `(…,)` of `(…, class)`."""
    return -(log_probabilities.exp() * log_probabilities).sum(-1)
