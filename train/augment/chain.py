"""What happens to one row of the training part in one epoch: drawn first, applied after.

The draws follow from seed, epoch, clip and copy alone, whatever else is in the batch and whichever worker
makes it. They are plain data: logged and applied again they give the same samples, bit by bit.
"""

import zlib
from collections.abc import Mapping

import numpy as np

from train.augment.augmentation import Augmentation
from train.augment.copies import Copy
from train.augment.technique import Draw, Samples, WaveformTechnique


def generator_of(seed: int, epoch: int, file: str, copy: Copy) -> np.random.Generator:
    """The random numbers of a row in an epoch; `file` is the clip's name in tables (`Clip.file`)."""
    return np.random.default_rng([seed, epoch, zlib.crc32(file.encode()), copy.number])


def draw(augmentation: Augmentation, copy: Copy, rng: np.random.Generator) -> dict[str, Draw]:
    """Which techniques a row gets, and with which numbers, by name in the order of application.

    A multi-fold copy gets its technique alone, and with multi-fold the clip itself stays as it is. A copy
    made for balance gets one technique at random where chance gives it none: copies are never identical.
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
