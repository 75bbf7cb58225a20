"""Speech segments from webrtcvad frames behind an energy and spectral-flatness gate.

Frames are 30 ms of int16 mono at 16 kHz. Everything here counts integer samples;
seconds appear only in `Span.start_s` and `Span.end_s`.

webrtcvad alone calls noise, tones and hum speech. Speech differs from them in being both peaky (its harmonics
stand out, noise has none) and moving (its spectrum changes from frame to frame, that of a tone or hum does
not). Frames that are both are evidence of speech, and webrtcvad is believed only near evidence.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

import numpy as np
import webrtcvad
from numpy.typing import NDArray

from ser_core.audio.waveform import SAMPLE_RATE, Waveform

FRAME_MS = 30
FRAME_SAMPLES = SAMPLE_RATE * FRAME_MS // 1000  # 480 at 16 kHz
BATCH_SAMPLES = (
    128 * FRAME_SAMPLES
)  # judged at a time: its spectra (3 MB) stay near the core, more go to fresh pages

# The gain in front of webrtcvad, which misses quiet speech.
GAIN_TARGET_DB = -6.0  # dBFS, where the recent peak is brought to
GAIN_MAX_DB = 40.0  # RAVDESS has clips that peak at -43 dBFS
QUIET_DB = GAIN_TARGET_DB - 34.0  # frames that peak below this behind the gain are not speech
GAIN_RELEASE_DB = 6.0 * FRAME_MS / 1000  # a frame: the gain recovers by 6 dB a second after a loud sound

# The gate. Spectra of two frames (60 ms, 16.7 Hz a bin) resolve the harmonics of a low voice.
WINDOW = np.hanning(2 * FRAME_SAMPLES)
BAND_BINS = 15  # 250 Hz a band
FIRST_BIN = 6  # 100 Hz: below lie DC and rumble
BANDS = 15  # 100 to 3850 Hz
VOICE_BANDS = 8  # 100 to 2100 Hz, where harmonics stand out
RANGE_DB = 30.0  # bands further below the loudest one do not count as moving
POWER_FLOOR = 1e-12  # keeps digital silence finite, far below a 16-bit step

PEAKY_NATS = 0.8  # -ln(spectral flatness) in a band, mean; noise of any colour has 0.5 and stays under 0.8
MOVING_DB = 2.5  # change of a band from frame to frame, mean; steady noise has 1.7 and stays under 2.5
EVIDENCE_FRAMES = 2  # peaky and moving frames among ...
EVIDENCE_WINDOW = 10  # ... this many make evidence
REACH_FRAMES = 10  # evidence vouches for frames this far before and after it


@dataclass(frozen=True)
class Span:
    """A stretch of a recording: `start` to `end` (exclusive), in samples at 16 kHz."""

    start: int
    end: int

    @property
    def start_s(self) -> float:
        """Start in seconds."""
        return self.start / SAMPLE_RATE

    @property
    def end_s(self) -> float:
        """End in seconds."""
        return self.end / SAMPLE_RATE


@dataclass(frozen=True)
class VadOptions:
    """How speech is told from the rest (names and meaning follow silero-vad)."""

    aggressiveness: int = 3  # webrtcvad mode, 0 (keeps most) to 3; behind the gain 3 misses no quiet clip
    min_speech_ms: int = 250  # shorter bursts are dropped
    min_silence_ms: int = 300  # a pause this long ends a segment
    speech_pad_ms: int = 100  # kept on both sides, at most min_silence_ms
    max_speech_s: float = 10.0  # longer segments are cut at their quietest frame

    def __post_init__(self) -> None:
        if self.aggressiveness not in range(4):
            raise ValueError(f"aggressiveness is 0, 1, 2 or 3, not {self.aggressiveness}")
        if self.min_speech_ms < 0 or self.min_silence_ms < FRAME_MS:
            raise ValueError(f"min_speech_ms is at least 0 and min_silence_ms at least {FRAME_MS}")
        if not 0 <= self.speech_pad_ms <= self.min_silence_ms:
            raise ValueError("speech_pad_ms is between 0 and min_silence_ms")
        if self.max_speech_s * 1000 < 2 * (self.min_speech_ms + self.speech_pad_ms + FRAME_MS):
            raise ValueError("max_speech_s must hold two times min_speech_ms and speech_pad_ms")


def segment(waveform: Waveform, options: VadOptions = VadOptions()) -> list[Span]:
    """Speech spans of `waveform`, in order, without overlap.

    The same samples given to a `Segmenter` in any pieces give the same spans.
    ValueError if `waveform` is not at 16 kHz.

    >>> segment(Waveform(np.zeros(16_000, np.float32)))
    []
    """
    if waveform.sample_rate != SAMPLE_RATE:
        raise ValueError(f"speech is found at {SAMPLE_RATE} Hz, not at {waveform.sample_rate} Hz")
    segmenter = Segmenter(options)
    return segmenter.push(waveform.samples) + segmenter.flush()


class Segmenter:
    """Finds speech in sound that arrives in pieces. It holds no more than two frames of sound itself."""

    def __init__(self, options: VadOptions = VadOptions()) -> None:
        self._judge = _FrameJudge(options.aggressiveness)
        self._builder = _SpanBuilder(options)
        self._undecided: deque[tuple[bool, float]] = deque()  # (webrtcvad's word, level) before evidence
        self._vouched = 0  # coming frames that past evidence vouches for
        self._rest: NDArray[np.float32] = np.zeros(0, np.float32)  # less than a frame

    def push(self, samples: NDArray[np.float32]) -> list[Span]:
        """The spans found finished with `samples`: float32, shape (n_samples,), in [-1, 1]; any number."""
        found: list[Span] = []
        for offset in range(0, len(samples), BATCH_SAMPLES):
            piece = np.concatenate([self._rest, samples[offset : offset + BATCH_SAMPLES]])
            whole = len(piece) // FRAME_SAMPLES * FRAME_SAMPLES
            self._rest = piece[whole:]
            for heard, evident, level in self._judge.frames(piece[:whole].reshape(-1, FRAME_SAMPLES)):
                found += self._decide(heard, evident, level)
        return found

    def flush(self) -> list[Span]:
        """The spans left when the sound has ended; push nothing after it."""
        found = self._settle(len(self._undecided), vouched=False)
        return found + self._builder.finish(len(self._rest))

    @property
    def open_start(self) -> int | None:
        """The sample where the segment being spoken starts; None while nobody speaks.

        A segment shows here once it is long enough to be kept, so that none is taken back.
        """
        return self._builder.open_start

    @property
    def open_end(self) -> int:
        """The sample where the segment being spoken would end if no more speech came."""
        return self._builder.open_end

    @property
    def keep_from(self) -> int:
        """The earliest sample a coming span may start at; what lies before is no longer needed."""
        return self._builder.keep_from

    def _decide(self, heard: bool, evident: bool, level: float) -> list[Span]:
        """Takes a frame. Webrtcvad's yes waits until evidence vouches for it or has failed to come."""
        self._undecided.append((heard, level))
        if evident:
            self._vouched = REACH_FRAMES + 1  # this frame and those after it
        if self._vouched:
            self._vouched -= 1
            return self._settle(len(self._undecided), vouched=True)
        found = self._settle(max(0, len(self._undecided) - REACH_FRAMES), vouched=False)
        while self._undecided and not self._undecided[0][0]:
            found += self._settle(1, vouched=False)
        return found

    def _settle(self, count: int, vouched: bool) -> list[Span]:
        """Passes the oldest `count` undecided frames on."""
        found: list[Span] = []
        for _ in range(count):
            heard, level = self._undecided.popleft()
            found += self._builder.take(heard and vouched, level)
        return found


