"""A voice and its emotions, explained together: what a session tells of the clip that follows.

A clip is the mean of its emotion, the voice (with its room and microphone), this voice's way of that emotion,
and what is left; all but the first are Gaussian, with diagonal covariances in a few directions of the
embedding (two-covariance PLDA, Brümmer & de Villiers 2010, "The speaker partitioning problem", with a term
for style). The emotions of the clips heard before are not known. So a beam of hypotheses keeps what they may
have been; under each of them the voice is Gaussian, and so is the clip that follows. A voice that sounds
angry from its first clip to its last is explained either way, as loud or as angry, and both ways are kept.

How mixed a session is, is not known either: each hypothesis draws its emotions from an urn (Dirichlet with
one of `urns`), so that sessions of one emotion and sessions of all are both expected.

Everything is batched over sessions, `(session, …)`, and nothing heard later changes what was said before.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

AXES = 6  # directions in which emotions lie apart, of those that a session's scatter is measured in


@dataclass(frozen=True)
class Heard:
    """What was heard of some sessions, `(session, …)`; see `JointModel.begin`.

    In float64 with 24 hypotheses, 8 classes and 48 directions: 76 kB a session.
    """

    counts: Tensor  # (session, hypothesis, class) clips that it takes for each emotion
    totals: Tensor  # (session, hypothesis, class, direction) sums of these clips
    urns: Tensor  # (session, hypothesis) Dirichlet parameter, the smaller the fewer emotions are expected
    log_weights: Tensor  # (session, hypothesis) up to a constant of the session; -inf: no hypothesis
    clips: Tensor  # (session,)
    along: Tensor  # (session, 2, axis) sums and sums of squares of the clips along the axes of emotions

    def bytes_per_session(self) -> int:
        """How much is kept of one session."""
        return sum(getattr(self, name)[0].nbytes for name in self.__dataclass_fields__)


@dataclass(frozen=True)
class JointModel:
    """The distribution of clips over emotions and voices; fitted in closed form by `fit_joint.fit`.

    All tensors are float64 and may be stored with a network's weights.
    """

    projection: Tensor  # (read, direction) from the first `read` numbers of embeddings, which may be all
    origin: Tensor  # (direction,) taken away after the projection
    emotions: Tensor  # (class, direction) their means
    voice: Tensor  # (direction,) variance between voices
    style: Tensor  # (direction,) variance between voices in their way of one emotion
    clip: Tensor  # (direction,) variance between clips of a voice in one emotion
    axes: Tensor  # (direction, AXES) where emotions lie apart, in units of the scatter of clips
    urns: Tensor  # (urn,) Dirichlet parameters that sessions are expected to have, each as likely
    beam: int = 24  # hypotheses kept

    def directions(self, embeddings: Tensor) -> Tensor:
        """`(…, size)` of a network's embeddings to `(…, direction)`, which all other functions take."""
        read = embeddings[..., : len(self.projection)]
        return read.to(self.projection.dtype) @ self.projection - self.origin

    def alone(self, z: Tensor) -> Tensor:
        """Log-probabilities `(clip, class)` of clips `z` `(clip, direction)`, nothing else known."""
        distance = (z[:, None] - self.emotions).square() / (self.voice + self.style + self.clip)
        return (-0.5 * distance.sum(-1)).log_softmax(-1)

    def begin(self, sessions: int = 1) -> Heard:
        """Nothing was heard of any of the `sessions`."""
        classes, directions = self.emotions.shape
        empty = self.emotions.new_zeros(sessions, self.beam)
        urns, log_weights = empty + self.urns[0], empty - torch.inf
        used = min(self.beam, len(self.urns))
        urns[:, :used], log_weights[:, :used] = self.urns[:used], 0
        return Heard(
            counts=self.emotions.new_zeros(sessions, self.beam, classes),
            totals=self.emotions.new_zeros(sessions, self.beam, classes, directions),
            urns=urns,
            log_weights=log_weights,
            clips=self.emotions.new_zeros(sessions),
            along=self.emotions.new_zeros(sessions, 2, self.axes.shape[1]),
        )

    def log_probabilities(self, heard: Heard, z: Tensor) -> Tensor:
        """`(session, class)` of the next clip of each session, `z` `(session, direction)`.

        A first clip is judged by itself, up to what no urn prefers.
        """
        return self._scores(heard, z).logsumexp(1).log_softmax(-1)

    def update(self, heard: Heard, z: Tensor) -> Heard:
        """`heard` with a further clip of each session, `z` `(session, direction)`."""
        return self.step(heard, z)[1]

    def step(self, heard: Heard, z: Tensor) -> tuple[Tensor, Heard]:
        """`log_probabilities` and `update` at once, for the price of one."""
        scores = self._scores(heard, z)
        kept, best = scores.flatten(1).topk(self.beam)  # (session, hypothesis)
        parent, emotion = best // scores.shape[2], best % scores.shape[2]
        taken = torch.nn.functional.one_hot(emotion, scores.shape[2]).to(z.dtype)
        row = torch.arange(len(z))[:, None]
        along = z @ self.axes
        after = Heard(
            counts=heard.counts[row, parent] + taken,
            totals=heard.totals[row, parent] + taken[..., None] * z[:, None, None],
            urns=heard.urns[row, parent],
            log_weights=kept - kept[:, :1],
            clips=heard.clips + 1,
            along=heard.along + torch.stack([along, along.square()], dim=1),
        )
        return scores.logsumexp(1).log_softmax(-1), after

    def spread(self, heard: Heard, z: Tensor) -> Tensor:
        """How far each session's clips lie apart, `z` `(session, direction)` with them, `(session,)`.

        Along the axes of emotions; 1 where nothing but the scatter of one emotion's clips is there.
        """
        along, clips = z @ self.axes, (heard.clips + 1)[:, None]
        mean = (heard.along[:, 0] + along) / clips
        return ((heard.along[:, 1] + along.square()) / clips - mean.square()).mean(-1)

    def voices(self, heard: Heard) -> Tensor:
        """How each session's voice differs from the mean of voices, expected `(session, direction)`."""
        centre, _, _, _ = self._voice_given(heard.counts, heard.totals)
        return (heard.log_weights.softmax(-1)[..., None] * centre).sum(1)

    def _voice_given(self, counts: Tensor, totals: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Of each hypothesis: the voice's mean and variance `(…, hypothesis, direction)`; of each of its
        emotions how far the clips so taken lie from the emotion's mean, and how much of that the next clip
        will share, `(…, hypothesis, class, direction)`.
        """
        there = (counts > 0)[..., None]
        clips = counts.clamp(min=1)[..., None]
        variance = self.style + self.clip / clips
        own = totals / clips - self.emotions
        precision = there / variance
        scale = 1 / (1 / self.voice + precision.sum(-2))
        centre = (precision * own).sum(-2) * scale
        return centre, scale, own, there * (self.style / variance)

    def _scores(self, heard: Heard, z: Tensor) -> Tensor:
        """Log-weights `(session, hypothesis, class)` of hypotheses with clip `z` taken for a class."""
        return heard.log_weights[..., None] + self._log_likelihoods(heard.counts, heard.totals, heard.urns, z)

    def _log_likelihoods(self, counts: Tensor, totals: Tensor, urns: Tensor, z: Tensor) -> Tensor:
        """Of the clip `z` `(session, direction)` and its emotion, `(session, hypothesis, class)`."""
        centre, scale, own, gain = self._voice_given(counts, totals)
        expected = self.emotions + centre[..., None, :] + gain * (own - centre[..., None, :])
        variance = (1 - gain).square() * scale[..., None, :] + self.style * (1 - gain) + self.clip
        fit = self._log_density((z[:, None, None] - expected).square() / variance, variance)
        classes = counts.shape[-1]
        drawn = (counts + urns[..., None] / classes) / (counts.sum(-1, keepdim=True) + urns[..., None])
        return fit + drawn.log()

    @staticmethod
    def _log_density(distance: Tensor, variance: Tensor) -> Tensor:
        return -0.5 * (distance + variance.log()).sum(-1)


@dataclass(frozen=True)
class Explanation:
    """Why a clip is judged as it is: the voice, or an emotion. Probabilities, each sums to 1."""

    alone: Tensor  # (session, class) of the clip by itself
    with_session: Tensor  # (session, class) with what was heard before
    voice_sounds: Tensor  # (session, class) what the voice sounds like whatever it feels
    voice: Tensor  # (session,) 0 to 1: how much of the emotion heard in the clip alone is now the voice's

    def sentence(self, labels: list[str], clips: int, row: int = 0) -> str:
        """For people: "with the 12 clips before, angry is taken for the voice (0.7) rather than …"."""
        first = int(self.alone[row].argmax())
        now = int(self.with_session[row].argmax())
        name, of_voice = labels[first], labels[int(self.voice_sounds[row].argmax())]
        rest = float(self.with_session[row, first])
        text = (
            f"by itself {name} ({float(self.alone[row, first]):.1f}); with the {clips} clips before, "
            f"{float(self.voice[row]):.1f} is taken for the voice, which sounds {of_voice} by nature, and "
            f"{rest:.1f} for {name}"
        )
        return text if now == first else f"{text}: {labels[now]} ({float(self.with_session[row, now]):.1f})"


def explain(model: JointModel, heard: Heard, z: Tensor) -> Explanation:
    """What of clips `z` `(session, direction)` is the voice's and what an emotion's, by what was `heard`.

    `voice` is the probability that the emotion most likely in the clip alone loses to the session; negative
    losses, where the session makes it surer, count as 0.
    """
    alone = model.alone(z).exp()
    scores, after = model.step(heard, z)
    together = scores.exp()
    sounds = model.alone(model.emotions.mean(0) + model.voices(after)).exp()
    first = alone.argmax(-1, keepdim=True)
    lost = (alone - together).gather(-1, first)[:, 0].clamp(min=0)
    return Explanation(alone, together, sounds, lost)


def settled(model: JointModel, z: Tensor, passes: int = 1, chunk: int = 32) -> Tensor:
    """Log-probabilities `(clip, class)` of a session's clips `z` `(clip, direction)`, each with all others.

    The beam goes over the clips once, the surest first, so that it does not matter in which order they came,
    then `passes` times takes each clip out of the hypotheses and puts it back as any emotion, keeping the
    best, so that first guesses are mended. At last each clip is taken out and judged: a hypothesis on all
    clips without one of them is a hypothesis on the others, whose weight is known exactly since the model
    does not know of order. Hypotheses that differ in that clip alone are then the same and count once. Work
    grows with the number of clips, not its square.
    """
    if len(z) == 1:
        return model.alone(z)
    order = model.alone(z).max(-1).values.argsort(descending=True)
    z = z[order]
    every = _Hypotheses.over(model, z)
    for _ in range(passes):
        for clip in range(len(z)):
            every = every.again(model, z, clip)
    rows = [every.without(model, z, clips) for clips in torch.arange(len(z)).split(chunk)]
    return torch.cat(rows)[order.argsort()]


@dataclass(frozen=True)
class _Hypotheses:
    """On all clips of one settled session."""

    heard: Heard  # of one session
    emotions: Tensor  # (hypothesis, clip) what each clip is taken for
    codes: Tensor  # (clip, class) random int64, and (urn's) below: sums tell hypotheses apart

    @classmethod
    def over(cls, model: JointModel, z: Tensor) -> "_Hypotheses":
        heard = model.begin()
        emotions = torch.zeros(model.beam, len(z), dtype=torch.int64)
        for clip, row in enumerate(z):
            scores = model._scores(heard, row[None])
            best = scores.flatten(1).topk(model.beam).indices[0]
            emotions = emotions[best // scores.shape[2]]
            emotions[:, clip] = best % scores.shape[2]
            heard = model.step(heard, row[None])[1]
        generator = torch.Generator().manual_seed(0)
        codes = torch.randint(-(2**62), 2**62, (len(z), len(model.emotions)), generator=generator)
        return cls(heard, emotions, codes)

    def _taken_out(self, model: JointModel, z: Tensor, clips: Tensor) -> tuple[Heard, Tensor]:
        """Hypotheses on the other clips, for each of `clips` `(clip,)` a session; their likelihoods of it.

        Likelihoods are `(clip, hypothesis, class)`; of equal hypotheses all but one weigh nothing.
        """
        of = self.emotions[:, clips].T  # (clip, hypothesis)
        taken = torch.nn.functional.one_hot(of, self.codes.shape[1]).to(z.dtype)
        counts = self.heard.counts - taken
        totals = self.heard.totals - taken[..., None] * z[clips][:, None, None]
        urns = self.heard.urns.expand(len(clips), -1)
        likely = model._log_likelihoods(counts, totals, urns, z[clips])
        weights = self.heard.log_weights - likely.gather(-1, of[..., None])[..., 0]
        whole = self.codes[torch.arange(len(self.codes)), self.emotions].sum(1)  # (hypothesis,)
        other = whole - self.codes[clips[:, None], of]
        same = (other[:, :, None] == other[:, None]) & (urns[:, :, None] == urns[:, None])
        weights = weights.masked_fill(same.tril(-1).any(-1), -torch.inf)
        along = (z[clips] @ model.axes)[:, None]
        along = self.heard.along - torch.cat([along, along.square()], dim=1)
        left = Heard(counts, totals, urns, weights, self.heard.clips - 1 + 0 * weights[:, 0].isnan(), along)
        return left, likely

    def without(self, model: JointModel, z: Tensor, clips: Tensor) -> Tensor:
        """Log-probabilities `(clip, class)` of `clips` `(clip,)`, each by the hypotheses on all others."""
        left, likely = self._taken_out(model, z, clips)
        return (left.log_weights[..., None] + likely).logsumexp(1).log_softmax(-1)

    def again(self, model: JointModel, z: Tensor, clip: int) -> "_Hypotheses":
        """With `clip` taken out and put back as what is likeliest by now."""
        left, likely = self._taken_out(model, z, torch.tensor([clip]))
        scores = (left.log_weights[..., None] + likely).flatten(1)
        kept, best = scores.topk(model.beam)
        parent, emotion = best[0] // likely.shape[2], best[0] % likely.shape[2]
        taken = torch.nn.functional.one_hot(emotion, likely.shape[2]).to(z.dtype)
        heard = replace(
            left,
            counts=left.counts[:, parent] + taken,
            totals=left.totals[:, parent] + taken[..., None] * z[clip],
            urns=left.urns[:, parent],
            log_weights=kept - kept[:, :1],
            clips=self.heard.clips,
            along=self.heard.along,
        )
        emotions = self.emotions[parent].clone()
        emotions[:, clip] = emotion
        return replace(self, heard=heard, emotions=emotions)
