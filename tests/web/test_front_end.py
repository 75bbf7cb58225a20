"""The arithmetic of the page's scripts gives what the Python code gives, in a real Chromium."""

import base64

import numpy as np
import pytest
import soundfile
import soxr
from support import syllables

from ser_core.audio import quality, vad
from ser_core.audio.channels import Mixer
from ser_core.audio.stored import Block
from ser_core.audio.waveform import SAMPLE_RATE, Waveform
from web.resampling import RATES

# Samples cross as text: a list of numbers takes Playwright many times as long as the page's arithmetic.
FLOATS = """
    const floats = (text) => new Float32Array(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
    const text = (samples) => {
        const bytes = new Uint8Array(Float32Array.from(samples).buffer);
        const pieces = Array.from({ length: Math.ceil(bytes.length / 8192) }, (_, i) => 8192 * i);
        return btoa(pieces.map((at) => String.fromCharCode(...bytes.subarray(at, at + 8192))).join(""));
    };
"""
DETECT = """async ({ base, sound }) => {
    %s
    const [{ SpeechStream }, { settings }, { default: fvad }] = await Promise.all(
        ["hearing/speech.js", "settings.js", "vendor/fvad.js"].map((path) => import(base + path)));
    const stream = new SpeechStream(await fvad(), settings);
    const samples = floats(sound);
    const clips = [];
    const pieces = Array.from({ length: Math.ceil(samples.length / 7001) }, (_, i) => 7001 * i);
    for (const at of pieces) clips.push(...stream.push(samples.slice(at, at + 7001)));
    clips.push(...stream.flush());
    const means = clips.map(({ samples }) => samples.reduce((sum, x) => sum + x, 0) / samples.length);
    return { spans: clips.map(({ span }) => [span.start, span.end]), means, quality: stream.quality() };
}"""
MIX = """async ({ base, channels, rate }) => {
    %s
    const [{ Downmix }, { settings }] = await Promise.all(
        ["hearing/downmix.js", "settings.js"].map((path) => import(base + path)));
    const mix = new Downmix(settings.channels);
    return { mono: text(mix.mix(channels.map(floats), rate)), channel: mix.channel };
}"""
RESAMPLE = """async ({ base, sound, rate }) => {
    %s
    const { Resampler } = await import(base + "hearing/resampler.js");
    const [resampler, samples, output] = [new Resampler(rate, 16000), floats(sound), []];
    const pieces = Array.from({ length: Math.ceil(samples.length / 4321) }, (_, i) => 4321 * i);
    for (const at of pieces) output.push(...resampler.push(samples.slice(at, at + 4321)));
    return text([...output, ...resampler.flush()]);
}"""

DECODE = """async ({ base, bytes, name }) => {
    %s
    const [{ decode }, { settings }] = await Promise.all(
        ["hearing/decode.js", "settings.js"].map((path) => import(base + path)));
    const file = new File([Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))], name);
    const [output, rates] = [[], new Set()];
    for await (const { rate, samples } of decode(file, settings, [], () => null)) {
        rates.add(rate);
        output.push(...samples);
    }
    return { output: text(output), rates: [...rates] };
}"""


def packed(samples: np.ndarray) -> str:
    return base64.b64encode(samples.astype("<f4").tobytes()).decode()


