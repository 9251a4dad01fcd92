"""One short run of the smallest network."""

from pathlib import Path

import pytest

from aminet.training.config import TrainConfig


@pytest.fixture
def config(tiny_preset: str, face_folders: tuple[Path, Path], tmp_path: Path) -> TrainConfig:
    train_folder, val_folder = face_folders
    return TrainConfig.model_validate(
        {
            "preset": tiny_preset,
            "data": {"train": train_folder, "val": val_folder, "workers": 0},
            "out": tmp_path / "run",
            "stages": [
                {"steps": 12, "patch": 64, "batch": 2},
                {"steps": 8, "patch": 72, "batch": 3},
            ],
            "groups": 2,
            "optimiser": {"lr": 1e-3, "warmup_steps": 4},
            "log_every": 1,
            "validate_every": 100,
            "device": "cpu",
        }
    )
