"""`listen` without hardware: blocks of a recording where a microphone's would come."""

import json
import os
import signal
import sys
import threading
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import soundfile
from support import SAMPLE_RATE, syllables, write_wav
from typer.testing import CliRunner

from ser_core.audio import microphone
from ser_core.audio.microphone import Device, Microphone, MicrophoneError, choose
from ser_core.commands.cli import app
from ser_core.commands.listen import Screen, interruptible, recorded, run_session
from ser_core.recognition.diarization import default_diarizer
from ser_core.recognition.live import Level
from ser_core.recognition.live_engine import LiveEngine, LiveError
from ser_core.recognition.recognizer import Recognizer

SPEECH = np.round(syllables(3) * 32767).astype(np.int16)
BLOCKS = np.array_split(SPEECH, 50)  # about 0.1 s each
BUILT_IN, HEADSET = Device(0, "Built-in", 44_100, False), Device(4, "Headset", 16_000, True)


@pytest.fixture
def engine(model):
    engine = LiveEngine(Recognizer.load(model, "cpu"))
    yield engine
    engine.close()


def press_ctrl_c() -> None:
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # it would end the tests
        os.kill(os.getpid(), signal.SIGINT)


class StandIn(ModuleType):
    """What `listen` uses of sounddevice, with a microphone that plays `BLOCKS`; before the last, Ctrl-C."""

    class PortAudioError(Exception):
        pass

    def __init__(self) -> None:
        super().__init__("sounddevice")
        self.default = SimpleNamespace(device=[1, 0])
        self.then = press_ctrl_c
        self.played = threading.Event()

    def query_devices(self) -> list[dict]:
        speaker = {"name": "Speaker", "max_input_channels": 0, "default_samplerate": 48_000.0}
        return [speaker, {"name": "Desk", "max_input_channels": 2, "default_samplerate": 16_000.0}]

    def InputStream(self, callback, **options):  # noqa: N802 - its name there
        if (options["dtype"], options["channels"], options["device"]) != ("int16", 1, 1):
            raise self.PortAudioError("Invalid device")

        def play() -> None:
            for block in BLOCKS:
                if block is BLOCKS[-1]:
                    self.then()
                callback(block[:, None], len(block), None, SimpleNamespace(input_overflow=False))
            self.played.set()

        playing = threading.Thread(target=play)
        return SimpleNamespace(start=playing.start, stop=playing.join, close=lambda: None)


@pytest.fixture
def desk(monkeypatch) -> StandIn:
    stand_in = StandIn()
    monkeypatch.setitem(sys.modules, "sounddevice", stand_in)
    return stand_in


def run(*arguments):
    return CliRunner().invoke(app, ["listen", *map(str, arguments)])


def test_what_is_heard_is_what_the_file_gives_and_is_shown_line_by_line(engine, tmp_path, capsys):
    analysis = run_session(engine, SAMPLE_RATE, BLOCKS, Screen().show, "a.wav")
    file = engine.recognizer.analyze_file(write_wav(tmp_path / "a.wav", SPEECH), source="a.wav")
    assert [(s.start, s.end) for s in analysis.segments] == [(s.start, s.end) for s in file.segments]
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(analysis.segments) == 3
    for line, segment in zip(lines, analysis.segments, strict=True):
        start, end, label, confidence = line.split()
        assert (start, end) == (f"{segment.start:.2f}", f"{segment.end:.2f}")
        assert (label, confidence) == (segment.label, f"{segment.confidence:.0%}")


def test_with_voices_each_line_names_one(engine, capsys):
    analysis = run_session(engine, SAMPLE_RATE, BLOCKS, Screen().show, "a.wav", default_diarizer())
    assert [voice.name for voice in analysis.voices] == ["A"]
    assert [line.split()[2] for line in capsys.readouterr().out.splitlines()] == ["A"] * 3


def test_voices_that_cannot_be_told_apart_live_are_refused():
    result = run("--voices", "3")
    assert result.exit_code == 2
    assert "--voices is auto or one, not '3'" in result.stderr


