"""Checks that a split has the classes, speakers and parts that training needs."""

import logging

from ser_core.emotions import LABELS
from train.corpora.splits import Split
from train.errors import RunError
from train.recipe import Recipe

log = logging.getLogger(__name__)


def check_training_part(recipe: Recipe, split: Split) -> None:
    """Raises RunError for a split that cannot be trained on.

    That is one with a single class, or, for the plateau schedule, one without a validation part. Logs a
    warning for classes without clips and for a single speaker.
    """
    corpora = ", ".join(sorted({clip.corpus for clip in split.train}))
    emotions = {clip.emotion for clip in split.train}
    if len(emotions) == 1:
        raise RunError(
            f"{split.name}: every clip to train on is {min(emotions)} ({corpora}): add clips of other classes"
        )
    if recipe.schedule == "plateau" and not split.validation:
        raise RunError(
            f"{split.name} has no validation part, which the plateau schedule follows: take one_cycle"
        )
    absent = [label for label in LABELS if label not in emotions]
    if absent:
        log.warning(
            "%s: no clip to train on (%s) is %s, so the model will not learn that: add a corpus that has it",
            split.name,
            corpora,
            " or ".join(absent),
        )
    speakers = {clip.speaker for clip in split.train}
    if len(speakers) == 1:
        log.warning(
            "%s: all clips to train on are of one speaker (%s), so the model learns that voice alone: "
            "add speakers or a corpus",
            split.name,
            min(speakers),
        )
