"""Recipes are checked before anything is trained."""

from pathlib import Path

import pytest

from train.recipe import RecipeError, read

RECIPES = sorted((Path(__file__).parents[2] / "train" / "recipes").glob("*.toml"))


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
        ('name = "a"\narchitecture = "whisper_tiny"\n[augmentation]\ncrop = 2', "crop must be from 0 to 1"),
        ('name = "a"\narchitecture = "whisper_tiny"\n[augmentation]\nshout = 1', "shout"),
        ("name = ", "recipe.toml"),
    ],
)
def test_a_bad_recipe_names_the_key(tmp_path, text, message):
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=message):
        read(path)


def test_a_missing_recipe_is_named(tmp_path):
    with pytest.raises(RecipeError, match=r"nowhere\.toml"):
        read(tmp_path / "nowhere.toml")
