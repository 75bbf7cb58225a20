"""Augmentation settings of a recipe: the table `[augmentation]` and a sub-table for each technique."""

from dataclasses import asdict, dataclass, fields
from typing import Any

from train.augment.awgn import Awgn
from train.augment.bandwidth import Bandwidth
from train.augment.codec import Codec
from train.augment.equalizer import Equalizer
from train.augment.gain import Gain
from train.augment.low_pass import LowPass
from train.augment.mixup import Mixup
from train.augment.pitch_shift import PitchShift
from train.augment.rir import Rir
from train.augment.spec_augment import SpecAugment
from train.augment.speed import Speed
from train.augment.tanh_distortion import TanhDistortion
from train.augment.technique import ClipTechnique, Technique, WaveformTechnique, check_number
from train.augment.tempo import Tempo
from train.augment.time_shift import TimeShift

# In order of application, from speaker to transmission: voice, position in the window, room, device, line.
WAVEFORM_TECHNIQUES: dict[str, type[WaveformTechnique]] = {
    "speed": Speed,
    "pitch_shift": PitchShift,
    "tempo": Tempo,
    "time_shift": TimeShift,
    "rir": Rir,
    "equalizer": Equalizer,
    "awgn": Awgn,
    "tanh_distortion": TanhDistortion,
    "gain": Gain,
    "low_pass": LowPass,
    "bandwidth": Bandwidth,
    "codec": Codec,
}
TECHNIQUES: dict[str, type[Technique]] = WAVEFORM_TECHNIQUES | {"spec_augment": SpecAugment, "mixup": Mixup}


@dataclass(frozen=True)
class Augmentation:
    """How the training part is augmented. Raises ValueError for values out of range.

    The first six settings change whole batches, with the number as their strength; 0 disables one. A
    technique changes single clips; None disables it.
    """

    crop: float = 0.0  # probability that a clip is cropped at random, to at least half of it and 1 s
    time_stretch: float = 0.0  # rate drawn from 1 ± this, one for the batch
    frequency_warp: float = 0.0  # bands shifted by a factor from 1 ± this, one for the batch (a vocal tract)
    channel: float = 0.0  # deviation of a smooth random equaliser, in the features' own unit
    time_mask: float = 0.0  # longest masked stretch, share of the frames (SpecAugment, two masks)
    frequency_mask: float = 0.0  # widest masked stretch, share of the bands (SpecAugment, two masks)
    multi_fold: bool = False  # adds a copy of each clip for each technique; clips themselves stay unchanged
    balance: bool = False  # adds copies of clips of rare classes, up to the size of the largest class
    speed: Speed | None = None
    pitch_shift: PitchShift | None = None
    tempo: Tempo | None = None
    time_shift: TimeShift | None = None
    rir: Rir | None = None
    equalizer: Equalizer | None = None
    awgn: Awgn | None = None
    tanh_distortion: TanhDistortion | None = None
    gain: Gain | None = None
    low_pass: LowPass | None = None
    bandwidth: Bandwidth | None = None
    codec: Codec | None = None
    spec_augment: SpecAugment | None = None
    mixup: Mixup | None = None

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if f.type is float:
                check_number(f.name, value, 0, 1)
            elif f.type is bool and not isinstance(value, bool):
                raise ValueError(f"{f.name} must be true or false, is {value!r}")
        if (self.multi_fold or self.balance) and not self.of_clips:
            key = "multi_fold" if self.multi_fold else "balance"
            raise ValueError(f"{key} needs a technique that changes its copies, such as [augmentation.awgn]")

    @property
    def of_clips(self) -> dict[str, ClipTechnique]:
        """The techniques that change one clip, by name, in the order in which they are applied."""
        named = {name: getattr(self, name) for name in TECHNIQUES}
        return {n: t for n, t in named.items() if isinstance(t, ClipTechnique)}

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain data, without disabled techniques, so that older runs can resume."""
        newer = {"multi_fold", "balance", *TECHNIQUES}
        return {key: value for key, value in asdict(self).items() if value or key not in newer}


def from_table(table: dict[str, Any]) -> Augmentation:
    """The augmentation that a recipe's table `[augmentation]` describes.

    >>> from_table({"crop": 0.2, "awgn": {"p": 0.3, "snr_db": [10, 20]}}).awgn
    Awgn(p=0.3, snr_db=(10, 20))

    Raises ValueError that names the unknown or invalid key.
    """
    unknown = sorted(set(table) - {f.name for f in fields(Augmentation)})
    if unknown:
        raise ValueError(f"augmentation has no {', '.join(unknown)}; techniques are {', '.join(TECHNIQUES)}")
    settings = {k: _technique(k, v) if k in TECHNIQUES else v for k, v in table.items()}
    try:
        return Augmentation(**settings)
    except ValueError as error:
        raise ValueError(f"augmentation.{error}") from None


def _technique(name: str, table: object) -> Technique:
    kind = TECHNIQUES[name]
    if not isinstance(table, dict):
        raise ValueError(f"augmentation.{name} must be a table of its own: [augmentation.{name}]")
    keys = [f.name for f in fields(kind)]
    unknown = sorted(set(table) - set(keys))
    if unknown:
        raise ValueError(f"augmentation.{name} has no {', '.join(unknown)}; it has {', '.join(keys)}")
    try:
        return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in table.items()})
    except ValueError as error:
        raise ValueError(f"augmentation.{name}.{error}") from None
