"""The measure itself: it must rank pictures as they deserve, and refuse what cannot be compared."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from nodes.errors import MediaError
from pipeline.quality.report import TrackQuality
from tests.quality.comparison import CELL_PX, comparison
from tests.quality.face_quality import SampleTruth, measure_faces
from tests.support.media import decode_all

PORTRAIT = SampleTruth("portrait")
STREET = SampleTruth("street")


def remake(
    source: Path, target: Path, *, scale: int = 1, blur_sigma_px: float = 0.0, drop: int = 0
) -> Path:
    """Decode, enlarge bicubically, blur, and write without loss; `drop` frames are left out."""
    frames = decode_all(source)
    with av.open(target, "w") as container:
        stream = container.add_stream("ffv1", rate=Fraction(20))
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        stream.width, stream.height = frames[0].width * scale, frames[0].height * scale
        for frame in frames[drop:]:
            assert frame.pts is not None
            assert frame.time_base is not None
            luma = np.asarray(frame.to_ndarray(format="yuv420p")[: frame.height], np.float32)
            size = (frame.width * scale, frame.height * scale)
            grown = np.asarray(Image.fromarray(luma).resize(size, Image.Resampling.BICUBIC))
            soft = ndimage.gaussian_filter(grown, blur_sigma_px) if blur_sigma_px else grown
            grey = np.full((size[1] * 3 // 2, size[0]), 128, np.uint8)
            grey[: size[1]] = np.clip(soft.round(), 16, 235)
            picture = av.VideoFrame.from_ndarray(grey, format="yuv420p")
            picture.pts = round(frame.pts * frame.time_base * 1000)
            picture.time_base = Fraction(1, 1000)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return target


def psnr_db(score: TrackQuality) -> float:
    assert score.psnr_db is not None
    return score.psnr_db


def test_the_reference_is_perfect() -> None:
    scores = measure_faces(PORTRAIT.reference, PORTRAIT)
    assert scores["woman_window"].psnr_db == float("inf")
    assert scores["woman_window"].ssim == pytest.approx(1.0)
    assert scores["woman_window"].frames == 80
    own = scores["woman_window"].reference_flicker
    assert own == pytest.approx(scores["woman_window"].flicker)


def test_every_person_of_the_street_is_measured_in_every_frame(tmp_path: Path) -> None:
    scores = measure_faces(remake(STREET.source, tmp_path / "twice.mkv", scale=2), STREET)
    assert set(scores) == {who["name"] for who in STREET.entry["people"]}
    assert {score.frames for score in scores.values()} == {60}
    # Room for a restorer: soft enough to be restored, sound enough to be recognised.
    assert all(20 < psnr_db(score) < 36 for score in scores.values())
    # Enlarged another way, in other hands: about as good, and as steady as the source.
    assert all(abs(score.gain_db or 9) < 0.5 for score in scores.values())
    assert all(score.flicker == pytest.approx(1, abs=0.1) for score in scores.values())
    assert all(score.consistency_db > 40 for score in scores.values())
    # What moves in a face moves by more levels where it is sharp.
    assert all((score.reference_flicker or 0) > 1.05 for score in scores.values())


def test_a_blurred_output_scores_lower(tmp_path: Path) -> None:
    plain = measure_faces(remake(PORTRAIT.source, tmp_path / "a.mkv"), PORTRAIT)
    blurred = measure_faces(
        remake(PORTRAIT.source, tmp_path / "b.mkv", blur_sigma_px=1.5), PORTRAIT
    )
    assert psnr_db(blurred["woman_window"]) < psnr_db(plain["woman_window"]) - 1
    assert (blurred["woman_window"].ssim or 0) < (plain["woman_window"].ssim or 0) - 0.02
    assert blurred["woman_window"].consistency_db < plain["woman_window"].consistency_db - 3


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_any_scale_can_be_measured(tmp_path: Path, scale: int) -> None:
    output = remake(PORTRAIT.source, tmp_path / "out.mkv", scale=scale)
    assert 20 < psnr_db(measure_faces(output, PORTRAIT)["woman_window"]) < 45


def test_a_missing_frame_is_refused(tmp_path: Path) -> None:
    output = remake(PORTRAIT.source, tmp_path / "short.mkv", drop=1)
    with pytest.raises(MediaError, match=r"expected|longer"):
        measure_faces(output, PORTRAIT)


def test_the_comparison_shows_a_row_for_each_face() -> None:
    sheet = comparison(STREET.source, STREET, 30)
    assert sheet.width == 3 * CELL_PX
    assert sheet.height > 5 * CELL_PX
