"""`aminet.enhance`: restores faces with AMINet, in batches from many frames and videos.

Everything between the small patch that arrives and the residual that leaves happens on the device
that runs the network: alignment, AMINet, mask, the way back to the frame's grid, and the check that
the result still says what the source says.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from itertools import compress, islice
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

import numpy as np
from pydantic import Field

from aminet.device import DEVICE_PATTERN, resolve_device
from nodes.errors import NodeConfigError
from nodes.geometry.alignment import compose, scaling
from nodes.node import Inputs, NodeConfig, NodeSpec, Outputs, PoolNode, Port, Reader
from nodes.types import FaceOval, FacePatch, FramePatches, FrameRestored, RestoredPatch

if TYPE_CHECKING:
    import torch

    from aminet.model_files import WeightsFile
    from aminet.restorer import Restorer
    from nodes.enhance.warp import Bucket

__all__ = ["BASELINE", "Enhance", "EnhanceConfig"]

Key = TypeVar("Key", bound=Hashable)

BASELINE = "bicubic"
"""In place of weights: a network that adds nothing, to compare with."""

_MOST_ON_CPU: Final = 16
"""More gains nothing there."""
_MOST_ON_GPU: Final = 128
"""A batch of 16 takes a GPU as long as one of 64: launching is what takes the time."""


class EnhanceConfig(NodeConfig):
    """Which network, where, and how many faces at once."""

    weights: str = "aminet-s"
    """Name of weights that ship with the program, path or URL of a `.safetensors` file (which only
    the machine that starts the run has to see), or `bicubic` for a network that adds nothing."""
    device: str = Field(default="auto", pattern=DEVICE_PATTERN)
    """`auto` takes the first GPU, else the CPU; or `cpu`, `cuda`, `cuda:1`."""
    max_batch: int | None = Field(default=None, ge=1)
    """Faces that go through the network together; None: 16 on a CPU, 128 on a GPU."""
    self_ensemble: bool = False
    """Restore each face and its mirror image and take the mean: a little better, twice the time."""


class Enhance(PoolNode[EnhanceConfig]):
    """Runs AMINet. Stateless: its answer to a patch depends on that patch alone."""

    spec: ClassVar[NodeSpec] = NodeSpec(
        type_name="aminet.enhance",
        summary="restore faces with AMINet, in batches, on a GPU when there is one",
        inputs=(Port("patches", FramePatches),),
        outputs=(Port("restored", FrameRestored),),
        gpu=True,
    )
    Config: ClassVar[type[NodeConfig]] = EnhanceConfig

    def __init__(self, config: EnhanceConfig) -> None:
        super().__init__(config)
        self._file: WeightsFile | None = None
        self._restorer: Restorer | None = None
        self._device: torch.device | None = None
        self._faces = 0
        self._failed_faces = 0
        self._batches = 0

    def prepare(self, read: Reader) -> None:
        """Read the weights.

        Raises:
            WeightsError: they are not there.
        """
        from aminet.model_files import read_weights

        if self.config.weights != BASELINE:
            self._file = read_weights(self.config.weights, read)

    def setup(self, threads: int) -> None:
        """Make the network of the weights that `prepare` read.

        Raises:
            WeightsError: they are damaged.
            DeviceError: the device is not there.
        """
        import torch

        torch.set_num_threads(max(1, threads))
        self._device = resolve_device(self.config.device)
        if self.config.weights != BASELINE:
            from aminet.restorer import Restorer

            if self._file is None:
                raise RuntimeError("Enhance.setup was called before prepare")
            self._restorer = Restorer.of_file(
                self._file, self._device, ensemble=self.config.self_ensemble
            )
            self._file = None

    def content_id(self) -> str:
        """Return the SHA-256 of the weights."""
        return "" if self._file is None else self._file.sha256

    @property
    def max_batch(self) -> int:
        """Faces in one batch."""
        on_gpu = self._device is not None and self._device.type == "cuda"
        return self.config.max_batch or (_MOST_ON_GPU if on_gpu else _MOST_ON_CPU)

    def weight(self, inputs: Inputs) -> int:
        """Return how many faces wait in `inputs`."""
        return len(inputs.get("patches", FramePatches).patches)

    def travel_bytes(self, inputs: Inputs) -> int:
        """Return the bytes of the faces in `inputs` and of their residuals."""
        return sum(
            patch.nbytes + patch.rgb.size * patch.scale**2 * np.dtype(np.float16).itemsize
            for patch in inputs.get("patches", FramePatches).patches
        )

    def process_batch(self, batch: Sequence[Inputs]) -> list[Outputs]:
        """Restore the faces of many frames."""
        frames = [inputs.get("patches", FramePatches) for inputs in batch]
        restored = iter(self._restore([patch for frame in frames for patch in frame.patches]))
        return [
            {"restored": FrameRestored(frame.pts, tuple(islice(restored, len(frame.patches))))}
            for frame in frames
        ]

    def report(self) -> dict[str, Any]:
        """Say what ran where, and how much since `setup`."""
        card = None if self._restorer is None else self._restorer.card
        return {
            "weights": self.config.weights,
            "sha256": None if card is None else card.sha256,
            "device": str(self._device) if self._device is not None else None,
            "faces": self._faces,
            "failed_faces": self._failed_faces,
            "batches": self._batches,
        }

    def _restore(self, patches: Sequence[FacePatch]) -> list[RestoredPatch]:
        """Warp in groups of one bucket, but run the network on all squares of a side together."""
        import torch

        from nodes.enhance.finite import usable
        from nodes.enhance.warp import align_patches, bucket_of, mask_residuals

        self._faces += len(patches)
        if not patches or self.config.weights == BASELINE:
            return [_unchanged(patch) for patch in patches]
        if self._device is None:
            raise RuntimeError("Enhance.process_batch was called with faces before setup")
        most = self.max_batch
        restorer = self._restorer
        with_history = restorer is not None and restorer.network.config.in_channels > 3
        alike = _grouped([(bucket_of(patch), patch.bit_depth) for patch in patches], most)
        squares: dict[int, torch.Tensor] = {}
        restored: dict[int, RestoredPatch] = {}
        failed: set[int] = set()
        with torch.inference_mode():
            for (bucket, _), indices in alike:
                part = [patches[i] for i in indices]
                aligned = align_patches(part, bucket, self._device, with_history=with_history)
                squares.update(zip(indices, aligned, strict=True))
            for _, indices in _grouped([patch.size_px for patch in patches], most):
                residuals, good = usable(self.residuals(torch.stack([squares[i] for i in indices])))
                failed.update(compress(indices, (~good).tolist()))
                masked = mask_residuals(residuals, [patches[i] for i in indices])
                squares.update(zip(indices, masked, strict=True))
                self._batches += 1
            for (bucket, _), indices in alike:
                masked = torch.stack([squares[i] for i in indices])
                back = _unaligned(masked, [patches[i] for i in indices], bucket)
                restored.update(zip(indices, back, strict=True))
        self._count_failed(len(failed))
        return [
            _unchanged(patch) if index in failed else restored[index]
            for index, patch in enumerate(patches)
        ]

    def _count_failed(self, faces: int) -> None:
        """Note how many faces stay as they were.

        Raises:
            NodeConfigError: no face could be restored so far: it is not the faces.
        """
        self._failed_faces += faces
        if self._failed_faces and self._failed_faces == self._faces:
            raise NodeConfigError(
                f"enhance.weights: {self.config.weights} answers with what is no picture, for all"
                f" of {self._faces} faces; its weights are damaged: get or train them again"
            )

    def residuals(self, aligned: torch.Tensor) -> torch.Tensor:
        """Return what the network adds to aligned faces.

        Args:
            aligned: (B, C, S, S) in [0, 1] as the network takes it, S a multiple of 32.

        Returns:
            (B, 3, S, S) float32.
        """
        if self._restorer is None:
            raise RuntimeError("Enhance.residuals was called before setup")
        return self._restorer.residual(aligned)


def _grouped(keys: Sequence[Key], most: int) -> list[tuple[Key, list[int]]]:
    """Gather the places of equal keys, in order, at most so many together."""
    groups: dict[Key, list[int]] = defaultdict(list)
    for index, key in enumerate(keys):
        groups[key].append(index)
    return [
        (key, indices[start : start + most])
        for key, indices in groups.items()
        for start in range(0, len(indices), most)
    ]


def _unaligned(
    masked: torch.Tensor, patches: Sequence[FacePatch], bucket: Bucket
) -> list[RestoredPatch]:
    """Take masked residuals back to the frame's grid, as far as they agree with the source."""
    import torch

    from nodes.enhance.back_projection import LOSSY_TOLERANCE, TOLERANCE, back_project
    from nodes.enhance.warp import cut_to_regions, regions_of, unalign_residuals

    on_grid = unalign_residuals(masked, patches, bucket)
    sources = regions_of(patches, bucket, masked.device)
    blurs_px = torch.tensor([patch.blur_px for patch in patches])
    tolerances = torch.tensor(
        [LOSSY_TOLERANCE if patch.lossy else TOLERANCE for patch in patches], device=masked.device
    )
    faithful, consistency_db = back_project(on_grid, bucket.scale, sources, blurs_px, tolerances)
    return [
        RestoredPatch(
            patch.track_id,
            residual,
            _region(patch),
            scale=patch.scale,
            strength=patch.strength,
            consistency_db=round(agreement, 2),
            oval=_oval(patch),
        )
        for patch, residual, agreement in zip(
            patches, cut_to_regions(faithful, patches), consistency_db.tolist(), strict=True
        )
    ]


def _unchanged(patch: FacePatch) -> RestoredPatch:
    x0, y0, x1, y1 = _region(patch)
    nothing = np.zeros((y1 - y0, x1 - x0, 3), np.float16)
    return RestoredPatch(patch.track_id, nothing, (x0, y0, x1, y1), scale=patch.scale)


def _oval(patch: FacePatch) -> FaceOval:
    square_from_source = compose(scaling(1 / patch.size_px), patch.crop_from_region)
    return FaceOval(compose(square_from_source, scaling(1 / patch.scale)), patch.yaw_deg)


def _region(patch: FacePatch) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = (side * patch.scale for side in patch.region_xyxy_px)
    return x0, y0, x1, y1
