"""`/live` against a real server: the protocol, and clients that break it beside one that does not."""

import numpy as np
import pytest
from live_server import Client, live_server
from support import random_bundle, syllables

from ser_core.live_engine import LiveEngine
from ser_core.recognizer import Recognizer

SPEECH = np.round(syllables(3) * 32767).astype(np.int16)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    recognizer = Recognizer.load(random_bundle(tmp_path_factory.mktemp("checkpoint")), device="cpu")
    engine = LiveEngine(recognizer)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def address(engine):
    with live_server(engine) as address:
        yield address


def test_a_session_from_start_to_done(engine, address):
    client = Client(address)
    ready = client.start(16_000)
    assert (ready["type"], ready["model"]["name"], ready["sample_rate"]) == ("ready", "random", 16_000)
    assert ready["labels"] == list(engine.recognizer.bundle.labels)
    client.speak(SPEECH)
    *messages, done = client.stop()
    finals = [m for m in messages if m["type"] == "segment" and m["final"]]
    assert [m["id"] for m in finals] == [0, 1, 2]
    assert {m["type"] for m in messages} <= {"level", "segment", "error"}
    assert done["samples_received"] == client.sent == len(SPEECH)
    assert [m["start"] for m in finals] == [s["start"] for s in done["analysis"]["segments"]]
    assert client.close_code() == 1000
