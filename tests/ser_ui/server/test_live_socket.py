"""`/live` of a real server: the protocol, and clients that violate it beside one that does not."""

import asyncio
import json
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numpy as np
import pytest
import websockets
from live_server import PATIENCE_S, Client, live_server
from support import random_bundle, run, syllables

from ser_core.audio.waveform import Waveform
from ser_core.recognition.live_engine import MAX_SESSIONS, LiveEngine
from ser_core.recognition.recognizer import Recognizer
from ser_ui import launch, page
from ser_ui.server import live_socket
from ser_ui.server.live_socket import MAX_FRAME_BYTES

SPEECH = np.round(syllables(2) * 32767).astype(np.int16)  # 3.4 s
HALF = len(SPEECH) // 2


@pytest.fixture(scope="module")
def engine(tmp_path_factory) -> Iterator[LiveEngine]:
    recognizer = Recognizer.load(random_bundle(tmp_path_factory.mktemp("checkpoint")), device="cpu")
    engine = LiveEngine(recognizer)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def address(engine) -> Iterator[str]:
    with live_server(engine) as address:
        yield address


@pytest.fixture
def bystander(address) -> Iterator[Client]:
    """A client that speaks during a test, and whose audio must all be recognised, whatever the test does."""
    with Client(address) as client:
        client.start()
        client.speak(SPEECH[:HALF])
        yield client
        client.speak(SPEECH[HALF:])
        *messages, done = client.stop()
        assert len(finals(messages)) == 2
        assert done["samples_received"] == len(SPEECH)


@pytest.fixture
def client(bystander, address) -> Iterator[Client]:
    """A client beside a bystander."""
    with Client(address) as client:
        yield client


def finals(messages: list[dict]) -> list[dict]:
    return [message for message in messages if message["type"] == "segment" and message["final"]]


def errors(messages: list[dict]) -> list[dict]:
    all_errors = [message for message in messages if message["type"] == "error"]
    return [message for message in all_errors if message["code"] != "falling_behind"]


def is_refused(client: Client, code: str, close_code: int = 1008) -> bool:
    last, closed_with = client.end()
    assert last["message"]
    return (last["type"], last["code"], last["fatal"], closed_with) == ("error", code, True, close_code)


def test_a_session_from_start_to_done(engine, client):
    ready = client.start()
    assert (ready["type"], ready["sample_rate"]) == ("ready", 16_000)
    assert ready["model"] == {"name": "random", "version": "0.1"}
    assert ready["labels"] == list(engine.recognizer.bundle.labels)
    client.speak(SPEECH)
    *messages, done = client.stop()
    assert {message["type"] for message in messages} <= {"level", "segment", "error"}
    segments = finals(messages)
    assert [segment["id"] for segment in segments] == [0, 1]
    fields = ("start", "end", "label", "confidence", "probabilities", "valence", "arousal")
    fields += ("voice", "channel", "overlap")
    assert [{name: segment[name] for name in fields} for segment in segments] == done["analysis"]["segments"]
    assert done["samples_received"] == client.sent == len(SPEECH)
    _, close_code = client.end()
    assert close_code == 1000


def test_the_analysis_is_that_of_the_same_sound_as_a_file(engine, client):
    client.start()
    client.speak(SPEECH, size=997)
    done = client.stop()[-1]
    file = engine.recognizer.analyze(Waveform(SPEECH / np.float32(32768)))
    assert done["analysis"]["duration"] == pytest.approx(file.duration, abs=1e-3)
    assert [(s["start"], s["end"]) for s in done["analysis"]["segments"]] == [
        (pytest.approx(s.start, abs=1e-3), pytest.approx(s.end, abs=1e-3)) for s in file.segments
    ]
    assert done["analysis"]["summary"]["probabilities"] == pytest.approx(
        file.summary.probabilities, abs=1.5e-4
    )


