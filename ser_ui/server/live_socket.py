"""The WebSocket `/live`: sound of a browser's microphone in, events of a `LiveSession` out.

The client sends `{"type": "start", "sample_rate": 48000}`, then binary frames of a uint32 sequence number
(little-endian, from 0) and int16 little-endian mono PCM of at most MAX_FRAME_BYTES, and at the end
`{"type": "stop"}`. A frame without samples keeps a paused session alive. The server answers in JSON:

    ready    session, model, labels, sample_rate
    level    time, peak_dbfs, rms_dbfs, speech, samples_received; about ten a second
    segment  final, id, and the fields of a segment in an analysis
    error    code, message, fatal; the connection closes after a fatal one
    done     samples_received, analysis: all of the session as a file would have it

Errors that are not fatal: `gap` (lost_frames; the sound goes on behind it), `out_of_order` (a frame already
heard or given up; it is left out) and `falling_behind` (skipped: provisional results so far). Fatal:
`bad_start`, `bad_sample_rate`, `bad_frame`, `frame_too_large`, `bad_message`, `idle`, and the codes of
`LiveError`. Sound that comes faster than the model's finals is made to wait in the connection.
A session ends with its connection: who reconnects starts a new one, and knows by the last
`samples_received` how much the server had heard.
"""

import asyncio
import json
import logging
import secrets
from collections import deque
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from ser_core.errors import CodedError
from ser_core.export.json import segment_to_dict, to_dict
from ser_core.recognition.live import Ended, Event, Failed, FallingBehind, Level, LiveSegment, LiveSession
from ser_core.recognition.live_engine import MAX_SESSIONS, LiveEngine, LiveError
from ser_ui.server.limits import Places, Refusal, client_name

PATH = "/live"
IDLE_S = 30.0  # a connection that says nothing for so long is taken for dead
SEND_S = 30.0  # so is one that takes nothing for so long
SEQUENCE_BYTES = 4
MAX_FRAME_BYTES = SEQUENCE_BYTES + 2 * 96_000  # two seconds at 48 kHz
OUTBOX_MESSAGES = 64  # unsent; levels and provisional results beyond are left out
CLOSE_CODES = {"busy": 1013, "closed": 1012, "internal": 1011, "frame_too_large": 1009}
POLICY = 1008  # the close code of all other errors
SOURCE = "live"  # what the analysis names as its source
log = logging.getLogger(__name__)


class SocketError(CodedError):
    """What a client did that ends its connection."""


def route(engine: LiveEngine, idle_s: float = IDLE_S) -> WebSocketRoute:
    """`/live`: a session of `engine` for each client; one that sends nothing for `idle_s` is ended."""
    places = Places("sessions", MAX_SESSIONS)

    async def live(websocket: WebSocket) -> None:
        await _Connection(websocket, engine, places, idle_s).run()

    return WebSocketRoute(PATH, live)


