"""`FaceRestorer`: restores crops of faces in batches, for Ray Data and other loaders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from nodes.errors import MediaError

__all__ = ["FaceRestorer"]


class FaceRestorer:
    """Restores aligned crops of faces, a batch at a time.

        ds.map_batches(pipeline.FaceRestorer, batch_size=16, concurrency=2)

    An instance holds one network; Ray Data makes one in each of its actors. Crops are squares as
    `aminet.write_patches` makes them with `margin: 0`: the eyes level, 38/128 of the side apart.
    """

    def __init__(
        self, weights: str = "aminet", *, column: str = "image", device: str = "auto"
    ) -> None:
        """Load the network.

        Args:
            weights: name of weights that ship with the program, or path of a `.safetensors` file.
            column: the key of a batch that holds the crops.
            device: `auto` takes the first GPU, else the CPU; or `cpu`, `cuda`, `cuda:1`.

        Raises:
            aminet.errors.WeightsError: the weights are missing or damaged.
            aminet.errors.DeviceError: this machine does not have the device.
        """
        from aminet.device import resolve_device
        from aminet.restorer import Restorer

        self._restorer = Restorer.load(weights, resolve_device(device))
        self._column = column

    def __call__(self, batch: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Return the batch with restored crops.

        Args:
            batch: arrays by column; the crops have shape (N, S, S, 3), RGB, uint8, S a multiple of
                32, or are an object array of N such squares of different sides.

        Returns:
            The same columns; the crops of the same shape and type.

        Raises:
            MediaError: there is no such column, or it holds something else.
            aminet.errors.SideError: S is no side that the network takes.
        """
        if self._column not in batch:
            raise MediaError(
                f"a batch has no column {self._column!r}, but {', '.join(batch) or 'none'}: name it"
                " by fn_constructor_kwargs={'column': ...}"
            )
        crops = batch[self._column]
        if crops.dtype != object:
            return {**batch, self._column: self._restorer.restore_rgb(_checked(crops))}
        made = np.empty(len(crops), object)
        for index, crop in enumerate(crops):
            made[index] = self._restorer.restore_rgb(_checked(np.asarray(crop)[None]))[0]
        return {**batch, self._column: made}


def _checked(crops: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    square = crops.ndim == 4 and crops.shape[3] == 3 and crops.shape[1] == crops.shape[2]
    if not square or crops.dtype != np.uint8:
        raise MediaError(
            f"got crops of shape {crops.shape} and type {crops.dtype}, expected (N, S, S, 3) RGB"
            f" squares of uint8, such as aminet.write_patches"
            " makes"
        )
    return cast("npt.NDArray[np.uint8]", crops)
