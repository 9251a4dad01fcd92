"""Checking that a network's residuals are finite and in range."""

from __future__ import annotations

import torch

__all__ = ["MOST_RESIDUAL", "usable"]

MOST_RESIDUAL = 100.0
"""Largest absolute value of a residual. Pictures are in [0, 1]; even untrained weights give no more
than some tens, and only overflowing ones come near this."""


def usable(residuals: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Set the residuals of a face to 0 if any value is NaN, infinite or out of range.

    Damaged weights, or ones that overflow the number format, give such values.

    Args:
        residuals: (B, 3, S, S), for pictures in [0, 1].

    Returns:
        The residuals, and (B,) bool, whether those of a face are usable; on the same device.
    """
    # Comparisons with NaN are false.
    good = (residuals.abs() <= MOST_RESIDUAL).flatten(1).all(dim=1)
    return torch.where(good[:, None, None, None], residuals, 0.0), good