def test_levels_come_ten_times_a_second_and_count_what_was_received(client):
    client.start(48_000)
    client.speak(np.full(48_000, 3277, np.int16), size=960)  # 1 s of DC at -20 dBFS
    levels = [message for message in client.stop() if message["type"] == "level"]
    assert [level["time"] for level in levels] == [round(0.1 * n, 1) for n in range(1, 11)]
    assert levels[4]["peak_dbfs"] == levels[4]["rms_dbfs"] == -20.0
    assert not any(level["speech"] for level in levels)
    assert levels[4]["samples_received"] >= 24_000
    assert levels[4]["samples_received"] % 960 == 0


def test_a_session_that_is_stopped_at_once_has_heard_nothing(client):
    client.start()
    done = client.stop()[-1]
    assert done["samples_received"] == 0
    assert (done["analysis"]["segments"], done["analysis"]["summary"]["label"]) == ([], "no_speech")


def test_frames_without_samples_keep_a_paused_session(client):
    client.start()
    client.frame(SPEECH[:0])
    client.speak(SPEECH[:1600])
    *messages, done = client.stop()
    assert not errors(messages)
    assert done["samples_received"] == 1600


@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"\0\0\0\0\1\1",
        "hello",
        "[" * 100_000,
        '"start"',
        '{"type": "stop"}',
        '{"type": "start"}',
        '{"type": "start", "sample_rate": "48000"}',
        '{"type": "start", "sample_rate": true}',
        '{"type": "start", "sample_rate": NaN}',
    ],
    ids=lambda first: str(first[:40]),
)
def test_a_wrong_first_message_is_refused(client, first):
    client.connection.send(first)
    assert is_refused(client, "bad_start")


@pytest.mark.parametrize("sample_rate", [0, -1, 3_999, 10_000_000, 10**30])
def test_a_sampling_rate_that_no_microphone_has_is_refused(client, sample_rate):
    client.send_json({"type": "start", "sample_rate": sample_rate})
    assert is_refused(client, "bad_sample_rate")


def test_a_gap_in_the_sequence_is_reported_and_the_session_goes_on(client):
    client.start()
    client.speak(SPEECH[:HALF])
    client.sequence += 7
    client.speak(SPEECH[HALF:])
    *messages, done = client.stop()
    (gap,) = errors(messages)
    assert (gap["code"], gap["fatal"], gap["lost_frames"]) == ("gap", False, 7)
    assert done["samples_received"] == len(SPEECH)


def test_a_frame_that_comes_twice_is_heard_once(client):
    client.start()
    client.speak(SPEECH[:3200])
    client.sequence -= 1
    client.speak(SPEECH[1600:4800])
    *messages, done = client.stop()
    (error,) = errors(messages)
    assert (error["code"], error["fatal"]) == ("out_of_order", False)
    assert done["samples_received"] == 4800


@pytest.mark.parametrize("frame", [b"", b"\0\0\0", b"\0\0\0\0\1", bytes(1001)], ids=len)
def test_a_frame_of_no_whole_samples_is_refused(client, frame):
    client.start()
    client.connection.send(frame)
    assert is_refused(client, "bad_frame")


@pytest.mark.parametrize("text", ["sound", "{}", '{"type": "start", "sample_rate": 16000}', "[1]"])
def test_text_where_sound_belongs_is_refused(client, text):
    client.start()
    client.connection.send(text)
    assert is_refused(client, "bad_message")


@pytest.mark.parametrize("size", [MAX_FRAME_BYTES + 2, 10_000_000])
def test_a_frame_too_large_is_refused(client, size):
    client.start()
    client.connection.send(bytes(size))
    assert is_refused(client, "frame_too_large", close_code=1009)