def test_on_a_terminal_the_level_is_rewritten_in_place(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    screen = Screen()
    for number in (1, 2):
        screen.show(Level(number / 10, -6.0, -12.0, False, 1600 * number))
    output = capsys.readouterr().err
    assert "\n" not in output
    assert output.count("\r\x1b[K") == 2


def test_without_a_terminal_there_are_results_alone(capsys):
    Screen().show(Level(0.1, -6.0, -12.0, False, 1600))
    assert capsys.readouterr().err == ""


@pytest.fixture
def terminal():
    """Python's own answer to Ctrl-C, which a test run in the background does not have."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("terminal")
def test_the_first_ctrl_c_is_a_wish_and_the_second_an_order():
    with interruptible() as stopped:
        signal.raise_signal(signal.SIGINT)
        assert stopped.is_set()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_session_that_fails_ends_with_its_error(engine):
    def closing():
        yield BLOCKS[0]
        engine.close()
        yield from BLOCKS

    with pytest.raises(LiveError, match="shutting down"):
        run_session(engine, SAMPLE_RATE, closing(), Screen().show, "a.wav")


def test_what_is_recorded_is_what_was_heard(tmp_path):
    assert len(list(recorded(BLOCKS, tmp_path / "a.wav", SAMPLE_RATE))) == len(BLOCKS)
    written, sample_rate = soundfile.read(tmp_path / "a.wav", dtype="int16")
    assert sample_rate == SAMPLE_RATE
    assert np.array_equal(written, SPEECH)


def test_ctrl_c_ends_a_session_with_all_that_was_said_saved_and_recorded(desk, model, tmp_path):
    saved, wav = tmp_path / "new" / "session.json", tmp_path / "session.wav"
    result = run("--model", model, "--save", saved, "--record", wav)
    assert result.exit_code == 0, result.output
    assert "listening to Desk" in result.stderr
    [entry] = json.loads(saved.read_text())
    assert (entry["source"], entry["duration"]) == (str(wav), round(len(SPEECH) / SAMPLE_RATE, 3))
    assert len(result.stdout.splitlines()) == len(entry["segments"]) == 3
    assert np.array_equal(soundfile.read(wav, dtype="int16")[0], SPEECH)


def test_without_being_asked_nothing_is_written(desk, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("--model", model).exit_code == 0
    assert not list(tmp_path.iterdir())


def test_a_microphone_that_falls_silent_ends_with_what_was_heard(desk, model, tmp_path, monkeypatch):
    monkeypatch.setattr(microphone, "SILENT_S", 0.2)
    desk.then = lambda: None
    result = run("--model", model, "--save", tmp_path / "session.json")
    assert result.exit_code == 0
    assert len(json.loads((tmp_path / "session.json").read_text())[0]["segments"]) == 3


def test_sound_that_a_slow_program_lost_is_reported(desk, monkeypatch, caplog):
    monkeypatch.setattr(microphone, "QUEUE_BLOCKS", 10)
    monkeypatch.setattr(microphone, "SILENT_S", 0.2)
    desk.then = lambda: None
    with Microphone(microphone.devices()[0], threading.Event()) as opened:
        assert desk.played.wait(60)
        assert len(list(opened)) == 10
    assert f"lost {len(BLOCKS) - 10} times" in caplog.text


def test_devices_are_listed(desk):
    result = run("--list-devices")
    assert result.exit_code == 0
    assert result.stdout == "  1 Desk, 16000 Hz, the default\n"


def test_the_default_microphone_is_taken_unless_another_is_asked_for():
    assert choose([BUILT_IN, HEADSET]) == HEADSET
    assert choose([BUILT_IN, HEADSET], 0) == BUILT_IN
    assert choose([BUILT_IN]) == BUILT_IN


@pytest.mark.parametrize(("devices", "index", "code"), [([], None, "no_device"), ([HEADSET], 0, "not_found")])
def test_an_absent_microphone_is_an_error_that_says_what_to_do(devices, index, code):
    with pytest.raises(MicrophoneError, match=r"Plug one in|--list-devices") as error:
        choose(devices, index)
    assert error.value.code == code


def test_without_portaudio_it_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    result = run()
    assert result.exit_code == 1
    assert result.stderr.startswith("no_portaudio: ")
    assert "apt install libportaudio2" in result.stderr


def test_without_sounddevice_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    result = run()
    assert result.exit_code == 1
    assert "pip install sounddevice" in result.stderr


def test_a_device_that_cannot_be_opened_is_one_line(desk, model):
    desk.query_devices = lambda: 2 * StandIn.query_devices(desk)
    result = run("--model", model, "--device-index", 3)
    assert result.exit_code == 1
    assert result.stderr == "device_failed: The microphone cannot be used: Invalid device\n"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [(["--save", "."], "--save"), (["--save", "a", "--record", "a"], "same"), (["--model", "none"], "none")],
)
def test_wrong_usage_exits_with_2(desk, tmp_path, monkeypatch, arguments, named):
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.exit_code == 2
    assert named in result.stderr
