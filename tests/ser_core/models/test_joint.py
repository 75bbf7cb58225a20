"""The joint model of voice and emotion: what it adds is the Gaussian conditional, of earlier clips known."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from ser_core.models.joint import DIRECTIONS, PRIOR_CLIPS, JointModel

CLASSES = 8


@pytest.fixture
def joint() -> JointModel:
    """Emotions far apart, so that each clip counts for one alone."""
    rng = np.random.default_rng(0)
    model = JointModel(DIRECTIONS, CLASSES).double()
    model.projection.copy_(torch.eye(DIRECTIONS))
    model.emotions.copy_(torch.from_numpy(20 * rng.normal(size=(CLASSES, DIRECTIONS))))
    for variance in (model.voice, model.style, model.clip):
        variance.copy_(torch.from_numpy(rng.uniform(0.2, 2, DIRECTIONS)))
    return model


def session(joint: JointModel, labels: list[int], seed: int = 1) -> torch.Tensor:
    """Clips `(clip, direction)` of one voice."""
    rng = np.random.default_rng(seed)
    voice, clips = rng.normal(size=DIRECTIONS), rng.normal(size=(len(labels), DIRECTIONS))
    style = rng.normal(size=(CLASSES, DIRECTIONS))[labels]
    parts = ((joint.voice, voice), (joint.style, style), (joint.clip, clips))
    return joint.emotions[labels] + sum(v.sqrt() * torch.from_numpy(drawn) for v, drawn in parts)


def conditional(joint: JointModel, clips: torch.Tensor, labels: list[int], emotion: int) -> float:
    """Log-density of the last clip as `emotion`, given the others with `labels`; direction by direction."""
    of = np.array([*labels, emotion])
    same = of[:, None] == of
    total = 0.0
    for d in range(DIRECTIONS):
        voice, style, clip = (float(v[d]) for v in (joint.voice, joint.style, joint.clip))
        covariance = voice + style * same + clip * np.eye(len(of))
        apart = (clips[:, d] - joint.emotions[of, d]).numpy()
        whole = multivariate_normal(cov=covariance).logpdf(apart)
        total += whole - multivariate_normal(cov=covariance[:-1, :-1]).logpdf(apart[:-1])
    return total


def test_of_a_first_clip_nothing_is_learned(joint):
    clips = session(joint, [0, 3, 5])
    learned = joint.learned(clips, torch.zeros(3, joint.state_size).double())
    torch.testing.assert_close(learned, torch.zeros_like(learned), atol=1e-6, rtol=0)


@pytest.mark.parametrize("labels", [[4, 4, 4], [0, 4, 2, 0, 6]], ids=["one emotion", "several"])
def test_with_earlier_emotions_beyond_doubt_it_is_the_gaussian_conditional(joint, labels):
    clips = session(joint, [*labels, 4])
    state = joint.noted(clips[:-1], torch.zeros(len(labels), CLASSES).double()).sum(0)
    learned = joint.learned(clips[-1:], state[None])[0, 0]
    by_class = np.array([conditional(joint, clips, labels, emotion) for emotion in range(CLASSES)])
    expected = torch.from_numpy(by_class).log_softmax(-1) - joint.alone(clips[-1:])[0]
    torch.testing.assert_close(learned, expected, atol=1e-2, rtol=1e-4)


def test_emotions_that_came_before_are_expected_again(joint):
    clips = session(joint, [4, 4, 2, 4])
    state = joint.noted(clips[:3], torch.zeros(3, CLASSES).double()).sum(0)
    of_emotions = joint.learned(clips[3:], state[None])[0, 1].exp()
    even = PRIOR_CLIPS / CLASSES
    assert of_emotions[4] == pytest.approx(CLASSES * (2 + even) / (3 + PRIOR_CLIPS), rel=1e-6)
    assert of_emotions[0] == pytest.approx(CLASSES * even / (3 + PRIOR_CLIPS), rel=1e-6)


def test_a_clip_counts_by_what_the_head_and_the_joint_model_make_of_it(joint):
    joint.emotions.zero_()  # it cannot tell
    head = torch.tensor([[0.6, 0.4, 0, 0, 0, 0, 0, 0]]).double().add(1e-9).log()
    clip = session(joint, [0])
    noted = joint.noted(clip, head)
    shares = head.exp().sqrt() / head.exp().sqrt().sum()  # the geometric mean with even probabilities
    torch.testing.assert_close(noted[:, :CLASSES], shares)
    torch.testing.assert_close(noted[:, CLASSES : CLASSES + DIRECTIONS], shares[0, 0] * clip)


def test_a_loud_voice_is_told_from_an_angry_one_by_its_other_emotions(joint):
    """A voice whose clips all lie towards anger: a clip that sounds angry is less likely to be it."""
    joint.emotions.copy_(torch.linspace(0, 3, CLASSES).double()[:, None].expand(-1, DIRECTIONS) / 3)
    joint.voice.fill_(1.0)
    joint.style.fill_(0.05)
    joint.clip.fill_(0.2)
    shifted = joint.emotions + 0.4  # one clip of each emotion
    state = joint.noted(shifted, torch.eye(CLASSES).double() * 50).sum(0)
    sounds_angry = joint.emotions[-1:]
    of_voice = joint.learned(sounds_angry, state[None])[0, 0]
    assert of_voice[-1] < of_voice[3] - 1
