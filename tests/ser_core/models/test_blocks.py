"""The shared blocks do what their torch counterparts do to a row on its own."""

import pytest
import torch
from torch import nn

from ser_core.models.blocks import (
    AttentionPooling,
    ChunkCnn,
    ConvStack,
    Dropout,
    MaskedLstm,
    MaskedTransformer,
    last_valid,
    masked_adaptive_mean,
    pooled_sequence,
    sinusoids,
)

LENGTHS = torch.tensor([4, 9])


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def test_adaptive_mean_is_the_identity_at_its_own_size():
    x = torch.randn(2, 3, 9)
    bins = masked_adaptive_mean(x, LENGTHS, 4)
    torch.testing.assert_close(bins[0], x[0, :, :4])
    torch.testing.assert_close(bins[1], torch.nn.functional.adaptive_avg_pool1d(x[1], 4))


def test_the_lstm_reads_back_from_each_rows_own_end():
    block = MaskedLstm(3, 5, layers=2, bidirectional=True)
    x = torch.randn(2, 9, 3)
    out = block(x, LENGTHS)
    torch.testing.assert_close(out[0, :4], block.lstm(x[:1, :4])[0][0])
    torch.testing.assert_close(out[1], block.lstm(x[1:])[0][0])
    assert out[0, 4:].abs().max() == 0


def test_the_last_valid_step_is_each_rows_own():
    x = torch.randn(2, 9, 3)
    torch.testing.assert_close(last_valid(x, LENGTHS), torch.stack([x[0, 3], x[1, 8]]))


def test_attention_weights_sum_to_one_over_the_valid_steps():
    x = torch.full((2, 9, 6), 0.7)
    x[0, 4:] = 100.0
    torch.testing.assert_close(AttentionPooling(6)(x, LENGTHS), torch.full((2, 6), 0.7))


def test_attention_prefers_the_step_its_score_names():
    pool = AttentionPooling(1)
    nn.init.constant_(pool.score.weight, 1.0)
    nn.init.zeros_(pool.score.bias)
    steps = torch.tensor([[[0.0], [0.0], [1.0]]])
    weight = torch.tensor([0.0, 0.0, 1.0]).tanh().softmax(0)[2]
    assert pool(steps, torch.tensor([3])).item() == pytest.approx(weight.item())
    assert weight > 1 / 3


@pytest.mark.parametrize(("positions", "same"), [(False, True), (True, False)])
def test_only_positions_tell_the_transformer_the_order_of_its_steps(positions, same):
    block = MaskedTransformer(8, layers=2, dropout=0.0, positions=positions).eval()
    x = torch.randn(1, 9, 8)
    lengths = torch.tensor([9])
    assert torch.allclose(block(x, lengths), block(x.flip(1), lengths), atol=1e-5) == same


def test_layers_of_the_transformer_start_different():
    first, second = MaskedTransformer(8, layers=2, dropout=0.0, positions=False).layers
    assert not torch.equal(first.linear1.weight, second.linear1.weight)


def test_every_position_has_its_own_sinusoids():
    table = sinusoids(400, 40)
    assert table.shape == (400, 40)
    distances = torch.cdist(table, table) + 10 * torch.eye(400)
    assert distances.min() > 0.1


@pytest.mark.parametrize(("frames", "chunks"), [(40, 1), (128, 1), (191, 1), (192, 2), (563, 7)])
def test_three_seconds_are_seven_chunks(frames, chunks):
    block = ChunkCnn((4, 8), (4, 32), dropout=0.0).eval()
    out, counts = block(torch.randn(1, 128, frames), torch.tensor([frames]))
    assert counts.tolist() == [chunks]
    assert out.shape == (1, chunks, 8)


def test_each_chunk_is_heard_by_the_same_cnn():
    block = ChunkCnn((4, 8), (4, 32), dropout=0.0).eval()
    features = torch.randn(2, 128, 320)
    out, counts = block(features, torch.tensor([130, 320]))
    assert counts.tolist() == [1, 4]
    alone, _ = block.blocks(features[1:, :, 64:192], torch.tensor([128]))
    torch.testing.assert_close(out[1, 1], alone.flatten())
    assert out[0, 1:].abs().max() == 0


@pytest.mark.parametrize("frames", [3, 32, 100])
def test_what_lies_behind_a_row_is_not_heard(frames):
    lengths = torch.tensor([frames])
    stack = ConvStack((4, 8), ((2, 4), (4, 8)), dropout=0.0).eval()
    features = torch.randn(1, 16, 150)
    changed = features.clone()
    changed[..., frames:] = 1e3
    torch.testing.assert_close(stack(changed, lengths)[0], stack(features, lengths)[0])
    sequence, steps = pooled_sequence(features, lengths, bands=2, frames=4)
    again, _ = pooled_sequence(changed, lengths, bands=2, frames=4)
    torch.testing.assert_close(again[:, : steps[0]], sequence[:, : steps[0]])


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5])
def test_dropout_drops_its_share_of_every_row_and_keeps_the_mean(rate):
    x = torch.ones(200, 503)  # not a multiple of the bytes in a word
    out = Dropout(rate)(x)
    assert (out == 0).float().mean().item() == pytest.approx(rate, abs=0.01)
    assert out.mean().item() == pytest.approx(1, abs=0.01)
    assert out.unique().numel() == 2
    for axis in (0, 1):  # no row and no column is special
        assert (out == 0).float().mean(axis).sub(rate).abs().max() < 0.2


def test_dropout_follows_the_seed_and_stops_gradients_where_it_drops():
    x = torch.ones(64, 64, requires_grad=True)
    outs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        outs.append(Dropout(0.4)(x))
    assert torch.equal(outs[0], outs[1])
    assert not torch.equal(outs[0], outs[2])
    outs[0].sum().backward()
    assert torch.equal(x.grad, outs[0].detach())


def test_dropout_leaves_everything_where_it_should():
    x = torch.randn(8, 8)
    assert torch.equal(Dropout(0.5).eval()(x), x)
    assert torch.equal(Dropout(0.0)(x), x)
    assert Dropout(1.0)(x).abs().max() == 0
    assert Dropout(0.5)(x.bfloat16()).dtype == torch.bfloat16
