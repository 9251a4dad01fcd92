"""Random draws from one CPU generator, moved to the device of the pictures."""

import math

import torch
from torch import Generator, Tensor

__all__ = ["RandomDraws"]


class RandomDraws:
    """Random draws for a batch of pictures, or of tracks of pictures.

    Args:
        generator: on the CPU; advanced by every draw.
        device: device of the tensors that are returned.
        frames: pictures per track; `numbers` draws one value for each track.
    """

    def __init__(self, generator: Generator, device: torch.device, frames: int = 1) -> None:
        self.generator = generator
        self.device = device
        self.frames = frames

    def chance(self, probability: float) -> bool:
        """Return True with this probability."""
        return bool(torch.rand((), generator=self.generator) < probability)

    def number(self, low: float, high: float) -> float:
        """Draw one number, uniformly."""
        return low + (high - low) * float(torch.rand((), generator=self.generator))

    def log_number(self, low: float, high: float) -> float:
        """Draw one number, uniformly in the logarithm; both limits > 0."""
        return math.exp(self.number(math.log(low), math.log(high)))

    def integer(self, low: int, high: int) -> int:
        """Draw one integer, both limits included."""
        return int(torch.randint(low, high + 1, (), generator=self.generator))

    def numbers(self, count: int, low: float, high: float, power: float = 1.0) -> Tensor:
        """Draw (count,) numbers, one for each track; a `power` above 1 favours the low end."""
        u = torch.rand(count // self.frames, generator=self.generator) ** power
        return (low + (high - low) * u).repeat_interleave(self.frames).to(self.device)

    def uniform(self, shape: tuple[int, ...]) -> Tensor:
        """Draw a tensor of this shape from [0, 1), every entry independently."""
        return torch.rand(shape, generator=self.generator).to(self.device)

    def normal(self, shape: tuple[int, ...]) -> Tensor:
        """Draw a tensor of this shape from the standard normal distribution."""
        return torch.randn(shape, generator=self.generator).to(self.device)
