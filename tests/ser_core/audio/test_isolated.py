"""Files read in another process: the same sound, the same errors, and nothing that a file does harms us."""

import fcntl
import os
import re
import signal
import subprocess
import sys
import termios
from array import array
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from bad_files import corpus
from bad_inputs import BAD, FORMATS, good, silent_hours, tone, with_soundfile
from processes import children
from support import ROOT, SAMPLE_RATE, eventually, random_bundle, syllables, write_wav

from ser_core.audio import decode, isolated
from ser_core.audio.decode import DecodeLimits
from ser_core.audio.isolated import SPARE, Decoder, WorkerLimits
from ser_core.errors import AudioError
from ser_core.recognition.recognizer import Recognizer

MEMORY_BYTES = 160_000_000  # of which 66 MB are the interpreter and its libraries
MINUTE = DecodeLimits(max_duration_s=60.0)


@pytest.fixture(scope="module")
def reader() -> Iterator[Decoder]:
    with Decoder() as reader:
        yield reader


def workers() -> list[int]:
    """The worker processes that run."""
    return children(os.getpid(), "ser_core.audio.isolated")


def unread(worker: int) -> int:
    """How many bytes a worker was sent and has not read."""
    count = array("i", [0])
    with open(f"/proc/{worker}/fd/0", "rb", buffering=0) as stdin:
        fcntl.ioctl(stdin, termios.FIONREAD, count)
    return count[0]


def outcome(read, source: Path | str | bytes, limits: DecodeLimits = MINUTE) -> tuple[str, str, bytes]:
    """The error's code and message, or nothing and the sound."""
    try:
        return "", "", b"".join(block.tobytes() for block in read(source, limits))
    except AudioError as error:
        return error.code, error.message, b""


def code_of(read, source: Path | str | bytes, limits: DecodeLimits = MINUTE) -> str:
    return outcome(read, source, limits)[0]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_sounds_the_same_as_in_this_process(reader, name, tmp_path):
    path = tmp_path / "sound"
    path.write_bytes(good(name))
    expected = outcome(decode.stream, path)
    assert expected[2]
    assert outcome(reader.stream, path) == expected
    assert outcome(reader.stream, good(name)) == expected


@pytest.mark.parametrize("name", BAD)
def test_every_bad_file_gets_the_same_error_as_in_this_process(reader, name):
    assert outcome(reader.stream, BAD[name].make()) == outcome(decode.stream, BAD[name].make())


def test_what_is_no_file_gets_the_same_error(reader, tmp_path):
    for path in (tmp_path, tmp_path / "nothing", "a\0b", "/dev/zero", tmp_path / "\udcff"):
        assert outcome(reader.stream, path) == outcome(decode.stream, path)


def test_a_relative_path_is_relative_to_us(reader, tmp_path, monkeypatch):
    write_wav(tmp_path / "a.wav", syllables(1))
    monkeypatch.chdir(tmp_path)
    assert outcome(reader.stream, "a.wav")[2]


def test_the_analysis_is_the_same(reader, tmp_path):
    path = write_wav(tmp_path / "a.wav", syllables(30))  # 40 s: several blocks
    model = random_bundle(tmp_path / "model")
    expected = Recognizer.load(model, "cpu").analyze_file(path)
    assert len(expected.segments) > 20
    isolated_recognizer = Recognizer.load(model, "cpu", read=reader.stream)
    assert isolated_recognizer.analyze_file(path) == expected
    assert next(isolated_recognizer.analyze_files([path, tmp_path])) == expected


def test_limits_are_kept(reader):
    assert code_of(reader.stream, silent_hours(), DecodeLimits(max_duration_s=60)) == "too_long"
    assert code_of(reader.stream, good("FLAC"), DecodeLimits(min_duration_s=2)) == "too_short"


def test_one_worker_serves_one_file_after_the_other(reader):
    assert outcome(reader.stream, good("MP3"))[2]
    before = workers()
    assert len(before) == 1
    for name in ("M4A", "Ogg Opus", "WAV 16 bit"):
        outcome(reader.stream, good(name))
        outcome(reader.stream, BAD["garbage.flac"].make())
    assert workers() == before


def test_a_worker_is_replaced_before_it_grows_old(monkeypatch):
    monkeypatch.setattr(isolated, "FILES_A_WORKER", 2)
    others = set(workers())
    with Decoder() as reader:
        outcome(reader.stream, good("MP3"))
        (first,) = set(workers()) - others
        assert outcome(reader.stream, good("MP3"))[2]
        assert first not in workers()
        assert outcome(reader.stream, good("MP3"))[2]


def test_files_that_are_read_at_once_are_not_mixed_up(reader):
    sounds = [with_soundfile(tone(1 + number / 10, hz=200 + 50 * number), "FLAC") for number in range(12)]
    with ThreadPoolExecutor(6) as threads:
        outcomes = list(threads.map(lambda sound: outcome(reader.stream, sound), sounds))
    assert outcomes == [outcome(decode.stream, sound) for sound in sounds]
    assert len(workers()) <= SPARE


