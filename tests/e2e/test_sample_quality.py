"""Does AMINet help, over the sample merely enlarged? Is it steady, and true to the source?"""

from __future__ import annotations

from pathlib import Path

import pytest

import pipeline
from pipeline.job.report import RunReport
from tests.quality.face_quality import SampleTruth, measure_faces

pytestmark = pytest.mark.filterwarnings("default")


@pytest.mark.parametrize(("name", "scale"), [("street", 2), ("portrait", 2), ("portrait", 1)])
def test_no_face_is_worse_than_enlarged_and_none_flickers(
    name: str, scale: int, restored: dict[str, RunReport], tmp_path: Path
) -> None:
    sample = SampleTruth(name)
    output = Path(str(restored[name].videos[0].output))
    if scale == 1:
        output = tmp_path / f"{name}.mkv"
        pipeline.enhance(sample.source, output, runner="local", settings=["encode.codec=ffv1"])
    scores = measure_faces(output, sample)
    truth = measure_faces(sample.reference, sample)
    assert scores.keys() >= sample.unseen_people
    for who, score in scores.items():
        assert score.gain_db is not None, who
        assert score.gain_db > 0, (who, score)
        assert score.flicker is not None, who
        assert score.flicker < 1.05, (who, score)
        # What is soft departs from the source when it is sharpened: the truth itself agrees with 26
        # to 33 dB. No face may depart farther than its own truth, or than 31 dB.
        assert score.consistency_db > truth[who].consistency_db, (who, score)
        assert score.consistency_db > 31, (who, score)
