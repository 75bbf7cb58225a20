"""Effect of augmentation techniques: trains a recipe without any, and with each one alone."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from train.augment import TECHNIQUES
from train.corpora.splits import Split
from train.data.cache import FeatureCache
from train.fitting.fit import fit
from train.recipe import Recipe, RecipeError

WITHOUT = "without"


def variants(recipe: Recipe) -> dict[str, Recipe]:
    """The recipes to compare, by the technique that each has.

    A technique that changes clips is added in multi-fold mode: an epoch has every clip unchanged and one
    augmented copy. The other variants get twice the epochs, so that all have equally many steps. Augmentation
    of whole batches is the same in all variants. Raises RecipeError for a recipe without techniques.
    """
    settings = recipe.augmentation
    techniques = {name: getattr(settings, name) for name in TECHNIQUES if getattr(settings, name)}
    if not techniques:
        raise RecipeError(f"{recipe.name} names no technique to compare, such as [augmentation.awgn]")
    no_techniques = dict.fromkeys(TECHNIQUES, None)
    plain = replace(settings, **no_techniques, multi_fold=False, balance=False)
    longer = replace(recipe, epochs=2 * recipe.epochs)
    recipes = {WITHOUT: replace(longer, name=f"{recipe.name}_{WITHOUT}", augmentation=plain)}
    for name, technique in techniques.items():
        per_clip = name in settings.of_clips
        alone = replace(plain, **{name: technique}, multi_fold=per_clip)
        base = recipe if per_clip else longer
        recipes[name] = replace(base, name=f"{recipe.name}_{name}", augmentation=alone)
    return recipes


def run(recipe: Recipe, split: Split, out: Path, device: str, cache: FeatureCache) -> Sequence[Path]:
    """Trains every variant in a folder of its own in `out`; finished ones are not run again."""
    folders = []
    for name, variant in variants(recipe).items():
        fit(variant, split, out / name, device, cache)
        folders.append(out / name)
    return folders
