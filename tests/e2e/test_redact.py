"""`redact`: no face of the sample clips can be seen in any frame once it was found."""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

import pipeline
from tests.quality.face_quality import SampleTruth
from tests.support.media import AudioTrack, Video, make_video

pytestmark = pytest.mark.filterwarnings("default")


def pictures(path: Path) -> list[npt.NDArray[np.int16]]:
    with av.open(path) as container:
        frames = (frame.to_ndarray(format="rgb24") for frame in container.decode(video=0))
        return [picture.astype(np.int16) for picture in frames]


@pytest.mark.parametrize("name", ["street", "portrait"])
def test_every_face_is_hidden_in_every_frame(name: str, tmp_path: Path) -> None:
    sample = SampleTruth(name)
    run = tmp_path / "run.yaml"
    run.write_text("graph: redact\nrun: {runner: local}\n", encoding="utf-8")
    settings = ["encode.codec=ffv1", "params.to_s=1.0"]
    out = tmp_path / "out.mkv"
    video = pipeline.enhance(sample.source, out, config=run, settings=settings).videos[0]
    assert video.nodes["blur"]["hidden"] >= video.frames
    seen: list[tuple[int, str]] = []
    source, made = pictures(sample.source), pictures(out)
    for index, truth in enumerate(sample.entry["frames"][: len(made)]):
        for face in truth["faces"]:
            x0, y0, x1, y1 = (max(0, round(side)) for side in face["box_xyxy_px"])
            old, new = (p[index][y0:y1, x0:x1] for p in (source, made))
            if (np.abs(old - new).max(axis=2) < 2).mean() > 0.2:
                seen.append((index, face["name"]))
    assert len(made) == video.frames >= 15
    assert seen == []


def kinds(path: Path) -> list[str]:
    with av.open(path) as container:
        return [stream.type for stream in container.streams]


def test_what_else_shows_faces_is_left_out(tmp_path: Path) -> None:
    jpeg = io.BytesIO()
    Image.new("RGB", (16, 16)).save(jpeg, "JPEG")
    picture = ("cover.jpg", "image/jpeg", jpeg.getvalue())
    two = Video(frames=10, cameras=2, audio=(AudioTrack(),), attachments=(picture,))
    source, out = make_video(tmp_path / "v.mkv", two), tmp_path / "out.mkv"
    report = pipeline.run_graph("redact", source, out, runner="local")
    assert kinds(source) == ["video", "video", "audio", "video"]  # the last one is the cover
    assert kinds(out) == ["video", "audio"]
    said = [note for note in report.videos[0].notes if "may show what is hidden" in note]
    assert [note.split(" (")[0] for note in said] == ["video stream 1", "video stream 3"]
    pipeline.enhance_stream(str(source), tmp_path / "stream.mkv", graph="redact")
    assert kinds(tmp_path / "stream.mkv") == ["video", "audio"]
    kept = pipeline.run_graph(
        "redact", source, out, settings=["encode.other_pictures=true"], overwrite=True
    )
    assert kinds(out) == kinds(source)
    assert not any("may show" in note for note in kept.videos[0].notes)
