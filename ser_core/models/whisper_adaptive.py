"""A Whisper encoder read by two small heads: a voice by itself, and a voice against its session."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ser_core.models import pretrained
from ser_core.models.blocks import mean_and_deviation
from ser_core.models.campplus import BANDS, MiddleBlock
from ser_core.models.joint import JointModel
from ser_core.models.session import EXPLAINED, MODESTY, TRUST_CLIPS, checked_gate, checked_weights
from ser_core.models.whisper import ComputedPositions, WhisperClassifier, WhisperEncoder

PRINCIPAL = 64  # directions in which a sound is compared with the clips the model was fitted on
READ_LAYERS = 3  # the top ones that are kept: what is below tells microphones apart, not emotions
LEAST = 1e-12  # a probability below it counts as it in an entropy


class Readings(NamedTuple):
    """What the heads make of clips, before it is decided how much the session counts."""

    alone: Tensor  # (batch, class) log-probabilities of clips by themselves
    learned: Tensor  # (batch, 2, class) what `JointModel.learned` adds to these; (batch, 0, class) without
    in_session: Tensor  # (batch, class) log-probabilities against the session's mean, not normalised
    variation: Tensor  # (batch, 1) of the session's emotions, in nats, see `session`
    clips: Tensor  # (batch, 1) heard of each session, this one included


class State(NamedTuple):
    """What was kept of sessions; all parts are sums over clips."""

    clips: Tensor  # (batch, 1)
    embeddings: Tensor  # (batch, size)
    probabilities: Tensor  # (batch, class) of clips by themselves
    entropies: Tensor  # (batch, 1) of these
    joint: Tensor  # (batch, JointModel.state_size), empty without one


class WhisperAdaptive(nn.Module):
    """Emotion as it stands out from the rest of a session (see `ser_core.models.session`).

    Voices, rooms and microphones differ more than emotions do. Taking away the mean of a speaker's embeddings
    takes most of that away (cepstral mean subtraction, Atal 1974, one floor higher), and what remains of a
    clip is read by the head `relative`. The head `alone` reads a clip by itself, for a session's first words.
    The embedding is the mean and deviation over time of the upper hidden states of the encoder.

    `base` has the lower 4 of whisper-base's 6 layers, 14.3 M parameters; the upper ones may be tuned once the
    heads are fitted (`train.fitting.tune`). With `campplus` it has a second branch, the lower part of the
    speaker encoder CAM++ (`campplus.MiddleBlock`, 3.7 M parameters), whose mean and deviation over time stand
    in the embedding behind those of Whisper's layers. `tiny`, for weak machines and browsers, has the lower
    3 of whisper-tiny's 4 layers, 6.4 M parameters with its heads. `distilled`, the smallest, has the stem and
    the lowest layer of whisper-tiny with half its feed-forward cells, 1.9 M parameters; it is trained to give
    the embeddings of `base` as it was published (`train.fitting.distil`).

    `gate` is `(low, high)` in nats: where the emotions of a session vary by `low` or less, clips are judged
    by themselves, from `high` on within the session, and in between by both. None judges every clip within
    its session. It belongs to the heads' weights: the surer they are, the more what they hear varies.

    `joint` are the weights of what a `JointModel` adds to log-probabilities of clips by themselves, by their
    voice and by the emotions that came before; None: there is no joint model.

    With `n` clips heard, log-probabilities are divided by `1 + modesty / n`, see `session`.
    """

    features = WhisperClassifier.features

    def __init__(
        self,
        num_classes: int,
        width: int,
        heads: int,
        layers: int,
        hidden: int,
        dropout: float,
        read_layers: int = READ_LAYERS,
        cells: int | None = None,
        gate: Sequence[float] | None = None,
        modesty: float = MODESTY,
        joint: Sequence[float] | None = None,
        campplus: bool = False,
    ) -> None:
        """Raises ValueError for a `gate` that is not `0 <= low < high <= log(num_classes)`, for a negative
        `modesty`, and for `joint` that are not two numbers from 0 to 1.
        """
        super().__init__()
        if type(modesty) not in (int, float) or not 0 <= modesty < math.inf:
            raise ValueError(f"modesty must be a number of at least 0, not {modesty!r}")
        self.modesty = float(modesty)
        self.gate = None if gate is None else checked_gate(gate, math.log(num_classes))
        self.joint_weights = None if joint is None else checked_weights(joint)
        if joint is not None and gate is None:
            raise ValueError("joint needs a gate: without one every clip is judged against its session")
        self.encoder = WhisperEncoder(width, heads, layers, cells)
        self.encoder.layer_norm = nn.Identity()  # type: ignore[assignment] # belongs behind Whisper's last layer
        self.encoder.requires_grad_(False)
        self.read_layers = read_layers
        self.branch_sizes = [2 * width * read_layers]  # of the embedding's parts, Whisper's first
        self.campplus: MiddleBlock | None = None
        if campplus:
            self.campplus = MiddleBlock().requires_grad_(False)
            self.features = replace(WhisperAdaptive.features, kind="log_mel_fbank")
            self.branch_sizes.append(2 * MiddleBlock.size)
        size = sum(self.branch_sizes)
        self.alone = _head(size, hidden, num_classes, dropout)
        self.relative = _head(size, hidden, num_classes, dropout)
        # Of the embeddings of the training clips: mean and deviation, deviation around the speakers' means,
        # and how far each class lies from its speakers' means.
        self.mean: Tensor
        self.deviation: Tensor
        self.spread: Tensor
        self.class_offsets: Tensor
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("deviation", torch.ones(size))
        self.register_buffer("spread", torch.ones(size))
        self.register_buffer("class_offsets", torch.zeros(num_classes, size))
        # Their leading principal directions, whitened, and how far in them a sound may lie.
        self.directions: Tensor
        self.limit: Tensor
        self.register_buffer("directions", torch.zeros(PRINCIPAL, size))
        self.register_buffer("limit", torch.ones(1))
        self.joint = None if joint is None else JointModel(size, num_classes)

    @classmethod
    def base(
        cls,
        num_classes: int,
        hidden: int = 512,
        dropout: float = 0.5,
        **options: Any,
    ) -> "WhisperAdaptive":
        """With the lower four layers of whisper-base; `options` are those of the class."""
        return cls(num_classes, 512, 8, 4, hidden, dropout, **options)

    @classmethod
    def tiny(
        cls,
        num_classes: int,
        hidden: int = 128,
        dropout: float = 0.5,
        **options: Any,
    ) -> "WhisperAdaptive":
        """With the lower three layers of whisper-tiny; `options` are those of the class."""
        model = cls(num_classes, 384, 6, 3, hidden, dropout, **options)
        model.encoder.embed_positions = ComputedPositions(384)  # type: ignore[assignment] # computed, not stored
        return model

    @classmethod
    def distilled(
        cls,
        num_classes: int,
        hidden: int = 128,
        dropout: float = 0.3,
        **options: Any,
    ) -> "WhisperAdaptive":
        """With the lowest layer of whisper-tiny, its feed-forward network cut to half; `options` as above."""
        model = cls(num_classes, 384, 6, 1, hidden, dropout, read_layers=1, cells=768, **options)
        model.encoder.embed_positions = ComputedPositions(384)  # type: ignore[assignment] # computed, not stored
        return model

    def load_pretrained(self, name_or_path: str | Path) -> None:
        """The encoder's lower layers, from `openai/whisper-base` or `-tiny`, or a file with their key names.

        Of feed-forward cells the ones with the largest weights are kept, as many as there are here. Raises
        PretrainedError, with code `wrong_weights` where the file is for another size.
        """
        path = pretrained.locate(name_or_path)
        weights = pretrained.read_tensors(path, "model.encoder.")
        kept = {name: weights[name] for name in self.encoder.state_dict() if name in weights}
        for number, layer in enumerate(self.encoder.layers):
            _keep_strongest(kept, f"layers.{number}.", layer.fc1.out_features)  # type: ignore[union-attr, arg-type]
        pretrained.load_into(self.encoder, kept, path, "this encoder")

    def load_campplus(self, path: str | Path) -> None:
        """The weights of the branch CAM++, from a file with the published names; PretrainedError as above."""
        assert self.campplus is not None
        located = pretrained.locate(path)
        weights, state = pretrained.read_tensors(located), self.campplus.state_dict()
        counters = {name: value for name, value in state.items() if name.endswith("_tracked")}
        kept = {name: weights[name] for name in state if name in weights}
        pretrained.load_into(self.campplus, counters | kept, located, "CAM++")

    def embed(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Embeddings `(batch, size)` of features `(batch, band, frame)` with lengths in frames.

        Bands are 80 of the log-mel spectrogram, and 80 of Kaldi's filterbank if there is a branch for them.
        """
        embeddings = self.pool(*self.encoder(features[:, :BANDS], lengths))
        if self.campplus is None:
            return embeddings
        return torch.cat([embeddings, self.embed_voice(features, lengths)], dim=-1)

    def embed_voice(self, features: Tensor, lengths: Tensor) -> Tensor:
        """The part of the embeddings that CAM++ gives, `(batch, 2048)`, of the same features."""
        assert self.campplus is not None
        return mean_and_deviation(*self.campplus(features[:, BANDS:], lengths))

    def pool(self, states: Sequence[Tensor], valid: Tensor) -> Tensor:
        """Embeddings `(batch, size)` of hidden `states`, as the encoder returns them with their mask."""
        return torch.cat([mean_and_deviation(state, valid) for state in states[-self.read_layers :]], dim=-1)

    def read_alone(self, embeddings: Tensor) -> Tensor:
        """Logits `(batch, class)` of what the head `alone` makes of clips, as it was trained."""
        logits: Tensor = self.alone((embeddings - self.mean) / self.deviation)
        return logits

    def read_against(self, embeddings: Tensor, session_mean: Tensor) -> Tensor:
        """Logits `(batch, class)` of clips against the mean embedding of their session."""
        logits: Tensor = self.relative((embeddings - session_mean) / self.spread)
        return logits

    def by_themselves(self, embeddings: Tensor) -> Tensor:
        """Log-probabilities `(batch, class)` of clips whose voices and rooms nothing else is known of."""
        return self._modest(self.read_alone(embeddings), torch.ones_like(embeddings[:, :1]))

    def distances(self, embeddings: Tensor) -> Tensor:
        """How far `embeddings` `(batch, size)` lie from the clips the model was fitted on, `(batch,)`.

        Squared and whitened (Mahalanobis) in the principal directions; those clips have 1 on average. Music
        and animals lie far out, unseen voices and languages do not (Lee et al. 2018, "A simple unified
        framework for detecting out-of-distribution samples").
        """
        standard = (embeddings - self.mean) / self.deviation
        return (standard @ self.directions.T).square().mean(-1)

    def familiar(self, embeddings: Tensor) -> Tensor:
        """Which of `embeddings` `(batch, size)` sound like speech at all, `(batch,)` bool."""
        return self.distances(embeddings) <= self.limit

    @property
    def state_sizes(self) -> list[int]:
        """Of the parts of a `State`."""
        classes, size = self.class_offsets.shape
        return [1, size, classes, 1, 0 if self.joint is None else self.joint.state_size]

    def unheard(self) -> Tensor:
        """The state `(state_size,)` of a session that begins: nothing was heard."""
        return self.mean.new_zeros(sum(self.state_sizes))

    def noted(self, embeddings: Tensor) -> Tensor:
        """What each of `embeddings` `(batch, size)` adds to its session's state, `(batch, state_size)`."""
        alone = self.read_alone(embeddings).log_softmax(-1)
        probabilities = alone.exp()
        joint = embeddings[:, :0]
        if self.joint is not None:
            joint = self.joint.noted(self.joint.project(embeddings), alone)
        clips = torch.ones_like(probabilities[:, :1])
        return torch.cat(State(clips, embeddings, probabilities, _entropy(probabilities), joint), dim=1)

    def judge(self, embeddings: Tensor, states: Tensor, explained: float = EXPLAINED) -> Tensor:
        """Log-probabilities `(batch, class)` of clips, each against what its session held before it.

        `embeddings` `(batch, size)`; `states` `(batch, state_size)`; `explained`: see `session`.
        """
        return self.decide(self.readings(embeddings, states, explained))

    def readings(self, embeddings: Tensor, states: Tensor, explained: float = EXPLAINED) -> Readings:
        """What `judge` decides by, from the same arguments."""
        before = State(*torch.split(states, self.state_sizes, dim=1))
        alone = self.read_alone(embeddings).log_softmax(-1)
        clips = before.clips + 1
        heard = (before.probabilities + alone.exp()) / clips
        entropies = before.entropies + _entropy(alone.exp())
        trust = clips / (clips + TRUST_CLIPS)
        of_emotions = (heard - 1 / heard.shape[1]) @ self.class_offsets
        mean = (before.embeddings + embeddings) / clips - explained * of_emotions
        mean = self.mean + trust * (mean - self.mean)
        against = self.read_against(embeddings, mean).log_softmax(-1)
        in_session = torch.where(clips > 1, (1 - trust) * alone + trust * against, alone)
        learned = alone[:, None][:, :0]
        if self.joint is not None:
            learned = self.joint.learned(self.joint.project(embeddings), before.joint)
        return Readings(alone, learned, in_session, _entropy(heard) - entropies / clips, clips)

    def decide(self, readings: Readings) -> Tensor:
        """Log-probabilities `(batch, class)`: what the gate lets through of the session, and how surely."""
        alone, learned, in_session, variation, clips = readings
        if self.gate is None:
            return self._modest(in_session, clips)
        if self.joint_weights is not None:
            of_voice, of_emotions = self.joint_weights
            alone = (alone + of_voice * learned[:, 0] + of_emotions * learned[:, 1]).log_softmax(-1)
        low, high = self.gate
        opening = ((variation - low) / (high - low)).clamp(0, 1)
        # What is judged by itself is no surer than a first clip is.
        as_many = clips / (opening + (1 - opening) * clips)
        return self._modest((1 - opening) * alone + opening * in_session, as_many)

    def _modest(self, logits: Tensor, clips: Tensor) -> Tensor:
        """Log-probabilities `(batch, class)` in sessions of so many `clips` `(batch, 1)`, these included."""
        return (logits / (1 + self.modesty / clips)).log_softmax(-1)

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Log-probabilities `(batch, class)` of clips by themselves."""
        return self.by_themselves(self.embed(features, lengths))


def _entropy(probabilities: Tensor) -> Tensor:
    """Of `probabilities` `(batch, class)` in nats, `(batch, 1)`."""
    return -(probabilities * probabilities.clamp(min=LEAST).log()).sum(-1, keepdim=True)


def _keep_strongest(weights: dict[str, Tensor], layer: str, cells: int) -> None:
    """Cuts a layer's feed-forward network, in `weights`, to the `cells` that weigh most, in their order."""
    into, bias, out = (weights.get(f"{layer}fc{name}") for name in ("1.weight", "1.bias", "2.weight"))
    if into is None or bias is None or out is None or len(into) <= cells:
        return
    strength = into.float().norm(dim=1) * out.float().norm(dim=0)
    kept = strength.topk(cells).indices.sort().values
    weights[f"{layer}fc1.weight"], weights[f"{layer}fc1.bias"] = into[kept], bias[kept]
    weights[f"{layer}fc2.weight"] = out[:, kept]


def _head(size: int, hidden: int, num_classes: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Dropout(0.6 * dropout),
        nn.Linear(size, hidden),
        nn.GELU(),
        nn.Dropout(dropout),
        nn.Linear(hidden, num_classes),
    )
