"""Comparing identities with dlib's face embedding.

Two photographs of one person are mostly less than 0.6 apart, those of two people more. Use it for
evaluation only: a network trained on it would overfit to it.

Source: D. King, dlib's `dlib_face_recognition_resnet_model_v1`: a ResNet of 29 layers after He et
al., "Deep residual learning for image recognition", CVPR 2016; its scales folded into the
convolutions.

Convention: positions are continuous, x right, y down, pixel centres at +0.5.
Shape legend: B batch, C channels, H height, W width.
"""
# ruff: noqa: N803, N806, N812

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aminet.errors import WeightsError
from aminet.judge.features import fill, width_of

__all__ = [
    "CHIP_PX",
    "TRAINING_EYES",
    "Eyes",
    "FaceEmbedding",
    "IdentityDistance",
    "build_embedding",
    "face_chips",
]

CHIP_PX: Final = 150
"""Side of the network's input, px."""
_CHIP_EYES_PX: Final = (74.05, 46.6)
"""Midpoint between the eyes in it, px. The mouth is then at (74, 105), since in the training crops
it is 1.1 eye distances below."""
_CHIP_EYE_DISTANCE_PX: Final = 52.9
"""Distance between the eyes in it, px."""
_MOST_REDUCED: Final = 1.25
"""Faces that must be reduced by more than this are reduced with antialiasing first."""
_MEAN: Final = (122.782, 117.001, 104.298)
"""Mean of R, G and B that the network subtracts, in 8-bit levels; from dlib."""
_BLOCKS: Final = (
    *("conv32_1", "conv32_2", "conv32_3"),
    *("conv64_down", "conv64_1", "conv64_2", "conv64_3"),
    *("conv128_down", "conv128_1", "conv128_2"),
    *("conv256_down", "conv256_1", "conv256_2", "conv256_down_out"),
)
"""Residual blocks; those called `down` halve the sides."""


@dataclass(frozen=True, slots=True)
class Eyes:
    """Position of the eyes in an upright, square face, as shares of its side."""

    distance: float = 28 / 128
    """Distance between the pupils."""
    row: float = 65 / 128
    """Distance of the midpoint between them from the top; it is centred horizontally."""


TRAINING_EYES: Final = Eyes()
"""Eyes in the training crops; in CelebA's aligned pictures, cropped square, within 1.5 % of it."""


class _Block(nn.Module):
    """Two convolutions with a skip connection, which is pooled where the block reduces."""

    def __init__(self, channels: int, out_channels: int, *, down: bool) -> None:
        super().__init__()
        self.down = down
        stride, padding = (2, 0) if down else (1, 1)
        self.first = nn.Conv2d(channels, out_channels, 3, stride, padding)
        self.second = nn.Conv2d(out_channels, out_channels, 3, padding=1)

    def forward(self, f_BCHW: Tensor) -> Tensor:
        change = self.second(F.relu(self.first(f_BCHW)))
        if self.down:
            f_BCHW = F.avg_pool2d(f_BCHW, 2)
            # Either may be a pixel larger or have fewer channels: dlib pads with zeros.
            sides = [max(a, b) for a, b in zip(f_BCHW.shape, change.shape, strict=True)]
            f_BCHW, change = _filled_up(f_BCHW, sides), _filled_up(change, sides)
        return F.relu(f_BCHW + change)


def _filled_up(f_BCHW: Tensor, sides: list[int]) -> Tensor:
    _, c, h, w = (wanted - have for wanted, have in zip(sides, f_BCHW.shape, strict=True))
    return F.pad(f_BCHW, (0, w, 0, h, 0, c))


