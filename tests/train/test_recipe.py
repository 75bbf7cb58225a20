"""Recipes are validated before training."""

import pytest
from support import ROOT

from train.augment.awgn import Awgn
from train.recipe import RecipeError, read

RECIPES = sorted((ROOT / "train" / "recipes").glob("*.toml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_shipped_recipes_are_valid_and_named_after_their_file(path):
    assert read(path).name == path.stem


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('name = "a"', "architecture"),
        ('name = "a"\narchitecture = "resnet"', "'resnet' is not one of"),
        ('name = "a"\narchitecture = "whisper_tiny"\nepoch = 3', "unknown key epoch"),
        ('name = "a"\narchitecture = "whisper_tiny"\nepochs = 0', "epochs must be above 0"),
        ('name = "a"\narchitecture = "whisper_tiny"\nema_decay = 1.0', "ema_decay"),
        ('name = "a"\narchitecture = "whisper_tiny"\nclass_weights = 2', "class_weights must be from 0 to 1"),
        ('name = "a"\narchitecture = "whisper_tiny"\nfocal_gamma = 6', "focal_gamma must be from 0 to 5"),
        ('name = "a"\narchitecture = "whisper_tiny"\nfrozen_layers = -1', "frozen_layers must be at least 0"),
        ('name = "a"\narchitecture = "whisper_tiny"\n[augmentation]\ncrop = 2', "crop must be from 0 to 1"),
        ('name = "a"\narchitecture = "whisper_tiny"\n[augmentation]\nshout = 1', "shout"),
        (
            'name = "a"\narchitecture = "whisper_tiny"\n[augmentation.awgn]\nsnr_db = [30, 15]',
            r"recipe\.toml: augmentation\.awgn\.snr_db must be two numbers",
        ),
        (
            'name = "a"\narchitecture = "whisper_tiny"\n[augmentation.shout]\np = 0.5',
            r"recipe\.toml: augmentation has no shout; techniques are speed, pitch_shift",
        ),
        ("name = ", "recipe.toml"),
    ],
)
def test_a_bad_recipe_names_the_key(tmp_path, text, message):
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=message):
        read(path)


def test_a_recipe_names_its_techniques(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text('name = "a"\narchitecture = "cnn_lstm"\n[augmentation.awgn]\np = 0.3\nsnr_db = [10, 20]')
    recipe = read(path)
    assert recipe.augmentation.awgn == Awgn(p=0.3, snr_db=(10, 20))
    assert recipe.to_dict()["augmentation"]["awgn"] == {"p": 0.3, "snr_db": (10, 20)}


def test_a_missing_recipe_is_named(tmp_path):
    with pytest.raises(RecipeError, match=r"nowhere\.toml"):
        read(tmp_path / "nowhere.toml")
