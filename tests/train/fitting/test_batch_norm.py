"""Batch norm statistics are estimated without dropout."""

import torch
from torch import nn

from train.fitting.batch_norm import estimate_statistics


class Network(nn.Module):
    """Dropout in front of a batch norm."""

    def __init__(self):
        super().__init__()
        self.dropout = nn.Dropout(0.5)
        self.norm = nn.BatchNorm1d(3)

    def forward(self, features, lengths):
        return self.norm(self.dropout(features))


def test_statistics_are_those_of_all_batches_without_dropout():
    network = Network()
    features = torch.randn(64, 3) * 5 + 2
    estimate_statistics(network, ((part, torch.ones(16)) for part in features.split(16)))
    torch.testing.assert_close(network.norm.running_mean, features.mean(0), atol=1e-4, rtol=0)
    variances = torch.stack([part.var(0) for part in features.split(16)]).mean(0)
    torch.testing.assert_close(network.norm.running_var, variances, atol=1e-4, rtol=1e-4)


def test_training_goes_on_as_before():
    network = Network()
    estimate_statistics(network, [(torch.randn(8, 3), torch.ones(8))])
    assert not network.training
    assert network.norm.momentum == 0.1


def test_a_network_without_batch_norm_is_left_alone():
    network = nn.Linear(3, 2).train()
    estimate_statistics(network, iter(()))
    assert network.training
