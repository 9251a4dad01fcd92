"""A single damaged time of a picture, far ahead, leaves all other pictures at their times."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.media import Video, make_video
from tests.support.transport import VIDEO, rewrite_times
from tests.support.video_nodes import decode

STEP = 3600  # ticks


@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("number", [10, 38])
@pytest.mark.parametrize("ahead_s", [0.3, 2, 900, 5000])
def test_what_follows_a_wrong_time_stays_at_its_own(
    tmp_path: Path, b_frames: int, number: int, ahead_s: float
) -> None:
    path = make_video(tmp_path / "v.ts", Video(frames=40, b_frames=b_frames))
    expected = [frame.pts for frame in decode(path)[1]]
    assert len(expected) == 40

    def ahead(at: int, time: int) -> int:
        return time + round(90_000 * ahead_s) * (at == number)

    rewrite_times(path, VIDEO, ahead)
    _, frames, report = decode(path)
    got = [frame.pts for frame in frames]
    if not b_frames:
        assert got == expected
        assert report["synthesised_pts"]["missing"] == 1
    assert len(got) == 40
    assert max(abs(a - b) for a, b in zip(got, expected, strict=True)) <= 3 * STEP
    assert got[-1] == expected[-1]
    assert report["restarts"] == []


def test_a_true_gap_stays(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.ts", Video(frames=40))
    expected = [frame.pts for frame in decode(path)[1]]
    rewrite_times(path, VIDEO, lambda at, time: time + 90_000 * 60 * (at >= 10))
    got = [frame.pts for frame in decode(path)[1]]
    assert got == [pts + 90_000 * 60 * (at >= 10) for at, pts in enumerate(expected)]
