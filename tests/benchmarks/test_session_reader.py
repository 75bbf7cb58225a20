"""The session reader, with heads of random weights on the embeddings of invented voices."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.session_reader.session_reader import SessionReader
from ser_core.models.whisper_adaptive import WhisperAdaptive


@pytest.fixture(scope="module")
def reader(clips, ours):
    rows, labels, _, _ = clips
    torch.manual_seed(0)
    width = rows.shape[1] // 6  # mean and deviation of three layers
    network = WhisperAdaptive(len(ours.emotions), width, heads=2, layers=3, hidden=32, dropout=0.0).eval()
    network.mean.copy_(torch.from_numpy(rows.mean(0)))
    network.deviation.copy_(torch.from_numpy(rows.std(0)))
    for label, offset in enumerate(network.class_offsets):
        offset.copy_(torch.from_numpy(rows[labels == label].mean(0) - rows.mean(0)))
    return SessionReader(network, ours)


@pytest.fixture(scope="module")
def voices(clips):
    """Embeddings of two voices, `(voice, clip, size)`."""
    rows, _, who, _ = clips
    return torch.from_numpy(np.stack([rows[who == name][:16] for name in ("voice01", "voice20")])).float()


@pytest.fixture(autouse=True)
def without_gradients():
    with torch.inference_mode():
        yield


def test_a_first_clip_is_judged_by_itself(reader, voices):
    clips = reader.hear(voices[:, 0])
    wanted = (clips.alone / reader.temperature / (1 + reader.modesty)).log_softmax(-1)
    torch.testing.assert_close(reader.log_probabilities(reader.begin(2), clips), wanted, atol=1e-9, rtol=0)


def test_what_comes_later_changes_no_earlier_answer_and_sessions_do_not_mix(reader, voices):
    sessions, said = reader.begin(2), []
    for clip in voices.unbind(1):
        answer, sessions = reader.step(sessions, reader.hear(clip))
        said.append(answer)
    alone = reader.begin()
    for number, clip in enumerate(voices[0]):  # again, one voice alone
        answer, alone = reader.step(alone, reader.hear(clip[None]))
        torch.testing.assert_close(answer[0], said[number][0], atol=1e-4, rtol=0)


def test_a_voice_is_kept_in_100_kilobytes(reader):
    assert reader.begin().bytes_per_session() <= 100_000


def test_a_settled_session_does_not_depend_on_order(reader, voices):
    found = reader.settled(voices[0]).exp()
    torch.testing.assert_close(found.sum(-1), torch.ones(len(found)).double())
    torch.testing.assert_close(reader.settled(voices[0].flip(0)).flip(0).exp(), found, atol=0.02, rtol=0)


def test_a_settled_session_of_one_clip_is_that_clip_by_itself(reader, voices):
    alone = reader.log_probabilities(reader.begin(), reader.hear(voices[0, :1]))
    torch.testing.assert_close(reader.settled(voices[0, :1]), alone, atol=1e-9, rtol=0)


def test_where_no_emotion_varies_the_joint_model_alone_adds_to_a_clip_by_itself(reader, voices):
    sessions, clip = reader.begin(), reader.hear(voices[0, 3:4])
    for count in range(1, 6):
        together, _ = reader.joint.step(sessions.voice, clip.z)
        learned = reader.share * (together - reader.joint.alone(clip.z))
        wanted = (clip.alone + learned) / (reader.temperature * (1 + reader.modesty / count))
        said, sessions = reader.step(sessions, clip)
        torch.testing.assert_close(said, wanted.log_softmax(-1), atol=1e-9, rtol=0)


def test_where_emotions_vary_a_clip_is_read_as_the_program_reads_it_without_a_gate(reader, voices):
    open_reader = replace(reader, one=-2.0, many=-1.0)
    sessions, state = open_reader.begin(2), reader.network.unheard().expand(2, -1)
    for count, embeddings in enumerate(voices.unbind(1), start=1):
        said, sessions = open_reader.step(sessions, open_reader.hear(embeddings))
        if count > 1:
            wanted = reader.network.readings(embeddings, state).in_session.double()
            wanted = wanted / (reader.temperature * (1 + reader.modesty / count))
            torch.testing.assert_close(said, wanted.log_softmax(-1), atol=1e-4, rtol=0)
        state = state + reader.network.noted(embeddings)
