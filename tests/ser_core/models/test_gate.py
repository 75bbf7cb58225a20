"""A gate lets a session count where its emotions vary, and not where one stays."""

import json
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import clips_of, gated_bundle, random_bundle
from torch import Tensor

from ser_core.audio.speech import Clip
from ser_core.checkpoint import bundle as bundles
from ser_core.checkpoint.bundle import BundleError
from ser_core.emotions import LABELS
from ser_core.models.registry import build
from ser_core.models.session import MODESTY, TRUST_CLIPS, Session
from ser_core.models.whisper_adaptive import WhisperAdaptive
from ser_core.recognition.recognizer import Recognizer

SIZE = 3072  # of an embedding
SHUT, OPEN = (2.0, 2.07), (0.0, 1e-6)  # nats; eight emotions cannot vary by more than 2.08
HALF = (0.1, 1.5)
APART = 1e-3  # of a probability: rules that differ by less may be one


def confident(model: WhisperAdaptive) -> WhisperAdaptive:
    """`model` with random heads that are far from indifferent, and from each other."""
    for head in (model.alone, model.relative):
        head[-1].weight.data *= 30
    model.class_offsets.normal_()
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def model() -> WhisperAdaptive:
    torch.manual_seed(3)
    return confident(build("whisper_base_adaptive", len(LABELS)))


@pytest.fixture
def gated(model):
    """The model with a gate."""

    def with_gate(gate: tuple[float, float]) -> WhisperAdaptive:
        made = build("whisper_base_adaptive", len(LABELS), gate=list(gate)).eval()
        made.load_state_dict(model.state_dict())
        return made.requires_grad_(False)

    return with_gate


def varied(count: int, seed: int = 0) -> Tensor:
    """Embeddings `(count, size)` of which every other is heard as something else."""
    return torch.randn(count, SIZE, generator=torch.Generator().manual_seed(seed))


def of_one_emotion(count: int) -> Tensor:
    """Embeddings `(count, size)` that are heard nearly alike."""
    return varied(1).expand(count, -1) + 0.01 * varied(count, seed=1)


def judged_in_turn(model: WhisperAdaptive, embeddings: Tensor) -> Tensor:
    """Probabilities `(clip, class)` of clips, each after those before it."""
    session, rows = Session(), []
    for embedding in embeddings:
        rows.append(session.judge(model, embedding).exp())
        session.keep(model, embedding)
    return torch.stack(rows)


def without_gate(model: WhisperAdaptive, embeddings: Tensor) -> Tensor:
    """What the rule was before there were gates, in other words: `(clip, class)` probabilities."""
    rows = []
    for count, embedding in enumerate(embeddings, start=1):
        alone = model.read_alone(embeddings[:count]).log_softmax(-1)
        trust = count / (count + TRUST_CLIPS)
        of_emotions = (alone.exp().mean(0) - 1 / len(LABELS)) @ model.class_offsets
        mean = (1 - trust) * model.mean + trust * (embeddings[:count].mean(0) - 0.5 * of_emotions)
        against = model.read_against(embedding[None], mean).log_softmax(-1)[0]
        judged = (1 - trust) * alone[-1] + trust * against if count > 1 else alone[-1]
        rows.append((judged / (1 + MODESTY / count)).softmax(-1))
    return torch.stack(rows)


def test_without_a_gate_the_session_always_counts(model):
    for embeddings in (varied(12), of_one_emotion(12)):
        found = judged_in_turn(model, embeddings)
        torch.testing.assert_close(found, without_gate(model, embeddings), atol=1e-4, rtol=0)


def test_a_gate_that_is_wide_open_changes_nothing(model, gated):
    found, plain = judged_in_turn(gated(OPEN), varied(12)), judged_in_turn(model, varied(12))
    torch.testing.assert_close(found, plain, atol=1e-5, rtol=0)


def test_where_one_emotion_stays_clips_are_judged_by_themselves(model, gated):
    embeddings = of_one_emotion(12)
    found = judged_in_turn(gated(HALF), embeddings)
    torch.testing.assert_close(found, model.by_themselves(embeddings).exp(), atol=1e-5, rtol=0)
    assert (judged_in_turn(model, embeddings)[1:] - found[1:]).abs().max() > 0.1


def test_where_emotions_vary_the_session_counts(model, gated):
    embeddings = varied(12)
    found = judged_in_turn(gated((0.1, 0.2)), embeddings)
    torch.testing.assert_close(found[4:], judged_in_turn(model, embeddings)[4:], atol=1e-5, rtol=0)
    assert (model.by_themselves(embeddings).exp()[4:] - found[4:]).abs().max() > 0.1


