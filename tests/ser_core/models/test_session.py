"""A session teaches the model its voice, step by step, and nothing else."""

import numpy as np
import pytest
import torch
from support import random_bundle, syllables
from torch.distributions import Categorical

from ser_core.audio.speech import Clip, SpeechStream
from ser_core.audio.waveform import Waveform
from ser_core.checkpoint import bundle
from ser_core.emotions import LABELS
from ser_core.models.registry import build
from ser_core.models.session import MODESTY, Session
from ser_core.recognition.recognizer import Recognizer
from ser_core.recognition.torch_runtime import TorchRuntime

SIZE = 3072  # of an embedding


@pytest.fixture(scope="module")
def model():
    """Random heads that are far from indifferent."""
    torch.manual_seed(3)
    made = build("whisper_base_adaptive", len(LABELS)).eval()
    for head in (made.alone, made.relative):
        head[-1].weight.data *= 10
    return made.requires_grad_(False)


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory) -> Recognizer:
    return Recognizer.load(random_bundle(tmp_path_factory.mktemp("bundle"), "whisper_base_adaptive"), "cpu")


def clips_of(samples: np.ndarray) -> list[Clip]:
    stream = SpeechStream()
    return stream.push(samples) + stream.flush()


def test_the_first_clip_is_judged_by_itself(model):
    embedding = torch.randn(SIZE)
    judged = Session().judge(model, embedding)
    torch.testing.assert_close(judged, model.by_themselves(embedding[None])[0])
    alone = model.read_alone(embedding[None])[0]
    torch.testing.assert_close(judged, (alone / (1 + MODESTY)).log_softmax(-1))


