"""The fit of the joint model, also against the reference that it comes from."""

import importlib.util
from types import ModuleType

import numpy as np
import pytest
import torch
from invented_voices import CLASSES, SIZE, invented_voices
from support import SHARED

from benchmarks.beam import Beam
from ser_core.models.joint import DIRECTIONS, JointModel
from train.errors import RunError
from train.fitting import joint

REFERENCE = SHARED / "reference" / "session_trial.py"


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    if not REFERENCE.is_file():
        pytest.skip("needs ../shared/reference/session_trial.py")
    described = importlib.util.spec_from_file_location("session_trial", REFERENCE)
    module = importlib.util.module_from_spec(described)
    described.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def fitted() -> joint.Distribution:
    return joint.distribution(*invented_voices(), CLASSES)


@pytest.fixture(scope="module")
def trial(reference):
    """The reference's joint model of the same clips."""
    rows, labels, voices, weights = invented_voices()
    return reference.JointModel(rows, labels, np.array(voices), weights, DIRECTIONS)


def test_the_fit_is_that_of_the_reference(fitted, trial):
    for name in ("voice", "style", "clip"):
        np.testing.assert_allclose(getattr(fitted, name), getattr(trial, name), rtol=1e-9)


@pytest.mark.parametrize("emotion", [None, 4])
def test_the_beam_gives_what_the_reference_gives_from_all_earlier_clips(fitted, trial, emotion):
    rows, labels, voices, _ = invented_voices()
    session = rows[(np.array(voices) == "voice20") & ((labels == emotion) | (emotion is None))]
    assert len(session) >= 4
    model = JointModel(SIZE, CLASSES).double()
    for name in ("emotions", "voice", "style", "clip"):
        getattr(model, name).copy_(torch.tensor(getattr(fitted, name)))
    beam = Beam(model)
    state = beam.begin()
    for count, clip in enumerate(session):
        log_probabilities, state = beam.step(state, torch.from_numpy(clip @ fitted.turn)[None])
        expected = trial.session(session[:count] @ trial.basis, clip @ trial.basis)
        np.testing.assert_allclose(log_probabilities[0].numpy(), expected, atol=1e-9)


def test_embeddings_are_read_as_the_numbers_that_the_distribution_is_of():
    rows, labels, voices, _ = invented_voices()
    model = JointModel(SIZE, CLASSES)
    embeddings = torch.from_numpy(3 * rows + 7).float()  # of another scale and origin
    joint.fit(model, embeddings, torch.from_numpy(labels), voices, ["a"] * len(labels))
    clips = model.project(embeddings)
    means = torch.stack([clips[torch.from_numpy(labels) == label].mean(0) for label in range(CLASSES)])
    assert (means - model.emotions).abs().mean() < 0.3  # of a deviation of clips, which is 1
    right = model.alone(clips).argmax(1).numpy() == labels
    assert right.mean() > 0.8


def test_an_emotion_that_no_voice_has_lies_in_the_middle_of_the_others():
    rows, labels, voices, weights = invented_voices()
    of = labels != 1
    fitted = joint.distribution(rows[of], labels[of], np.array(voices)[of], weights[of], CLASSES)
    assert all(np.isfinite(part).all() for part in fitted)
    others = np.delete(fitted.emotions, 1, axis=0)
    np.testing.assert_allclose(fitted.emotions[1], others.mean(0), atol=1e-9)


def test_a_few_clips_fill_fewer_directions():
    rows, labels, voices, _ = invented_voices()
    few = [row for row, voice in enumerate(voices) if voice in ("voice01", "voice20")][:20]
    model = JointModel(SIZE, CLASSES)
    joint.fit(
        model,
        torch.from_numpy(rows[few]).float(),
        torch.from_numpy(labels[few]),
        [voices[row] for row in few],
        ["a"] * len(few),
    )
    assert all(torch.isfinite(buffer).all() for buffer in model.buffers())
    assert (model.projection[:, len(few) :] == 0).all()
    assert torch.isfinite(model.alone(model.project(torch.from_numpy(rows).float()))).all()


def test_clips_of_which_no_voice_has_two_of_an_emotion_cannot_fit_it():
    rows, labels, _, weights = invented_voices()
    with pytest.raises(RunError, match="joint"):
        joint.distribution(rows[:20], labels[:20], [str(i) for i in range(20)], weights[:20], CLASSES)
