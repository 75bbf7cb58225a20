"""Speech segments: webrtcvad, restricted by a gate on energy and spectral flatness.

Frames are 30 ms of int16 mono at 16 kHz. Everything here counts integer samples;
seconds appear only in `Span.start_s` and `Span.end_s`.

webrtcvad alone takes noise, tones and hum for speech. Speech differs from noise in that it is peaky (its
harmonics stand out), and from tones and hum in that it is moving (its spectrum changes from frame to frame).
Frames that are both are evidence of speech. A frame counts as speech if webrtcvad detects speech in it and
there is evidence near it.
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
BATCH_SAMPLES = 128 * FRAME_SAMPLES  # processed at once: the spectra (3 MB) stay in the cache

# The gain before webrtcvad, which misses quiet speech.
GAIN_TARGET_DB = -6.0  # dBFS, to which the recent peak is brought
GAIN_MAX_DB = 40.0  # RAVDESS has clips that peak at -43 dBFS
QUIET_DB = GAIN_TARGET_DB - 34.0  # frames that peak below this after the gain are not speech
GAIN_RELEASE_DB = 6.0 * FRAME_MS / 1000  # per frame: the gain recovers by 6 dB a second after a loud sound

# A DC offset would take the gain's place. Ordinary recordings stay below OFFSET_MIN and are left as they are.
OFFSET_MIN = 0.02  # of full scale
OFFSET_FRAMES = 33  # over which the offset is followed: a second

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
REACH_FRAMES = 10  # frames before and after evidence that it covers


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
    """Settings of the speech detector (names and meaning follow silero-vad)."""

    aggressiveness: int = 3  # webrtcvad mode, 0 (keeps most) to 3; after the gain, 3 misses no quiet clip
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

    @property
    def pad_samples(self) -> int:
        """`speech_pad_ms` in samples."""
        return self.speech_pad_ms * SAMPLE_RATE // 1000

    @property
    def min_speech_frames(self) -> int:
        """`min_speech_ms` in frames."""
        return max(1, ceil(self.min_speech_ms / FRAME_MS))

    @property
    def min_silence_frames(self) -> int:
        """`min_silence_ms` in frames."""
        return ceil(self.min_silence_ms / FRAME_MS)

    @property
    def max_speech_frames(self) -> int:
        """Frames of the longest segment, which is `max_speech_s` long with its padding."""
        return (int(self.max_speech_s * SAMPLE_RATE) - 2 * self.pad_samples) // FRAME_SAMPLES


def segment(waveform: Waveform, options: VadOptions = VadOptions()) -> list[Span]:
    """Speech spans of `waveform`, in order, without overlap.

    The same samples pushed to a `Segmenter` in blocks of any length give the same spans.
    Raises ValueError if `waveform` is not at 16 kHz.

    >>> segment(Waveform(np.zeros(16_000, np.float32)))
    []
    """
    if waveform.sample_rate != SAMPLE_RATE:
        raise ValueError(f"speech is found at {SAMPLE_RATE} Hz, not at {waveform.sample_rate} Hz")
    segmenter = Segmenter(options)
    return segmenter.push(waveform.samples) + segmenter.flush()


class Segmenter:
    """Detects speech in audio that arrives in blocks. It buffers no more than two frames of samples."""

    def __init__(self, options: VadOptions = VadOptions()) -> None:
        self._classifier = _FrameClassifier(options.aggressiveness)
        self._builder = _SpanBuilder(options)
        self._undecided: deque[tuple[bool, float]] = deque()  # (voiced, level) of frames without evidence yet
        self._covered = 0  # following frames that past evidence covers
        self._rest: NDArray[np.float32] = np.zeros(0, np.float32)  # less than a frame

    def push(self, samples: NDArray[np.float32]) -> list[Span]:
        """The spans that `samples` complete: float32, shape (n_samples,), in [-1, 1], any length."""
        spans: list[Span] = []
        for offset in range(0, len(samples), BATCH_SAMPLES):
            piece = np.concatenate([self._rest, samples[offset : offset + BATCH_SAMPLES]])
            whole = len(piece) // FRAME_SAMPLES * FRAME_SAMPLES
            self._rest = piece[whole:]
            for voiced, evident, level in self._classifier.push(piece[:whole].reshape(-1, FRAME_SAMPLES)):
                spans += self._decide(voiced, evident, level)
        return spans

    def flush(self) -> list[Span]:
        """The spans that are left when the audio has ended; push nothing after it."""
        spans = self._pass_on(len(self._undecided), covered=False)
        return spans + self._builder.finish(len(self._rest))

    @property
    def open_start(self) -> int | None:
        """The sample at which the segment being spoken starts; None while there is no speech.

        It is set once the segment has the minimum length, so that it is never withdrawn.
        """
        return self._builder.open_start

    @property
    def open_end(self) -> int:
        """The sample at which the segment being spoken would end if no more speech came."""
        return self._builder.open_end

    @property
    def keep_from(self) -> int:
        """The earliest sample at which a later span can start; samples before it are no longer needed."""
        return self._builder.keep_from

    def _decide(self, voiced: bool, evident: bool, level: float) -> list[Span]:
        """Adds a frame. A voiced frame waits until evidence covers it or is too far away to do so."""
        self._undecided.append((voiced, level))
        if evident:
            self._covered = REACH_FRAMES + 1  # this frame and those after it
        if self._covered:
            self._covered -= 1
            return self._pass_on(len(self._undecided), covered=True)
        spans = self._pass_on(max(0, len(self._undecided) - REACH_FRAMES), covered=False)
        while self._undecided and not self._undecided[0][0]:
            spans += self._pass_on(1, covered=False)
        return spans

    def _pass_on(self, count: int, covered: bool) -> list[Span]:
        """Passes the oldest `count` undecided frames to the span builder."""
        spans: list[Span] = []
        for _ in range(count):
            voiced, level = self._undecided.popleft()
            spans += self._builder.push(voiced and covered, level)
        return spans


class _FrameClassifier:
    """For each frame: whether webrtcvad detects speech, whether there is evidence of it, and the level."""

    def __init__(self, aggressiveness: int) -> None:
        self._webrtc = webrtcvad.Vad(aggressiveness)
        self._count = 0  # frames processed
        self._peak_db = -np.inf  # recent peak, plus the release since the first frame
        self._offset: float | None = None  # mean of the recent samples
        self._last_frame: NDArray[np.float64] = np.zeros((1, FRAME_SAMPLES))
        self._last_bands: NDArray[np.float64] | None = None  # band powers of the last frame, dB
        self._marks = np.zeros(EVIDENCE_WINDOW, np.int64)  # 1 if peaky and moving, last frames

    def push(self, frames: NDArray[np.float32]) -> Iterator[tuple[bool, bool, float]]:
        """(voiced, evident, level in dB) of each of `frames`, shape (frame, FRAME_SAMPLES)."""
        if not len(frames):
            return
        samples = self._without_offset(frames.astype(np.float64))
        pcm = self._amplified(samples)
        loud = np.max(np.abs(pcm.astype(np.int32)), axis=1) > 32767 * 10 ** (QUIET_DB / 20)
        levels = _decibels(np.mean(samples**2, axis=1))
        evidence = self._evidence(samples)
        for frame, is_loud, evident, level in zip(pcm, loud, evidence, levels, strict=True):
            voiced = self._webrtc.is_speech(frame.tobytes(), SAMPLE_RATE)  # every frame: it adapts to noise
            yield bool(is_loud and voiced), bool(evident), float(level)

    def _without_offset(self, samples: NDArray[np.float64]) -> NDArray[np.float64]:
        """`samples` (frame, sample) without the DC offset that was found so far."""
        means = samples.mean(axis=1)
        offsets = np.zeros((len(samples), 1))
        for number, mean in enumerate(means.tolist()):
            offset = mean if self._offset is None else self._offset + (mean - self._offset) / OFFSET_FRAMES
            self._offset = offset
            if abs(offset) >= OFFSET_MIN:
                offsets[number] = offset
        return samples - offsets

    def _amplified(self, samples: NDArray[np.float64]) -> NDArray[np.int16]:
        """`samples` (frame, sample) as int16 for webrtcvad, the recent peak brought to GAIN_TARGET_DB."""
        # A peak that falls by a fixed step a frame is a running maximum once the steps are added back.
        release = GAIN_RELEASE_DB * np.arange(self._count, self._count + len(samples))
        peaks = _decibels(np.max(np.abs(samples), axis=1) ** 2) + release
        peaks = np.maximum.accumulate(np.maximum(peaks, self._peak_db))
        self._peak_db = peaks[-1]
        self._count += len(samples)
        gain_db = np.minimum(GAIN_TARGET_DB - (peaks - release), GAIN_MAX_DB)
        scaled = samples * (32767 * 10 ** (gain_db[:, None] / 20))
        pcm: NDArray[np.int16] = np.clip(scaled, -32768, 32767).astype(np.int16)
        return pcm

    def _evidence(self, samples: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether EVIDENCE_FRAMES of the last EVIDENCE_WINDOW frames are peaky and moving, shape (frame,)."""
        frames = np.concatenate([self._last_frame, samples])
        self._last_frame = samples[-1:]
        pairs = np.concatenate([frames[:-1], frames[1:]], axis=1)  # (frame, 2 * FRAME_SAMPLES)
        spectra = np.abs(np.fft.rfft(pairs * WINDOW)) ** 2
        bins = (
            spectra[:, FIRST_BIN : FIRST_BIN + BANDS * BAND_BINS].reshape(-1, BANDS, BAND_BINS) + POWER_FLOOR
        )
        means = bins.mean(axis=2)  # (frame, band)

        voice = slice(0, VOICE_BANDS)
        peaky = np.mean(np.log(means[:, voice]) - np.log(bins[:, voice]).mean(axis=2), axis=1)

        bands = _decibels(means)
        bands = np.maximum(bands, bands.max(axis=1, keepdims=True) - RANGE_DB)
        previous = bands[:1] if self._last_bands is None else self._last_bands
        moving = np.mean(np.abs(np.diff(bands, axis=0, prepend=previous)), axis=1)
        self._last_bands = bands[-1:]

        marks = np.concatenate([self._marks, (peaky > PEAKY_NATS) & (moving > MOVING_DB)])
        self._marks = marks[-EVIDENCE_WINDOW:]
        sums = np.cumsum(marks)
        evident: NDArray[np.bool_] = sums[EVIDENCE_WINDOW:] - sums[:-EVIDENCE_WINDOW] >= EVIDENCE_FRAMES
        return evident


