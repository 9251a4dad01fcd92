"""Weights on disk: safetensors in fp16, and a model card (JSON) of the same name beside it.

The card says what the weights are, what they were trained and evaluated on, and the SHA-256 of
the weights file. `aminet/weights/` holds the networks that ship with the package. Reading a file
(`read_weights`) and building its network (`build_network`) are separate steps, so that the content
can be sent to another machine in between.
"""

import hashlib
import io
import json
import warnings
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Final

import torch
from pydantic import Field, ValidationError, field_validator
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from aminet.cost import count_macs, count_parameters
from aminet.errors import AminetError, WeightsError, did_you_mean, first_line
from aminet.files import Reader, read_file
from aminet.network import SIDE_MULTIPLE, SMALLEST_SIDE_PX, AMINet, AMINetConfig
from aminet.setting_errors import explain
from aminet.settings import Settings

__all__ = [
    "CARD_SIDE_PX",
    "CHECKPOINT_SUFFIX",
    "FOLDER",
    "WEIGHTS_SUFFIX",
    "Alignment",
    "ModelCard",
    "WeightsFile",
    "build_network",
    "list_weights",
    "load_network",
    "mix_networks",
    "read_card",
    "read_weights",
    "save_weights",
]

FOLDER: Final = Path(__file__).parent / "weights"
"""Folder of the weights that ship with the package."""
WEIGHTS_SUFFIX: Final = ".safetensors"
CHECKPOINT_SUFFIX: Final = ".pt"
CARD_SIDE_PX: Final = 128
"""Side of the face for which a card gives `macs`, px: that of the training faces."""
MOST_BLOCKS: Final = 256
"""Most LGFI blocks that a card may name, which would be built before its weights are compared."""
MOST_REASON: Final = 300
"""Most characters of torch's message about weights that do not fit, which names every tensor."""


class Alignment(Settings):
    """How faces must be aligned in the network's input. Lengths are for a side of 128 px."""

    canvas_px: int = 128
    eye_distance_px: tuple[float, float] = (24.0, 64.0)
    """Smallest and largest distance between the pupils in training."""
    rotation_deg: float = 10.0
    """Largest tilt of the line between the eyes, in either direction."""
    shift_px: float = 8.0
    """Largest offset of the face from the template."""


class ModelCard(Settings):
    """Description of a weights file."""

    name: str
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """Of the weights file."""
    network: AMINetConfig
    parameters: int
    macs: int
    """Multiply-accumulates for one 128x128 face."""
    side_multiple: int = SIDE_MULTIPLE
    """Sides must be multiples of this, px."""
    smallest_side: int = SMALLEST_SIDE_PX
    """Smallest side, px."""
    alignment: Alignment = Alignment()
    protocol: str
    """How the training faces were degraded: "bicubic" or "camera"."""
    generative: bool = False
    """Whether it was trained with an adversarial loss, and so adds plausible detail."""
    training: dict[str, Any] = Field(default_factory=dict)
    """Data, steps, seed, time, command."""
    scores: dict[str, Any] = Field(default_factory=dict)
    """Measured figures, with the command that measures them."""
    notes: str = ""
    """Intended use and limits."""
    license: str = ""

    @field_validator("network")
    @classmethod
    def _can_be_built(cls, network: AMINetConfig) -> AMINetConfig:
        if min(network.depths) < 0 or sum(network.depths) > MOST_BLOCKS:
            raise ValueError(f"depths: expected numbers from 0 on, at most {MOST_BLOCKS} in all")
        return network


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """The content of a weights file and of its card. Can be pickled."""

    location: str
    """Path or URL that it was read from."""
    content: bytes
    card: bytes | None
    """None if there is no card; a checkpoint has none."""

    @property
    def sha256(self) -> str:
        """SHA-256 of the content, as hexadecimal digits."""
        return hashlib.sha256(self.content).hexdigest()


def list_weights() -> list[ModelCard]:
    """Return the cards of the weights that ship, sorted by name."""
    files = sorted(FOLDER.glob(f"*{WEIGHTS_SUFFIX}"), key=lambda file: file.stem)
    return [read_card(file) for file in files]


def read_card(weights: Path) -> ModelCard:
    """Return the card of a weights file.

    Raises:
        WeightsError: it is missing or malformed.
    """
    file = _card_of(str(weights))
    return _parsed(read_file(file), file)


