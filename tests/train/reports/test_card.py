"""The model card states differences between languages and speakers."""

import re
from dataclasses import replace

import numpy as np
import pytest

from ser_core.checkpoint import bundle as bundles
from train.reports.card import model_card


@pytest.fixture(scope="module")
def shipped():
    return bundles.read(bundles.DEFAULT)


def test_languages_and_actors_are_told_with_how_far_they_lie_apart(shipped):
    text = model_card(shipped, "")
    results = shipped.metrics["protocols"]["leave_one_corpus_out"]
    english = np.mean([results[name]["uar"] for name in ("ravdess", "tess", "crema_d")])
    others = [results[name]["uar"] for name in ("emovo", "nemo", "ased", "aesdd")]
    match = re.search(
        r"English ([\d.]+), Italian ([\d.]+), Polish ([\d.]+), Amharic ([\d.]+), Greek ([\d.]+); "
        r"([\d.]+) points apart",
        text,
    )
    assert match
    each = (english, *others)
    assert [float(number) for number in match.groups()] == pytest.approx(
        [*each, max(each) - min(each)], abs=0.06
    )
    voices = shipped.metrics["protocols"]["ravdess_5fold"]["speakers"].values()
    assert f"{max(voices) - min(voices):.1f} points apart" in text


def test_a_corpus_whose_language_is_not_known_is_told_by_its_name(shipped):
    protocols = dict(shipped.metrics["protocols"])
    out = dict(protocols["leave_one_corpus_out"])
    out["mine"] = out.pop("nemo")
    text = model_card(replace(shipped, metrics={"protocols": protocols | {"leave_one_corpus_out": out}}), "")
    assert "By language" not in text
    assert "| mine | 6 |" in text