def test_with_the_gate_shut_varied_clips_are_judged_by_themselves_too(model, gated):
    embeddings = varied(12)
    found = judged_in_turn(gated(SHUT), embeddings)
    torch.testing.assert_close(found, model.by_themselves(embeddings).exp(), atol=1e-5, rtol=0)


def test_variation_is_the_jensen_shannon_divergence_of_the_clips_so_far(model):
    embeddings = varied(6)
    probabilities = model.read_alone(embeddings).softmax(-1).double()
    each = torch.distributions.Categorical(probabilities).entropy().mean()
    expected = torch.distributions.Categorical(probabilities.mean(0)).entropy() - each
    state = model.noted(embeddings[:-1]).sum(0)
    found = model.readings(embeddings[-1:], state[None]).variation.item()
    assert found == pytest.approx(expected.item(), abs=1e-5)
    assert found > 0.1


def test_between_its_ends_a_gate_lets_through_a_part(model, gated):
    embeddings = varied(6)
    state = model.noted(embeddings[:-1]).sum(0)[None]
    alone, _, in_session, variation, clips = model.readings(embeddings[-1:], state)
    here = variation.item()
    found = gated((here - 0.1, here + 0.3)).judge(embeddings[-1:], state)
    modesty = 1 + MODESTY * (0.75 + 0.25 / clips)
    expected = ((0.75 * alone + 0.25 * in_session) / modesty).log_softmax(-1)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    assert clips.item() == 6


def small(**options) -> WhisperAdaptive:
    """A small network with the same random weights each time."""
    torch.manual_seed(3)
    return build("whisper_tiny_distilled", len(LABELS), **options)


def joint_model(gate: tuple[float, float], weights: tuple[float, float]) -> WhisperAdaptive:
    """A small network with random heads and a random joint model."""
    made = confident(small(gate=list(gate), joint=list(weights)))
    made.joint.projection.normal_().div_(30)
    made.joint.emotions.normal_()
    return made


def test_a_joint_model_counts_where_the_gate_is_shut_and_not_where_it_is_open():
    embeddings = torch.randn(6, 768, generator=torch.Generator().manual_seed(0))
    for gate, differ in ((SHUT, True), (OPEN, False)):
        plain = judged_in_turn(joint_model(gate, (0.0, 0.0)), embeddings)
        joined = judged_in_turn(joint_model(gate, (0.5, 0.5)), embeddings)
        torch.testing.assert_close(joined[0], plain[0], atol=1e-4, rtol=0)  # of a first clip nothing is known
        assert bool((joined[1:] - plain[1:]).abs().max() > 0.01) is differ, gate


def test_what_the_joint_model_adds_is_weighed_before_the_gate():
    model = joint_model(SHUT, (0.3, 0.7))
    embeddings = torch.randn(4, 768, generator=torch.Generator().manual_seed(0))
    state = model.noted(embeddings[:-1]).sum(0)[None]
    alone, learned, _, _, clips = model.readings(embeddings[-1:], state)
    clip = model.joint.project(embeddings[-1:])
    assert torch.equal(learned, model.joint.learned(clip, state[:, -model.joint.state_size :]))
    expected = (alone + 0.3 * learned[:, 0] + 0.7 * learned[:, 1]).log_softmax(-1) / (1 + MODESTY)
    found = model.judge(embeddings[-1:], state)
    torch.testing.assert_close(found, expected.log_softmax(-1), atol=1e-5, rtol=0)
    assert clips.item() == 4


@pytest.mark.parametrize("joint", [None, (0.3, 0.7)])
@given(order=st.permutations(range(5)))
@settings(max_examples=20, deadline=None)
def test_in_a_settled_session_order_does_not_matter_and_the_clip_itself_does_not_count_twice(joint, order):
    model = joint_model(HALF, joint) if joint else confident(small(gate=list(HALF)))
    embeddings = torch.randn(5, 768, generator=torch.Generator().manual_seed(0))
    session = Session()
    for row in order:
        session.keep(model, embeddings[row])
    session.settle()
    for row in range(5):
        others = Session()
        for other in set(range(5)) - {row}:
            others.keep(model, embeddings[other])
        expected = others.judge(model, embeddings[row])
        torch.testing.assert_close(session.judge(model, embeddings[row]), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    "weights", [0.2, [0.2], [0.2, 0.3, 0.4], ["a", 0.1], [-0.1, 0.2], [0.1, 1.5], [True, 0.1]]
)
def test_weights_of_a_joint_model_that_make_no_sense_are_refused(weights):
    with pytest.raises(ValueError, match="joint"):
        build("whisper_tiny_distilled", len(LABELS), gate=[0.1, 0.3], joint=weights)


