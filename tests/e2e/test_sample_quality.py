"""Does AMINet help? The same pipeline with and without it, against the sharp reference."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

import pipeline
from tests.quality.face_quality import FaceScore, SampleTruth, measure_faces

pytestmark = pytest.mark.filterwarnings("default")


def scores_of(name: str, weights: str, scale: int, folder: Path) -> dict[str, FaceScore]:
    sample = SampleTruth(name)
    output = folder / f"{name}-{weights}-{scale}.mkv"
    settings = ("encode.codec=ffv1", f"params.weights={weights}")
    pipeline.enhance(sample.source, output, scale=scale, runner="local", settings=settings)
    scores = measure_faces(output, sample)
    return {who: score for who, score in scores.items() if who in sample.unseen_people}


def mean_psnr_y_db(scores: dict[str, FaceScore]) -> float:
    return math.fsum(score.psnr_y_db for score in scores.values()) / len(scores)


@pytest.mark.parametrize(("name", "scale"), [("street", 2), ("portrait", 2), ("portrait", 1)])
def test_aminet_beats_bicubic_on_people_it_never_saw(name: str, scale: int, tmp_path: Path) -> None:
    restored = scores_of(name, "aminet-s", scale, tmp_path)
    bicubic = scores_of(name, "bicubic", scale, tmp_path)
    assert restored.keys() == bicubic.keys()
    assert mean_psnr_y_db(restored) > mean_psnr_y_db(bicubic), (restored, bicubic)
