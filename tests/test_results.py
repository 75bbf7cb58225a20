"""Every published number follows from the stored predictions."""

import csv
import json
from copy import deepcopy

import pytest

from benchmarks import architectures, growth
from benchmarks.accuracy import BEGIN, END, METRICS, README, RESULTS, ROOT, recompute, table
from ser_core.checkpoint import bundle as bundles
from ser_core.checkpoint.bundle import CHECKPOINTS, DEFAULT
from train.corpora.splits import RAVDESS_TEST
from train.reports import evaluate, report
from train.reports.card import left_out_table

CORPORA = {"ravdess", "emovo", "nemo", "tess", "crema_d", "ased", "aesdd"}
KEPT_IN = ROOT / "benchmarks" / "results"
KEPT = sorted(path.parent for path in KEPT_IN.rglob("metrics.json"))


@pytest.fixture(scope="module")
def metrics():
    return json.loads(METRICS.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def recomputed():
    return recompute(RESULTS)


def test_the_readme_shows_what_the_predictions_give(metrics, recomputed):
    published = README.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0].strip()
    assert published == table(recomputed, metrics)


def test_the_documentation_shows_every_architecture_that_was_measured():
    costs = {name: architectures.Cost(**fields) for name, fields in architectures.measured()["costs"].items()}
    page = architectures.PAGE.read_text(encoding="utf-8")
    published = page.split(architectures.BEGIN)[1].split(architectures.END)[0]
    assert published.strip() == architectures.table(costs)
    for name in {path.relative_to(KEPT_IN).parts[0] for path in KEPT_IN.rglob("ravdess_fold0")}:
        assert f"`{name}`" in published
    assert costs["parallel_cnn_transformer"].parameters == 395_176
    assert costs["whisper_tiny_distilled"].parameters < 2_000_000


def test_metrics_that_the_predictions_do_not_give_are_caught(metrics, recomputed):
    changed = deepcopy(recomputed)
    changed["folds"]["ravdess_fold0"]["accuracy"] += 0.5
    with pytest.raises(ValueError, match="the predictions give"):
        table(changed, metrics)


@pytest.mark.parametrize("name", [DEFAULT, "small"])
def test_the_card_says_how_sure_the_shipped_checkpoint_is_of_unseen_actors(name):
    metrics = bundles.read(name).metrics
    calibration, actors = metrics["calibration"], metrics["left_out"]["ravdess_5fold"]
    card = (CHECKPOINTS / name / "README.md").read_text(encoding="utf-8")
    for shown, measured in (
        (calibration, actors["by_themselves"]),
        (calibration["in_sessions"], actors["every_emotion"]),
    ):
        for key in ("ece", "answered", "accuracy_of_answered"):
            assert shown[key] == pytest.approx(measured[key], abs=0.1)
        assert f"{shown['answered']:.1f} %" in card
        assert f"{shown['accuracy_of_answered']:.1f} %" in card


@pytest.mark.parametrize("fold", range(5))
def test_predictions_of_a_fold_are_of_its_test_actors_alone(fold):
    predictions = evaluate.read(RESULTS / "ravdess_5fold" / f"ravdess_fold{fold}" / "predictions.csv")
    assert set(predictions.speakers) == {f"ravdess/{actor:02d}" for actor in RAVDESS_TEST[fold]}
    assert len(predictions.files) == len(set(predictions.files)) == 60 * len(RAVDESS_TEST[fold])


def test_every_kept_run_has_its_predictions():
    assert KEPT
    for folder in KEPT:
        assert (folder / "predictions.csv").is_file(), (
            f"keep {folder} by `python -m train report RUN --keep …`"
        )


@pytest.mark.parametrize("folder", KEPT, ids=lambda folder: folder.relative_to(KEPT_IN).as_posix())
def test_what_is_told_of_a_kept_run_follows_from_its_predictions(folder):
    published = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    predictions = evaluate.read(folder / "predictions.csv")
    recomputed = evaluate.measure(predictions, published["temperature"])
    one_clip = 2 / published["clips"]  # logits and temperature are rounded: a clip may fall into another bin
    assert published["ece"] == pytest.approx(recomputed.pop("ece"), abs=one_clip)
    assert {key: published[key] for key in recomputed} == recomputed
    for name, rows, key in (
        ("per_class.csv", report.per_class(predictions), "recall"),
        ("per_speaker.csv", report.per_speaker(predictions, {}), "accuracy"),
    ):
        if (folder / name).is_file():  # the first runs do not have them
            with (folder / name).open(newline="", encoding="utf-8") as file:
                column = [float(row[key]) for row in csv.DictReader(file)]
            assert column == [getattr(row, key) for row in rows]


def test_the_default_model_reaches_what_was_promised(metrics):
    five = metrics["protocols"]["ravdess_5fold"]
    assert five["accuracy"]["mean"] >= 76
    assert five["uar"]["mean"] >= 76
    assert set(metrics["protocols"]["leave_one_corpus_out"]) >= CORPORA
    means = metrics["left_out"]["mean"]
    assert means["by_themselves"]["uar"] >= 48
    assert means["every_emotion"]["uar"] >= 65
    assert means["one_emotion"]["uar"] >= means["by_themselves"]["uar"] - 1


def test_shipped_checkpoints_are_whole_and_their_cards_name_a_licence():
    for shipped in bundles.shipped():
        bundles.verify(shipped.name)
        assert "## Licence" in (CHECKPOINTS / shipped.name / "README.md").read_text(encoding="utf-8")
    assert bundles.shipped()[0].name == DEFAULT


def test_no_cost_grows_faster_than_what_is_worked_on():
    panels = json.loads((KEPT_IN / "growth.json").read_text(encoding="utf-8"))["growth"]
    assert len(panels) == 4
    for panel in panels:
        points = [growth.Point(**point) for point in panel["points"]]
        slopes = growth.Growth(panel["of"], panel["timed"], points).slopes()
        assert slopes == pytest.approx(tuple(panel["slopes"].values()))
        assert max(slopes) <= growth.MOST


@pytest.mark.parametrize("name", [DEFAULT, "small", "open"])
def test_the_shipped_properties_are_those_that_corpora_left_out_chose_and_the_card_shows_it(name):
    shipped = bundles.read(name)
    recipe = "whisper_campplus_open" if name == "open" else shipped.architecture
    measured = json.loads((KEPT_IN / f"left_out_{recipe}.json").read_text(encoding="utf-8"))
    assert shipped.metrics["left_out"] == measured
    chosen = measured["chosen_on_all"]
    joint = {"joint": chosen["joint"]} if chosen.get("joint") else {}
    assert shipped.options == {"gate": chosen["gate"], "modesty": chosen["modesty"], **joint}
    assert shipped.temperature == chosen["temperature"]
    table = left_out_table(measured)
    assert table in (CHECKPOINTS / name / "README.md").read_text(encoding="utf-8")
    if name == DEFAULT:
        assert table in (ROOT / "docs" / "accuracy.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [DEFAULT, "small"])
def test_sessions_of_one_emotion_lose_nothing_and_sessions_of_several_gain(name):
    mean = bundles.read(name).metrics["left_out"]["mean_of_all"]
    uar = {kind: result["uar"] for kind, result in mean.items()}
    assert uar["one_emotion"] > uar["by_themselves"] - 1
    assert uar["every_emotion"] > uar["by_themselves"] + 5
