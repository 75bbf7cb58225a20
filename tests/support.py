"""Generated audio and checkpoints, and helpers that many tests use."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from torch import nn
from torch.distributions import Categorical

from ser_core.audio.speech import Clip, SpeechStream
from ser_core.checkpoint import bundle
from ser_core.checkpoint.bundle import Bundle
from ser_core.emotions import LABELS
from ser_core.models import registry
from ser_core.models.session import Session
from ser_core.recognition.recognizer import Recognizer

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"
SAMPLE_RATE = 16_000
PATIENCE_S = 60.0  # timeout for what must happen
FORMANTS_HZ = (700, 1220, 2600)  # of the vowel in "father" (Peterson & Barney 1952, men)


def random_bundle(folder: Path, architecture: str = "parallel_cnn_transformer", **changes) -> Path:
    """Saves a checkpoint with random weights in `folder`; `changes` are fields of its `Bundle`."""
    torch.manual_seed(7)
    model = registry.build(architecture, len(LABELS))
    description = Bundle("random", "0.1", architecture, LABELS, model.features)
    bundle.save(folder, replace(description, **changes), model)
    return folder


def gated_bundle(folder: Path, architecture: str = "whisper_base_adaptive") -> Path:
    """`folder`/gated: its gate is half open after four `syllables`, and it has a joint model.

    `folder`/plain has neither. Both have the same random heads, which are far from indifferent.
    """
    described, model = bundle.load(random_bundle(folder / "plain", architecture))
    with torch.no_grad():
        for head in (model.alone, model.relative):
            head[-1].weight *= 30
    bundle.save(folder / "plain", described, model)
    clips, session = clips_of(4), Session()
    Recognizer.load(folder / "plain", "cpu", "float32").segments(clips, [session] * 4, [True] * 4)
    mean = session.state / session.state[0]
    variation = Categorical(mean[-1 - len(LABELS) : -1]).entropy() - mean[-1]
    options = {"gate": [0.0, 2 * variation.item()], "joint": [0.5, 0.5]}
    gated = registry.build(described.architecture, len(LABELS), **options)
    gated.load_state_dict(model.state_dict(), strict=False)
    clip = session.state[1 : 1 + len(model.mean)] / session.state[0]  # projected to about one deviation
    gated.joint.projection.normal_().div_(clip.norm())
    gated.joint.emotions.normal_()
    bundle.save(folder / "gated", replace(described, options=options), gated)
    return folder / "gated"


def tiny_encoder() -> nn.Module:
    """wav2vec 2.0 with two narrow layers."""
    from torchaudio.models import wav2vec2_model  # here, because few tests need it

    return wav2vec2_model(
        extractor_mode="group_norm",
        extractor_conv_layer_config=[(32, 10, 5), *[(32, 3, 2)] * 4, *[(32, 2, 2)] * 2],
        extractor_conv_bias=False,
        encoder_embed_dim=64,
        encoder_projection_dropout=0.0,
        encoder_pos_conv_kernel=16,
        encoder_pos_conv_groups=4,
        encoder_num_layers=2,
        encoder_num_heads=4,
        encoder_attention_dropout=0.0,
        encoder_ff_interm_features=128,
        encoder_ff_interm_dropout=0.0,
        encoder_dropout=0.0,
        encoder_layer_norm_first=False,
        encoder_layer_drop=0.0,
        aux_num_out=None,
    )


def clips_of(count: int, seed: int = 3) -> list[Clip]:
    """`count` `syllables` as the app cuts them."""
    stream = SpeechStream()
    return stream.push(syllables(count, seed)) + stream.flush()


def constant_bundle(folder: Path, label: str, **changes) -> Path:
    """Saves a small checkpoint that labels all speech `label`; `changes` are fields of its `Bundle`."""
    torch.manual_seed(7)
    model = registry.build("stacked_cnn_lstm", len(LABELS))
    with torch.no_grad():
        model.head[-1].bias[LABELS.index(label)] = 10.0
    description = Bundle(folder.name, "0.1", "stacked_cnn_lstm", LABELS, model.features)
    bundle.save(folder, replace(description, **changes), model)
    return folder


def syllables(count: int, seed: int = 0, pitch_hz: float = 120.0, pause_s: float = 0.6) -> np.ndarray:
    """`count` vowels of 0.5 to 1.2 s, each followed by a pause; a speech detector takes them for speech.

    Float32 at 16 kHz, shape (n_samples,).
    """
    rng = np.random.default_rng(seed)
    pieces = [np.zeros(SAMPLE_RATE // 2)]
    for _ in range(count):
        seconds = rng.uniform(0.5, 1.2)
        pieces += [_vowel(seconds, pitch_hz * rng.uniform(0.9, 1.2)), np.zeros(int(pause_s * SAMPLE_RATE))]
    sound = np.concatenate(pieces) + rng.normal(0, 1e-4, sum(map(len, pieces)))
    return sound.astype(np.float32)


def _vowel(seconds: float, pitch_hz: float) -> np.ndarray:
    """A vowel with three formants and the envelope of a syllable."""
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    phase = 2 * np.pi * np.cumsum(pitch_hz * (1 + 0.03 * np.sin(2 * np.pi * 5 * time))) / SAMPLE_RATE
    sound = np.zeros_like(time)
    for harmonic in range(1, int(4000 / pitch_hz)):
        strength = sum(np.exp(-(((harmonic * pitch_hz - formant) / 150) ** 2)) for formant in FORMANTS_HZ)
        sound += (strength + 0.3 / harmonic) * np.sin(harmonic * phase)
    envelope = np.sin(np.pi * time / seconds) ** 0.5
    return 0.3 * envelope * sound / np.abs(sound).max()


def write_wav(path: Path, samples: np.ndarray) -> Path:
    """Writes `samples` as 16-bit WAV at 16 kHz and returns `path`."""
    soundfile.write(path, samples, SAMPLE_RATE, subtype="PCM_16")
    return path


def spoken_corpus(folder: Path, voices: int, clips: int) -> Path:
    """A corpus with a metadata.csv: one syllable per clip, alternately low (sad) and high (happy)."""
    folder.mkdir(parents=True)
    rows = ["file,speaker,emotion"]
    for number in range(voices * clips):
        emotion, pitch_hz = (("sad", 90.0), ("happy", 240.0))[number % 2]
        write_wav(folder / f"{number}.wav", syllables(1, seed=number, pitch_hz=pitch_hz))
        rows.append(f"{number}.wav,{number // clips:02d},{emotion}")
    (folder / "metadata.csv").write_text("\n".join(rows) + "\n")
    return folder


def recording(path: Path, seconds: float = 0.25) -> Path:
    """Writes a recording of noise that depends on its path; creates the folders of `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng([*path.as_posix().encode()]).normal(0, 0.1, int(seconds * SAMPLE_RATE))
    return write_wav(path, noise.astype(np.float32))


def tabled(folder: Path, table: str) -> Path:
    """A corpus of one recording, `a.wav`, with `table` as its metadata.csv."""
    folder.mkdir()
    recording(folder / "a.wav")
    (folder / "metadata.csv").write_text(table)
    return folder


def eventually(condition: Callable[[], bool]) -> bool:
    """Whether `condition` becomes true within PATIENCE_S."""
    end = time.monotonic() + PATIENCE_S
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The result of `coroutine`, run on another thread: browser tests leave a loop running on this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


PITCH_HZ = {"sad": 90.0, "happy": 240.0, "neutral": 150.0}


def voices(data: Path, count: int) -> Path:
    """A corpus in `data` of `count` voices, each sad, happy and neutral once; returns its folder."""
    folder = data / "voices"
    folder.mkdir()
    rows = ["file,speaker,emotion"]
    for speaker in range(count):
        for emotion, pitch in PITCH_HZ.items():
            name = f"{speaker}-{emotion}.wav"
            write_wav(folder / name, syllables(1, seed=speaker, pitch_hz=pitch))
            rows.append(f"{name},{speaker},{emotion}")
    (folder / "metadata.csv").write_text("\n".join(rows))
    return folder