class _Connection:
    """One client, from its first message to its last."""

    def __init__(self, websocket: WebSocket, engine: LiveEngine, places: Places, idle_s: float) -> None:
        self._websocket, self._engine, self._places, self._idle_s = websocket, engine, places, idle_s
        self._outbox: deque[dict[str, Any]] = deque()
        self._news = asyncio.Event()  # there is something to send, or nothing will come
        self._room = asyncio.Event()  # something was sent or recognised
        self._over = False  # the session has ended, or the client takes nothing
        self._close_code = 1000

    async def run(self) -> None:
        """Serves the client until it stops, vanishes or errs."""
        await self._websocket.accept()
        sending = asyncio.create_task(self._send())
        try:
            sample_rate = _sample_rate(await self._receive())
            client = self._websocket.client
            with self._places.taken(client_name(client.host if client else "")):
                await self._converse(sample_rate)
        except (SocketError, LiveError) as error:
            self._tell_end(error)
        except Refusal as refusal:
            self._tell_end(SocketError("busy", refusal.detail))
        except WebSocketDisconnect:
            log.debug("a live client went away")
            sending.cancel()
        self._over = True
        self._news.set()
        with suppress(asyncio.CancelledError, WebSocketDisconnect, TimeoutError, RuntimeError):
            await sending
            await self._websocket.close(self._close_code)

    async def _converse(self, sample_rate: int) -> None:
        loop = asyncio.get_running_loop()

        def emit(event: Event) -> None:
            with suppress(RuntimeError):  # the loop is closed: the server has stopped
                loop.call_soon_threadsafe(self._tell, event)

        session = LiveSession(self._engine, sample_rate, emit, SOURCE)
        try:
            self._put(self._ready(sample_rate))
            await self._listen(session)
            session.finish()
            while not self._over:
                await self._room.wait()
                self._room.clear()
        finally:
            session.close()

    async def _listen(self, session: LiveSession) -> None:
        """Passes sound on until the client says stop, or the session fails."""
        expected = 0  # sequence number of the next frame
        while not self._over:
            message = await self._receive()
            if isinstance(message, str):
                if _parsed(message).get("type") == "stop":
                    return
                raise SocketError("bad_message", 'After the start come binary sound and {"type": "stop"}.')
            number, samples = _frame(message)
            if number < expected:
                self._tell_error("out_of_order", f"Frame {number} came after {expected - 1}; it is left out.")
            else:
                if number > expected:
                    lost = number - expected
                    self._tell_error("gap", f"{lost} frames of sound were lost on the way.", lost_frames=lost)
                expected = number + 1
                session.push(samples)
            await asyncio.sleep(0)  # the loop is the page's too: a client in a hurry must not keep it
            while not self._over and (session.full or len(self._outbox) >= OUTBOX_MESSAGES):
                self._room.clear()
                await self._room.wait()

    async def _receive(self) -> str | bytes:
        """The next message; SocketError `idle` if none comes, WebSocketDisconnect where nobody is left."""
        try:
            async with asyncio.timeout(self._idle_s):
                message = await self._websocket.receive()
        except TimeoutError:
            raise SocketError("idle", f"Nothing came for {self._idle_s:g} s, so the session ends.") from None
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1006))
        text = message.get("text")
        return message["bytes"] if text is None else text

    async def _send(self) -> None:
        """Sends what is put in the outbox, in order, until all is over."""
        try:
            while self._outbox or not self._over:
                if not self._outbox:
                    self._news.clear()
                    await self._news.wait()
                    continue
                text = json.dumps(self._outbox.popleft(), ensure_ascii=False, allow_nan=False)
                async with asyncio.timeout(SEND_S):
                    await self._websocket.send_text(text)
                self._room.set()
        finally:
            self._over = True
            self._room.set()

    def _put(self, message: dict[str, Any]) -> None:
        self._outbox.append(message)
        self._news.set()

    def _tell(self, event: Event) -> None:
        """Puts an event in the outbox; one that is soon outdated only if there is room."""
        self._room.set()
        match event:
            case Failed(error):
                self._over = True
                self._tell_end(error)
            case Ended(analysis, samples_received):
                self._over = True
                self._put(
                    {"type": "done", "samples_received": samples_received, "analysis": to_dict(analysis)}
                )
            case FallingBehind(skipped):
                text = "The model cannot keep up: provisional results are left out, final ones are not."
                self._tell_error("falling_behind", text, skipped=skipped)
            case LiveSegment(number, final, segment):
                if final or len(self._outbox) < OUTBOX_MESSAGES:
                    told = segment_to_dict(segment)
                    self._put({"type": "segment", "final": final, "id": number, **told})
            case Level():
                if len(self._outbox) < OUTBOX_MESSAGES:
                    self._put({"type": "level", **_rounded(event)})

    def _tell_end(self, error: CodedError) -> None:
        self._close_code = CLOSE_CODES.get(error.code, POLICY)
        self._put({"type": "error", "code": error.code, "message": error.message, "fatal": True})

    def _tell_error(self, code: str, message: str, **counts: int) -> None:
        self._put({"type": "error", "code": code, "message": message, "fatal": False, **counts})

    def _ready(self, sample_rate: int) -> dict[str, Any]:
        bundle = self._engine.recognizer.bundle
        return {
            "type": "ready",
            "session": secrets.token_hex(8),
            "model": {"name": bundle.name, "version": bundle.version},
            "labels": list(bundle.labels),
            "sample_rate": sample_rate,
        }


def _sample_rate(message: str | bytes) -> int:
    """The sampling rate that a first message asks for."""
    start = _parsed(message) if isinstance(message, str) else {}
    rate = start.get("sample_rate")
    if start.get("type") != "start" or not isinstance(rate, int) or isinstance(rate, bool):
        raise SocketError("bad_start", 'The first message must be {"type": "start", "sample_rate": 48000}.')
    return rate


def _parsed(message: str) -> dict[str, Any]:
    """The JSON object in `message`; empty if there is none."""
    try:
        found = json.loads(message)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _frame(message: bytes) -> tuple[int, NDArray[np.int16]]:
    """Sequence number and samples of a binary frame."""
    if len(message) > MAX_FRAME_BYTES:
        raise SocketError(
            "frame_too_large",
            f"A frame of {len(message)} bytes is too large; send {MAX_FRAME_BYTES} at most.",
        )
    if len(message) < SEQUENCE_BYTES or len(message) % 2:
        raise SocketError(
            "bad_frame", f"A frame is a uint32 and int16 samples; {len(message)} bytes cannot be that."
        )
    number = int.from_bytes(message[:SEQUENCE_BYTES], "little")
    return number, np.frombuffer(message, "<i2", offset=SEQUENCE_BYTES).astype(np.int16)


def _rounded(level: Level) -> dict[str, Any]:
    """A level as JSON-ready values: time in s to the ms, dB to a tenth."""
    return {
        "time": round(level.time, 3),
        "peak_dbfs": round(level.peak_dbfs, 1),
        "rms_dbfs": round(level.rms_dbfs, 1),
        "speech": level.speech,
        "samples_received": level.samples_received,
    }