def unpacked(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<f4")


@pytest.fixture(scope="module")
def call(browser, dist):
    """Calls one of the functions above in a page, with what it needs."""
    from web.serving import serving

    with serving(dist) as address:
        context = browser.new_context(service_workers="block")
        page = context.new_page()
        page.goto(f"{address}LICENCES.txt")  # of the same origin, without the page's own work
        yield lambda code, **values: page.evaluate(code % FLOATS, {"base": address, **values})
        context.close()


def noise(seconds: float, level: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, level, int(seconds * SAMPLE_RATE))


SOUNDS = {
    "speech": lambda: syllables(8),
    "quiet": lambda: 0.004 * syllables(5, seed=2),
    "beside an offset": lambda: 0.3 * syllables(5, seed=3) + 0.25,
    "after a loud knock": lambda: np.concatenate([noise(0.05, 0.9), 0.05 * syllables(5, seed=4)]),
    "in noise": lambda: 0.5 * syllables(5, seed=5) + noise(30, 0.05)[: len(syllables(5, seed=5))],
    "without a pause": lambda: np.concatenate([syllables(30, seed=6, pause_s=0.05)]),
    "noise": lambda: noise(5, 0.1),
    "silence": lambda: np.zeros(3 * SAMPLE_RATE),
}


@pytest.mark.parametrize("name", SOUNDS)
def test_speech_is_found_and_measured_as_in_python(call, name):
    sound = SOUNDS[name]().clip(-1, 1).astype(np.float32)
    found = call(DETECT, sound=packed(sound))
    assert found["spans"] == [[span.start, span.end] for span in vad.segment(Waveform(sound))]
    assert all(abs(mean) < vad.OFFSET_MIN for mean in found["means"])
    theirs = quality.measure(Waveform(sound))
    for field in ("peak_dbfs", "clipped", "snr_db", "bandwidth_hz"):
        assert found["quality"][field] == getattr(theirs, field), field
    assert found["quality"]["warnings"] == list(theirs.warnings)


def test_there_is_speech_among_these_sounds_and_a_segment_that_is_cut():
    lengths = [len(vad.segment(Waveform(make().astype(np.float32)))) for make in SOUNDS.values()]
    assert min(lengths) == 0
    assert sum(lengths) > 20


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000, 96_000])
def test_sound_is_resampled_as_well_as_by_soxr(call, rate):
    sound = soxr.resample(syllables(2), SAMPLE_RATE, rate).astype(np.float32)
    ours = unpacked(call(RESAMPLE, sound=packed(sound), rate=rate))
    theirs = soxr.resample(sound, rate, SAMPLE_RATE)
    assert abs(len(ours) - len(theirs)) <= 1
    length = min(len(ours), len(theirs))
    assert np.abs(ours[:length] - theirs[:length]).max() < (2e-6 if rate in RATES else 2e-3)


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_opus_is_decoded_at_its_own_rate_as_by_libsndfile(call, tmp_path, rate, channels):
    path = tmp_path / "a.opus"
    sound = (
        soxr.resample(syllables(3), SAMPLE_RATE, rate)[:, None].repeat(channels, axis=1) * [1, 0.5][:channels]
    )
    soundfile.write(path, sound, rate, format="OGG", subtype="OPUS")
    theirs, _ = soundfile.read(path, dtype="float32", always_2d=True)
    ours = call(DECODE, bytes=base64.b64encode(path.read_bytes()).decode(), name=path.name)
    assert ours["rates"] == [rate]
    output = unpacked(ours["output"])
    assert len(output) == len(theirs)
    np.testing.assert_allclose(output, theirs.mean(axis=1), atol=1e-4)


@pytest.mark.parametrize("kind", ["alike", "inverted", "inverted beside hum", "one alone"])
def test_channels_are_mixed_as_in_python(call, kind):
    voice = syllables(4)
    hum = 0.3 * np.sin(2 * np.pi * 50 * np.arange(len(voice)) / SAMPLE_RATE)
    second = {
        "alike": voice,
        "inverted": -0.9 * voice,
        "inverted beside hum": -0.9 * voice,
        "one alone": 0 * voice,
    }[kind]
    hum = hum if kind.endswith("hum") else 0 * hum
    block = np.stack([voice + hum, second + hum], axis=1).astype(np.float32)
    mixer = Mixer()
    theirs = mixer(Block(block, SAMPLE_RATE))
    ours = call(MIX, channels=[packed(channel) for channel in block.T], rate=SAMPLE_RATE)
    np.testing.assert_allclose(unpacked(ours["mono"]), theirs, atol=1e-6)
    assert (ours["channel"] is not None) == bool(mixer.warning) == kind.startswith("inverted")