def test_a_joint_model_needs_a_gate():
    with pytest.raises(ValueError, match="gate"):
        build("whisper_tiny_distilled", len(LABELS), joint=[0.1, 0.3])


def test_sessions_judged_at_once_are_judged_as_each_alone(gated):
    half = gated(HALF)
    embeddings = torch.stack([varied(4), of_one_emotion(4), varied(4, seed=5)])  # (session, clip, size)
    states = torch.stack([half.noted(rows[:-1]).sum(0) for rows in embeddings])
    together = half.judge(embeddings[:, -1], states)
    for row, state in enumerate(states):
        alone = half.judge(embeddings[row, -1:], state[None])[0]
        torch.testing.assert_close(together[row], alone, atol=1e-5, rtol=0)


@pytest.fixture(scope="module")
def recognizers(tmp_path_factory) -> dict[str, Recognizer]:
    """The same random weights without a gate, and with one that opens half way in sessions of syllables."""
    gated = gated_bundle(tmp_path_factory.mktemp("gated"))
    return {
        name: Recognizer.load(folder, "cpu", "float32")
        for name, folder in {"none": gated.parent / "plain", "half": gated}.items()
    }


def probabilities_of(
    recognizer: Recognizer, clips: Sequence[Clip], sessions: Sequence[Session]
) -> np.ndarray:
    segments = recognizer.segments(clips, sessions, [True] * len(clips))
    return np.array([list(segment.probabilities.values()) for segment in segments])


def test_the_app_judges_with_the_gate(recognizers):
    """Files have answers of their own, neither those of clips by themselves nor those without a gate."""
    clips = clips_of(4)
    found = probabilities_of(recognizers["half"], clips, [Session()] * 4)
    without = probabilities_of(recognizers["none"], clips, [Session()] * 4)
    alone = recognizers["none"].probabilities([clip.samples for clip in clips])
    assert found[0] == pytest.approx(alone[0], abs=1e-5)
    assert np.abs(found[-1] - without[-1]).max() > APART
    assert np.abs(found[-1] - alone[-1]).max() > APART


def test_later_clips_never_change_earlier_answers(recognizers):
    clips = clips_of(4)
    whole = probabilities_of(recognizers["half"], clips, [Session()] * 4)
    for count in (1, 2, 3):
        part = probabilities_of(recognizers["half"], clips[:count], [Session()] * count)
        assert part == pytest.approx(whole[:count], abs=1e-5)


def test_clips_one_by_one_are_judged_as_the_whole_file(recognizers):
    clips, session = clips_of(4), Session()
    whole = probabilities_of(recognizers["half"], clips, [Session()] * 4)
    live = np.concatenate([probabilities_of(recognizers["half"], [clip], [session]) for clip in clips])
    assert live == pytest.approx(whole, abs=1e-5)


def test_files_beside_it_in_a_batch_do_not_matter(recognizers):
    one, other = clips_of(4), clips_of(4, seed=2)
    mixed = [clip for pair in zip(one, other, strict=True) for clip in pair]
    together = probabilities_of(recognizers["half"], mixed, [Session(), Session()] * 4)
    for rows, clips in ((together[::2], one), (together[1::2], other)):
        assert rows == pytest.approx(probabilities_of(recognizers["half"], clips, [Session()] * 4), abs=1e-5)


def test_a_gate_is_kept_with_the_checkpoint(tmp_path):
    folder = random_bundle(tmp_path, "whisper_tiny_distilled", options={"gate": [0.3, 0.7]})
    assert json.loads((folder / "bundle.json").read_text(encoding="utf-8"))["options"] == {"gate": [0.3, 0.7]}
    assert bundles.load(folder)[1].gate == (0.3, 0.7)


@pytest.mark.parametrize(
    "gate",
    [
        [0.7, 0.3],
        [0.3, 0.3],
        [-0.1, 0.5],
        [0.3, 2.2],  # eight emotions vary by log(8) = 2.08 at most
        [0.3],
        [0.1, 0.2, 0.3],
        0.3,
        "ab",
        ["a", "b"],
        [float("nan"), 0.5],
        [0.3, float("inf")],
        [False, True],
        {"low": 0.3, "high": 0.7},
    ],
)
def test_a_gate_without_sense_is_refused(tmp_path, gate):
    folder = random_bundle(tmp_path, "whisper_tiny_distilled", options={"gate": gate})
    with pytest.raises(BundleError, match="gate") as caught:
        bundles.load(folder)
    assert caught.value.code == "wrong_weights"


def test_the_default_has_a_gate():
    _, shipped = bundles.load(bundles.DEFAULT)
    assert shipped.gate == tuple(bundles.read(bundles.DEFAULT).options["gate"])
