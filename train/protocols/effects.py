"""What each augmentation technique does to a result: the recipe without any, and with each one alone."""

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

    A technique that changes clips is added in multi-fold mode: an epoch holds every clip as it is and one
    changed copy. The others get twice the epochs, so that all take equally many steps. What the recipe does
    to whole batches stays in all of them. Raises RecipeError where the recipe names no technique.
    """
    given = recipe.augmentation
    named = {name: getattr(given, name) for name in TECHNIQUES if getattr(given, name)}
    if not named:
        raise RecipeError(f"{recipe.name} names no technique to compare, such as [augmentation.awgn]")
    nothing = dict.fromkeys(TECHNIQUES, None)
    plain = replace(given, **nothing, multi_fold=False, balance=False)
    longer = replace(recipe, epochs=2 * recipe.epochs)
    found = {WITHOUT: replace(longer, name=f"{recipe.name}_{WITHOUT}", augmentation=plain)}
    for name, technique in named.items():
        of_clips = name in given.of_clips
        alone = replace(plain, **{name: technique}, multi_fold=of_clips)
        base = recipe if of_clips else longer
        found[name] = replace(base, name=f"{recipe.name}_{name}", augmentation=alone)
    return found


def run(recipe: Recipe, split: Split, out: Path, device: str, cache: FeatureCache) -> Sequence[Path]:
    """Trains every variant in a folder of its own in `out`; finished ones are not run again."""
    folders = []
    for name, variant in variants(recipe).items():
        fit(variant, split, out / name, device, cache)
        folders.append(out / name)
    return folders
