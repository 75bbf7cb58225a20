"""A GPU gives the same results as the CPU."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from support import ROOT, SAMPLE_RATE, random_bundle, syllables

from ser_core.models.session import Session
from ser_core.recognition.recognizer import Recognizer

AVAILABLE = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
GPUS = [name for name, available in AVAILABLE.items() if available]
needs_gpu = pytest.mark.skipif(not GPUS, reason="needs a GPU")


@pytest.fixture(scope="module")
def clips() -> list[np.ndarray]:
    """Sixty clips of 0.1 to 9 s."""
    sound = syllables(60, seed=2)
    lengths = np.random.default_rng(2).integers(SAMPLE_RATE // 10, 9 * SAMPLE_RATE, 60)
    return [sound[4000 * row :][:length] for row, length in enumerate(lengths)]


@needs_gpu
@pytest.mark.parametrize("device", GPUS)
@pytest.mark.parametrize("architecture", ["whisper_base_adaptive", "parallel_2cnn_transformer"])
def test_a_gpu_agrees_with_the_cpu(device, architecture, clips, tmp_path):
    folder = random_bundle(tmp_path, architecture, temperature=0.5)
    probabilities = []
    for name in ("cpu", device):
        recognizer = Recognizer.load(folder, name, "float32")
        sessions = [Session() for _ in range(3)]
        probabilities.append(recognizer.runtime.in_sessions(clips, sessions * 20, [True] * 60).in_session)
    assert np.abs(probabilities[0] - probabilities[1]).max() < 1e-3


@needs_gpu
@pytest.mark.parametrize("device", GPUS)
def test_auto_takes_the_gpu(device, tmp_path):
    assert Recognizer.load(random_bundle(tmp_path)).device.type == GPUS[0]


def test_a_machine_without_decoders_can_run_the_model():
    """GPU machines that get waveforms often have torch and few other packages."""
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['soundfile', 'av', 'soxr', 'webrtcvad', 'scipy'])); "
    )
    command = [sys.executable, "-c", code + "import ser_core.recognition.torch_runtime"]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