def read_weights(name_or_path: str | Path, read: Reader = read_file) -> WeightsFile:
    """Read weights that ship, a weights file, or a training checkpoint.

    Args:
        name_or_path: a name of `list_weights`, a `.safetensors` file with its card beside it,
            or a `.pt` checkpoint of `aminet train`.
        read: reads a file; `name_or_path` may be anything that it accepts.

    Raises:
        WeightsError: there is no such file, or it cannot be read.
    """
    name = str(name_or_path)
    if PurePosixPath(name).suffix not in {WEIGHTS_SUFFIX, CHECKPOINT_SUFFIX}:
        file = _shipped(name)
        return WeightsFile(str(file), file.read_bytes(), read_file(_card_of(str(file))))
    content = _content(name, read)
    if content is None:
        raise WeightsError(f"no weights file at {name}", path=name)
    card = None if _is_checkpoint(name) else _content(_card_of(name), read)
    return WeightsFile(name, content, card)


def _content(name: str, read: Reader) -> bytes | None:
    try:
        return read(name)
    except AminetError:
        raise
    except OSError as error:
        raise WeightsError(f"{name} cannot be read: {first_line(error)}", path=name) from error


def load_network(
    name_or_path: str | Path, device: torch.device | str = "cpu"
) -> tuple[AMINet, ModelCard]:
    """Call `read_weights` and `build_network`."""
    return build_network(read_weights(name_or_path), device)


def build_network(
    file: WeightsFile, device: torch.device | str = "cpu"
) -> tuple[AMINet, ModelCard]:
    """Build the network of a weights file, or of a checkpoint's averaged weights.

    Args:
        file: from `read_weights`.
        device: where to put the network.

    Returns:
        The network in fp32 and eval mode, and its card.

    Raises:
        WeightsError: there is no card, the file's SHA-256 is not the card's, or its tensors do not
            fit the network.
    """
    path = file.location
    if _is_checkpoint(path):
        return _from_checkpoint(file, device)
    card = _parsed(file.card, _card_of(path))
    if file.sha256 != card.sha256:
        raise WeightsError(
            f"{path} is damaged or is not the file its card describes: SHA-256 {file.sha256}, "
            f"expected {card.sha256}; fetch it again",
            path=path,
        )
    try:
        tensors = load_tensors(file.content)
    except SafetensorError as error:
        raise WeightsError(f"{path} is not a safetensors file: {error}", path=path) from error
    return _fill(card.network, tensors, path, device), card


