"""Local voices: which of up to three voices speak in each frame of a window, also at the same time.

Plaquet and Bredin (2023), "Powerset multi-class cross entropy loss for neural speaker diarization", arXiv
2310.13025; the front end is that of Ravanelli and Bengio (2018), "Speaker recognition from raw waveform with
SincNet", with its parametric filters written out. Parameters have the names of the published weights.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FILTERS = 80
WINDOW_S = 10.0  # what the network was trained on
HOP_SAMPLES = 270  # between frames: a stride of 10, and three times pooling by 3
FIRST_SAMPLES = 991  # that the first frame reads
# Sets of voices, in the order of the output: nobody, one of three, two of three.
POWERSET = ((), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2))


class VoiceSegmentation(nn.Module):
    """Filters over the waveform, an LSTM both ways, and a class for each set of at most two of three voices.

    Voices are numbered within one window only.
    """

    def __init__(self) -> None:
        super().__init__()
        self.input_norm = nn.InstanceNorm1d(1, affine=True)
        self.filters = nn.Conv1d(1, FILTERS, 251, stride=10, bias=False)
        self.conv = nn.ModuleList([nn.Conv1d(FILTERS, 60, 5), nn.Conv1d(60, 60, 5)])
        self.norm = nn.ModuleList(nn.InstanceNorm1d(size, affine=True) for size in (FILTERS, 60, 60))
        self.lstm = nn.LSTM(60, 128, num_layers=4, batch_first=True, bidirectional=True)
        self.linear = nn.ModuleList([nn.Linear(256, 128), nn.Linear(128, 128)])
        self.classifier = nn.Linear(128, len(POWERSET))

    def forward(self, samples: Tensor) -> Tensor:
        """Log-probabilities `(batch, frame, 7)` of `POWERSET`, from `samples` `(batch, 1, n_samples)`.

        Samples are at 16 kHz; 10 s give 589 frames. See `frames_of`.
        """
        x = self.filters(self.input_norm(samples)).abs()
        x = F.leaky_relu(self.norm[0](F.max_pool1d(x, 3)))
        for conv, norm in zip(self.conv, list(self.norm)[1:], strict=True):
            x = F.leaky_relu(norm(F.max_pool1d(conv(x), 3)))
        x, _ = self.lstm(x.transpose(1, 2))
        for linear in self.linear:
            x = F.leaky_relu(linear(x))
        return torch.log_softmax(self.classifier(x), dim=-1)


def frames_of(n_samples: int) -> int:
    """The number of frames that the network gives for `n_samples` at 16 kHz.

    >>> frames_of(160_000)
    589
    """
    steps = (n_samples - 251) // 10 + 1
    for kernel in (1, 5, 5):
        steps = (steps - kernel + 1) // 3
    return max(0, steps)