def test_a_frame_of_the_largest_size_is_heard(client):
    client.start(48_000)
    client.frame(np.zeros((MAX_FRAME_BYTES - 4) // 2, np.int16))
    assert client.stop()[-1]["samples_received"] == (MAX_FRAME_BYTES - 4) // 2


def test_who_vanishes_in_the_middle_of_a_word_gives_the_place_back(address, bystander):
    for _ in range(2 * MAX_SESSIONS):
        with started_session(address) as client:
            client.speak(SPEECH[:16_000], size=16_000)
            client.abort()
    with started_session(address) as client:
        assert client.stop()[-1]["type"] == "done"


@contextmanager
def started_session(address: str) -> Iterator[Client]:
    """A session, as soon as a place is free."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        with Client(address) as client:
            if client.start()["type"] == "ready":
                yield client
                return
        assert time.monotonic() < deadline, "no place became free"


@pytest.mark.parametrize("started", [True, False])
def test_a_connection_that_falls_silent_is_closed(engine, bystander, started):
    with live_server(engine, idle_s=0.2) as address, Client(address) as client:
        if started:
            client.start()
            client.speak(SPEECH[:HALF])
        assert is_refused(client, "idle")


def test_sound_faster_than_real_time_is_all_heard(engine, client):
    sound = np.tile(SPEECH, 15)
    client.start()

    def send() -> None:
        client.speak(sound, size=16_000)
        client.send_json({"type": "stop"})

    sending = threading.Thread(target=send)  # on another thread, or both sides would wait for each other
    sending.start()
    *messages, done = client.until("done")
    sending.join()
    assert not errors(messages)
    assert done["samples_received"] == len(sound)
    assert len(finals(messages)) == len(done["analysis"]["segments"]) == 30


def test_an_hour_of_silence_is_an_hour_without_speech(client):
    client.start()
    silence = np.zeros(6 * 16_000, np.int16)
    for _ in range(600):
        client.frame(silence)
    done = client.stop()[-1]
    assert (done["samples_received"], done["analysis"]["duration"]) == (3600 * 16_000, 3600.0)
    assert done["analysis"]["summary"]["label"] == "no_speech"


def test_200_at_once_are_served_up_to_the_limit_and_the_others_told_to_come_back(bystander, address):
    async def client_session(all_answered: asyncio.Barrier) -> tuple[dict, int | None]:
        async with websockets.connect(address, proxy=None) as connection:
            await connection.send('{"type": "start", "sample_rate": 16000}')
            message = json.loads(await connection.recv())
            await all_answered.wait()
            if message["type"] == "ready":
                await connection.send(struct.pack("<I", 0) + SPEECH[:1600].tobytes())
                await connection.send('{"type": "stop"}')
            with suppress(websockets.ConnectionClosedError):
                async for text in connection:
                    message = json.loads(text)
        return message, connection.close_code

    async def all_sessions() -> list[tuple[dict, int | None]]:
        barrier = asyncio.Barrier(200)
        return await asyncio.gather(*(client_session(barrier) for _ in range(200)))

    last_messages = run(asyncio.wait_for(all_sessions(), PATIENCE_S))
    served = [message for message, code in last_messages if (message["type"], code) == ("done", 1000)]
    refused = [message for message, code in last_messages if (message.get("code"), code) == ("busy", 1013)]
    assert len(served) == MAX_SESSIONS - 1  # and the bystander
    assert len(refused) == 200 - len(served)
    assert "Try again" in refused[0]["message"]


def test_the_app_serves_it_with_or_without_the_path_of_a_proxy(engine, bystander, monkeypatch):
    monkeypatch.setenv("GRADIO_ROOT_PATH", "/spaces/studio")
    blocks = page.build(engine.recognizer)
    try:
        launch.launch(blocks, [live_socket.route(engine)])
        host = blocks.local_url.removeprefix("http://").strip("/")
        for path in ("/live", "/spaces/studio/live"):
            with Client(f"ws://{host}{path}") as client:
                assert client.start()["type"] == "ready"
                assert client.stop()[-1]["samples_received"] == 0
    finally:
        blocks.close()
