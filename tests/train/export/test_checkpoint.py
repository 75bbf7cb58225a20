"""Export of finished runs as checkpoints, with results, origin and licence."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from support import random_bundle, syllables, write_wav
from typer.testing import CliRunner

from ser_core.checkpoint import bundle as bundles
from ser_core.commands.cli import app as ser_core
from ser_core.emotions import LABELS
from ser_core.models.registry import ARCHITECTURES
from ser_core.recognition.recognizer import Recognizer
from train import corpora
from train.cli import app
from train.corpora import Clip
from train.corpora.splits import everyone
from train.errors import RunError
from train.export.checkpoint import PROMISED_ECE, TEMPERATURE_STEP, _temperature, export
from train.fitting.fit import fit
from train.protocols.crossval import split_named, summarise
from train.recipe import Recipe
from train.reports.evaluate import Predictions, calibration_error, join, temperature_of
from train.reports.provenance import LICENCE, OPEN_LICENCE, licence, origin

FROM_SCRATCH = sorted(
    set(ARCHITECTURES)
    - {
        "vgg16_transfer",
        "vggish_transfer",
        "speech_encoder",
        "whisper_tiny",
        "whisper_base",
        "whisper_base_campplus_adaptive",
        "whisper_tiny_probe",
    }
)


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> list[Clip]:
    """A corpus of eight voices, each once sad and low and once happy and high."""
    data = tmp_path_factory.mktemp("data")
    (data / "mine").mkdir()
    rows = ["file,speaker,emotion"]
    for speaker in range(8):
        for emotion, pitch_hz in (("sad", 90.0), ("happy", 240.0)):
            name = f"{speaker}-{emotion}.wav"
            write_wav(data / "mine" / name, syllables(1, seed=speaker, pitch_hz=pitch_hz))
            rows.append(f"{name},{speaker},{emotion}")
    (data / "mine" / "metadata.csv").write_text("\n".join(rows))
    return corpora.read(data, ["mine"])


def predictions(accuracy: float, confidence: float) -> Predictions:
    """A thousand clips of which so many are named right, all equally surely; 0 to 1."""
    correct = np.arange(1000) < 1000 * accuracy
    logits = np.full((1000, len(LABELS)), np.log((1 - confidence) / (len(LABELS) - 1)))
    logits[:, 0] = np.log(confidence)
    names = tuple(str(i) for i in range(1000))
    return Predictions(names, ("made",) * 1000, names, np.where(correct, 0, 1), logits)


def test_corpora_left_out_raise_the_temperature_as_far_as_calibration_allows():
    in_corpora, left_out = predictions(0.7, 0.7), predictions(0.3, 0.7)
    assert _temperature([in_corpora], []) == pytest.approx(1.0, abs=1e-3)
    temperature = _temperature([in_corpora], [left_out])
    errors = [calibration_error(in_corpora, value) for value in (temperature, temperature + TEMPERATURE_STEP)]
    assert errors[0] <= PROMISED_ECE < errors[1]
    assert 1.0 < temperature < temperature_of(left_out)
    assert _temperature([in_corpora, left_out], [left_out]) == temperature_of(join([in_corpora, left_out]))
    assert _temperature([in_corpora], [predictions(0.9, 0.7)]) == _temperature([in_corpora], [])


def recipe(architecture: str) -> Recipe:
    return Recipe(architecture, architecture, corpora=("mine",), epochs=1, batch_size=8)


@pytest.fixture(scope="module")
def by_file(clips, tmp_path_factory) -> Path:
    """A finished run that was tested on voices it was trained on."""
    folder = tmp_path_factory.mktemp("runs") / "random_by_file"
    fit(recipe("cnn_lstm"), split_named("random_by_file", clips), folder, "cpu")
    return folder


@pytest.fixture(scope="module")
def fold(clips, tmp_path_factory) -> Path:
    """One finished fold by speaker."""
    folder = tmp_path_factory.mktemp("runs") / "speaker_fold0of4"
    fit(recipe("parallel_2cnn_transformer"), split_named(folder.name, clips), folder, "cpu")
    return folder


@pytest.fixture
def checkpoints(tmp_path, monkeypatch) -> Path:
    """The folder that the program lists, for as long as the test runs."""
    monkeypatch.setattr(bundles, "CHECKPOINTS", tmp_path / "checkpoints")
    return tmp_path / "checkpoints"


def listed() -> dict[str, dict]:
    models = json.loads(CliRunner().invoke(ser_core, ["models", "--format", "json"]).stdout)
    return {model["name"]: model for model in models}


def test_a_lone_fold_ships_with_its_own_test(fold, checkpoints, clips):
    export(fold, checkpoints / "mine")
    metrics = json.loads((fold / "metrics.json").read_text())
    model = listed()["mine"]
    assert model["accuracy"] == {
        "protocol": "speaker_fold0of4",
        "speaker_dependent": False,
        "mean": metrics["accuracy"],
        "ci95": metrics["accuracy_ci95"],
    }
    card = (checkpoints / "mine" / "README.md").read_text()
    assert "those of the shipped weights themselves" in card
    assert f"| accuracy | {metrics['accuracy']:.1f} |" in card
    assert "Trained from random weights." in card
    assert "the terms of the corpora it was trained on decide (mine)" in card
    assert "license: other" in card
    saved = bundles.read("mine")
    assert saved.threshold == 0.6
    assert saved.temperature == pytest.approx(metrics["temperature"], abs=1e-4)
    assert Recognizer.load("mine", "cpu").analyze_file(clips[0].path).error is None


def test_a_speaker_dependent_number_is_never_shown_as_another(by_file, checkpoints):
    export(by_file, checkpoints / "flattered")
    card = (checkpoints / "flattered" / "README.md").read_text()
    assert "### random_by_file, speaker-dependent" in card
    assert "**Speaker-dependent**" in card
    assert listed()["flattered"]["accuracy"]["speaker_dependent"] is True
    text = CliRunner().invoke(ser_core, ["models"]).stdout
    assert "random_by_file, speaker-dependent: tested on voices it was trained on" in text


def test_unseen_voices_come_before_heard_ones(by_file, fold, clips, checkpoints, tmp_path):
    dependent, independent = tmp_path / "random_by_file", tmp_path / "speaker_kfold_4"
    shutil.copytree(by_file, dependent / "random_by_file")
    shutil.copytree(fold, independent / fold.name)
    summarise(recipe("cnn_lstm"), "random_by_file", clips, dependent)
    for i in range(1, 4):
        name = f"speaker_fold{i}of4"
        fit(recipe("parallel_2cnn_transformer"), split_named(name, clips), independent / name, "cpu")
    summary = summarise(recipe("parallel_2cnn_transformer"), "speaker_kfold:4", clips, independent)
    saved = export(independent / "speaker_fold0of4", checkpoints / "mine", [dependent, independent])
    assert listed()["mine"]["accuracy"]["protocol"] == "speaker_kfold_4"
    assert listed()["mine"]["accuracy"]["mean"] == summary["accuracy"]["mean"]
    assert saved.metrics["calibration"]["fitted_on"] == "pooled test predictions of speaker_kfold:4"


def test_weights_of_everybody_claim_nothing(clips, checkpoints, tmp_path):
    fit(recipe("cnn_lstm"), everyone(clips), tmp_path / "run", "cpu")
    export(tmp_path / "run", checkpoints / "mine")
    assert listed()["mine"]["accuracy"] is None
    assert "Not measured" in (checkpoints / "mine" / "README.md").read_text()


def test_what_is_no_finished_run_is_one_line(fold, tmp_path):
    with pytest.raises(RunError, match="is no run: name a folder that fit made"):
        export(tmp_path, tmp_path / "out")
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "recipe.json").write_text("{}")
    result = CliRunner().invoke(app, ["export", str(tmp_path / "begun"), str(tmp_path / "out")])
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert "begun is not finished" in result.stderr
    with pytest.raises(RunError, match=r"begun has no protocol\.json: finish its crossval first"):
        export(fold, tmp_path / "out", [tmp_path / "begun"])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("architecture", FROM_SCRATCH)
def test_networks_from_scratch_say_so(architecture):
    assert origin(started(architecture, "")) == "Trained from random weights."


@pytest.mark.parametrize(
    ("architecture", "pretrained", "options", "named"),
    [
        (
            "whisper_tiny",
            "openai/whisper-tiny",
            {},
            r"Fine-tuned from the encoder of openai/whisper-tiny \(MIT\)\.$",
        ),
        (
            "whisper_base",
            "../weights/base.safetensors",
            {},
            r"base \(MIT\), read from the file base.safetensors",
        ),
        ("vgg16_transfer", "vgg16", {}, r"VGG16 \(BSD 3-Clause\), trained on ImageNet"),
        (
            "vggish_transfer",
            "vggish",
            {"frozen": True},
            r"A head trained on VGGish \(Apache 2.0\), .*kept as",
        ),
        (
            "speech_encoder",
            "WAV2VEC2_BASE",
            {},
            r"Fine-tuned from WAV2VEC2_BASE of torchaudio.pipelines \(MIT\)",
        ),
        ("speech_encoder", "a.pth", {"bundle": "WAVLM_LARGE"}, "WAVLM_LARGE .*read from the file a.pth"),
    ],
)
def test_published_weights_are_named_with_their_licence(architecture, pretrained, options, named):
    assert re.search(named, origin(started(architecture, pretrained) | {"options": options}))


def test_a_teacher_is_named():
    start = origin(started("whisper_tiny_distilled", "openai/whisper-tiny", teacher="whisper_base_adaptive"))
    assert re.search(
        r"Fine-tuned from .*whisper-tiny \(MIT\)\. .* embeddings of .*whisper-base \(MIT\)", start
    )


def test_an_encoder_that_was_tuned_is_told_from_one_that_was_kept():
    heads = started("whisper_base_adaptive", "openai/whisper-base")
    assert "kept as it was published" in origin(heads)
    tuned = origin(heads | {"encoder_epochs": 6, "frozen_layers": 2})
    assert "Fine-tuned from" in tuned
    assert "above its lowest 2" in tuned
    assert "kept" not in tuned


def test_the_licence_follows_the_corpora():
    assert licence(["ravdess", "tess"]) == LICENCE
    assert "non-commercial" in licence(["mine", "ravdess"])
    assert "the terms of mine come on top" in licence(["mine", "ravdess"])
    assert licence(["mine"]) == "not stated: the terms of the corpora it was trained on decide (mine)"


def started(architecture: str, pretrained: str, **others: object) -> dict[str, object]:
    """What `origin` reads of a run's recipe."""
    return {"architecture": architecture, "pretrained": pretrained, "options": {}} | others


