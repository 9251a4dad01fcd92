"""The history of a face: what earlier frames of its track say about the frame at hand.

A network of 7 channels is given, pixel by pixel on the square of the current face:

    0 to 2  the face in the current frame, RGB in [0, 1]
    3 to 5  the fused face, RGB in [0, 1]: the weighted mean of the current frame (weight 1) and of
            the frames before it, each registered onto the current one and drawn once on its grid,
            frame t with its agreement a_t in [0, 1]
    6       the weight of the history, in [0, 1):  n / (n + 1),  n the sum of all a_t

    fused = (current + sum a_t frame_t) / (1 + n)          weight = n / (n + 1) = 1 - 1 / (1 + n)

So n earlier frames that agree weigh n / (n + 1): 0.5 for one, 0.857 for six. The agreement is 1
where a registered frame differs from the current one by no more than noise and compression make
it, and 0 where it shows something else: a blink, a turn, a hand, a cut, a place outside the frame.
A face without history, as in a photograph or in the first frame of a track, has a fused face equal
to the current one and the weight 0.

Shape legend: B batch, T frames, H height, W width.
"""
# ruff: noqa: N803, N806

from typing import Final

import torch
from torch import Tensor

__all__ = ["HISTORY_CHANNELS", "with_history", "without_history"]

HISTORY_CHANNELS: Final = 4
"""The fused RGB and the weight, behind the 3 of the face."""


def without_history(rgb_B3HW: Tensor) -> Tensor:
    """Complete a face that has no history.

    Args:
        rgb_B3HW: (B, 3, H, W) float in [0, 1].

    Returns:
        (B, 7, H, W): the face, the face again, and the weight 0.
    """
    return torch.cat((rgb_B3HW, rgb_B3HW, torch.zeros_like(rgb_B3HW[:, :1])), dim=1)


def with_history(frames_BT3HW: Tensor, agreement_BT1HW: Tensor) -> Tensor:
    """Fuse earlier frames with the current one.

    Args:
        frames_BT3HW: (B, T, 3, H, W) float in [0, 1], registered onto the last of them, which is
            the current one.
        agreement_BT1HW: (B, T - 1, 1, H, W) in [0, 1], how far each earlier frame agrees with it.

    Returns:
        (B, 7, H, W): see the module.
    """
    current_B3HW = frames_BT3HW[:, -1]
    sum_B3HW = (frames_BT3HW[:, :-1] * agreement_BT1HW).sum(dim=1)
    n_B1HW = agreement_BT1HW.sum(dim=1)
    fused_B3HW = (current_B3HW + sum_B3HW) / (1 + n_B1HW)
    return torch.cat((current_B3HW, fused_B3HW, n_B1HW / (1 + n_B1HW)), dim=1)
