"""A recording whose analysis is in progress: its speech, whose voice that is, and its segments so far."""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from ser_core.analysis import UNSURE_VOICE, Segment, voice_name
from ser_core.audio.channels import AUTO, CHANNELS, EACH, MIX
from ser_core.audio.quality import Quality, worst
from ser_core.audio.speech import Clip, Samples, SpeechStream, cut
from ser_core.audio.vad import Span
from ser_core.audio.waveform import SAMPLE_RATE
from ser_core.checkpoint.bundle import BundleError
from ser_core.errors import AudioError
from ser_core.models.middle_states import MiddleStates
from ser_core.models.session import Session

if TYPE_CHECKING:
    from ser_core.recognition.diarization import Diarizer, LiveVoices

log = logging.getLogger(__name__)
ONE = "one"
Progress = Callable[[str, float], None]  # called with the source and the seconds of it that were read


@dataclass(frozen=True)
class VoiceOptions:
    """Which voices of a recording are told apart. Raises ValueError for a value that is none.

    `channels`: `each` makes a voice of every channel, `mix` makes one channel of them, `auto` takes `each`
    where two channels carry different speech. `voices`: how many speak where the channels are mixed; None
    finds that out, 1 is one voice whoever speaks, and then `auto` mixes the channels.
    """

    channels: str = AUTO
    voices: int | None = None

    def __post_init__(self) -> None:
        if self.channels not in CHANNELS:
            raise ValueError(f"channels are {', '.join(CHANNELS)}, not {self.channels!r}")
        if self.voices is not None and self.voices < 1:
            raise ValueError(f"the number of voices is at least 1, not {self.voices}")

    @classmethod
    def named(cls, voices: str = AUTO, channels: str = AUTO) -> "VoiceOptions":
        """From what people type: `voices` is `auto`, `one` or a number. Raises ValueError.

        >>> VoiceOptions.named("2")
        VoiceOptions(channels='auto', voices=2)
        """
        if voices in (AUTO, ONE):
            number = None if voices == AUTO else 1
        elif not voices.isdecimal():
            raise ValueError(f"voices are auto, one, or how many speak, not {voices!r}")
        else:
            number = int(voices)
        if channels == EACH and number is not None:
            raise ValueError("where each channel is a voice, nobody can say how many voices there are")
        return cls(channels, number)

    @property
    def decoded_channels(self) -> str:
        """`channels` as the decoder is asked for them."""
        return MIX if self.channels == AUTO and self.voices == 1 else self.channels


ONE_VOICE = VoiceOptions(MIX, 1)


def diarizer_for(options: VoiceOptions) -> "Diarizer | None":
    """What tells the voices of one channel apart; None where they are one voice, or the networks are missing.

    Raises BundleError where they are missing and a number of voices was asked for.
    """
    if options.voices == 1:
        return None
    try:
        return _load()
    except BundleError as error:
        if options.voices is not None:
            raise
        log.info("voices are not told apart: %s", error)
        return None


def _load() -> "Diarizer":
    try:
        from ser_core.recognition.diarization import default_diarizer  # here, because torch may be absent
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise BundleError("no_torch", "Telling voices apart in one channel needs torch.") from None
    return default_diarizer()


@dataclass(frozen=True)
class Utterance:
    """A clip of speech, and whose it is."""

    clip: Clip
    voice: int | None = None  # its number; None: unsure, or nobody told voices apart
    overlap: bool = False
    middle: MiddleStates | None = None  # of the clip, where voices were told apart