class FaceEmbedding(nn.Module):
    """dlib's face embedding network.

    Args:
        stem: output channels of the first convolution.
        widths: output channels of each block of `_BLOCKS`.
        length: length of an embedding.
    """

    def __init__(self, stem: int, widths: list[int], length: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, stem, 7, stride=2)
        inputs = (stem, *widths[:-1])
        self.blocks = nn.ModuleList(
            _Block(i, o, down="down" in name)
            for name, i, o in zip(_BLOCKS, inputs, widths, strict=True)
        )
        self.project = nn.Parameter(torch.zeros(widths[-1], length))
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1))

    def forward(self, chips_BCHW: Tensor) -> Tensor:
        """Embed faces.

        Args:
            chips_BCHW: (B, 3, 150, 150) float RGB in [0, 1], as `face_chips` cuts them.

        Returns:
            (B, 128). People are compared by the Euclidean distance of their embeddings.
        """
        x = (chips_BCHW * 255 - self.get_buffer("mean")) / 255
        f = F.max_pool2d(F.relu(self.stem(x)), 3, 2)
        for block in self.blocks:
            f = block(f)
        return f.mean(dim=(2, 3)) @ self.project


class IdentityDistance(nn.Module):
    """Distance between the embeddings of two faces."""

    def __init__(self, embedding: FaceEmbedding) -> None:
        super().__init__()
        self.embedding = embedding

    def forward(self, x_BCHW: Tensor, target_BCHW: Tensor) -> Tensor:
        """Compare two (B, 3, S, S) faces in [0, 1], aligned as the training crops; returns (B,)."""
        apart = self.embedding(face_chips(x_BCHW)) - self.embedding(face_chips(target_BCHW))
        return apart.norm(dim=1)


def face_chips(faces_BCHW: Tensor, eyes: Eyes = TRAINING_EYES) -> Tensor:
    """Crop the embedding's input out of square, upright faces.

    Args:
        faces_BCHW: (B, 3, S, S) float RGB in [0, 1].
        eyes: the position of their eyes.

    Returns:
        (B, 3, 150, 150) in [0, 1].
    """
    b, _, side, _ = faces_BCHW.shape
    # Sides of the face that one px of the chip is.
    step = eyes.distance / _CHIP_EYE_DISTANCE_PX
    if step * side > _MOST_REDUCED:
        size = (round(1 / step),) * 2
        faces_BCHW = F.interpolate(faces_BCHW, size, mode="bicubic", antialias=True)
    x, y = _CHIP_EYES_PX
    across = 2 * (0.5 + (CHIP_PX / 2 - x) * step) - 1
    down = 2 * (eyes.row + (CHIP_PX / 2 - y) * step) - 1
    face_from_chip = faces_BCHW.new_tensor(
        [[CHIP_PX * step, 0, across], [0, CHIP_PX * step, down]]
    ).expand(b, -1, -1)
    grid = F.affine_grid(face_from_chip, [b, 3, CHIP_PX, CHIP_PX], align_corners=False)
    chips = F.grid_sample(
        faces_BCHW, grid, mode="bicubic", padding_mode="border", align_corners=False
    )
    return chips.clamp(0, 1)


def build_embedding(tensors: Mapping[str, Tensor]) -> FaceEmbedding:
    """Build the network from the tensors of a file.

    Args:
        tensors: `conv32_down.w`, `.b`, those of each block's `conv1` and `conv2`, and `fc`.

    Raises:
        WeightsError: the tensors belong to another network.
    """
    convolutions = ["conv32_down", *(f"{b}/conv{i}" for b in _BLOCKS for i in (1, 2))]
    widths = {name: width_of(tensors, f"{name}.w") for name in convolutions}
    narrow = [name for name, width in widths.items() if not width]
    if narrow or "fc" not in tensors or tensors["fc"].ndim != 2:
        raise WeightsError(f"not dlib's face embedding: no {(*narrow, 'fc')[0]} in it")
    network = FaceEmbedding(
        widths["conv32_down"], [widths[f"{b}/conv2"] for b in _BLOCKS], tensors["fc"].shape[1]
    )
    names = [f"{name}.{part}" for name in convolutions for part in ("w", "b")]
    fill(network, tensors, ["fc", *names], "dlib's face embedding")
    return network
