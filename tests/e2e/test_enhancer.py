"""`Enhancer` restores faces as `enhance` does."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

import pipeline
from tests.support.faces import portrait, scene
from tests.support.media import decode_all, planes

pytestmark = pytest.mark.filterwarnings("default")

SOURCE = Path(__file__).parents[2] / "samples" / "portrait.mp4"
SMALL = ["params.weights=aminet-s"]
# In other batches single samples may be rounded to the next level.
EXACT = [*SMALL, "enhance.exact=true"]


def test_a_stream_is_what_a_file_gives(tmp_path: Path) -> None:
    out = tmp_path / "out.mkv"
    settings = [*EXACT, "encode.codec=ffv1", "params.to_s=0.3", "run.runner=local"]
    report = pipeline.enhance(SOURCE, out, settings=settings)
    count = report.videos[0].frames
    with av.open(SOURCE) as container, pipeline.Enhancer(settings=EXACT) as enhancer:
        source = (f for f, _ in zip(container.decode(video=0), range(count), strict=False))
        made = list(enhancer.stream(source))
    wanted = decode_all(out)
    assert len(made) == len(wanted) == count
    for one, other in zip(made, wanted, strict=True):
        assert one.time == pytest.approx(other.time)
        assert all(np.array_equal(a, b) for a, b in zip(planes(one), planes(other), strict=True))
    before = decode_all(SOURCE)[count - 1]
    assert not np.array_equal(planes(made[-1])[0], planes(before)[0])


def test_a_picture_as_an_array_is_restored_where_its_face_is_and_nowhere_else() -> None:
    soft = portrait(128).resize((40, 40)).resize((128, 128))
    bgr = np.asarray(scene(320, 240, (soft, 100, 50)))[..., ::-1]
    with pipeline.Enhancer(settings=SMALL) as enhancer:
        made = enhancer(bgr)
    with pipeline.Enhancer(scale=2, settings=SMALL) as enhancer:
        larger = enhancer(bgr)
    change = np.abs(made.astype(int) - bgr).max(axis=2)
    assert change[70:160, 120:210].max() > 8
    change[50:178, 100:228] = 0
    assert change.max() == 0
    assert larger.shape == (480, 640, 3)
    assert np.abs(larger[::2, ::2].astype(int) - bgr).mean() < 4