class _FrameJudge:
    """Says of each frame what webrtcvad hears, whether there is evidence of speech, and its level."""

    def __init__(self, aggressiveness: int) -> None:
        self._webrtc = webrtcvad.Vad(aggressiveness)
        self._count = 0  # frames judged
        self._peak_db = -np.inf  # recent peak, plus the release since the first frame
        self._before: NDArray[np.float64] = np.zeros((1, FRAME_SAMPLES))  # the last frame
        self._bands: NDArray[np.float64] | None = None  # its band powers, dB
        self._marks = np.zeros(EVIDENCE_WINDOW, np.int64)  # the last frames that were peaky and moving

    def frames(self, frames: NDArray[np.float32]) -> Iterator[tuple[bool, bool, float]]:
        """(heard, evident, level in dB) of each of `frames`, shape (frame, FRAME_SAMPLES)."""
        if not len(frames):
            return
        sound = frames.astype(np.float64)
        pcm = self._amplified(sound)
        loud = np.max(np.abs(pcm.astype(np.int32)), axis=1) > 32767 * 10 ** (QUIET_DB / 20)
        levels = _decibels(np.mean(sound**2, axis=1))
        for chunk, enough, evident, level in zip(pcm, loud, self._evidence(sound), levels, strict=True):
            heard = self._webrtc.is_speech(chunk.tobytes(), SAMPLE_RATE)  # every frame: it learns the noise
            yield bool(enough and heard), bool(evident), float(level)

    def _amplified(self, sound: NDArray[np.float64]) -> NDArray[np.int16]:
        """`sound` (frame, sample) with its recent peak brought to GAIN_TARGET_DB, as webrtcvad takes it."""
        # A peak that falls by a fixed step a frame is a running maximum once the steps are added back.
        release = GAIN_RELEASE_DB * np.arange(self._count, self._count + len(sound))
        peaks = _decibels(np.max(np.abs(sound), axis=1) ** 2) + release
        peaks = np.maximum.accumulate(np.maximum(peaks, self._peak_db))
        self._peak_db = peaks[-1]
        self._count += len(sound)
        gain_db = np.minimum(GAIN_TARGET_DB - (peaks - release), GAIN_MAX_DB)
        scaled = sound * (32767 * 10 ** (gain_db[:, None] / 20))
        pcm: NDArray[np.int16] = np.clip(scaled, -32768, 32767).astype(np.int16)
        return pcm

    def _evidence(self, sound: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether enough of the last frames were peaky and moving, shape (frame,)."""
        after = np.concatenate([self._before, sound])
        self._before = sound[-1:]
        pairs = np.concatenate([after[:-1], after[1:]], axis=1)  # (frame, 2 * FRAME_SAMPLES)
        spectra = np.abs(np.fft.rfft(pairs * WINDOW)) ** 2
        bins = (
            spectra[:, FIRST_BIN : FIRST_BIN + BANDS * BAND_BINS].reshape(-1, BANDS, BAND_BINS) + POWER_FLOOR
        )
        means = bins.mean(axis=2)  # (frame, band)

        voice = slice(0, VOICE_BANDS)
        peaky = np.mean(np.log(means[:, voice]) - np.log(bins[:, voice]).mean(axis=2), axis=1)

        bands = _decibels(means)
        bands = np.maximum(bands, bands.max(axis=1, keepdims=True) - RANGE_DB)
        known = bands[:1] if self._bands is None else self._bands
        moving = np.mean(np.abs(np.diff(bands, axis=0, prepend=known)), axis=1)
        self._bands = bands[-1:]

        marks = np.concatenate([self._marks, (peaky > PEAKY_NATS) & (moving > MOVING_DB)])
        self._marks = marks[-EVIDENCE_WINDOW:]
        sums = np.cumsum(marks)
        evident: NDArray[np.bool_] = sums[EVIDENCE_WINDOW:] - sums[:-EVIDENCE_WINDOW] >= EVIDENCE_FRAMES
        return evident


class _SpanBuilder:
    """Joins speech frames to spans: pauses, short bursts, padding, and the cut of long segments."""

    def __init__(self, options: VadOptions) -> None:
        self._pad = options.speech_pad_ms * SAMPLE_RATE // 1000
        self._min_speech = max(1, ceil(options.min_speech_ms / FRAME_MS))  # frames, as the two below
        self._min_silence = ceil(options.min_silence_ms / FRAME_MS)
        self._max_speech = (int(options.max_speech_s * SAMPLE_RATE) - 2 * self._pad) // FRAME_SAMPLES
        self._position = 0  # frames taken
        self._frames: list[tuple[bool, float]] = []  # (speech, level in dB) since the segment's first
        self._spoken = 0  # of these, up to the last speech
        self._end = 0  # sample where the last span ended

    @property
    def open_start(self) -> int | None:
        """See `Segmenter.open_start`."""
        return self.keep_from if self._spoken >= self._min_speech else None

    @property
    def open_end(self) -> int:
        """See `Segmenter.open_end`."""
        return (self._position - len(self._frames) + self._spoken) * FRAME_SAMPLES + self._pad

    @property
    def keep_from(self) -> int:
        """See `Segmenter.keep_from`."""
        first = self._position - len(self._frames)
        return max(self._end, first * FRAME_SAMPLES - self._pad)

    def take(self, speech: bool, level: float) -> list[Span]:
        """Takes the next frame; returns the spans it finishes."""
        self._position += 1
        if speech or self._frames:
            self._frames.append((speech, level))
        if speech:
            self._spoken = len(self._frames)
            return self._cut() if self._spoken > self._max_speech else []
        return self._close() if len(self._frames) - self._spoken >= self._min_silence else []

    def finish(self, rest: int) -> list[Span]:
        """The span still open at the end of a recording that has `rest` samples after its last frame."""
        return self._close(self._position * FRAME_SAMPLES + rest)

    def _close(self, total: int | None = None) -> list[Span]:
        """Ends the segment after its last speech, padded up to `total` samples; drops it if it is short."""
        start, end, spoken = self.keep_from, self.open_end, self._spoken
        self._frames, self._spoken = [], 0
        if spoken < self._min_speech:
            return []
        self._end = end if total is None else min(end, total)
        return [Span(start, self._end)]

    def _cut(self) -> list[Span]:
        """Ends the segment at the quietest frame of its later half, and takes the rest again."""
        earliest, latest = self._max_speech // 2, len(self._frames) - self._min_speech
        cut = min(range(earliest, latest), key=lambda index: self._frames[index][1])
        rest = self._frames[cut:]
        start = self.keep_from
        self._position -= len(rest)
        self._end = self._position * FRAME_SAMPLES
        self._frames, self._spoken = [], 0
        found = [Span(start, self._end)]
        for speech, level in rest:
            found += self.take(speech, level)
        return found


def _decibels(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """`power` in dB, at least 10 log10 of POWER_FLOOR."""
    return np.asarray(10 * np.log10(np.maximum(power, POWER_FLOOR)), np.float64)