def test_a_worker_that_is_killed_costs_its_file_alone(reader, caplog):
    minute = with_soundfile(np.zeros(60 * SAMPLE_RATE, np.float32), "WAV")
    blocks = reader.stream(minute)
    next(blocks)
    for worker in workers():
        os.kill(worker, signal.SIGKILL)
    with pytest.raises(AudioError) as caught:
        list(blocks)
    assert caught.value.code == "decoder_crashed"
    assert "export it again" in caught.value.message
    assert "code -9" in caplog.text
    assert outcome(reader.stream, good("MP3")) == outcome(decode.stream, good("MP3"))


def test_a_worker_that_is_killed_while_it_waits_costs_nothing(reader):
    reader.prepare()
    for worker in workers():
        os.kill(worker, signal.SIGKILL)
    assert outcome(reader.stream, good("MP3")) == outcome(decode.stream, good("MP3"))


def test_a_worker_that_ends_after_it_was_asked_and_before_it_begins_costs_nothing():
    others = set(workers())
    with Decoder() as reader, ThreadPoolExecutor() as thread:
        reader.prepare()
        stopped = set(workers()) - others
        for worker in stopped:
            os.kill(worker, signal.SIGSTOP)
        result = thread.submit(outcome, reader.stream, good("MP3"))
        for _ in range(SPARE):
            assert eventually(lambda: any(unread(worker) for worker in stopped))
            requested = next(worker for worker in stopped if unread(worker))
            stopped.remove(requested)
            os.kill(requested, signal.SIGKILL)
        assert result.result() == outcome(decode.stream, good("MP3"))


def test_a_worker_that_does_not_answer_is_too_slow_and_replaced():
    others = set(workers())
    with Decoder(WorkerLimits(answer_s=1.0)) as reader:
        reader.prepare()
        assert eventually(lambda: len(set(workers()) - others) == SPARE)
        stopped = set(workers()) - others
        for worker in stopped:
            os.kill(worker, signal.SIGSTOP)
        assert code_of(reader.stream, good("MP3")) == "too_slow"
        assert eventually(lambda: len(set(workers()) - others) == SPARE)
        left = set(workers()) - others
        assert len(left & stopped) == SPARE - 1


def test_a_file_that_keeps_the_processor_busy_is_too_slow():
    with Decoder(WorkerLimits(cpu_s=0)) as reader:
        assert code_of(reader.stream, silent_hours(3), DecodeLimits()) == "too_slow"


def test_whoever_stops_early_frees_the_worker(reader):
    outcome(reader.stream, good("MP3"))
    before = workers()
    blocks = reader.stream(silent_hours())
    assert len(next(blocks))
    blocks.close()
    assert not set(before) & set(workers())
    assert outcome(reader.stream, good("MP3"))[2]


def test_closing_leaves_no_process():
    before = workers()
    with Decoder() as reader:
        reader.prepare()
        reading = reader.stream(good("MP3"))
        next(reading)
        assert set(workers()) > set(before)
    list(reading)  # a file that is being read is read to its end
    assert workers() == before


def test_workers_end_with_the_program_that_started_them():
    script = "from ser_core.audio.isolated import Decoder; Decoder().prepare(); input()"
    program = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.PIPE)
    assert eventually(lambda: len(children(program.pid, "ser_core.audio.isolated")) == SPARE)
    orphans = children(program.pid, "ser_core.audio.isolated")
    program.kill()
    program.communicate()
    assert eventually(lambda: not any(Path(f"/proc/{orphan}/cmdline").exists() for orphan in orphans))


def test_a_file_that_wants_too_much_memory_is_refused_by_name(tmp_path):
    path = tmp_path / "a.flac"  # 480 000 frames are read at once: 15 MB
    path.write_bytes(with_soundfile(np.zeros((2 * 384_000, 8)), "FLAC", rate=384_000))
    others = set(workers())
    with Decoder() as reader:
        outcome(reader.stream, good("MP3"))
        (worker,) = set(workers()) - others
        status = Path(f"/proc/{worker}/status").read_text()
    needed_kb = int(re.search(r"VmData:\s*(\d+) kB", status)[1])
    with Decoder(WorkerLimits(memory_bytes=1024 * needed_kb + 8_000_000)) as reader:
        assert code_of(reader.stream, path) == "too_much_memory"
        assert outcome(reader.stream, good("MP3"))[2]


def test_no_bad_file_takes_much_memory_or_ends_the_worker(monkeypatch):
    monkeypatch.setattr(isolated, "FILES_A_WORKER", 100_000)
    others = set(workers())
    with Decoder(WorkerLimits(memory_bytes=MEMORY_BYTES)) as reader:
        outcome(reader.stream, good("MP3"))
        mine = set(workers()) - others
        codes = {code_of(reader.stream, content) for _, content in corpus()}
        assert set(workers()) - others == mine
    assert "corrupt" in codes
    assert not codes & {"decoder_crashed", "too_slow", "too_much_memory"}
