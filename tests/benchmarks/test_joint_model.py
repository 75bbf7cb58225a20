"""The joint model of voice and emotion, also against the reference that it comes from."""

import importlib.util

import numpy as np
import pytest
import torch
from support import SHARED

from benchmarks.session_reader import fit_joint, joint_model
from benchmarks.session_reader.joint_model import JointModel

REFERENCE = SHARED / "reference" / "session_trial.py"
DIRECTIONS = 48


@pytest.fixture(scope="module")
def both(clips, ours):
    """The reference's model and ours, of the same clips."""
    if not REFERENCE.is_file():
        pytest.skip("needs ../shared/reference/session_trial.py")
    described = importlib.util.spec_from_file_location("session_trial", REFERENCE)
    session_trial = importlib.util.module_from_spec(described)
    described.loader.exec_module(session_trial)
    rows, labels, who, first = clips
    weight = np.where(first, first.sum() ** -0.5, (~first).sum() ** -0.5)
    return session_trial.JointModel(rows, labels, who, weight, DIRECTIONS), ours


def test_the_fit_is_that_of_the_reference(both):
    trial, ours = both
    for name in ("voice", "style", "clip"):
        np.testing.assert_allclose(getattr(ours, name).numpy(), getattr(trial, name), rtol=1e-9)


@pytest.mark.parametrize("emotion", [None, 4])
def test_clip_after_clip_gives_what_the_reference_gives_from_all_earlier_clips(both, clips, emotion):
    trial, ours = both
    rows, labels, who, _ = clips
    session = rows[(who == "voice20") & ((labels == emotion) | (emotion is None))]
    assert len(session) >= 4
    z = ours.directions(torch.from_numpy(session))
    heard = ours.begin()
    for n, clip in enumerate(z):
        wanted = trial.session(session[:n] @ trial.basis, session[n] @ trial.basis)
        np.testing.assert_allclose(ours.log_probabilities(heard, clip[None])[0].numpy(), wanted, atol=1e-9)
        spread = trial.spread(session[: n + 1] @ trial.basis)
        assert float(ours.spread(heard, clip[None])) == pytest.approx(spread, abs=1e-9)
        heard = ours.update(heard, clip[None])


def test_a_first_clip_is_judged_by_itself(ours, clips):
    z = ours.directions(torch.from_numpy(clips[0][:5]))
    torch.testing.assert_close(ours.log_probabilities(ours.begin(5), z), ours.alone(z), atol=1e-9, rtol=0)
    assert ours.spread(ours.begin(5), z).abs().max() < 1e-9


def test_sessions_side_by_side_do_not_change_each_other(ours, clips):
    z = ours.directions(torch.from_numpy(clips[0][:60])).view(6, 10, -1)  # (session, clip, direction)
    together = ours.begin(6)
    apart = [ours.begin() for _ in range(6)]
    for clip in z.unbind(1):
        said, together = ours.step(together, clip)
        for row in range(6):
            alone, apart[row] = ours.step(apart[row], clip[row : row + 1])
            torch.testing.assert_close(said[row], alone[0], atol=1e-9, rtol=0)


def test_what_is_kept_of_a_voice_does_not_grow_and_is_below_100_kilobytes(ours, clips):
    heard = ours.begin()
    assert heard.bytes_per_session() <= 100_000 - 3072 * 4  # beside the mean embedding
    z = ours.directions(torch.from_numpy(clips[0][:50]))
    for clip in z:
        after = ours.update(heard, clip[None])
        assert after.bytes_per_session() == heard.bytes_per_session()
        heard = after


def test_earlier_states_are_not_changed(ours, clips):
    z = ours.directions(torch.from_numpy(clips[0][:3]))
    heard = ours.update(ours.begin(), z[:1])
    before = {name: getattr(heard, name).clone() for name in heard.__dataclass_fields__}
    ours.step(heard, z[1:2])
    assert all(torch.equal(getattr(heard, name), value) for name, value in before.items())


def test_a_settled_session_is_judged_nearly_alike_in_any_order_and_as_with_the_clip_last(ours, clips):
    rows, _, who, _ = clips
    z = ours.directions(torch.from_numpy(rows[who == "voice03"][:20]))
    found = joint_model.settled(ours, z).exp()
    torch.testing.assert_close(joint_model.settled(ours, z.flip(0)).flip(0).exp(), found, atol=0.02, rtol=0)
    for last in range(0, 20, 5):
        heard = ours.begin()
        for row in range(20):
            if row != last:
                heard = ours.update(heard, z[row : row + 1])
        torch.testing.assert_close(
            ours.log_probabilities(heard, z[last : last + 1])[0].exp(), found[last], atol=0.02, rtol=0
        )


def test_a_voice_that_sounds_angry_throughout_is_taken_for_an_angry_voice_or_anger(ours, clips):
    rows, labels, who, _ = clips
    z = ours.directions(torch.from_numpy(rows[(who == "voice20") & (labels == 4)]))
    heard = ours.begin()
    for clip in z[:-1]:
        heard = ours.update(heard, clip[None])
    found = joint_model.explain(ours, heard, z[-1:])
    for name in ("alone", "with_session", "voice_sounds"):
        assert float(getattr(found, name).sum()) == pytest.approx(1)
    first = int(found.alone[0].argmax())
    assert float(found.voice[0]) == pytest.approx(
        max(0.0, float(found.alone[0, first] - found.with_session[0, first]))
    )
    labels_of = ["neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"]
    assert f"with the {len(z) - 1} clips before" in found.sentence(labels_of, len(z) - 1)


def test_an_emotion_that_no_corpus_has_does_not_break_the_fit(clips):
    rows, labels, who, _ = clips
    of = labels != 1
    corpus = fit_joint.Corpus("a", rows[of], labels[of], who[of])
    model = fit_joint.fit([corpus], basis=fit_joint.Principal(np.zeros(rows.shape[1]), np.eye(rows.shape[1])))
    assert all(torch.isfinite(t).all() for t in vars(model).values() if isinstance(t, torch.Tensor))
    assert isinstance(model, JointModel)