def save_weights(network: AMINet, file: Path, *, protocol: str, **about: Any) -> ModelCard:
    """Write fp16 weights and their card.

    Args:
        network: what to write.
        file: `.safetensors` file to write; its stem becomes the name.
        protocol: "bicubic" or "camera".
        about: further fields of the card: `training`, `scores`, `notes`, `license`, `generative`.

    Returns:
        The card as written.
    """
    halves = {k: v.detach().cpu().half().contiguous() for k, v in network.state_dict().items()}
    content = save_tensors(halves, metadata={"format": "pt"})
    card = ModelCard(
        name=file.stem,
        sha256=hashlib.sha256(content).hexdigest(),
        network=network.config,
        parameters=count_parameters(network),
        macs=count_macs(network, CARD_SIDE_PX),
        protocol=protocol,
        **about,
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    file.with_suffix(".json").write_text(
        json.dumps(card.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"
    )
    return card


def mix_networks(network: AMINet, other: AMINet, share: float) -> AMINet:
    """Return the weighted mean of two networks, of which one was trained on from the other.

    What it restores lies between the two: less invented texture than a generative network's, and
    sharper than a faithful one's.

    Args:
        network: the one that was trained on.
        other: the one it began from.
        share: of `other`, from 0 to 1.

    Raises:
        WeightsError: the networks differ in shape.

    Source: Wang et al., "ESRGAN", ECCVW 2018, section 3.4 (network interpolation).
    """
    if network.config != other.config:
        raise WeightsError("only networks of the same shape can be mixed")
    mixed = AMINet(network.config)
    theirs = other.state_dict()
    mixed.load_state_dict({k: v.lerp(theirs[k], share) for k, v in network.state_dict().items()})
    return mixed.eval()


def _is_checkpoint(location: str) -> bool:
    return PurePosixPath(location).suffix == CHECKPOINT_SUFFIX


def _card_of(location: str) -> str:
    return location.removesuffix(PurePosixPath(location).suffix) + ".json"


def _parsed(card: bytes | None, location: str) -> ModelCard:
    if card is None:
        raise WeightsError(
            f"no model card at {location}; it belongs beside the weights", path=location
        )
    try:
        return ModelCard.model_validate_json(card)
    except ValidationError as error:
        raise WeightsError(
            f"the model card {location} is malformed: {explain(error)}", path=location
        ) from error


def _shipped(name: str) -> Path:
    file = FOLDER / f"{name}{WEIGHTS_SUFFIX}"
    if file.is_file():
        return file
    names = [file.stem for file in sorted(FOLDER.glob(f"*{WEIGHTS_SUFFIX}"))]
    raise WeightsError(
        f"no weights called {name!r}{did_you_mean(name, names) or ';'} expected one that ships"
        f" ({', '.join(names) or 'none'}), a "
        f"{WEIGHTS_SUFFIX} file, or a {CHECKPOINT_SUFFIX} checkpoint",
        path=name,
    )


def _from_checkpoint(file: WeightsFile, device: torch.device | str) -> tuple[AMINet, ModelCard]:
    from aminet.network import PRESETS

    path = PurePosixPath(file.location)
    content = _plain_content(file)
    try:
        # Older checkpoints do not say: they have no history.
        in_channels = content["config"].get("in_channels", 3)
        config = replace(PRESETS[content["config"]["preset"]], in_channels=in_channels)
        tensors, protocol = content["average"], str(content["config"]["protocol"])
        steps, seconds = content["step"], content["seconds"]
        settings = dict(content["config"])
        loss = dict(settings.get("loss", {}))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _no_checkpoint(file.location) from error
    network = _fill(config, tensors, file.location, device)
    # The run's folders are private: they do not go into the card.
    settings = {k: v for k, v in settings.items() if k not in {"data", "out"}}
    loss = {k: v for k, v in loss.items() if k != "lpips"}
    card = ModelCard(
        name=f"{path.parent.name}/{path.stem}",
        sha256=file.sha256,
        network=config,
        parameters=count_parameters(network),
        macs=count_macs(network, CARD_SIDE_PX),
        protocol=protocol,
        generative=bool(loss.get("adversarial")),
        training={
            "steps": steps,
            "seconds": seconds,
            "config": {**settings, "loss": loss},
        },
    )
    return network, card


def _plain_content(file: WeightsFile) -> Any:
    """Return the content of a checkpoint: tensors, numbers and texts. No code of it is run."""
    try:
        with warnings.catch_warnings(action="ignore"):
            return torch.load(io.BytesIO(file.content), map_location="cpu", weights_only=True)
    except Exception:  # noqa: BLE001 - the error depends on the file
        # Torch's message advises how to run the file's code after all: leave it out.
        raise _no_checkpoint(file.location) from None


def _no_checkpoint(path: str) -> WeightsError:
    return WeightsError(
        f"{path} is not a checkpoint of `aminet train`, or holds more than tensors, numbers and"
        f" texts; expected one, or a {WEIGHTS_SUFFIX} file with its card",
        path=path,
    )


def _fill(
    config: AMINetConfig, tensors: dict[str, torch.Tensor], path: str, device: torch.device | str
) -> AMINet:
    try:
        with torch.device("meta"):  # takes no memory, whatever sizes a forged card names
            wanted = count_parameters(AMINet(config))
        given = sum(tensor.numel() for tensor in tensors.values())
        if wanted > given:
            raise ValueError(f"{given} numbers, expected {wanted}")
        for name, tensor in tensors.items():
            if not tensor.is_floating_point():
                raise ValueError(f"{name} holds {tensor.dtype}, expected floating-point numbers")
        network = AMINet(config)
        network.load_state_dict(tensors, strict=True)
    except (RuntimeError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        reason = " ".join(str(error).split())[:MOST_REASON]
        raise WeightsError(f"{path} is of another network: {reason}", path=path) from error
    return network.to(torch.device(device)).eval().requires_grad_(requires_grad=False)
