"""`aminet.enhance`: restores faces with AMINet, in batches from many frames and videos.

All steps from patch to residual run on the network's device: alignment, AMINet, mask, warping back
to the frame's grid, and back-projection.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from itertools import chain, compress, islice
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Self, TypeVar

import numpy as np
from pydantic import Field, model_validator

from aminet.device import DEVICE_PATTERN, resolve_device
from nodes.errors import NodeConfigError
from nodes.geometry.alignment import compose, scaling
from nodes.node import Inputs, NodeConfig, NodeSpec, Outputs, PoolNode, Port, Reader
from nodes.types import FaceOval, FacePatch, FramePatches, FrameRestored, RestoredPatch
from nodes.values import FileName

if TYPE_CHECKING:
    import torch

    from aminet.model_files import WeightsFile
    from aminet.restorer import Restorer
    from nodes.enhance.warp import Bucket

__all__ = ["BASELINE", "LOOKS", "Enhance", "EnhanceConfig", "Look"]

Key = TypeVar("Key", bound=Hashable)

BASELINE = "bicubic"
"""Used in place of weights: a residual of 0, as a baseline."""

Look = Literal["faithful", "sharp"]
LOOKS: Final[dict[Look, str]] = {"faithful": "aminet", "sharp": "aminet-sharp"}
"""The weights of each look, by the name they ship under."""

_SIDE_PX: Final = 128
"""Side of faces of which a batch is full; batches of larger ones have fewer."""
_MOST_ON_CPU: Final = 8
"""Default batch size on a CPU: 16 take as long and 100 MiB more, 4 take 1.16 times as long."""
_MOST_ON_GPU: Final = 128
"""Default batch size on a GPU, where launching dominates: 16 faces take as long as 64."""


class EnhanceConfig(NodeConfig):
    """The network, its device and its batch size."""

    look: Look = "faithful"
    """`faithful` restores what is most likely, and stays soft where the source does not tell.
    `sharp` is generative: it draws plausible detail there, and reports and sheets say so."""
    weights: FileName | None = None
    """A network in place of the look's: the name of weights that ship with the program, path or URL
    of a `.safetensors` file (needed only on the machine that starts the run), or `bicubic` for no
    restoration."""
    device: str = Field(default="auto", pattern=DEVICE_PATTERN)
    """`auto` takes the first GPU, else the CPU; or `cpu`, `cuda`, `cuda:1`."""
    max_batch: int | None = Field(default=None, ge=1)
    """Most faces in one batch, of 128 px per side; of larger ones as many as have as many pixels.
    None: 8 on a CPU, 128 on a GPU."""
    exact: bool = False
    """Restore each face by itself, on one CPU thread: the last bits of what comes out then depend
    on nothing but the face and the weights. Takes longer."""
    cuda_graphs: bool = False
    """On a GPU, record the network's batches as CUDA graphs and replay them. Off until it has been
    measured on one: `python -m tests.bench.gpu`."""
    self_ensemble: bool = False
    """Average the results for each face and its mirror image: a little better, twice the time."""

    @property
    def network(self) -> str:
        """The weights to use: `weights`, or those of `look`."""
        return LOOKS[self.look] if self.weights is None else self.weights

    @model_validator(mode="after")
    def _one_choice(self) -> Self:
        if self.weights is not None and self.look != "faithful":
            raise ValueError(
                f"look {self.look!r} and weights {self.weights!r} both choose the network: leave"
                " one of them out"
            )
        return self


class Enhance(PoolNode[EnhanceConfig]):
    """Runs AMINet. Stateless: the result for a patch depends on that patch only."""

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
            WeightsError: they do not exist.
        """
        from aminet.model_files import read_weights

        if self.config.network != BASELINE:
            self._file = read_weights(self.config.network, read)

    def setup(self, threads: int) -> None:
        """Build the network from the weights that `prepare` read.

        Raises:
            WeightsError: the weights are damaged.
            DeviceError: this machine does not have the device.
        """
        import torch

        torch.set_num_threads(1 if self.config.exact else max(1, threads))
        self._device = resolve_device(self.config.device)
        if self.config.network != BASELINE:
            from aminet.restorer import Restorer

            if self._file is None:
                raise RuntimeError("Enhance.setup was called before prepare")
            self._restorer = Restorer.of_file(
                self._file,
                self._device,
                ensemble=self.config.self_ensemble,
                fixed_batches=self.config.cuda_graphs and self._device.type == "cuda",
            )
            self._file = None

    def content_id(self) -> str:
        """Return the SHA-256 of the weights."""
        return "" if self._file is None else self._file.sha256

    @property
    def max_batch(self) -> int:
        """Most faces in one batch."""
        on_gpu = self._device is not None and self._device.type == "cuda"
        return self.config.max_batch or (_MOST_ON_GPU if on_gpu else _MOST_ON_CPU)

    def weight(self, inputs: Inputs) -> int:
        """Return the number of faces in `inputs`."""
        return len(inputs.get("patches", FramePatches).patches)

    def travel_bytes(self, inputs: Inputs) -> int:
        """Return the size of the faces in `inputs` and of their residuals, in bytes."""
        return sum(
            patch.nbytes + patch.rgb.size * patch.scale**2 * np.dtype(np.float16).itemsize
            for patch in inputs.get("patches", FramePatches).patches
        )

    def process_batch(self, batch: Sequence[Inputs]) -> list[Outputs]:
        """Restore the faces of many frames."""
        frames = [inputs.get("patches", FramePatches) for inputs in batch]
        patches = [patch for frame in frames for patch in frame.patches]
        together = [[patch] for patch in patches] if self.config.exact else [patches]
        restored = chain.from_iterable(map(self._restore, together))
        return [
            {"restored": FrameRestored(frame.pts, tuple(islice(restored, len(frame.patches))))}
            for frame in frames
        ]

    def report(self) -> dict[str, Any]:
        """Return the network, its device, and the counts since `setup`."""
        card = None if self._restorer is None else self._restorer.card
        return {
            "weights": self.config.network,
            "sha256": None if card is None else card.sha256,
            "generative": self._generative,
            "device": str(self._device) if self._device is not None else None,
            "faces": self._faces,
            "failed_faces": self._failed_faces,
            "batches": self._batches,
        }

    def _restore(self, patches: Sequence[FacePatch]) -> list[RestoredPatch]:
        """Warp patches by bucket, but run the network on all squares of one side together."""
        import torch

        from nodes.enhance.finite import usable
        from nodes.enhance.warp import align_patches, bucket_of, mask_residuals

        self._faces += len(patches)
        if not patches or self.config.network == BASELINE:
            return [_unchanged(patch) for patch in patches]
        if self._device is None:
            raise RuntimeError("Enhance.process_batch was called with faces before setup")
        restorer = self._restorer
        with_history = restorer is not None and restorer.network.config.in_channels > 3
        generative = self._generative
        alike = _grouped(
            [(bucket_of(patch), patch.bit_depth) for patch in patches],
            lambda key: self._most_of(max(key[0].size_px, key[0].padded_px * key[0].scale)),
        )
        squares: dict[int, torch.Tensor] = {}
        restored: dict[int, RestoredPatch] = {}
        failed: set[int] = set()
        with torch.inference_mode():
            for (bucket, _), indices in alike:
                part = [patches[i] for i in indices]
                aligned = align_patches(part, bucket, self._device, with_history=with_history)
                squares.update(zip(indices, aligned, strict=True))
            for _, indices in _grouped([patch.size_px for patch in patches], self._most_of):
                residuals, good = usable(self.residuals(torch.stack([squares[i] for i in indices])))
                failed.update(compress(indices, (~good).tolist()))
                masked = mask_residuals(residuals, [patches[i] for i in indices])
                squares.update(zip(indices, masked, strict=True))
                self._batches += 1
            for (bucket, _), indices in alike:
                masked = torch.stack([squares[i] for i in indices])
                back = _unaligned(masked, [patches[i] for i in indices], bucket, generative)
                restored.update(zip(indices, back, strict=True))
        self._count_failed(len(failed))
        return [
            _unchanged(patch) if index in failed else restored[index]
            for index, patch in enumerate(patches)
        ]

    def _most_of(self, side_px: int) -> int:
        """Return the most faces of a size to compute together, so that memory is bounded."""
        return max(1, self.max_batch * _SIDE_PX**2 // side_px**2)

    @property
    def _generative(self) -> bool:
        """Whether the network's card says that it is generative."""
        card = None if self._restorer is None else self._restorer.card
        return card is not None and card.generative

    def _count_failed(self, faces: int) -> None:
        """Count faces whose residual is unusable.

        Raises:
            NodeConfigError: this is so for all faces so far, so that the weights must be damaged.
        """
        self._failed_faces += faces
        if self._failed_faces and self._failed_faces == self._faces:
            raise NodeConfigError(
                f"enhance.weights: {self.config.network} answers with what is no picture, for all"
                f" of {self._faces} faces; its weights are damaged: get or train them again"
            )

    def residuals(self, aligned: torch.Tensor) -> torch.Tensor:
        """Return the network's residuals for aligned faces.

        Args:
            aligned: (B, C, S, S) in [0, 1], the network's input, S a multiple of 32.

        Returns:
            (B, 3, S, S) float32.
        """
        if self._restorer is None:
            raise RuntimeError("Enhance.residuals was called before setup")
        return self._restorer.residual(aligned)


def _grouped(keys: Sequence[Key], most_of: Callable[[Key], int]) -> list[tuple[Key, list[int]]]:
    """Return groups of indices with equal keys, in order, of at most `most_of` the key each."""
    groups: dict[Key, list[int]] = defaultdict(list)
    for index, key in enumerate(keys):
        groups[key].append(index)
    return [
        (key, indices[start : start + most])
        for key, indices in groups.items()
        for most in (most_of(key),)
        for start in range(0, len(indices), most)
    ]


def _unaligned(
    masked: torch.Tensor, patches: Sequence[FacePatch], bucket: Bucket, generative: bool
) -> list[RestoredPatch]:
    """Warp masked residuals to the frame's grid, and back-project them.

    What a generative network draws must match also a lossy source within the tight tolerance: the
    wide one is for undoing compression, not for detail that is made up.
    """
    import torch

    from nodes.enhance.back_projection import back_project, tolerance
    from nodes.enhance.separable import on_device
    from nodes.enhance.warp import cut_to_regions, regions_of, unalign_residuals

    on_grid = unalign_residuals(masked, patches, bucket)
    sources = regions_of(patches, bucket, masked.device)
    blurs_px = torch.tensor([patch.blur_px for patch in patches])
    allowed = [tolerance(patch.strength, tight=generative or not patch.lossy) for patch in patches]
    tolerances = on_device(torch.tensor(allowed), masked.device)
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
            generative=generative,
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
