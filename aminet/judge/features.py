"""Files of feature networks: reading them, and telling them from other files.

The networks compare faces (`aminet.judge.lpips`, `aminet.judge.identity`). Their weights do not
ship: whoever judges with them names the files.
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
    """All tensors of a safetensors file, as fp32.

    Raises:
        WeightsError: when there is no such file, or it is of another kind.
    """
    if not file.is_file():
        raise WeightsError(f"no feature network at {file}", path=str(file))
    try:
        return {name: tensor.to(torch.float32) for name, tensor in load_file(file).items()}
    except SafetensorError as error:
        raise WeightsError(f"{file} is not a safetensors file: {error}", path=str(file)) from error


def width_of(tensors: Mapping[str, Tensor], name: str) -> int:
    """Outputs of the convolution whose weight is called `name`; 0 when it is no convolution."""
    weight = tensors.get(name)
    return weight.shape[0] if weight is not None and weight.ndim == 4 else 0


def fill(
    network: nn.Module, tensors: Mapping[str, Tensor], names: Sequence[str], what: str
) -> None:
    """Give a network the tensors of a file, and freeze it.

    Args:
        network: its parameters, in order, are called `names` in the file.
        tensors: what the file holds.
        names: as many as the network has parameters.
        what: the network, for messages.

    Raises:
        WeightsError: when tensors are missing, left over or of other shapes.
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