@dataclass
class Recording:
    """One recording whose `Analysis` is in progress.

    Channels that come apart are a voice each, whatever the `options` say of voices. `session` is shared by
    all voices; None gives each its own.
    """

    source: str
    read: Callable[[list[str]], Iterable[Samples]]  # its blocks, from the start; adds to the warnings
    warnings: list[str] = field(default_factory=list)  # of reading it
    session: Session | None = None
    options: VoiceOptions = ONE_VOICE
    samples_read: int = 0
    waiting: int = 0  # clips cut and not yet recognised
    ended: bool = False
    apart: bool = False  # the channels are
    quality: Quality | None = None
    error: AudioError | None = None
    _diarized: bool = False  # the voices of one channel are
    _spans: list[Span] = field(default_factory=list)  # of speech, where its voices are told apart
    _sessions: dict[int, Session] = field(default_factory=dict)  # by number of the voice
    _judged: list[tuple[Utterance, Segment]] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether all of its clips were recognised."""
        return self.ended and not self.waiting

    def utterances(self, progress: Progress | None) -> Iterator[Utterance]:
        """Yields the speech; sets `samples_read`, and at the end `quality` or `error`."""
        streams: list[SpeechStream] = []
        voices: LiveVoices | None = None
        try:
            for block in self.read(self.warnings):
                channels = block[:, None] if block.ndim == 1 else block
                if not streams:
                    streams = [SpeechStream() for _ in range(channels.shape[1])]
                    self.apart = block.ndim == 2
                    diarizer = None if self.apart else diarizer_for(self.options)
                    voices = diarizer.live() if diarizer else None
                    self._diarized = voices is not None
                for number, stream in enumerate(streams):
                    clips = stream.push(np.ascontiguousarray(channels[:, number]))
                    yield from self._uttered(clips, number, voices)
                self.samples_read = streams[0].samples_read
                if progress:
                    progress(self.source, self.samples_read / SAMPLE_RATE)
            for number, stream in enumerate(streams or [SpeechStream()]):
                yield from self._uttered(stream.flush(), number, voices)
            if voices:
                yield from self._turns(voices)
            quality = worst([stream.quality() for stream in streams or [SpeechStream()]])
            self.quality = replace(quality, warnings=(*self.warnings, *quality.warnings))
        except AudioError as error:
            self.error = error
        self.ended = True

    def session_of(self, utterance: Utterance) -> Session:
        """The session in which `utterance` is judged: that of its voice; an unsure one is by itself."""
        if self.session:
            return self.session
        number = utterance.voice
        if number is None and self._diarized:
            return Session()
        return self._sessions.setdefault(number or 0, Session())

    def add(self, utterance: Utterance, segment: Segment) -> None:
        """Adds the segment of `utterance`, which waited for it."""
        self._judged.append((utterance, segment))
        self.waiting -= 1

    def segments(self) -> list[Segment]:
        """The segments so far in order of their start, with their voices in order of appearance."""
        judged = sorted(self._judged, key=lambda pair: (pair[1].start, pair[0].voice or 0))
        order = dict.fromkeys(utterance.voice for utterance, _ in judged if utterance.voice is not None)
        names: dict[int | None, str | None] = {number: voice_name(n) for n, number in enumerate(order)}
        names[None] = UNSURE_VOICE if self._diarized else None
        return [
            replace(
                segment,
                voice=names[utterance.voice],
                channel=utterance.voice + 1 if self.apart and utterance.voice is not None else None,
                overlap=utterance.overlap,
            )
            for utterance, segment in judged
        ]

    def _uttered(self, clips: list[Clip], channel: int, voices: "LiveVoices | None") -> Iterator[Utterance]:
        """The clips of a channel, where it is known whose they are; else `voices` gets them."""
        if self.apart:
            yield from (Utterance(clip, channel) for clip in clips)
        elif voices:
            for clip in clips:
                voices.add(clip.samples, clip.span)
                self._spans.append(clip.span)
        else:
            yield from map(Utterance, clips)

    def _turns(self, voices: "LiveVoices") -> Iterator[Utterance]:
        """What each voice says, once all was heard: the recording is read again."""
        turns = deque(voices.settle(self.options.voices))
        # There are fewer clips than spans where a file was cut meanwhile.
        for clip in cut(self.read([]), self._spans) if turns else ():
            while turns and turns[0].span.end <= clip.span.end:
                turn = turns.popleft()
                start, end = turn.span.start - clip.span.start, turn.span.end - clip.span.start
                part = Clip(turn.span, clip.samples[start:end])
                yield Utterance(part, turn.voice, turn.overlap, turn.middle)
