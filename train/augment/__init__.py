"""Augmentation of the training part, on the fly.

- Each technique has a module of its own, which checks its ranges.
- `augmentation` holds the settings that a recipe makes.
- `copies` decides which augmented copies of clips an epoch has.
- `chain` draws and applies the techniques for one row.
- `batchwise` changes whole batches of features at once.
"""

from train.augment.augmentation import TECHNIQUES as TECHNIQUES
from train.augment.augmentation import WAVEFORM_TECHNIQUES as WAVEFORM_TECHNIQUES
from train.augment.augmentation import Augmentation as Augmentation
from train.augment.augmentation import from_table as from_table
from train.augment.copies import Copy as Copy
from train.augment.copies import copies_of as copies_of
