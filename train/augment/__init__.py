"""Augmentation of the training part, on the fly.

A technique a file, each with its ranges checked; `augmentation` is what a recipe says
about them, `copies` which further rows an epoch holds, `chain` what happens to one row. `batchwise` holds the
quick changes of whole batches of features.
"""

from train.augment.augmentation import TECHNIQUES as TECHNIQUES
from train.augment.augmentation import WAVEFORM_TECHNIQUES as WAVEFORM_TECHNIQUES
from train.augment.augmentation import Augmentation as Augmentation
from train.augment.augmentation import from_table as from_table
from train.augment.copies import Copy as Copy
from train.augment.copies import copies_of as copies_of