def test_corpora_left_out_decide_gate_temperature_and_modesty(tmp_path, checkpoints):
    run, file = tmp_path / "run", tmp_path / "left_out.json"
    random_bundle(
        run / "bundle",
        "whisper_tiny_distilled",
        options={"gate": [0.1, 0.2]},
        training_data=("emovo (6 speakers)",),
    )
    (run / "recipe.json").write_text(json.dumps(started("whisper_tiny_distilled", "openai/whisper-tiny")))
    (run / "metrics.json").write_text("{}")
    kind = {"uar": 51.26, "ece": 0.125, "answered": 33.4, "accuracy_of_answered": 71.6}
    measured = {
        "command": "python -m benchmarks.left_out",
        "threshold": 0.5,
        "unlike_speech": {"emovo": 1.87},
        "chosen_on_all": {"gate": [0.3, 0.7], "temperature": 1.4, "modesty": 0.6},
        "corpora": {"emovo": {"by_themselves": kind, "every_emotion": kind | {"uar": 60.0}}},
    }
    file.write_text(json.dumps(measured))
    export(run, checkpoints / "mine", left_out=file)
    saved, model = bundles.load("mine")
    assert (saved.temperature, saved.threshold) == (1.4, 0.5)
    assert (model.gate, model.modesty) == ((0.3, 0.7), 0.6)
    card = (checkpoints / "mine" / "README.md").read_text()
    assert "| emovo (Italian) | 51.3 | 60.0 | – | – |" in card
    assert "| emovo (Italian) | 33, 72, 0.12 | 33, 72, 0.12 | – | – |" in card
    with pytest.raises(RunError, match="left_out"):
        export(run, checkpoints / "mine", left_out=tmp_path / "left_out_none.json")

    smaller = export(run, checkpoints / "beside", left_out=file, base="mine")
    assert (smaller.base, smaller.size_bytes < saved.size_bytes / 3) == ("mine", True)
    assert "beside the published encoders in [`mine`](../mine)" in (
        checkpoints / "beside" / "README.md"
    ).read_text(encoding="utf-8")


def test_weights_fitted_on_open_corpora_are_open():
    assert licence(["crema_d", "aesdd"]) == OPEN_LICENCE
    assert licence(["crema_d", "aesdd", "ravdess"]) == LICENCE
