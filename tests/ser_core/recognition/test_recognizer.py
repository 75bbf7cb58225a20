"""From files to results: what an answer may depend on, and what it may not."""

import tracemalloc

import numpy as np
import pytest
import soundfile
import torch
from support import SAMPLE_RATE, random_bundle, syllables, write_wav

from ser_core.audio.decode import DecodeLimits, decode
from ser_core.audio.waveform import Waveform
from ser_core.checkpoint import bundle
from ser_core.errors import DeviceError, DeviceFullError
from ser_core.recognition.recognizer import PENDING_SEGMENTS, Recognizer
from ser_core.recognition.torch_runtime import TorchRuntime, choose_device

FILES = 16  # with a syllable each: one batch


@pytest.fixture(scope="module")
def untrained(tmp_path_factory) -> Recognizer:
    return Recognizer.load(random_bundle(tmp_path_factory.mktemp("checkpoint")), device="cpu")


@pytest.fixture(scope="module")
def clips() -> list[np.ndarray]:
    """Stretches of 0.03 to 9 s, in no order; in two batches."""
    rng = np.random.default_rng(1)
    sound = syllables(60, seed=1)
    lengths = [480, 9 * SAMPLE_RATE, *rng.integers(2000, 2 * SAMPLE_RATE, FILES)]
    return [sound[8000 + 20000 * row :][:length] for row, length in enumerate(lengths)]


def close(left, right) -> bool:
    """Whether two analyses say the same; batching may move the last digits of a probability."""
    return (
        (left.duration, left.quality, left.error) == (right.duration, right.quality, right.error)
        and [(s.start, s.end) for s in left.segments] == [(s.start, s.end) for s in right.segments]
        and all(
            a.probabilities == pytest.approx(b.probabilities, abs=1e-4)
            for a, b in zip([*left.segments, left.summary], [*right.segments, right.summary], strict=True)
        )
    )


def test_probabilities_sum_to_one_for_any_length(untrained, clips):
    rows = untrained.probabilities(clips)
    assert rows.shape == (len(clips), 8)
    assert rows.sum(axis=1) == pytest.approx(np.ones(len(clips)))


@pytest.mark.parametrize("architecture", ["parallel_cnn_transformer", "whisper_tiny"])
def test_a_clip_gets_the_same_alone_and_in_any_company(architecture, clips, tmp_path):
    model = Recognizer.load(random_bundle(tmp_path, architecture), "cpu")
    together = model.probabilities(clips)
    alone = np.concatenate([model.probabilities([clip]) for clip in clips])
    backwards = model.probabilities(clips[::-1])[::-1]
    assert together == pytest.approx(alone, abs=1e-4)
    assert together == pytest.approx(backwards, abs=1e-4)


def test_a_clip_longer_than_the_window_is_the_mean_of_even_parts(untrained):
    clip = syllables(20)[: 24 * SAMPLE_RATE]  # 24 s: three windows of 8 s
    parts = untrained.probabilities(np.split(clip, 3))
    assert untrained.probabilities([clip])[0] == pytest.approx(parts.mean(axis=0), abs=1e-4)
    assert not np.allclose(parts[0], parts[1], atol=1e-4)


def test_no_clips_give_no_rows(untrained):
    assert untrained.probabilities([]).shape == (0, 8)


def test_file_bytes_and_waveform_give_one_result(untrained, tmp_path):
    path = write_wav(tmp_path / "a.wav", syllables(30))  # 40 s: several blocks of the decoder
    from_file = untrained.analyze_file(path)
    assert from_file.segments
    assert close(from_file, untrained.analyze_file(path.read_bytes()))
    assert close(from_file, untrained.analyze(decode(path)))


def test_files_together_give_what_each_gives_alone_and_in_order(untrained, tmp_path):
    counts = [3, 0, PENDING_SEGMENTS + 5, 1]  # one file fills more than a batch, one is silent
    paths = [
        write_wav(tmp_path / f"{i}.wav", syllables(n, i) if n else np.zeros(SAMPLE_RATE))
        for i, n in enumerate(counts)
    ]
    together = list(untrained.analyze_files(paths))
    assert [analysis.source for analysis in together] == [str(path) for path in paths]
    assert len(together[2].segments) > PENDING_SEGMENTS
    assert all(close(analysis, untrained.analyze_file(analysis.source)) for analysis in together)


def test_segments_of_several_files_share_a_batch(tmp_path):
    description, model = bundle.load(random_bundle(tmp_path / "checkpoint"))
    batches = []
    model.register_forward_hook(lambda module, inputs, output: batches.append(len(output)))
    paths = [write_wav(tmp_path / f"{i}.wav", syllables(1, seed=i)) for i in range(FILES)]
    analyses = list(Recognizer(TorchRuntime(description, model, "cpu")).analyze_files(paths))
    assert [len(analysis.segments) for analysis in analyses] == [1] * FILES
    assert batches == [FILES]


def test_segments_lie_in_order_within_the_recording(untrained, tmp_path):
    analysis = untrained.analyze_file(write_wav(tmp_path / "a.wav", syllables(12)))
    times = [time for segment in analysis.segments for time in (segment.start, segment.end)]
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] <= analysis.duration


def test_silence_gets_no_emotion(untrained):
    analysis = untrained.analyze(Waveform(np.zeros(3 * SAMPLE_RATE, np.float32)), source="quiet")
    assert (analysis.segments, analysis.summary.label, analysis.error) == ((), "no_speech", None)
    assert (analysis.source, analysis.duration) == ("quiet", 3.0)
    assert analysis.quality.warnings


