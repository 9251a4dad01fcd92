"""Running a network on its device, in the number format that is fast there.

Shape legend: B batch, H height, W width.
"""
# ruff: noqa: N803, N806

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.utils import convert_conv2d_weight_memory_format

from aminet.cpu_network import CpuNetwork
from aminet.cuda_graphs import FixedBatches
from aminet.model_files import ModelCard, WeightsFile, build_network, read_weights
from aminet.network import AMINet, as_channels_last, self_ensemble
from aminet.precision import autocast_dtype

__all__ = ["BATCH", "Restorer"]

BATCH: Final = 16
"""Faces per batch in `Restorer.restore`: enough to fill a CPU, little memory on a GPU."""


_TOP: Final = 255


class Restorer:
    """Restores faces with one network.

    Args:
        network: on `device`; not changed. On a CPU its weights are converted here, so that later
            changes to them have no effect.
        device: the device to run on.
        ensemble: average with the result for the mirrored face (`aminet.network.self_ensemble`).
        card: the network's card, if it was read from a file.
        fixed_batches: run batches of a few sizes, which a GPU records as CUDA graphs and replays
            (`aminet.cuda_graphs`). To be used by one thread.
    """

    def __init__(
        self,
        network: AMINet,
        device: torch.device,
        *,
        ensemble: bool = False,
        card: ModelCard | None = None,
        fixed_batches: bool = False,
    ) -> None:
        self.network = network
        self.device = device
        self.ensemble = ensemble
        self.card = card
        self._own = network.tail.weight.dtype
        dtype = autocast_dtype(device)
        on_cpu = device.type == "cpu"
        self._network = CpuNetwork(network, dtype or torch.float32) if on_cpu else network
        # On a GPU the weights are converted once; autocast would convert them for every batch.
        self._autocast = dtype if self._own == torch.float32 and not on_cpu else None
        self._run = FixedBatches(self._residual) if fixed_batches else self._residual

    @classmethod
    def of_file(
        cls,
        file: WeightsFile,
        device: torch.device,
        *,
        ensemble: bool = False,
        fixed_batches: bool = False,
    ) -> Restorer:
        """Build the network of a weights file; other arguments as for the class.

        Raises:
            WeightsError: the weights are damaged, or belong to another network.
        """
        network, card = build_network(file, device)
        if device.type == "cuda":
            network = network.to(autocast_dtype(device))
            convert_conv2d_weight_memory_format(network, torch.channels_last)
        return cls(network, device, ensemble=ensemble, card=card, fixed_batches=fixed_batches)

    @classmethod
    def load(
        cls, name_or_path: str | Path, device: torch.device, *, ensemble: bool = False
    ) -> Restorer:
        """Read weights with `aminet.model_files.read_weights` and build their network.

        Raises:
            WeightsError: the weights are missing, damaged, or belong to another network.
        """
        return cls.of_file(read_weights(name_or_path), device, ensemble=ensemble)

    def residual(self, x_BCHW: Tensor) -> Tensor:
        """Return the residual to add to each face.

        Args:
            x_BCHW: (B, 3 or 7, H, W) as for `AMINet.forward`, on the device; a network of 3
                channels ignores the history.

        Returns:
            (B, 3, H, W) fp32, on the device.

        Raises:
            SideError: as `AMINet.forward`.
        """
        with torch.inference_mode():
            return self._run(as_channels_last(x_BCHW[:, : self.network.config.in_channels]))

    def _residual(self, x_BCHW: Tensor) -> Tensor:
        dtype = self._autocast
        # What autocast keeps of the weights must not be memory of a recorded graph.
        with torch.autocast(
            self.device.type, dtype, enabled=dtype is not None, cache_enabled=False
        ):
            faces_BCHW = x_BCHW.to(self._own)
            if self.ensemble:
                return self_ensemble(self._network.residual, faces_BCHW).to(torch.float32)
            return self._network.residual(faces_BCHW).to(torch.float32)

    def restore(self, x_BCHW: Tensor) -> Tensor:
        """Restore any number of faces, in batches.

        Args:
            x_BCHW: as for `residual`, on any device.

        Returns:
            (B, 3, H, W) fp32 in [0, 1], on the CPU.
        """
        restored: list[Tensor] = []
        for part in x_BCHW.split(BATCH):
            x = part.to(self.device)
            restored.append((x[:, :3] + self.residual(x)).clamp(0, 1).cpu())
        return torch.cat(restored)

    def restore_rgb(self, faces: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Restore aligned pictures of faces, as from photographs.

        Args:
            faces: (B, S, S, 3) RGB.

        Returns:
            Of the same shape.

        Raises:
            SideError: as `AMINet.forward`.
        """
        # A copy: torch warns about arrays that cannot be written to.
        x_BCHW = torch.from_numpy(faces.copy()).permute(0, 3, 1, 2).float() / _TOP
        restored_BCHW = self.restore(x_BCHW) if len(faces) else x_BCHW
        levels = (restored_BCHW * _TOP).round().to(torch.uint8)
        return levels.permute(0, 2, 3, 1).contiguous().numpy()
