"""A voice and its emotions, explained together: what a session tells of a clip.

A clip is the mean of its emotion, the voice (with its room and microphone), this voice's way of that emotion,
and what is left. All but the first are Gaussian, with diagonal covariances in a few directions of the
embedding (two-covariance PLDA, Brümmer & de Villiers 2010, "The speaker partitioning problem", with a term
for the way of an emotion). A voice that sounds angry in all its clips is then partly a loud voice.

The emotions of earlier clips are not known. Each counts for every emotion by as much as it sounds like it by
itself, so that what is kept of a session are sums, in whatever order its clips came. `train.fitting.joint`
fits the distribution in closed form.
"""

import torch
from torch import Tensor, nn

DIRECTIONS = 48  # of the embedding
PRIOR_CLIPS = 3.0  # so many clips of even emotions are assumed before a session's first
LEAST_CLIPS = 1e-6  # a count below it counts as it


class JointModel(nn.Module):
    """The distribution of clips over voices and emotions."""

    def __init__(self, size: int, num_classes: int) -> None:
        super().__init__()
        self.projection: Tensor  # (size, direction)
        self.origin: Tensor  # (direction,) taken away after the projection
        self.emotions: Tensor  # (class, direction) their means
        self.voice: Tensor  # (direction,) variance between voices
        self.style: Tensor  # (direction,) variance between voices in their way of one emotion
        self.clip: Tensor  # (direction,) variance between clips of a voice in one emotion
        self.register_buffer("projection", torch.zeros(size, DIRECTIONS))
        self.register_buffer("origin", torch.zeros(DIRECTIONS))
        self.register_buffer("emotions", torch.zeros(num_classes, DIRECTIONS))
        for name in ("voice", "style", "clip"):
            self.register_buffer(name, torch.ones(DIRECTIONS))

    @property
    def state_size(self) -> int:
        """Numbers that are kept of a session."""
        return self.emotions.shape[0] * (1 + DIRECTIONS)

    def project(self, embeddings: Tensor) -> Tensor:
        """Directions `(batch, direction)` of `embeddings` `(batch, size)`."""
        return embeddings @ self.projection - self.origin

    def alone(self, clips: Tensor) -> Tensor:
        """Log-probabilities `(batch, class)` of projected `clips` of which nothing else is known."""
        distances = (clips[:, None] - self.emotions).square() / (self.voice + self.style + self.clip)
        return (-0.5 * distances.sum(-1)).log_softmax(-1)

    def noted(self, clips: Tensor, head: Tensor) -> Tensor:
        """What each of the projected `clips` adds to its session's state, `(batch, state_size)`.

        Its share of each emotion, and this share of the clip. `head` `(batch, class)`: log-probabilities of
        the clips by themselves, of which and of `alone` the geometric mean is taken.
        """
        shares = ((head + self.alone(clips)) / 2).softmax(-1)
        return torch.cat([shares, (shares[..., None] * clips[:, None]).flatten(1)], dim=1)

    def learned(self, clips: Tensor, states: Tensor) -> Tensor:
        """What sessions add to the log-probabilities of projected `clips`, `(batch, 2, class)`.

        By how the voice sounds, and by how often each emotion came before. `states` `(batch, state_size)` are
        of the clips before; of a first clip nothing is added.
        """
        classes = len(self.emotions)
        counts = states[:, :classes].clamp(min=0)  # (batch, class)
        sums = states[:, classes:].reshape(-1, classes, DIRECTIONS)
        fit = self.log_densities(clips, counts, sums)
        total = counts.sum(-1, keepdim=True)
        frequencies = (counts + PRIOR_CLIPS / classes) / (total + PRIOR_CLIPS)
        return torch.stack([fit.log_softmax(-1) - self.alone(clips), (frequencies * classes).log()], dim=1)

    def log_densities(self, clips: Tensor, counts: Tensor, sums: Tensor) -> Tensor:
        """Of `clips` `(…, direction)` as each emotion, `(…, class)`, up to a constant.

        Of their voices so many clips came before, `counts` `(…, class)`, with the `sums`
        `(…, class, direction)`.
        """
        seen = counts.clamp(min=LEAST_CLIPS)[..., None]
        scatter = self.style + self.clip / seen
        precision = (counts > 0)[..., None] / scatter
        apart = sums / seen - self.emotions  # how far the clips lie from the mean of their emotion
        variance = 1 / (1 / self.voice + precision.sum(-2, keepdim=True))  # of the voice
        voice = (precision * apart).sum(-2, keepdim=True) * variance
        way = self.style * precision  # share of the rest that is this voice's way of the emotion
        expected = self.emotions + voice + way * (apart - voice)
        spread = (1 - way).square() * variance + self.style * (1 - way) + self.clip
        return -0.5 * ((clips[..., None, :] - expected).square() / spread + spread.log()).sum(-1)
