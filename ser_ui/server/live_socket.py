"""The WebSocket `/live`: audio from a browser's microphone in, events of a `LiveSession` out.

The client sends `{"type": "start", "sample_rate": 48000}`, then binary frames, and at the end
`{"type": "stop"}`. With `"voices": "auto"` in its start, voices are told apart. A frame is a uint32 sequence
number (little-endian, from 0) and int16 little-endian mono PCM, at most MAX_FRAME_BYTES together. A frame
without samples keeps a paused session alive. The server sends JSON:

    ready    session, model, labels, sample_rate
    level    time, peak_dbfs, rms_dbfs, speech, samples_received; about ten a second
    segment  final, id, and the fields of a segment in an analysis
    error    code, message, fatal; the connection closes after a fatal one
    done     samples_received, analysis: the whole session, as a file with the same audio gives it

Errors that are not fatal: `gap` (lost_frames; the audio continues after it), `out_of_order` (a frame that was
already received or reported as lost; it is skipped) and `falling_behind` (skipped: the number of provisional
results left out so far). Fatal errors: `bad_start`, `bad_sample_rate`, `bad_frame`, `frame_too_large`,
`bad_message`, `idle`, and the codes of `LiveError`.

If audio arrives faster than the model can finish segments, the server stops reading until it has caught up.
A session ends with its connection. A client that reconnects starts a new session; the last
`samples_received` tells it how much audio the server received.
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
from ser_core.recognition.diarization import Diarizer
from ser_core.recognition.live import Ended, Event, Failed, FallingBehind, Level, LiveSegment, LiveSession
from ser_core.recognition.live_engine import MAX_SESSIONS, LiveEngine, LiveError
from ser_core.recognition.recording import AUTO, ONE, VoiceOptions, diarizer_for
from ser_ui.server.limits import Places, Refusal, client_name

PATH = "/live"
IDLE_TIMEOUT_S = 30.0  # a client that sends nothing for so long is disconnected
SEND_TIMEOUT_S = 30.0  # so is one that receives nothing for so long
SEQUENCE_BYTES = 4
MAX_FRAME_BYTES = SEQUENCE_BYTES + 2 * 96_000  # two seconds at 48 kHz
OUTBOX_MESSAGES = 64  # maximum unsent; further levels and provisional results are left out
CLOSE_CODES = {"busy": 1013, "closed": 1012, "internal": 1011, "frame_too_large": 1009}
POLICY = 1008  # the close code of all other errors
SOURCE = "live"  # source name in the analysis
log = logging.getLogger(__name__)


class SocketError(CodedError):
    """A violation of the protocol that ends the connection."""


def route(engine: LiveEngine, idle_s: float = IDLE_TIMEOUT_S) -> WebSocketRoute:
    """`/live`: one session of `engine` per client; one that sends nothing for `idle_s` is disconnected."""
    places = Places("sessions", MAX_SESSIONS)

    async def live(websocket: WebSocket) -> None:
        await _Connection(websocket, engine, places, idle_s).run()

    return WebSocketRoute(PATH, live)


class _Connection:
    """The connection of one client."""

    def __init__(self, websocket: WebSocket, engine: LiveEngine, places: Places, idle_s: float) -> None:
        self._websocket, self._engine, self._places, self._idle_s = websocket, engine, places, idle_s
        self._outbox: deque[dict[str, Any]] = deque()
        self._outbox_changed = asyncio.Event()  # there is a message to send, or the session has ended
        self._room_made = asyncio.Event()  # a message was sent, or audio was recognised
        self._ended = False  # the session has ended, or the client receives nothing
        self._close_code = 1000

    async def run(self) -> None:
        """Serves the client until it stops, disconnects or violates the protocol."""
        await self._websocket.accept()
        sender = asyncio.create_task(self._send_outbox())
        try:
            start = await self._receive_message()
            sample_rate, diarizer = _sample_rate(start), await asyncio.to_thread(_diarizer, start)
            client = self._websocket.client
            with self._places.take(client_name(client.host if client else "")):
                await self._run_session(sample_rate, diarizer)
        except (SocketError, LiveError) as error:
            self._send_fatal_error(error)
        except Refusal as refusal:
            self._send_fatal_error(SocketError("busy", refusal.detail))
        except WebSocketDisconnect:
            log.debug("a live client went away")
            sender.cancel()
        self._ended = True
        self._outbox_changed.set()
        with suppress(asyncio.CancelledError, WebSocketDisconnect, TimeoutError, RuntimeError):
            await sender
            await self._websocket.close(self._close_code)

    async def _run_session(self, sample_rate: int, diarizer: Diarizer | None) -> None:
        """Runs a session from `ready` to `done`."""
        loop = asyncio.get_running_loop()

        def emit(event: Event) -> None:
            with suppress(RuntimeError):  # the loop is closed: the server has stopped
                loop.call_soon_threadsafe(self._enqueue_event, event)

        session = LiveSession(self._engine, sample_rate, emit, SOURCE, diarizer)
        try:
            self._enqueue(self._ready(sample_rate))
            await self._receive_frames(session)
            session.finish()
            while not self._ended:
                await self._room_made.wait()
                self._room_made.clear()
        finally:
            session.close()

    async def _receive_frames(self, session: LiveSession) -> None:
        """Passes audio on to `session` until the client sends `stop` or the session fails."""
        expected = 0  # sequence number of the next frame
        while not self._ended:
            message = await self._receive_message()
            if isinstance(message, str):
                if _json_object(message).get("type") == "stop":
                    return
                raise SocketError("bad_message", 'After the start come binary sound and {"type": "stop"}.')
            number, samples = _parse_frame(message)
            if number < expected:
                self._send_error("out_of_order", f"Frame {number} came after {expected - 1}; it is left out.")
            else:
                if number > expected:
                    lost = number - expected
                    self._send_error("gap", f"{lost} frames of sound were lost on the way.", lost_frames=lost)
                expected = number + 1
                session.push(samples)
            await asyncio.sleep(0)  # the page uses the same loop: a fast client must not block it
            while not self._ended and (session.full or len(self._outbox) >= OUTBOX_MESSAGES):
                self._room_made.clear()
                await self._room_made.wait()

    async def _receive_message(self) -> str | bytes:
        """The next message. Raises SocketError `idle` if none comes, WebSocketDisconnect at a disconnect."""
        try:
            async with asyncio.timeout(self._idle_s):
                message = await self._websocket.receive()
        except TimeoutError:
            raise SocketError("idle", f"Nothing came for {self._idle_s:g} s, so the session ends.") from None
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1006))
        text = message.get("text")
        return message["bytes"] if text is None else text

    async def _send_outbox(self) -> None:
        """Sends the messages in the outbox in order, until the session has ended."""
        try:
            while self._outbox or not self._ended:
                if not self._outbox:
                    self._outbox_changed.clear()
                    await self._outbox_changed.wait()
                    continue
                text = json.dumps(self._outbox.popleft(), ensure_ascii=False, allow_nan=False)
                async with asyncio.timeout(SEND_TIMEOUT_S):
                    await self._websocket.send_text(text)
                self._room_made.set()
        finally:
            self._ended = True
            self._room_made.set()

    def _enqueue(self, message: dict[str, Any]) -> None:
        self._outbox.append(message)
        self._outbox_changed.set()

    def _enqueue_event(self, event: Event) -> None:
        """Puts an event in the outbox; levels and provisional results only if it has room."""
        self._room_made.set()
        match event:
            case Failed(error):
                self._ended = True
                self._send_fatal_error(error)
            case Ended(analysis, samples_received):
                self._ended = True
                self._enqueue(
                    {"type": "done", "samples_received": samples_received, "analysis": to_dict(analysis)}
                )
            case FallingBehind(skipped):
                text = "The model cannot keep up: provisional results are left out, final ones are not."
                self._send_error("falling_behind", text, skipped=skipped)
            case LiveSegment(number, final, segment):
                if final or len(self._outbox) < OUTBOX_MESSAGES:
                    fields = segment_to_dict(segment)
                    self._enqueue({"type": "segment", "final": final, "id": number, **fields})
            case Level():
                if len(self._outbox) < OUTBOX_MESSAGES:
                    self._enqueue({"type": "level", **_level_fields(event)})

    def _send_fatal_error(self, error: CodedError) -> None:
        self._close_code = CLOSE_CODES.get(error.code, POLICY)
        self._enqueue({"type": "error", "code": error.code, "message": error.message, "fatal": True})

    def _send_error(self, code: str, message: str, **counts: int) -> None:
        self._enqueue({"type": "error", "code": code, "message": message, "fatal": False, **counts})

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
    """The sampling rate (Hz) in a first message. Raises SocketError `bad_start`."""
    start = _json_object(message) if isinstance(message, str) else {}
    rate = start.get("sample_rate")
    if start.get("type") != "start" or not isinstance(rate, int) or isinstance(rate, bool):
        raise SocketError("bad_start", 'The first message must be {"type": "start", "sample_rate": 48000}.')
    return rate


def _diarizer(message: str | bytes) -> Diarizer | None:
    """What tells voices apart, if `voices` of a first message is `auto`. Raises SocketError."""
    voices = _json_object(message).get("voices", ONE) if isinstance(message, str) else ONE
    if voices not in (AUTO, ONE):
        raise SocketError("bad_start", 'Live, `voices` is "auto" or "one".')
    return diarizer_for(VoiceOptions()) if voices == AUTO else None


def _json_object(message: str) -> dict[str, Any]:
    """The JSON object in `message`; empty if it is none."""
    try:
        value = json.loads(message)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _parse_frame(message: bytes) -> tuple[int, NDArray[np.int16]]:
    """Sequence number and samples of a binary frame. Raises SocketError."""
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


def _level_fields(level: Level) -> dict[str, Any]:
    """The fields of a `level` message: times rounded to ms, levels to 0.1 dB."""
    return {
        "time": round(level.time, 3),
        "peak_dbfs": round(level.peak_dbfs, 1),
        "rms_dbfs": round(level.rms_dbfs, 1),
        "speech": level.speech,
        "samples_received": level.samples_received,
    }