def test_a_model_that_is_never_sure_says_unknown(tmp_path):
    unsure = Recognizer.load(random_bundle(tmp_path, threshold=1.0), device="cpu")
    analysis = unsure.analyze(Waveform(syllables(3)))
    assert {segment.label for segment in analysis.segments} == {"unknown"}
    assert analysis.summary.label == "unknown"


def test_temperature_levels_the_probabilities(tmp_path):
    clip = [syllables(1)]
    sharp = Recognizer.load(random_bundle(tmp_path / "a", temperature=0.1), "cpu").probabilities(clip)
    level = Recognizer.load(random_bundle(tmp_path / "b", temperature=10.0), "cpu").probabilities(clip)
    assert sharp.max() > level.max() > 1 / 8


def test_broken_files_do_not_stop_the_others(untrained, tmp_path):
    good = write_wav(tmp_path / "good.wav", syllables(2))
    text = tmp_path / "text.wav"
    text.write_text("not a recording")
    analyses = list(untrained.analyze_files([text, good, tmp_path / "missing.wav", good]))
    codes = [analysis.error and analysis.error.code for analysis in analyses]
    assert codes == ["unsupported_format", None, "not_found", None]
    assert analyses[1].segments
    assert close(analyses[1], analyses[3])


def test_a_file_that_breaks_off_midway_is_analysed_as_far_as_it_goes(untrained, tmp_path):
    whole = tmp_path / "whole.flac"
    soundfile.write(whole, syllables(40), SAMPLE_RATE)
    cut = tmp_path / "cut.flac"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    broken, after = untrained.analyze_files([cut, whole])
    assert broken.error is None
    assert 0.4 < broken.duration / after.duration < 0.6
    assert broken.quality.warnings[0].startswith("Cut off: ")
    inside = [segment for segment in after.segments if segment.end < broken.duration - 1]
    assert 10 < len(inside) <= len(broken.segments) < len(after.segments)
    assert [(s.start, s.end) for s in broken.segments[: len(inside)]] == [(s.start, s.end) for s in inside]
    assert not any(warning.startswith("Cut off") for warning in after.quality.warnings)


def test_limits_are_kept(untrained, tmp_path):
    path = write_wav(tmp_path / "a.wav", syllables(3))
    assert untrained.analyze_file(path, limits=DecodeLimits(max_duration_s=1.0)).error.code == "too_long"


def test_progress_tells_the_seconds_heard(untrained, tmp_path):
    path = write_wav(tmp_path / "a.wav", syllables(20))
    reports = []
    analysis = untrained.analyze_file(
        path, progress=lambda source, seconds: reports.append((source, seconds))
    )
    assert len(reports) > 1
    assert reports == sorted(reports)
    assert reports[-1] == (str(path), analysis.duration)


def test_memory_does_not_grow_with_the_recording(untrained, tmp_path):
    path = tmp_path / "long.flac"
    soundfile.write(path, np.zeros(600 * SAMPLE_RATE, np.float32), SAMPLE_RATE)  # 38 MB as float32
    tracemalloc.start()
    analysis = untrained.analyze_file(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert analysis.duration == 600
    assert peak < 15e6


def test_sound_at_another_rate_is_refused(untrained):
    with pytest.raises(ValueError, match="16000 Hz"):
        untrained.analyze(Waveform(np.zeros(8000, np.float32), sample_rate=8000))


def test_an_absent_device_is_named_with_those_there_are():
    with pytest.raises(DeviceError, match=r"no device 'tpu'.*cpu"):
        choose_device("tpu")


def test_the_default_model_hears_anger(ravdess_angry):
    analysis = Recognizer.load(device="cpu").analyze_file(ravdess_angry)
    assert [segment.label for segment in analysis.segments] == ["angry"] * len(analysis.segments)
    assert analysis.summary.label == "angry"


class Crowded(torch.nn.Module):
    """Stands for `model` on a device whose memory is full: once at each method of `failures`."""

    def __init__(self, model: torch.nn.Module, *failures: str) -> None:
        super().__init__()
        self.model, self.failures = model, list(failures)

    def to(self, *_):
        self._fail("to")
        return self

    def forward(self, features, lengths):
        self._fail("forward")
        return self.model(features, lengths)

    def _fail(self, where: str) -> None:
        if where in self.failures:
            self.failures.remove(where)
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")


def test_a_device_that_runs_full_is_left_for_the_cpu_with_a_notice(tmp_path, caplog):
    description, model = bundle.load(random_bundle(tmp_path))
    sound = Waveform(syllables(5))
    expected = Recognizer(TorchRuntime(description, model, "cpu")).analyze(sound)
    crowded = Recognizer(TorchRuntime(description, Crowded(model, "forward"), "cpu"))
    before = crowded.runtime
    assert close(crowded.analyze(sound), expected)
    assert close(crowded.analyze(sound), expected)
    assert crowded.runtime is not before
    assert str(crowded.device) == "cpu"
    assert [record.message.partition(": ")[2] for record in caplog.records] == [
        "the model goes on on the CPU, which is slower."
    ]


def test_a_device_without_room_for_the_model_is_left_for_the_cpu(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    description, model = bundle.load(random_bundle(tmp_path))
    with pytest.raises(DeviceFullError) as caught:
        TorchRuntime(description, Crowded(model, "to"), "cuda")
    assert str(caught.value.on_cpu.device) == "cpu"
    assert "cuda is full" in caplog.text
    assert Recognizer(caught.value.on_cpu).analyze(Waveform(syllables(2))).segments
