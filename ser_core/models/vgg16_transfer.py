"""VGG16, trained on ImageNet, on log-mel spectrograms as pictures."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ser_core.models import pretrained
from ser_core.models.blocks import blocks_of, masked_mean
from ser_core.models.feature_spec import FeatureSpec
from ser_core.models.features import frame_mask

LAYERS = (
    64,
    64,
    "pool",
    128,
    128,
    "pool",
    256,
    256,
    256,
    "pool",
    512,
    512,
    512,
    "pool",
    512,
    512,
    512,
    "pool",
)
MIN_FRAMES = 32  # 0.32 s, which five poolings reduce to one step
FLOOR = 2.0  # range of the features below an utterance's loudest cell: 80 dB in Whisper's scaling
IMAGENET_MEAN = (0.485, 0.456, 0.406)  # of the images that the weights were trained on, red, green, blue
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)


class Vgg16Transfer(nn.Module):
    """VGG16's thirteen convolutions (14,714,688 parameters), global pooling, dense 512 → 256 → classes.

    Configuration D of Simonyan and Zisserman (2015), "Very deep convolutional networks for large-scale image
    recognition", without its dense layers. The picture is the log-mel spectrogram from its loudest cell (1)
    to 80 dB below (0), the same in all three colours, normalised as ImageNet's pictures were. Departure: the
    mean is taken over the valid frames only, and frames beyond a row's length stay zero, like the padding of
    the convolutions. So the logits do not depend on the padding.

    `frozen`: only the head is trained.
    """

    features = FeatureSpec(n_fft=512, n_mels=128, normalization="whisper")

    def __init__(self, num_classes: int, frozen: bool = False, dropout: float = 0.5) -> None:
        super().__init__()
        self.frozen = frozen
        self.backbone = _convolutions().requires_grad_(not frozen)
        self.head = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(512, 256),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(256, num_classes),
        )
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN)[:, None, None], persistent=False)
        self.register_buffer("deviation", torch.tensor(IMAGENET_DEVIATION)[:, None, None], persistent=False)

    def load_pretrained(self, name_or_path: str | Path) -> None:
        """Loads the convolutions, from the published name `vgg16` or a file with torchvision's key names.

        The file's dense layers (`classifier.…`) are ignored. Raises PretrainedError.
        """
        path = pretrained.locate(name_or_path)
        weights = pretrained.read_tensors(path, "features.")
        pretrained.load_into(self.backbone, weights, path, "VGG16's convolutions")

    def pretrained_parts(self) -> list[nn.Module]:
        """The modules that `load_pretrained` fills: an empty stem, then the blocks between poolings."""
        return [nn.ModuleList(), *blocks_of(self.backbone)]

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Logits `(batch, class)` from log-mel `(batch, 128, frame)` and lengths in frames."""
        logits: Tensor = self.head(self.embed(features, lengths))
        return logits

    def embed(self, features: Tensor, lengths: Tensor) -> Tensor:
        """The head's input `(batch, 512)` from log-mel `(batch, 128, frame)` and lengths in frames."""
        x, lengths = self._picture(features, lengths)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            for layer in self.backbone:
                x = layer(x)
                if isinstance(layer, nn.MaxPool2d):
                    lengths = lengths // 2
                if not isinstance(layer, nn.Conv2d):
                    x = x * frame_mask(lengths, x.shape[-1])[:, None, None, :]
        steps = x.mean(2).transpose(1, 2)  # (batch, step, 512)
        return masked_mean(steps, frame_mask(lengths, steps.shape[1]))

    def _picture(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """`(batch, colour, 128, frame)`, zero beyond the lengths, and lengths of at least `MIN_FRAMES`."""
        valid = frame_mask(lengths, features.shape[-1])[:, None]
        loudest = features.masked_fill(~valid, -torch.inf).amax(dim=(1, 2), keepdim=True)
        grey = ((features - loudest) / FLOOR + 1).clamp(min=0) * valid
        grey = F.pad(grey, (0, max(0, MIN_FRAMES - features.shape[-1])))
        lengths = lengths.clamp(min=MIN_FRAMES)
        colours = (grey[:, None] - self.mean) / self.deviation
        return colours * frame_mask(lengths, grey.shape[-1])[:, None, None, :], lengths


def _convolutions() -> nn.Sequential:
    """Convolutions in torchvision's order, for its key names; initialised as in He et al. (2015)."""
    layers: list[nn.Module] = []
    channels = 3
    for layer in LAYERS:
        if isinstance(layer, str):
            layers.append(nn.MaxPool2d(2))
            continue
        conv = nn.Conv2d(channels, layer, 3, padding=1)
        nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
        layers += [conv, nn.ReLU(inplace=True)]
        channels = layer
    return nn.Sequential(*layers)
