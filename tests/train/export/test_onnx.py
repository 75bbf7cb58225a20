"""ONNX files give the same results as torch, and run without torch."""

import json
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from support import ROOT, SAMPLE_RATE, gated_bundle, random_bundle, syllables, write_wav
from typer.testing import CliRunner

from ser_core.checkpoint.bundle import ONNX, ONNX_INT8, BundleError
from ser_core.errors import DeviceError
from ser_core.models import campplus
from ser_core.models.campplus import BOTTLENECK, WIDTH, MiddleBlock
from ser_core.models.registry import ARCHITECTURES
from ser_core.models.session import Session
from ser_core.models.whisper_adaptive import READ_LAYERS, WhisperAdaptive
from ser_core.recognition.recognizer import Recognizer
from train.cli import app
from train.export import onnx

pytest.importorskip("onnxscript")
WITHOUT_TORCH = """
import sys
sys.modules.update(dict.fromkeys(["torch", "torchaudio", "safetensors", "librosa", "scipy"]))
from ser_core.commands.cli import app
app(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def small_default():
    """The default's architecture, narrow and shallow: to export every layer of it takes a minute."""
    small = partial(
        WhisperAdaptive, width=64, heads=2, layers=READ_LAYERS - 1, hidden=16, dropout=0.5, campplus=True
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(campplus, "BLOCKS", ((1, 1), (1, 2), (1, 2)))
        patch.setattr(MiddleBlock, "size", (BOTTLENECK + WIDTH) // 2 + WIDTH)
        patch.setitem(ARCHITECTURES, "whisper_base_campplus_adaptive", small)
        yield


@pytest.fixture(scope="module")
def adaptive(small_default, tmp_path_factory) -> Path:
    """A checkpoint with both branches of the default, with its ONNX files."""
    folder = random_bundle(
        tmp_path_factory.mktemp("adaptive"), "whisper_base_campplus_adaptive", temperature=1.7
    )
    result = CliRunner().invoke(app, ["export", str(folder), "--onnx"])
    assert result.exit_code == 0, result.output
    return folder


def result_of(recognizer: Recognizer, path: Path) -> np.ndarray:
    analysis = recognizer.analyze_file(path)
    return np.array([list(segment.probabilities.values()) for segment in analysis.segments])


def test_a_session_goes_as_with_torch(adaptive, tmp_path):
    path = write_wav(tmp_path / "a.wav", syllables(6, seed=3))
    exact = result_of(Recognizer.load(adaptive, "cpu", "float32"), path)
    assert len(exact) == 6
    assert result_of(Recognizer.load(adaptive, runtime="onnx"), path) == pytest.approx(exact, abs=1e-4)
    assert result_of(Recognizer.load(adaptive, runtime="onnx-int8"), path) == pytest.approx(exact, abs=0.02)


def test_a_settled_session_goes_as_with_torch(adaptive, tmp_path):
    paths = [write_wav(tmp_path / f"{seed}.wav", syllables(2, seed)) for seed in range(2)]
    probabilities = []
    for recognizer in (
        Recognizer.load(adaptive, "cpu", "float32"),
        Recognizer.load(adaptive, runtime="onnx"),
    ):
        session = Session()
        for path in paths:
            recognizer.analyze_file(path, session=session)
        session.settle()
        analyses = [recognizer.analyze_file(path, session=session) for path in paths]
        probabilities.append([list(part.probabilities.values()) for one in analyses for part in one.segments])
    assert len(probabilities[0]) == 4
    assert np.array(probabilities[1]) == pytest.approx(np.array(probabilities[0]), abs=1e-4)


@pytest.fixture(scope="module")
def gated(tmp_path_factory) -> Path:
    """A checkpoint with a gate, with its ONNX files; "plain" beside it has none."""
    folder = gated_bundle(tmp_path_factory.mktemp("gated"), "whisper_tiny_distilled")
    onnx.write(folder)
    return folder


def test_a_session_with_a_gate_goes_as_with_torch(gated, tmp_path):
    path = write_wav(tmp_path / "a.wav", syllables(6, seed=3))
    exact = result_of(Recognizer.load(gated, "cpu", "float32"), path)
    without = result_of(Recognizer.load(gated.parent / "plain", "cpu", "float32"), path)
    assert result_of(Recognizer.load(gated, runtime="onnx"), path) == pytest.approx(exact, abs=1e-4)
    assert np.abs(exact - without).max() > 0.01


def test_a_file_made_before_the_gate_was_set_is_refused(gated):
    described = json.loads((gated / "bundle.json").read_text(encoding="utf-8"))
    changed = gated.parent / "changed"
    shutil.copytree(gated, changed)
    for gate in ([0.3, 0.7], None):
        options = {"gate": gate} if gate else {}
        (changed / "bundle.json").write_text(json.dumps(described | {"options": options}), encoding="utf-8")
        with pytest.raises(BundleError, match="other options") as caught:
            Recognizer.load(changed, runtime="onnx")
        assert caught.value.code == "stale_onnx"


def test_clips_of_any_length_by_themselves(adaptive):
    clips = [syllables(9)[:length] for length in (1, 700, 3 * SAMPLE_RATE)]
    exact = Recognizer.load(adaptive, "cpu", "float32").probabilities(clips)
    assert Recognizer.load(adaptive, runtime="onnx").probabilities(clips) == pytest.approx(exact, abs=1e-4)


def test_a_network_that_does_not_adapt(tmp_path):
    folder = random_bundle(tmp_path / "cnn", "parallel_2cnn_transformer")
    assert max(onnx.write(folder).values()) < 0.05
    path = write_wav(tmp_path / "a.wav", syllables(4, seed=3))
    exact = result_of(Recognizer.load(folder, "cpu"), path)
    assert result_of(Recognizer.load(folder, runtime="onnx"), path) == pytest.approx(exact, abs=1e-4)


def test_the_command_runs_without_torch(adaptive, tmp_path):
    path = write_wav(tmp_path / "a.wav", syllables(2))
    command = [sys.executable, "-c", WITHOUT_TORCH, "analyze", str(path), "--model", str(adaptive)]
    result = subprocess.run(
        [*command, "--runtime", "onnx"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    exact = Recognizer.load(adaptive, "cpu", "float32").analyze_file(path)
    (analysis,) = json.loads(result.stdout)
    assert analysis["error"] is None
    assert analysis["summary"]["probabilities"] == pytest.approx(exact.summary.probabilities, abs=1e-3)


@pytest.mark.parametrize(("file", "runtime"), [(ONNX, "onnx"), (ONNX_INT8, "onnx-int8")])
def test_without_its_file_the_command_to_make_it_is_named(tmp_path, file, runtime):
    with pytest.raises(BundleError, match=rf"no {file}.*export .* --onnx") as caught:
        Recognizer.load(random_bundle(tmp_path), runtime=runtime)
    assert caught.value.code == "no_onnx"


def test_a_file_of_other_weights_is_refused(adaptive, tmp_path):
    folder = random_bundle(tmp_path)
    (folder / ONNX).symlink_to(adaptive / ONNX)
    with pytest.raises(BundleError) as caught:
        Recognizer.load(folder, runtime="onnx")
    assert caught.value.code == "stale_onnx"


def test_a_damaged_file_is_refused(tmp_path):
    folder = random_bundle(tmp_path)
    (folder / ONNX).write_bytes(b"not a model")
    with pytest.raises(BundleError) as caught:
        Recognizer.load(folder, runtime="onnx")
    assert caught.value.code == "bad_onnx"


def test_a_gpu_is_left_to_torch(adaptive):
    with pytest.raises(DeviceError, match="--runtime torch"):
        Recognizer.load(adaptive, "cuda", runtime="onnx")


def test_a_run_without_a_place_to_go_is_usage():
    result = CliRunner().invoke(app, ["export", "somewhere"])
    assert result.exit_code == 1
    assert "name the checkpoint" in result.output
