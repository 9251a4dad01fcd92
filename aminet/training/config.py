"""Settings of a training run: a YAML file, overridden by `key.path=value` texts."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from aminet.data.batches import CANVAS_PX, BatchPlan, Stage
from aminet.device import DEVICE_PATTERN
from aminet.errors import TrainConfigError
from aminet.network import PRESETS, SIDE_MULTIPLE, SMALLEST_SIDE_PX, AMINetConfig
from aminet.settings import Settings, check_settings, read_settings, read_value, set_value

__all__ = [
    "AdversarySection",
    "DataSection",
    "LossSection",
    "OptimiserSection",
    "StageSection",
    "TrainConfig",
    "load_config",
]


class DataSection(Settings):
    """The folders of the pictures, and how they are loaded."""

    train: Path
    """Folder of training faces."""
    val: Path
    """Folder of validation faces, of other people."""
    workers: Annotated[int, Field(ge=0)] = 1
    """Loader processes; 0 loads in the training process."""


class StageSection(Settings):
    """A part of training with one patch size and one batch size."""

    steps: Annotated[int, Field(ge=1)]
    patch: Annotated[int, Field(ge=SMALLEST_SIDE_PX, le=CANVAS_PX, multiple_of=SIDE_MULTIPLE)]
    batch: Annotated[int, Field(ge=1)]


class OptimiserSection(Settings):
    """The optimiser, with warm-up and cosine decay."""

    kind: Literal["adamw", "muon"] = "adamw"
    """`muon` uses Muon for the convolutions and AdamW for the rest; it gains more per step."""
    lr: Annotated[float, Field(gt=0)] = 5e-4
    final_lr: Annotated[float, Field(ge=0)] = 1e-6
    warmup_steps: Annotated[int, Field(ge=0)] = 200
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    clip_norm: Annotated[float, Field(gt=0)] = 1.0
    """Gradients are scaled down to this norm."""
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """Share of the averaged weights kept at each step."""


class LossSection(Settings):
    """Weights of the loss terms; the Charbonnier distance has the weight 1."""

    epsilon: Annotated[float, Field(gt=0)] = 1e-3
    """Where the Charbonnier distance changes from square to absolute; pictures are in [0, 1]."""
    frequency: Annotated[float, Field(ge=0)] = 0.0
    """L1 between Fourier coefficients."""
    consistency: Annotated[float, Field(ge=0)] = 0.0
    """L1 between output and input, both reduced by 8; for bicubic input only."""
    perceptual: Annotated[float, Field(ge=0)] = 0.0
    """LPIPS (`aminet.judge.lpips`)."""
    lpips: Path | None = None
    """File of the LPIPS weights, which do not ship with the package."""
    adversarial: Annotated[float, Field(ge=0)] = 0.0
    """Loss of a discriminator that is trained with the network (`aminet.training.adversary`)."""

    @model_validator(mode="after")
    def _has_its_weights(self) -> Self:
        if self.perceptual and self.lpips is None:
            raise ValueError("perceptual needs `lpips`, the file of LPIPS's weights")
        return self


class AdversarySection(Settings):
    """The discriminator; used if `loss.adversarial` is above 0."""

    width: Annotated[int, Field(ge=1)] = 32
    lr: Annotated[float, Field(gt=0)] = 2e-4
    """Its highest learning rate, with the network's warm-up and decay."""
    betas: tuple[float, float] = (0.9, 0.99)
    alone_steps: Annotated[int, Field(ge=0)] = 100
    """Steps in which only the discriminator learns; its weight then rises over as many steps."""


class TrainConfig(Settings):
    """One training run."""

    preset: str = "aminet-s"
    in_channels: Literal[3, 7] = 3
    """3: the input is the face alone. 7: the face and its history; the camera protocol then makes
    tracks (`aminet.data.tracks`)."""
    init: str | None = None
    """Weights to start from, see `aminet.model_files.load_network`. Narrower ones, and those with
    fewer input channels, are widened (`aminet.training.widen`). None starts from random weights."""
    protocol: Literal["bicubic", "camera"] = "camera"
    data: DataSection
    out: Path
    """Folder for checkpoints, log, curves and sheets."""
    stages: Annotated[list[StageSection], Field(min_length=1)]
    seed: int = 0
    clean_share: Annotated[float, Field(ge=0, le=1)] = 0.4
    track_share: Annotated[float, Field(ge=0, le=1)] = 0.6
    """With 7 channels: share of the groups other than the clean ones that are tracks."""
    groups: Annotated[int, Field(ge=1)] = 4
    optimiser: OptimiserSection = OptimiserSection()
    loss: LossSection = LossSection()
    adversary: AdversarySection = AdversarySection()
    device: Annotated[str, Field(pattern=DEVICE_PATTERN)] = "auto"
    threads: Annotated[int, Field(ge=0)] = 0
    """CPU threads of the training process; 0 keeps torch's default."""
    log_every: Annotated[int, Field(ge=1)] = 20
    validate_every: Annotated[int, Field(ge=1)] = 250
    checkpoint_every_s: Annotated[float, Field(gt=0)] = 180.0

    @property
    def total_steps(self) -> int:
        """Steps of all stages together."""
        return sum(stage.steps for stage in self.stages)

    @property
    def network(self) -> AMINetConfig:
        """Sizes of the network to train."""
        return replace(PRESETS[self.preset], in_channels=self.in_channels)

    def batch_plan(self) -> BatchPlan:
        """The settings of `aminet.data.batches`."""
        return BatchPlan(
            protocol=self.protocol,
            stages=tuple(Stage(s.steps, s.patch, s.batch) for s in self.stages),
            seed=self.seed,
            clean_share=self.clean_share,
            groups=self.groups,
            in_channels=self.in_channels,
            track_share=self.track_share,
        )


def load_config(file: Path, overrides: Iterable[str] = ()) -> TrainConfig:
    """Read a YAML file and apply overrides.

    Args:
        file: YAML of `TrainConfig`'s fields.
        overrides: "a.b=value" with a YAML value; later ones win.

    Raises:
        TrainConfigError: the file is unreadable, a key is unknown or a value is out of range.
    """
    data = read_settings(file, "training config", TrainConfigError)
    for override in overrides:
        path, sign, text = override.partition("=")
        if not sign or not path:
            raise TrainConfigError(f"cannot apply {override!r}; expected key.path=value", key=path)
        value = read_value(override, text, TrainConfigError)
        set_value(data, path.split("."), value, TrainConfigError)
    config = check_settings(TrainConfig, data, str(file), TrainConfigError)
    if config.preset not in PRESETS:
        raise TrainConfigError(
            f"no preset {config.preset!r}; expected one of {', '.join(PRESETS)}", key="preset"
        )
    return config