class _SpanBuilder:
    """Joins speech frames into spans: closes pauses, drops short bursts, pads, and cuts long segments."""

    def __init__(self, options: VadOptions) -> None:
        self._pad = options.pad_samples
        self._min_speech, self._min_silence = options.min_speech_frames, options.min_silence_frames
        self._max_speech = options.max_speech_frames
        self._position = 0  # frames pushed
        self._frames: list[tuple[bool, float]] = []  # (speech, level in dB) since the start of the segment
        self._spoken = 0  # how many of these lie up to the last speech frame
        self._end = 0  # sample at which the last span ended

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

    def push(self, speech: bool, level: float) -> list[Span]:
        """Adds the next frame; returns the spans that it completes."""
        self._position += 1
        if speech or self._frames:
            self._frames.append((speech, level))
        if speech:
            self._spoken = len(self._frames)
            return self._cut() if self._spoken > self._max_speech else []
        return self._close() if len(self._frames) - self._spoken >= self._min_silence else []

    def finish(self, rest: int) -> list[Span]:
        """The span that is open at the end of a recording with `rest` samples after its last whole frame."""
        return self._close(self._position * FRAME_SAMPLES + rest)

    def _close(self, total: int | None = None) -> list[Span]:
        """Ends the segment after its last speech, padded up to sample `total` at most; drops a short one."""
        start, end, spoken = self.keep_from, self.open_end, self._spoken
        self._frames, self._spoken = [], 0
        if spoken < self._min_speech:
            return []
        self._end = end if total is None else min(end, total)
        return [Span(start, self._end)]

    def _cut(self) -> list[Span]:
        """Ends the segment at the quietest frame of its second half, and pushes the rest again."""
        earliest, latest = self._max_speech // 2, len(self._frames) - self._min_speech
        cut = min(range(earliest, latest), key=lambda index: self._frames[index][1])
        rest = self._frames[cut:]
        start = self.keep_from
        self._position -= len(rest)
        self._end = self._position * FRAME_SAMPLES
        self._frames, self._spoken = [], 0
        spans = [Span(start, self._end)]
        for speech, level in rest:
            spans += self.push(speech, level)
        return spans


def _decibels(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """`power` in dB, at least 10 log10 of POWER_FLOOR."""
    return np.asarray(10 * np.log10(np.maximum(power, POWER_FLOOR)), np.float64)
