"""The networks: what they make of an observation."""

from __future__ import annotations

import torch

from paymaster.learning.networks import Encoder, QNetwork, Shape

ROWS, COLUMNS, CLASSES, ACTIONS = 3, 4, 5, 4


def test_classes_become_planes_of_zeros_and_ones() -> None:
    torch.manual_seed(0)
    encoder = Encoder(Shape((ROWS, COLUMNS), CLASSES), extra=2, encoder="mlp", hidden=(8,))
    cells, beside = torch.randint(CLASSES, (6, ROWS, COLUMNS)), torch.randn(6, 2)
    rows = torch.cat([cells.flatten(1).float(), beside], dim=1)
    by_hand = torch.zeros(6, ROWS, COLUMNS, CLASSES)
    for n in range(6):
        for y in range(ROWS):
            for x in range(COLUMNS):
                by_hand[n, y, x, cells[n, y, x]] = 1.0
    assert torch.equal(encoder(rows), encoder.dense(torch.cat([by_hand.flatten(1), beside], dim=1)))


def test_a_convolution_reads_classes_where_they_stand() -> None:
    torch.manual_seed(0)
    encoder = Encoder(Shape((ROWS, COLUMNS), CLASSES), extra=0, encoder="conv", hidden=(8,))
    one, other = torch.zeros(1, ROWS, COLUMNS), torch.zeros(1, ROWS, COLUMNS)
    one[0, 0, 0] = other[0, 2, 3] = 4.0
    assert not torch.equal(encoder(one.flatten(1)), encoder(other.flatten(1)))


def test_numbers_are_read_as_they_are() -> None:
    torch.manual_seed(0)
    encoder = Encoder(Shape((2, ROWS, COLUMNS), 0), extra=1, encoder="mlp", hidden=(8,))
    rows = torch.randn(6, 2 * ROWS * COLUMNS + 1)
    assert torch.equal(encoder(rows), encoder.dense(rows))


def test_values_of_both_heads_are_the_states_and_the_advantages_without_their_mean() -> None:
    net, rows = QNetwork(Shape((2, 3, 3), 0), 0, ACTIONS, "mlp", (16,), dueling=True), torch.randn(5, 18)
    features = net.encoder(rows)
    advantages = net.advantage(features)
    assert net.value is not None
    by_hand = net.value(features) + advantages - advantages.mean(dim=-1, keepdim=True)
    torch.testing.assert_close(net(rows), by_hand)


def test_without_dueling_values_are_the_one_head() -> None:
    net, rows = QNetwork(Shape((2, 3, 3), 0), 0, ACTIONS, "mlp", (16,), dueling=False), torch.randn(5, 18)
    torch.testing.assert_close(net(rows), net.advantage(net.encoder(rows)))
