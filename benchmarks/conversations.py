"""Conversations made of clips of emotional corpora, with their true voices and emotions; see voices.py.

Every draw depends on the conversation's name alone, so all runs have the same ones. A voice goes through all
its emotions. A turn lasts 1 to 8 s: clips, cut to their speech, with pauses of 0 to 0.4 s, the last one cut
short where the turn ends. Between turns there are 0 to 1 s of silence.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from ser_core.audio.vad import Span, VadOptions, segment
from ser_core.audio.waveform import SAMPLE_RATE, Waveform

CORPORA = ("ravdess", "emovo", "nemo", "tess", "crema_d", "ased", "aesdd")
CONVERSATIONS, ALONE_PER_CORPUS = 200, 10
TURN_S, PAUSE_S, GAP_S = (1.0, 8.0), (0.0, 0.4), (0.0, 1.0)
LENGTH_S, ALONE_S = (60.0, 120.0), 120.0
LEAST_CLIP = SAMPLE_RATE // 2  # a clip with less speech is left out, and a turn is not filled up with less
FADE = SAMPLE_RATE // 100  # where a clip is cut short


@dataclass(frozen=True)
class Talk:
    """A clip in a conversation: `start` to `end` in samples at 16 kHz."""

    start: int
    end: int
    speaker: str
    emotion: str  # as the corpus names it
    speech: tuple[Span, ...]  # what the speech detector finds in the clip by itself, without padding


@dataclass(frozen=True)
class Conversation:
    """Sound with the truth about it."""

    name: str
    corpus: str
    samples: NDArray[np.float32]
    talks: tuple[Talk, ...]

    @property
    def truth(self) -> list[tuple[int, int, int]]:
        """(start, end, voice) of all speech, in samples; voices in order of appearance."""
        return [
            (part.start, part.end, self.speakers.index(talk.speaker))
            for talk in self.talks
            for part in talk.speech
        ]

    @property
    def speakers(self) -> list[str]:
        """In order of appearance."""
        return list(dict.fromkeys(talk.speaker for talk in self.talks))


@cache
def clips_of(data: Path, corpus: str) -> dict[str, dict[str, list[Path]]]:
    """The clips of each emotion of each speaker, by name."""
    found: dict[str, dict[str, list[Path]]] = {}
    with (data / corpus / "metadata.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["speaker"] and row["emotion"]:
                by_emotion = found.setdefault(row["speaker"], {})
                by_emotion.setdefault(row["emotion"], []).append(data / corpus / row["file"])
    return {
        speaker: {emotion: sorted(by_emotion[emotion]) for emotion in sorted(by_emotion)}
        for speaker, by_emotion in sorted(found.items())
        if sum(map(len, by_emotion.values())) >= 12
    }


def speech_of(path: Path) -> tuple[NDArray[np.float32], list[Span]]:
    """A clip from its first speech to its last, shape (n_samples,), and where in that it has speech."""
    samples, rate = soundfile.read(path, dtype="float32")
    assert rate == SAMPLE_RATE, path
    spans = segment(Waveform(samples), VadOptions(speech_pad_ms=0))
    if not spans:
        return samples[:0], []
    first = spans[0].start
    return samples[first : spans[-1].end], [Span(span.start - first, span.end - first) for span in spans]


def clips_in_turn(
    by_emotion: dict[str, list[Path]], rng: np.random.Generator
) -> Iterator[tuple[str, NDArray[np.float32], list[Span]]]:
    """(emotion, sound, speech in it) of clips of one speaker, without end; emotions in shuffled rounds."""
    while True:
        for emotion in rng.permutation(list(by_emotion)).tolist():
            paths = by_emotion[emotion]
            sound, speech = speech_of(paths[int(rng.integers(len(paths)))])
            if len(sound) >= LEAST_CLIP:
                yield emotion, sound, speech


def make(data: Path, corpus: str, voices: int, number: int) -> Conversation:
    """Conversation `number` of so many voices of a corpus."""
    rng = np.random.default_rng([number, voices, CORPORA.index(corpus)])
    speakers = clips_of(data, corpus)
    chosen = rng.permutation(list(speakers))[:voices].tolist()
    sources = {speaker: clips_in_turn(speakers[speaker], rng) for speaker in chosen}
    length = ALONE_S if voices == 1 else rng.uniform(*LENGTH_S)
    sound: list[NDArray[np.float32]] = [np.zeros(SAMPLE_RATE // 2, np.float32)]
    at, talks, last, order = len(sound[0]), [], "", list(chosen)
    while at < length * SAMPLE_RATE:
        if not order:  # after everybody has spoken once, anybody but the last
            order = rng.permutation(chosen).tolist()
        speaker = order.pop(0)
        if speaker == last and voices > 1:
            continue
        last, left = speaker, int(rng.uniform(*TURN_S) * SAMPLE_RATE)
        while left >= LEAST_CLIP:
            emotion, clip, speech = next(sources[speaker])
            if len(clip) > left:
                clip = clip[:left].copy()
                clip[-FADE:] *= np.linspace(1, 0, FADE, dtype=np.float32)
            end = at + len(clip)
            heard = tuple(
                Span(at + part.start, min(at + part.end, end)) for part in speech if at + part.start < end
            )
            talks.append(Talk(at, end, speaker, emotion, heard))
            pause = np.zeros(int(rng.uniform(*PAUSE_S) * SAMPLE_RATE), np.float32)
            sound += [clip, pause]
            at += len(clip) + len(pause)
            left -= len(clip) + len(pause)
        gap = np.zeros(int(rng.uniform(*GAP_S) * SAMPLE_RATE), np.float32)
        sound.append(gap)
        at += len(gap)
    noise = rng.normal(0, 1e-4, at).astype(np.float32)  # -80 dBFS: pauses are not digital silence
    return Conversation(f"{corpus}_{voices}_{number}", corpus, np.concatenate(sound) + noise, tuple(talks))


def plan(data: Path) -> list[tuple[str, int, int]]:
    """(corpus, voices, number) of every conversation: 200 of two to four voices, and voices alone."""
    there = [corpus for corpus in CORPORA if (data / corpus).is_dir()]
    made = []
    for number in range(CONVERSATIONS):
        voices = 2 + number % 3
        able = [corpus for corpus in there if len(clips_of(data, corpus)) >= voices]
        made.append((able[number // 3 % len(able)], voices, number))
    return made + [(corpus, 1, number) for corpus in there for number in range(ALONE_PER_CORPUS)]
