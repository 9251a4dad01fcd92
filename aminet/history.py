"""The history of a face: earlier frames of its track, averaged on the grid of the current frame.

A network with 7 input channels gets, for each pixel of the aligned square:

    0 to 2  the face in the current frame, RGB in [0, 1]
    3 to 5  the fused face, RGB in [0, 1]: the weighted mean of the current frame (weight 1) and of
            the frames before it, each registered to the current one and resampled once; frame t
            has the weight a_t in [0, 1], its agreement
    6       the weight of the history, in [0, 1): n / (n + 1), where n is the sum of all a_t

    fused = (current + sum a_t frame_t) / (1 + n)          weight = n / (n + 1) = 1 - 1 / (1 + n)

The weight is 0.5 for one earlier frame that agrees and 0.857 for six. The agreement is 1 where a
registered frame differs from the current one by noise and compression only, and 0 where it shows
something else: a blink, a turn of the head, a hand, a scene cut, a pixel outside the frame. A face
without history (a photograph, or the first frame of a track) has a fused face equal to the current
one and weight 0.

Shape legend: B batch, T frames, H height, W width.
"""
# ruff: noqa: N803, N806

from typing import Final

import torch
from torch import Tensor

__all__ = ["HISTORY_CHANNELS", "with_history", "without_history"]

HISTORY_CHANNELS: Final = 4
"""Channels after the face's own 3: the fused RGB and the weight."""


def without_history(rgb_B3HW: Tensor) -> Tensor:
    """Append an empty history to faces.

    Args:
        rgb_B3HW: (B, 3, H, W) float in [0, 1].

    Returns:
        (B, 7, H, W): the face, the face again, and weight 0.
    """
    return torch.cat((rgb_B3HW, rgb_B3HW, torch.zeros_like(rgb_B3HW[:, :1])), dim=1)


def with_history(frames_BT3HW: Tensor, agreement_BT1HW: Tensor) -> Tensor:
    """Fuse earlier frames with the current one.

    Args:
        frames_BT3HW: (B, T, 3, H, W) float in [0, 1], all registered to the last one, which is the
            current frame.
        agreement_BT1HW: (B, T - 1, 1, H, W) in [0, 1], agreement of each earlier frame with it.

    Returns:
        (B, 7, H, W) float in [0, 1): the channels that the module's docstring lists.
    """
    current_B3HW = frames_BT3HW[:, -1]
    sum_B3HW = (frames_BT3HW[:, :-1] * agreement_BT1HW).sum(dim=1)
    n_B1HW = agreement_BT1HW.sum(dim=1)
    fused_B3HW = (current_B3HW + sum_B3HW) / (1 + n_B1HW)
    return torch.cat((current_B3HW, fused_B3HW, n_B1HW / (1 + n_B1HW)), dim=1)
