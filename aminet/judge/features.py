"""Reading the weights of feature networks, which compare faces.

The networks are `aminet.judge.lpips` and `aminet.judge.identity`. Their weights do not ship with
the package; the user passes the files.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from aminet.errors import WeightsError

__all__ = ["fill", "read_tensors", "width_of"]


def read_tensors(file: Path) -> dict[str, Tensor]:
    """Return all tensors of a safetensors file, as fp32.

    Raises:
        WeightsError: there is no such file, or it is not a safetensors file.
    """
    if not file.is_file():
        raise WeightsError(f"no feature network at {file}", path=str(file))
    try:
        return {name: tensor.to(torch.float32) for name, tensor in load_file(file).items()}
    except SafetensorError as error:
        raise WeightsError(f"{file} is not a safetensors file: {error}", path=str(file)) from error


def width_of(tensors: Mapping[str, Tensor], name: str) -> int:
    """Return the output channels of the convolution weight `name`; 0 if it is no convolution."""
    weight = tensors.get(name)
    return weight.shape[0] if weight is not None and weight.ndim == 4 else 0


def fill(
    network: nn.Module, tensors: Mapping[str, Tensor], names: Sequence[str], what: str
) -> None:
    """Load the tensors of a file into a network, and freeze it.

    Args:
        network: changed in place.
        tensors: the tensors of the file, by name.
        names: the names of the network's parameters in the file, in order.
        what: what to call the network in messages.

    Raises:
        WeightsError: tensors are missing, left over or have other shapes.
    """
    missing = sorted(set(names) - set(tensors))
    foreign = sorted(set(tensors) - set(names))
    if missing or foreign:
        raise WeightsError(
            f"not {what}: {len(missing)} of its tensors are missing ({', '.join(missing[:3])}), "
            f"{len(foreign)} are none of it ({', '.join(foreign[:3])})"
        )
    with torch.no_grad():
        for name, parameter in zip(names, network.parameters(), strict=True):
            if parameter.shape != tensors[name].shape:
                raise WeightsError(
                    f"not {what}: {name} is {tuple(tensors[name].shape)}, "
                    f"expected {tuple(parameter.shape)}"
                )
            parameter.copy_(tensors[name])
    network.eval().requires_grad_(requires_grad=False)
