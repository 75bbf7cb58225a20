"""The feature cache: no stale or partial entries, and the same numbers as without a cache."""

import resource
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from importlib import util
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import torch
from support import syllables, write_wav
from typer.testing import CliRunner

from ser_core.models.feature_spec import FeatureSpec
from ser_core.models.features import FeatureExtractor
from train.cli import app
from train.corpora import Clip, CorpusError
from train.data import cache as caching
from train.data.cache import FeatureCache
from train.data.speech import FULL_SCALE, speech_of
from train.errors import RunError

SPEC = FeatureSpec(normalization="whisper")
SPECS = {
    "whisper": SPEC,
    "mfcc": FeatureSpec(kind="mfcc"),
    "both": FeatureSpec(kind="mfcc_log_mel"),
    "waveform": FeatureSpec(kind="waveform", hop_length=1),
}
ROUNDING = 0.004  # of float16 below 8


def clip_at(path: Path) -> Clip:
    return Clip("mine", path, "mine/1", "", "happy", "")


@pytest.fixture
def clip(tmp_path) -> Clip:
    return clip_at(write_wav(tmp_path / "a.wav", syllables(2)))


@pytest.fixture
def cache(tmp_path) -> FeatureCache:
    return FeatureCache(tmp_path / "cache")


def entries(cache: FeatureCache) -> set[Path]:
    return {path for path in cache.folder.rglob("*") if path.is_file()}


def features(cache: FeatureCache, clip: Clip, spec: FeatureSpec = SPEC) -> np.ndarray:
    return cache.features([clip], spec)[0]


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_features_are_the_same_without_made_and_found_in_the_cache(cache, clip, spec):
    without = features(FeatureCache(), clip, spec)
    computed = features(cache, clip, spec)
    loaded = features(cache, clip, spec)
    np.testing.assert_array_equal(computed, without)
    np.testing.assert_array_equal(loaded, without)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_features_are_those_of_the_speech_but_for_rounding(cache, clip, spec):
    samples = torch.from_numpy(speech_of(clip.path.read_bytes()) / FULL_SCALE)[None]
    expected, lengths = FeatureExtractor(spec)(samples, torch.tensor([samples.shape[-1]]))
    computed = features(cache, clip, spec)
    assert computed.shape == (spec.bands, int(lengths[0]))
    np.testing.assert_allclose(computed, expected[0].numpy(), rtol=1e-3, atol=ROUNDING)


def test_what_is_in_the_cache_is_not_computed_again(cache, clip):
    before = features(cache, clip)
    for path in entries(cache):
        np.save(path, np.zeros_like(np.load(path)))
    assert before.any()
    assert not features(cache, clip).any()
    assert not cache.speech([clip])[0].any()


def test_the_name_and_place_of_a_file_do_not_matter(cache, clip, tmp_path):
    features(cache, clip)
    known = entries(cache)
    (tmp_path / "b.wav").write_bytes(clip.path.read_bytes())
    features(cache, clip_at(tmp_path / "b.wav"))
    assert entries(cache) == known


def test_a_changed_file_has_other_features(cache, clip):
    before = features(cache, clip)
    write_wav(clip.path, syllables(2, seed=1))
    np.testing.assert_array_equal(features(cache, clip), features(FeatureCache(), clip))
    assert not np.array_equal(features(cache, clip), before)


def test_another_spec_has_other_features(cache, clip):
    features(cache, clip)
    other = FeatureSpec(normalization="whisper", n_mels=64)
    np.testing.assert_array_equal(features(cache, clip, other), features(FeatureCache(), clip, other))


def test_another_cutting_of_speech_has_another_name(tmp_path):
    path = tmp_path / "cutting.py"
    path.write_text("MIN_SILENCE_MS = 300\n")
    spec = util.spec_from_file_location("cutting", path)
    cutting = util.module_from_spec(spec)
    before = caching.key(b"sound", caching.code_version.__wrapped__((cutting,)))
    assert before == caching.key(b"sound", caching.code_version.__wrapped__((cutting,)))
    path.write_text("MIN_SILENCE_MS = 200\n")
    assert before != caching.key(b"sound", caching.code_version.__wrapped__((cutting,)))


def test_a_name_depends_on_each_part_and_on_where_one_ends():
    names = [
        caching.key(b"ab", "c"),
        caching.key(b"a", "bc"),
        caching.key(b"a", "b", "c"),
        caching.key(b"a", "c", "b"),
        caching.key(b"a", "bc", ""),
    ]
    assert len(set(names)) == len(names)


def test_a_damaged_entry_is_made_again(cache, clip, caplog):
    before = features(cache, clip)
    for path in entries(cache):
        path.write_bytes(path.read_bytes()[:200])
    np.testing.assert_array_equal(features(cache, clip), before)
    assert "is damaged" in caplog.text
    assert all(len(path.read_bytes()) > 200 for path in entries(cache))


def test_processes_share_a_folder(cache, tmp_path):
    clips = [clip_at(write_wav(tmp_path / f"{i}.wav", syllables(1, seed=i))) for i in range(8)]
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        first, second = pool.map(cache.features, [clips] * 2, [SPEC] * 2)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(entries(cache)) == 2 * len(clips)  # speech and features, and nothing half written


def test_a_broken_recording_is_named(cache, tmp_path):
    path = tmp_path / "broken.wav"
    path.write_bytes(b"RIFF" + bytes(100))
    with pytest.raises(CorpusError, match=r"broken\.wav: "):
        features(cache, clip_at(path))
    with pytest.raises(CorpusError, match=r"gone\.wav: No such file"):
        features(cache, clip_at(tmp_path / "gone.wav"))


@contextmanager
def full_disk():
    """Files cannot grow beyond 10 kB: the system refuses the rest as it does on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_an_error_that_names_the_folder(cache, clip):
    with (
        full_disk(),
        pytest.raises(RunError, match=r"cache cannot be used \(File too large\): make room.*--no-cache"),
    ):
        features(cache, clip)
    assert not entries(cache)


def test_a_folder_that_is_a_file_is_an_error_that_names_it(clip, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"file cannot be used \(Not a directory\)"):
        features(FeatureCache(tmp_path / "file"), clip)


def test_the_command_says_in_one_line_that_the_disk_is_full(tmp_path):
    folder = tmp_path / "data" / "mine"
    for seed, emotion in enumerate(("happy", "sad")):
        (folder / emotion).mkdir(parents=True)
        write_wav(folder / emotion / "a.wav", syllables(1, seed=seed))
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('name = "x"\narchitecture = "cnn_lstm"\ncorpora = ["mine"]\nepochs = 1\n')
    arguments = ["fit", "--recipe", str(recipe), "--split", "everyone", "--data", str(folder.parent)]
    places = ["--out", str(tmp_path / "run"), "--cache", str(tmp_path / "cache")]
    with full_disk():
        result = CliRunner().invoke(app, [*arguments, *places])
    assert result.exit_code == 1
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error")]
    assert f"the feature cache {tmp_path / 'cache'} cannot be used" in line
