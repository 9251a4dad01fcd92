"""The command line: `python -m tools.samples MEDIA_DIR [--out samples] [--model FILE]`."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tools.samples.audio import street_sound, voice_sound
from tools.samples.compose import STREET_FRAME, Cast, Placement, portrait_frames, street_frames
from tools.samples.degrade import degrade
from tools.samples.files import VideoWriter, read_clip, write_truth
from tools.samples.scene import PORTRAIT, REFERENCE_SCALE, STREET, Person, Video
from tools.samples.truth import find_faces

logger = logging.getLogger(__name__)

Shown = Iterator[tuple[Image.Image, list[tuple[Cast, int, Placement]]]]


def main() -> None:
    """Reads the command line and makes both samples."""
    description = "Makes the sample videos, their references and the truth about the faces."
    parser = argparse.ArgumentParser(prog="python -m tools.samples", description=description)
    parser.add_argument("media_dir", type=Path, help="folder with the clip_*.mp4")
    parser.add_argument("--out", type=Path, default=Path("samples"), help="folder to write to")
    parser.add_argument(
        "--model",
        type=Path,
        help="MediaPipe's face_landmarker.task (default: ../models beside MEDIA_DIR)",
    )
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    media_dir: Path = arguments.media_dir
    out_dir: Path = arguments.out
    model: Path = arguments.model or media_dir.parent / "models" / "face_landmarker.task"
    out_dir.mkdir(parents=True, exist_ok=True)

    video, people = STREET
    casts = [_cast(person, media_dir, model) for person in people]
    street = read_clip(media_dir / "clip_woman_tram.mp4")[STREET_FRAME]
    truth = {video.name: _render(video, street_frames(video, casts, street), casts, out_dir)}
    video, people = PORTRAIT
    casts = [_cast(person, media_dir, model) for person in people]
    truth[video.name] = _render(video, portrait_frames(video, casts[0]), casts, out_dir)
    write_truth(out_dir / "truth.json", truth)


def _cast(person: Person, media_dir: Path, model: Path) -> Cast:
    frames = dict(enumerate(read_clip(media_dir / f"{person.clip}.mp4")))
    shown = {n: frames[n] for n in range(person.first_frame, person.last_frame + 1)}
    return Cast(person, shown, find_faces(shown, person.nose_clip_px, model))


def _render(video: Video, shown: Shown, casts: list[Cast], out_dir: Path) -> dict[str, Any]:
    rng = np.random.default_rng(video.seed)
    duration_s = (video.shown_slots[-1] + 1) / video.rate_hz
    sound = (street_sound if video.name == "street" else voice_sound)(duration_s, rng)
    sample_path = out_dir / f"{video.name}.mp4"
    reference_path = out_dir / f"{video.name}_reference.mp4"
    frames: list[dict[str, Any]] = []
    with (
        VideoWriter(sample_path, video, reference=False, sound=sound) as sample,
        VideoWriter(reference_path, video, reference=True) as reference,
    ):
        for slot, (picture, people) in zip(video.shown_slots, shown, strict=True):
            sample.write(degrade(picture, video, rng), slot)
            reference.write(np.asarray(picture), slot)
            faces = [_face(*who) for who in people]
            frames.append({"time_s": round(slot / video.rate_hz, 4), "faces": faces})
    for path in (sample_path, reference_path):
        logger.info("%s: %d frames, %d bytes", path, video.frame_count, path.stat().st_size)
    return {
        "width_px": video.width_px,
        "height_px": video.height_px,
        "reference_scale": REFERENCE_SCALE,
        "people": [{"name": c.person.name, "split": c.person.split} for c in casts],
        "frames": frames,
    }


def _face(cast: Cast, number: int, placement: Placement) -> dict[str, Any]:
    face = cast.faces[number]
    box = placement.to_sample_px(face.box_xyxy_px.reshape(2, 2)).reshape(4)
    points = placement.to_sample_px(face.points_px)
    return {
        "name": cast.person.name,
        "box_xyxy_px": box.round(2).tolist(),
        "points_px": points.round(2).tolist(),
    }


if __name__ == "__main__":
    main()
