"""Draws and applies the augmentation of one training row in one epoch.

Draws depend on seed, epoch, clip and copy alone, not on the rest of the batch or on the worker process. They
are plain data: stored and applied again, they give bit-identical samples.
"""

import zlib
from collections.abc import Mapping

import numpy as np

from train.augment.augmentation import Augmentation
from train.augment.copies import Copy
from train.augment.technique import Draw, Samples, WaveformTechnique


def generator_of(seed: int, epoch: int, file: str, copy: Copy) -> np.random.Generator:
    """The random generator of a row in an epoch; `file` is the clip's name in tables (`Clip.file`)."""
    return np.random.default_rng([seed, epoch, zlib.crc32(file.encode()), copy.number])


def draw(augmentation: Augmentation, copy: Copy, rng: np.random.Generator) -> dict[str, Draw]:
    """The techniques that a row gets and their parameters, by name in order of application.

    A multi-fold copy gets its one technique; with multi-fold, the original clip gets none. A copy added for
    balance gets at least one technique (a random one if none was drawn), so that copies are never identical.
    """
    techniques = augmentation.of_clips
    chances = {name: float(rng.random()) for name in techniques}
    if copy.technique:
        chosen = [copy.technique]
    elif augmentation.multi_fold and not copy.number:
        chosen = []
    else:
        chosen = [name for name, technique in techniques.items() if chances[name] < technique.p]
        if copy.number and not chosen:
            chosen = [str(rng.choice(list(techniques)))]
    return {name: techniques[name].draw(rng) for name in chosen}


def apply(augmentation: Augmentation, samples: Samples, draws: Mapping[str, Draw]) -> Samples:
    """`samples` `(n_samples,)` after the waveform techniques in `draws`, in their order."""
    for name, technique in augmentation.of_clips.items():
        if name in draws and isinstance(technique, WaveformTechnique):
            samples = technique.apply(samples, draws[name])
    return samples