def test_the_more_was_heard_the_less_modest_the_answer(model):
    """The same mean and impression with more clips behind them: only trust and modesty change."""
    embedding = torch.randn(SIZE)
    alone = model.read_alone(embedding[None]).log_softmax(-1)
    mean = model.mean + (embedding - model.mean) / 2
    sure = []
    for clips in (2, 5, 100):
        entropy = Categorical(logits=alone[0]).entropy()[None]
        before = torch.cat([torch.ones(1), mean, alone[0].exp(), entropy])
        state = (clips - 1) * before
        judged = model.judge(embedding[None], state[None])
        assert judged.exp().sum().item() == pytest.approx(1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(model, "modesty", 0.0)
            plain = model.judge(embedding[None], state[None])
        torch.testing.assert_close(judged, (plain / (1 + MODESTY / clips)).log_softmax(-1))
        sure.append(plain.max().exp().item() - judged.max().exp().item())
    assert sure[0] > sure[1] > sure[2] > 0


def test_judging_leaves_no_trace(model):
    session, embeddings = Session(), torch.randn(3, SIZE)
    session.keep(model, embeddings[0])
    before = session.judge(model, embeddings[1])
    session.judge(model, embeddings[2])
    torch.testing.assert_close(session.judge(model, embeddings[1]), before, atol=0, rtol=0)


def test_what_was_heard_before_changes_a_verdict(model):
    first, second = Session(), Session()
    embedding = torch.randn(SIZE)
    first.keep(model, torch.randn(SIZE) + 2)
    second.keep(model, torch.randn(SIZE) - 2)
    assert (first.judge(model, embedding) - second.judge(model, embedding)).abs().max() > 0.1


def test_after_many_clips_a_constant_shift_of_the_voice_hardly_matters(model):
    """Another microphone moves all embeddings alike: that must not decide what is heard."""
    embeddings = torch.randn(60, SIZE)

    def last_judged(shift: float) -> torch.Tensor:
        session = Session()
        for embedding in embeddings[:-1]:
            session.keep(model, embedding + shift)
        return session.judge(model, embeddings[-1] + shift).exp()

    def alone(shift: float) -> torch.Tensor:
        return Session().judge(model, embeddings[-1] + shift).exp()

    assert (last_judged(0.5) - last_judged(0.0)).abs().sum() < 0.3 * (alone(0.5) - alone(0.0)).abs().sum()


def test_probabilities_sum_to_one_at_every_step(model):
    session = Session()
    for embedding in torch.randn(5, SIZE):
        assert session.judge(model, embedding).softmax(-1).sum() == pytest.approx(1)
        session.keep(model, embedding)


def test_in_a_settled_session_each_clip_is_judged_with_all_the_others(model):
    embeddings = torch.randn(5, SIZE)
    settled = Session()
    for embedding in embeddings:
        settled.keep(model, embedding)
    settled.settle()
    for number, embedding in enumerate(embeddings):
        others = Session()
        for other in (*embeddings[:number], *embeddings[number + 1 :]):
            others.keep(model, other)
        expected = others.judge(model, embedding)
        torch.testing.assert_close(settled.judge(model, embedding), expected, atol=1e-4, rtol=0)


def test_the_only_clip_of_a_settled_session_is_judged_by_itself(model):
    session, embedding = Session(), torch.randn(SIZE)
    session.keep(model, embedding)
    session.settle()
    torch.testing.assert_close(session.judge(model, embedding), Session().judge(model, embedding))


def test_a_settled_session_does_not_change_and_asks_for_no_order(recognizer):
    clips = clips_of(syllables(4, seed=3))
    session = Session()
    heard = recognizer.segments(clips, [session] * 4, [True] * 4)
    session.settle()
    state = session.state.clone()
    together = recognizer.segments(clips, [session] * 4, [True] * 4)
    turned = [recognizer.segments([clip], [session], [True])[0] for clip in reversed(clips)][::-1]
    torch.testing.assert_close(session.state, state, atol=0, rtol=0)
    for one, other in zip(together, turned, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)
    assert together[-1].probabilities == pytest.approx(heard[-1].probabilities, abs=1e-5)
    assert together[0].probabilities != pytest.approx(heard[0].probabilities, abs=1e-3)


def test_a_clip_that_an_empty_settled_session_lacks_is_judged_by_itself(recognizer):
    """On a GPU what was unlike speech may be heard a second time as just like it."""
    clips = clips_of(syllables(1, seed=4))
    session = Session()
    session.settle()
    (first,) = recognizer.segments(clips, [Session()], [True])
    assert recognizer.segments(clips, [session], [True]) == [first]


def test_segments_of_other_recordings_beside_it_do_not_matter(recognizer):
    one, other = clips_of(syllables(4, seed=1)), clips_of(syllables(4, seed=2, pitch_hz=220))
    by_itself = recognizer.segments(one, [Session()] * len(one), [True] * len(one))
    session = Session()
    mixed = [clip for pair in zip(one, other, strict=True) for clip in pair]
    sessions = [session, Session()] * len(one)
    together = recognizer.segments(mixed, sessions, [True] * len(mixed))[::2]
    assert len(one) == 4
    # [Session()] * n is one session, as a recording has
    for a, b in zip(by_itself, together, strict=True):
        assert a.probabilities == pytest.approx(b.probabilities, abs=1e-5)


def test_a_segment_keeps_what_it_is_by_itself(recognizer):
    clips = clips_of(syllables(3, seed=5))
    within = recognizer.segments(clips, [Session()] * 3, [True] * 3)
    alone = recognizer.segments(clips, [Session() for _ in clips], [True] * 3)
    embedded, _ = recognizer.segments_with_embeddings(clips, [Session()] * 3)
    for segment, again, by_itself in zip(within, embedded, alone, strict=True):
        assert segment.by_itself == pytest.approx(by_itself.probabilities, abs=1e-5)
        assert again.by_itself == pytest.approx(by_itself.probabilities, abs=1e-5)
    assert within[2].probabilities != pytest.approx(within[2].by_itself, abs=1e-3)


def test_a_provisional_clip_is_forgotten(recognizer):
    clips = clips_of(syllables(3, seed=5))
    session, interrupted = Session(), Session()
    plain = recognizer.segments(clips, [session] * 3, [True] * 3)
    order = [clips[0], clips[1], clips[1], clips[2]]
    found = recognizer.segments(order, [interrupted] * 4, [True, False, True, True])
    assert found[1].probabilities == pytest.approx(found[2].probabilities, abs=1e-6)
    assert found[3].probabilities == pytest.approx(plain[2].probabilities, abs=1e-6)


def test_a_recording_is_a_session_of_its_own(recognizer):
    """Two recordings analysed together get what each gets alone."""
    first = Waveform(syllables(3, seed=7))
    again = recognizer.analyze(first)
    recognizer.analyze(Waveform(syllables(3, seed=8, pitch_hz=250)))
    after = recognizer.analyze(first)
    assert [s.probabilities for s in again.segments] == [s.probabilities for s in after.segments]
    alone = recognizer.probabilities([clip.samples for clip in clips_of(first.samples)])
    assert list(again.segments[0].probabilities.values()) == pytest.approx(alone[0], abs=1e-5)


def test_a_sound_unlike_all_speech_gets_no_emotion(tmp_path):
    torch.manual_seed(3)
    made = build("whisper_base_adaptive", len(LABELS)).eval()
    made.directions.fill_(1.0)
    made.limit.fill_(-1.0)  # nothing is near enough
    folder = random_bundle(tmp_path, "whisper_base_adaptive", threshold=0.5)
    refusing = Recognizer(TorchRuntime(bundle.read(folder), made, "cpu"))
    analysis = refusing.analyze(Waveform(syllables(2, seed=7)))
    assert [segment.label for segment in analysis.segments] == ["unknown"] * 2
    assert analysis.segments[0].probabilities == pytest.approx(dict.fromkeys(LABELS, 1 / len(LABELS)))
