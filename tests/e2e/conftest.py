"""What several tests of whole runs look at."""

from __future__ import annotations

import pytest

import pipeline
from pipeline.job.report import RunReport
from tests.support import SAMPLES


@pytest.fixture(scope="session")
def restored(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunReport]:
    """Each sample, restored at twice its size by the local runner, losslessly."""
    folder = tmp_path_factory.mktemp("local")
    return {
        name: pipeline.enhance(
            SAMPLES / f"{name}.mp4",
            folder / f"{name}.mkv",
            scale=2,
            runner="local",
            settings=["encode.codec=ffv1"],
        )
        for name in ("street", "portrait")
    }
