import json
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from aminet.cost import count_macs, count_parameters
from aminet.errors import AminetError, DataError, SideError, TrainConfigError, WeightsError
from aminet.model_files import list_weights, load_network, mix_networks, read_card, save_weights
from aminet.network import AMINet
from aminet.training.config import TrainConfig
from aminet.training.train import new_state, save_checkpoint


@pytest.fixture
def saved(tiny_network: AMINet, tmp_path: Path) -> Path:
    file = tmp_path / "mine.safetensors"
    save_weights(tiny_network, file, protocol="camera", notes="for tests")
    return file


def test_weights_come_back_in_half_precision(tiny_network: AMINet, saved: Path) -> None:
    network, card = load_network(saved)
    assert card.name == "mine"
    assert card.network == tiny_network.config
    assert card.parameters == count_parameters(tiny_network)
    assert card.macs == count_macs(tiny_network, 128)
    assert saved.stat().st_size < 2.5 * card.parameters
    for key, value in tiny_network.state_dict().items():
        assert torch.equal(network.state_dict()[key], value.half().float())
    assert not network.training
    assert not any(p.requires_grad for p in network.parameters())


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_a_mix_lies_between_two_networks(tiny_network: AMINet, share: float) -> None:
    other = AMINet(tiny_network.config)
    mixed = mix_networks(tiny_network, other, share).state_dict()
    for key, value in tiny_network.state_dict().items():
        expected = (1 - share) * value + share * other.state_dict()[key]
        assert torch.allclose(mixed[key], expected, atol=1e-6)


def test_networks_of_two_shapes_are_not_mixed(tiny_network: AMINet) -> None:
    other = AMINet(replace(tiny_network.config, width=2 * tiny_network.config.width))
    with pytest.raises(WeightsError, match="same shape"):
        mix_networks(tiny_network, other, 0.5)


def test_damaged_weights_are_refused(saved: Path) -> None:
    content = bytearray(saved.read_bytes())
    content[-1] ^= 1
    saved.write_bytes(bytes(content))
    with pytest.raises(WeightsError, match=r"SHA-256 .* expected"):
        load_network(saved)


def test_weights_of_another_network_are_refused(saved: Path) -> None:
    card_file = saved.with_suffix(".json")
    card = json.loads(card_file.read_text())
    card["network"]["width"] = 16
    card_file.write_text(json.dumps(card))
    with pytest.raises(WeightsError, match="is of another network"):
        load_network(saved)


def test_missing_and_malformed_cards_are_named(saved: Path) -> None:
    saved.with_suffix(".json").write_text("{}")
    with pytest.raises(WeightsError, match="is malformed"):
        load_network(saved)
    saved.with_suffix(".json").unlink()
    with pytest.raises(WeightsError, match="no model card at"):
        load_network(saved)


def test_unknown_names_and_paths_say_what_there_is() -> None:
    with pytest.raises(WeightsError, match=r"no weights called 'gfpgan'; expected one that ships"):
        load_network("gfpgan")
    with pytest.raises(WeightsError, match="no weights file at"):
        load_network("/nowhere/x.safetensors")


def test_a_training_checkpoint_gives_its_averaged_weights(
    tiny_preset: str, face_folders: tuple[Path, Path], tmp_path: Path
) -> None:
    config = TrainConfig.model_validate(
        {
            "preset": tiny_preset,
            "data": {"train": face_folders[0], "val": face_folders[1]},
            "out": tmp_path,
            "stages": [{"steps": 1, "patch": 64, "batch": 1}],
        }
    )
    state = new_state(config, torch.device("cpu"))
    with torch.no_grad():
        state.average.stem.weight.fill_(0.25)
    save_checkpoint(state, config, tmp_path / "checkpoint.pt")
    network, card = load_network(tmp_path / "checkpoint.pt")
    assert float(network.stem.weight[0, 0, 0, 0]) == 0.25
    assert card.protocol == "camera"
    torch.save({"step": 1}, tmp_path / "other.pt")
    with pytest.raises(WeightsError, match="not a checkpoint of `aminet train`"):
        load_network(tmp_path / "other.pt")


def test_shipped_weights_are_what_their_cards_say() -> None:
    cards = list_weights()
    assert [card.name for card in cards] == ["aminet", "aminet-s", "aminet-sharp"]
    for shipped in cards:
        network, card = load_network(shipped.name)
        assert card.parameters == count_parameters(network)
        assert card.macs == count_macs(network, 128)
        assert "estimate" in card.notes
        network(torch.rand(1, 3, card.smallest_side, card.smallest_side + card.side_multiple))


def test_the_card_beside_the_weights_can_be_read_alone(saved: Path) -> None:
    assert read_card(saved).notes == "for tests"


@pytest.mark.parametrize(
    "error",
    [
        SideError("side", side_px=5),
        WeightsError("weights", path="/w"),
        DataError("data", path="/d"),
        TrainConfigError("config", key="a.b"),
    ],
)
def test_errors_survive_pickling_with_their_attributes(error: AminetError) -> None:
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert type(again) is type(error)
    assert str(again) == error.message == again.message
    assert vars(again) == vars(error)
    assert isinstance(again, (ValueError, OSError))
