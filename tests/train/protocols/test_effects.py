"""The effect of a technique is measured by two runs of equally many steps."""

import csv
from dataclasses import replace

import pytest
from support import syllables, write_wav
from typer.testing import CliRunner

from train.augment import Augmentation
from train.augment.awgn import Awgn
from train.augment.mixup import Mixup
from train.augment.spec_augment import SpecAugment
from train.cli import app
from train.protocols.effects import variants
from train.recipe import Recipe, RecipeError

AUGMENTATION = Augmentation(
    crop=0.5, balance=True, awgn=Awgn(snr_db=(5, 9)), spec_augment=SpecAugment(), mixup=Mixup()
)
RECIPE = Recipe(name="mine", architecture="cnn_lstm", epochs=3, augmentation=AUGMENTATION)
TOML = """
name = "noisy"
architecture = "parallel_cnn_transformer"
corpora = ["made"]
epochs = 1
[augmentation.awgn]
"""


def test_each_variant_has_one_technique_and_what_changes_whole_batches():
    recipes = variants(RECIPE)
    assert list(recipes) == ["without", "awgn", "spec_augment", "mixup"]
    assert recipes["without"].augmentation == Augmentation(crop=0.5)
    assert recipes["awgn"].augmentation == Augmentation(crop=0.5, multi_fold=True, awgn=Awgn(snr_db=(5, 9)))
    assert recipes["mixup"].augmentation == Augmentation(crop=0.5, mixup=Mixup())
    assert recipes["awgn"].name == "mine_awgn"


def test_all_variants_take_equally_many_steps():
    rows = {name: 2 if v.augmentation.multi_fold else 1 for name, v in variants(RECIPE).items()}
    assert {v.epochs * rows[name] for name, v in variants(RECIPE).items()} == {6}


def test_a_recipe_without_techniques_has_nothing_to_compare():
    with pytest.raises(RecipeError, match="mine names no technique to compare"):
        variants(replace(RECIPE, augmentation=Augmentation(crop=0.5)))


def test_the_command_trains_the_variants_and_compares_them(tmp_path):
    folder = tmp_path / "made"
    folder.mkdir()
    with (folder / "metadata.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "speaker", "emotion"])
        for i in range(12):
            write_wav(folder / f"{i}.wav", syllables(1, seed=i))
            writer.writerow([f"{i}.wav", i // 2, ("sad", "happy")[i % 2]])
    recipe = tmp_path / "noisy.toml"
    recipe.write_text(TOML)
    arguments = ["--recipe", recipe, "--data", tmp_path, "--split", "speaker_fold0of3", "--no-cache"]
    command = ["effects", *arguments, "--out", tmp_path / "effects", "--device", "cpu"]
    result = CliRunner().invoke(app, list(map(str, command)))
    assert result.exit_code == 0, result.output
    lines = [line for line in result.stdout.splitlines() if line.startswith("| effects/")]
    assert [line.split(" ")[1] for line in lines] == ["effects/without", "effects/awgn"]
    assert (tmp_path / "effects" / "comparison.png").is_file()
