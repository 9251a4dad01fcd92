"""Whether what a network answers are numbers that can be added to a picture."""

from __future__ import annotations

import torch

__all__ = ["MOST_RESIDUAL", "usable"]

MOST_RESIDUAL = 100.0
"""A picture in [0, 1] can change by 1; even untrained weights stay within some tens, and only those
that overflow come near this."""


def usable(residuals: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Tell a network's answers from what is not a number, infinite or far out of range.

    Weights that are damaged, or too large for the number format, give such; added to a picture
    they wreck the face. Checked on the device that has them.

    Args:
        residuals: (B, 3, S, S), of pictures in [0, 1].

    Returns:
        The residuals, zero for each face of which any value cannot be used; and (B,) bool, whether
        each face's can.
    """
    # A comparison with what is not a number is false.
    good = (residuals.abs() <= MOST_RESIDUAL).flatten(1).all(dim=1)
    return torch.where(good[:, None, None, None], residuals, 0.0), good
