"""VGGish, an audio embedding trained on YouTube, on patches of about a second."""

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ser_core.models import pretrained, torchaudio_import
from ser_core.models.blocks import blocks_of
from ser_core.models.feature_spec import FeatureSpec
from ser_core.models.features import frame_mask

torchaudio = torchaudio_import.load()

LAYERS = (64, "pool", 128, "pool", 256, 256, "pool", 512, 512, "pool")
PATCH_FRAMES = 96  # 0.96 s
PATCH_HOP = 48  # frames: patches overlap by half, so that at most 0.48 s at the end of a clip is ignored
BANDS = 64
LOG_OFFSET = 0.01  # added to a magnitude before its logarithm, as published
WIDTH = 4096  # of the dense layers
EMBEDDING = 128


class Vggish(nn.Module):
    """Six convolutions and three dense layers: patches `(patch, 1, 96, 64)` to embeddings `(patch, 128)`.

    Parameters keep the names of the published PyTorch conversion (github.com/harritaylor/torchvggish).
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 1
        for layer in LAYERS:
            if isinstance(layer, str):
                layers.append(nn.MaxPool2d(2))
            else:
                layers += [nn.Conv2d(channels, layer, 3, padding=1), nn.ReLU(inplace=True)]
                channels = layer
        self.features = nn.Sequential(*layers)
        self.embeddings = nn.Sequential(
            nn.Linear(channels * (PATCH_FRAMES // 16) * (BANDS // 16), WIDTH),
            nn.ReLU(inplace=True),
            nn.Linear(WIDTH, WIDTH),
            nn.ReLU(inplace=True),
            nn.Linear(WIDTH, EMBEDDING),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, patches: Tensor) -> Tensor:
        """The embeddings, before any activation."""
        x = self.features(patches)  # (patch, 512, 6, 4)
        embeddings: Tensor = self.embeddings(x.permute(0, 2, 3, 1).flatten(1))  # channels last, as trained
        return embeddings


class VggishTransfer(nn.Module):
    """VGGish on overlapping patches, its embeddings averaged over the clip, a small head.

    Hershey et al. (2017), "CNN architectures for large-scale audio classification"; 72,141,184 parameters
    in the network. Input as published: 64 HTK mel bands from 125 to 7500 Hz every 10 ms, log(magnitude +
    0.01). Departures: the spectrum's window is 32 ms, not 25; mel magnitudes are computed from mel
    powers as if the spectrum were flat within a band (1 dB off on average); each clip has the same level;
    patches overlap by half; the PCA and the 8 bits that follow the published embedding are left out.
    Clips shorter than 0.96 s are padded with silence to one patch.

    `frozen`: only the head is trained.
    """

    features = FeatureSpec(
        n_fft=512, n_mels=BANDS, f_min=125.0, f_max=7500.0, mel_scale="htk", normalization="whisper"
    )

    def __init__(self, num_classes: int, frozen: bool = False, dropout: float = 0.5) -> None:
        super().__init__()
        self.frozen = frozen
        self.backbone = Vggish().requires_grad_(not frozen)
        self.head = nn.Sequential(
            nn.Linear(EMBEDDING, 256), nn.ReLU(), nn.Dropout(dropout), nn.Linear(256, num_classes)
        )
        spec = self.features
        bank = torchaudio.functional.melscale_fbanks(
            spec.n_fft // 2 + 1, spec.f_min, spec.f_max, BANDS, spec.sample_rate, mel_scale=spec.mel_scale
        )
        self.spread: Tensor
        self.register_buffer("spread", bank.sum(0).sqrt()[:, None], persistent=False)  # (band, 1)

    def load_pretrained(self, name_or_path: str | Path) -> None:
        """Loads VGGish's weights, from the published name `vggish` or a file with the same key names.

        Raises PretrainedError.
        """
        path = pretrained.locate(name_or_path)
        tensors = pretrained.read_tensors(path)
        weights = {k: v for k, v in tensors.items() if k.startswith(("features.", "embeddings."))}
        pretrained.load_into(self.backbone, weights, path, "VGGish")

    def pretrained_parts(self) -> list[nn.Module]:
        """The modules that `load_pretrained` fills: an empty stem, four blocks, the dense layers."""
        return [nn.ModuleList(), *blocks_of(self.backbone.features), self.backbone.embeddings]

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Logits `(batch, class)` from log-mel `(batch, 64, frame)` and lengths in frames."""
        logits: Tensor = self.head(self.embed(features, lengths))
        return logits

    def embed(self, features: Tensor, lengths: Tensor) -> Tensor:
        """The mean embedding of a clip's patches, `(batch, 128)`; arguments as `forward`'s."""
        patches, present = self._patches(features, lengths)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            embeddings: Tensor = self.backbone(patches[present][:, None])  # (patch of any row, 128)
        row = present.nonzero()[:, 0]
        total = embeddings.new_zeros(len(features), EMBEDDING).index_add(0, row, embeddings)
        return total / present.sum(1, keepdim=True)

    def _patches(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Patches `(batch, patch, 96, 64)` in VGGish's scaling, and which lie within a row's length."""
        magnitude = self.spread * torch.pow(10.0, 2 * features - 2)  # undoes Whisper's scaling, then the root
        valid = frame_mask(lengths, features.shape[-1])[:, None]
        log_mel = (magnitude + LOG_OFFSET).log().masked_fill(~valid, math.log(LOG_OFFSET))
        short = max(0, PATCH_FRAMES - features.shape[-1])
        log_mel = F.pad(log_mel, (0, short), value=math.log(LOG_OFFSET))
        patches = log_mel.transpose(1, 2).unfold(1, PATCH_FRAMES, PATCH_HOP).transpose(2, 3)
        count = (lengths - PATCH_FRAMES).clamp(min=0) // PATCH_HOP + 1
        return patches, frame_mask(count, patches.shape[1])
