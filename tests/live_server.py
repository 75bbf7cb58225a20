"""A real server of `/live` on 127.0.0.1, and a client that speaks its protocol."""

import json
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socket import SHUT_RDWR

import numpy as np
import uvicorn
from fastapi import FastAPI
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from ser_core.recognition.live_engine import LiveEngine
from ser_ui.server import live_socket

PATIENCE_S = 60  # for messages that must come


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """Serves `app` on a free port; yields its WebSocket address."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
    socket = server.config.bind_socket()
    socket.listen(256)  # clients that connect before the server is up wait for it
    thread = threading.Thread(target=server.run, args=([socket],), daemon=True)
    thread.start()
    try:
        yield f"ws://127.0.0.1:{socket.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(PATIENCE_S)


@contextmanager
def live_server(engine: LiveEngine, **options: float) -> Iterator[str]:
    """Serves `/live` alone; yields its address."""
    with serving(FastAPI(routes=[live_socket.route(engine, **options)])) as address:
        yield address + live_socket.PATH


class Client:
    """A client that sends audio; `with` opens and closes the connection."""

    def __init__(self, address: str, headers: dict[str, str] | None = None) -> None:
        self._opening = connect(address, max_size=None, proxy=None, additional_headers=headers)
        self.sequence = 0
        self.sent = 0  # samples

    def __enter__(self) -> "Client":
        self.connection: ClientConnection = self._opening.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._opening.__exit__(*error)

    def start(self, sample_rate: int = 16_000) -> dict:
        """Starts a session; the server's first message."""
        self.send_json({"type": "start", "sample_rate": sample_rate})
        return self.next()

    def send_json(self, message: object) -> None:
        self.connection.send(json.dumps(message))

    def frame(self, samples: np.ndarray) -> None:
        """Sends one frame of `samples`, int16."""
        self.connection.send(struct.pack("<I", self.sequence) + samples.astype("<i2").tobytes())
        self.sequence += 1
        self.sent += len(samples)

    def speak(self, samples: np.ndarray, size: int = 1600) -> None:
        """Sends `samples`, int16, in frames of `size`."""
        for at in range(0, len(samples), size):
            self.frame(samples[at : at + size])

    def next(self) -> dict:
        """The server's next message."""
        return json.loads(self.connection.recv(timeout=PATIENCE_S))

    def until(self, kind: str) -> list[dict]:
        """The messages up to the first of the type `kind`; fails at a fatal error before it."""
        messages = [self.next()]
        while messages[-1]["type"] != kind:
            assert not messages[-1].get("fatal"), messages[-1]
            messages.append(self.next())
        return messages

    def stop(self) -> list[dict]:
        """Ends the session; the messages up to `done`."""
        self.send_json({"type": "stop"})
        return self.until("done")

    def end(self) -> tuple[dict, int | None]:
        """The server's last message, and the code with which it closes."""
        last = {}
        with suppress(ConnectionClosed):
            while True:
                last = self.next()
        return last, self.connection.protocol.close_code

    def abort(self) -> None:
        """Breaks the connection without a closing handshake, as a browser that crashes."""
        self.connection.socket.shutdown(SHUT_RDWR)
