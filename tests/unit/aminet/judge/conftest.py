"""Feature networks of the real layouts and of few channels, with weights from a fixed seed."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

BLOCKS = (
    *("conv32_1", "conv32_2", "conv32_3"),
    *("conv64_down", "conv64_1", "conv64_2", "conv64_3"),
    *("conv128_down", "conv128_1", "conv128_2"),
    *("conv256_down", "conv256_1", "conv256_2", "conv256_down_out"),
)


def random_tensors(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Weights that keep the features' size from layer to layer, in the order of the names."""
    generator = torch.Generator().manual_seed(3)
    tensors: dict[str, Tensor] = {}
    for name, shape in shapes.items():
        values = torch.randn(shape, generator=generator)
        fan_in = max(1, values[0].numel())
        tensors[name] = values * (2 / fan_in) ** 0.5 if len(shape) > 1 else 0.1 * values
        if name.startswith("lin"):
            tensors[name] = values.abs()
    return tensors


@pytest.fixture
def alexnet() -> dict[str, Tensor]:
    widths, kernels = (4, 6, 8, 6, 6), (11, 5, 3, 3, 3)
    return random_tensors(_lpips(widths, kernels, range(5)))


@pytest.fixture
def vgg16() -> dict[str, Tensor]:
    widths = (4, 4, 6, 6, 8, 8, 8, *(6,) * 6)
    return random_tensors(_lpips(widths, (3,) * 13, (1, 3, 6, 9, 12)))


def _lpips(
    widths: tuple[int, ...], kernels: tuple[int, ...], compared: "tuple[int, ...] | range"
) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for i, (inputs, outputs) in enumerate(zip((3, *widths), widths, strict=False)):
        shapes[f"conv{i}.weight"] = (outputs, inputs, kernels[i], kernels[i])
        shapes[f"conv{i}.bias"] = (outputs,)
    return shapes | {f"lin{i}.weight": (1, widths[c], 1, 1) for i, c in enumerate(compared)}


@pytest.fixture
def embedding() -> dict[str, Tensor]:
    shapes: dict[str, tuple[int, ...]] = {"conv32_down.w": (4, 3, 7, 7), "conv32_down.b": (4,)}
    inputs = 4
    for block in BLOCKS:
        outputs = int(block[4:].split("_")[0]) // 8
        shapes[f"{block}/conv1.w"] = (outputs, inputs, 3, 3)
        shapes[f"{block}/conv1.b"] = (outputs,)
        shapes[f"{block}/conv2.w"] = (outputs, outputs, 3, 3)
        shapes[f"{block}/conv2.b"] = (outputs,)
        inputs = outputs
    return random_tensors({**shapes, "fc": (inputs, 16)})


@pytest.fixture
def feature_files(
    alexnet: dict[str, Tensor], embedding: dict[str, Tensor], tmp_path: Path
) -> tuple[Path, Path]:
    """LPIPS's and the embedding's files."""
    files = tmp_path / "lpips.safetensors", tmp_path / "embedding.safetensors"
    for file, tensors in zip(files, (alexnet, embedding), strict=True):
        save_file(tensors, file)
    return files
