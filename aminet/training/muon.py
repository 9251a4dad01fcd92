"""The Muon optimiser, whose steps are orthogonalised.

Source: K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024; the step
size is scaled as in Liu et al., "Muon is scalable for LLM training", arXiv 2502.16982, so that the
learning rate is comparable with AdamW's. torch's own `Muon` supports matrices only, and most
weights here are convolutions.

Shape legend: N weights of one shape, O outputs, I inputs (channels times the kernel's area).
"""
# ruff: noqa: N803, N806

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Final

import torch
from torch import Tensor

__all__ = ["COEFFICIENTS", "ROUNDS", "SMALLEST_SIDE", "Muon", "is_matrix", "orthogonalise"]

ROUNDS: Final = 5
"""Newton-Schulz iterations, as in Jordan et al."""
COEFFICIENTS: Final = (3.4445, -4.7750, 2.0315)
"""Coefficients of the quintic iteration, from Jordan et al."""
SMALLEST_SIDE: Final = 8
"""Smallest side of a weight matrix for Muon; masks and colour layers have fewer channels."""


def is_matrix(weight: Tensor) -> bool:
    """Return whether Muon is used for a weight: a convolution or linear map of enough channels."""
    return weight.ndim >= 2 and min(weight.shape[:2]) >= SMALLEST_SIDE


def orthogonalise(g_NOI: Tensor) -> Tensor:
    """Set all singular values of each matrix to about 1, by Newton-Schulz iterations.

    Args:
        g_NOI: (N, O, I), any scale.

    Returns:
        Same shape and dtype; singular values are 0.7 to 1.2 where the input's are not 0.
    """
    tall = g_NOI.shape[1] > g_NOI.shape[2]
    x = g_NOI.transpose(1, 2) if tall else g_NOI
    x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp_min(1e-12)
    y = _towards_one(x @ x.transpose(1, 2)) @ x
    return y.transpose(1, 2) if tall else y


def _towards_one(square_NOO: Tensor) -> Tensor:
    """Return the factor that orthogonalises x, from x times its transpose, (N, O, O).

    Each iteration multiplies x by a polynomial of that square. Polynomials of one matrix commute,
    so that all iterations can be done on the square, which is smaller than x for convolutions.
    """
    a, b, c = COEFFICIENTS
    identity = torch.eye(square_NOO.shape[-1], dtype=square_NOO.dtype, device=square_NOO.device)
    total = identity.expand_as(square_NOO)
    for left in reversed(range(ROUNDS)):
        factor = torch.baddbmm(b * square_NOO, square_NOO, square_NOO, alpha=c) + a * identity
        total = factor @ total
        if left:
            square_NOO = factor @ square_NOO @ factor
    return total


class Muon(torch.optim.Optimizer):
    """Momentum with orthogonalised steps, for weights for which `is_matrix` is true.

    Args:
        weights: (O, I, H, W) of convolutions or (O, I) of linear maps.
        lr: learning rate, as for AdamW; the RMS of a step is 0.2 times this.
        momentum: share of the averaged gradient that is kept at each step.
        weight_decay: share of the weights that is subtracted at each step, times `lr`.
    """

    def __init__(
        self,
        weights: Iterable[Tensor],
        lr: float,
        *,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(weights, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Change the weights by their gradients; `closure` must be None."""
        if closure is not None:
            raise ValueError("Muon takes no closure, got one: compute the gradients before step()")
        for group in self.param_groups:
            alike: dict[tuple[int, int], list[Tensor]] = defaultdict(list)
            for weight in group["params"]:
                if weight.grad is not None:
                    alike[weight.shape[0], weight[0].numel()].append(weight)
            for (outputs, inputs), weights in alike.items():
                nudges = [
                    self._nudge(w, group["momentum"]).reshape(outputs, inputs) for w in weights
                ]
                # Weights of one shape are stacked: one batched product costs less than many small
                # ones.
                steps = orthogonalise(torch.stack(nudges))
                # The rate is a tensor where steps are recorded as a CUDA graph.
                steps = steps * (0.2 * math.sqrt(max(outputs, inputs)) * group["lr"])
                for weight, step in zip(weights, steps, strict=True):
                    weight.mul_(1 - group["lr"] * group["weight_decay"])
                    weight.sub_(step.reshape(weight.shape))

    def _nudge(self, weight: Tensor, momentum: float) -> Tensor:
        """Return the gradient with Nesterov momentum."""
        gradient = weight.grad
        assert gradient is not None  # noqa: S101  the caller leaves such weights out
        state = self.state[weight]
        if "average" not in state:
            state["average"] = torch.zeros_like(weight)
        average: Tensor = state["average"]
        average.lerp_(gradient, 1 - momentum)
        return gradient.lerp(average, momentum)
