"""On a ZeroGPU Space, recordings are analysed on the GPU that `spaces.GPU` lends."""

import sys

import pytest
from support import random_bundle, syllables

from ser_core.audio.isolated import Decoder
from ser_core.audio.waveform import Waveform
from ser_core.recognition.recognizer import Recognizer
from ser_core.recognition.recording import ONE_VOICE
from ser_ui.launch import load
from ser_ui.server import zero_gpu

# Stands for the package `spaces`: as without a GPU, it calls the function; it also records the calls.
SPACES = """
calls = []
def GPU(duration):
    def lend(function):
        def lent(*arguments):
            calls.append((duration, arguments))
            return function(*arguments)
        return lent
    return lend
"""


@pytest.fixture
def spaces(tmp_path, monkeypatch):
    """The package `spaces`, as a file on the import path."""
    (tmp_path / "spaces.py").write_text(SPACES)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "spaces", raising=False)
    import spaces

    yield spaces
    sys.modules.pop("spaces", None)


@pytest.fixture(scope="module")
def name(tmp_path_factory) -> str:
    return str(random_bundle(tmp_path_factory.mktemp("model") / "random"))


def test_a_recording_is_analysed_on_the_lent_gpu_and_live_sound_is_not(spaces, name, monkeypatch):
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    recognizer = load(name, Decoder())
    sound = Waveform(syllables(2))
    analysis = recognizer.analyze(sound, "a.wav", lambda *_: None, ["Cut off: so"])
    assert spaces.calls == [(zero_gpu.DURATION_S, (sound, "a.wav", None, ["Cut off: so"], ONE_VOICE))]
    assert analysis == Recognizer.load(name, "cpu").analyze(sound, "a.wav", warnings=["Cut off: so"])
    assert analysis.quality.warnings[0] == "Cut off: so"
    recognizer.probabilities([sound.samples])
    assert len(spaces.calls) == 1
    assert recognizer.device.type == "cpu"


def test_elsewhere_nothing_is_lent(spaces, name, monkeypatch):
    monkeypatch.delenv("SPACES_ZERO_GPU", raising=False)
    assert type(load(name, Decoder())) is Recognizer
    assert not spaces.calls
