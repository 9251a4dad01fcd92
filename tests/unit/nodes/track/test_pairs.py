"""Detections are assigned to tracks at the least cost, whether or not they compete."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from nodes.track.tracker import _FORBIDDEN, _pairs


def cheapest(cost: np.ndarray) -> float:
    """The least cost of all assignments, a forbidden pair counting as none at a high price."""
    tall = cost if cost.shape[0] <= cost.shape[1] else cost.T
    rows, columns = tall.shape
    orders = itertools.permutations(range(columns), rows)
    return min(sum(tall[row, order[row]] for row in range(rows)) for order in orders)


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (4, 4), (5, 3)])
@pytest.mark.parametrize("allowed", [0.15, 0.5, 1.0])
def test_it_is_the_cheapest_of_all(shape: tuple[int, int], allowed: float) -> None:
    random = np.random.default_rng(7)
    for _ in range(20):
        cost = random.uniform(0, 1, shape)
        cost[random.uniform(size=shape) > allowed] = _FORBIDDEN
        pairs = _pairs(cost)
        left = min(shape) - len(pairs)
        assert sum(cost[pair] for pair in pairs) + left * _FORBIDDEN == pytest.approx(
            cheapest(cost)
        )
        for side in zip(*pairs, strict=True):
            assert len(set(side)) == len(pairs)
