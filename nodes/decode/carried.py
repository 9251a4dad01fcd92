"""What a stream and its pictures carry beside samples that no output here has."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import av

from nodes.errors import MediaError
from nodes.media.container_facts import ContainerFacts
from nodes.media.picture_files import files_of, pillow_image
from nodes.media.side_data import CARRIED, DOLBY_VISION, carried_kinds
from nodes.media.urls import is_url
from nodes.reports import counted

__all__ = ["check_colors", "further_pages", "lost_facts"]

_REFUSED: Final = {
    "CMYK": "CMYK, for print, whose colours only its colour profile tells",
    "LAB": "CIELAB, which is read as if it were another kind",
    "PA": "palette colours with transparency, which are read as if they were another kind",
}
"""Kinds of pixels that are not read, and why, by Pillow's name.

libav converts CMYK to RGB without its profile, and that profile would be copied into a file of RGB.
LAB and PA it reads as if they were others.
"""

_BASES = {1: "HDR10", 2: "SDR", 4: "HLG", 6: "HDR10"}
"""What Dolby Vision's pictures are without its metadata, by its compatibility number."""

_PARTS: Final = {"TIFF": "page", "MPO": "picture"}
"""What files that hold several single pictures are made of, by Pillow's name of the format."""


def lost_facts(source: str, facts: ContainerFacts, first: av.VideoFrame) -> list[str]:
    """Return what will be lost, one text each.

    Args:
        source: path or URL, for errors.
        facts: what the container says of the stream.
        first: its first picture.

    Raises:
        MediaError: the pictures have no usable colours without what would be lost.
    """
    lost = [CARRIED[kind] for kind in carried_kinds(first)]
    if facts.projection and CARRIED["SPHERICAL"] not in lost:
        lost.append(CARRIED["SPHERICAL"])
    if facts.stereo and CARRIED["STEREO3D"] not in lost:
        lost.append(CARRIED["STEREO3D"])
    if facts.dolby_vision is not None:
        profile, base = facts.dolby_vision
        if base == 0:
            raise MediaError(
                f"{source}: is Dolby Vision profile {profile}, whose pictures have the right"
                " colours only with metadata that cannot be kept: players would show them green"
                " and purple; convert it to HDR10 or SDR first"
            )
        plain = _BASES.get(base, "plain")
        lost.append(f"{DOLBY_VISION} (profile {profile}): what is left is {plain} video")
    return lost


def check_colors(source: str, *, whole: bool) -> None:
    """Refuse pictures whose colours would be others in the output.

    Args:
        source: path or URL of a single picture, or the pattern of numbered ones.
        whole: whether to look at all of the numbered ones, by their headers, or at the first only.

    Raises:
        MediaError: a picture is in such colours.
    """
    files = [] if is_url(source) else files_of(source)
    for path in files if whole else files[:1]:
        try:
            with pillow_image(path) as image:
                mode = image.mode
        except MediaError:
            continue  # libav reads more formats, and tells what is wrong with the others
        if mode in _REFUSED:
            raise MediaError(f"{path}: is in {_REFUSED[mode]}; convert it to RGB first")


def further_pages(source: str) -> list[str]:
    """Return that the pages of a TIFF, or the pictures of an MPO, after the first are left out.

    Args:
        source: path or URL of a single picture.
    """
    if is_url(source):
        return []
    try:
        with pillow_image(Path(source)) as image:
            what = _PARTS.get(image.format or "")
            pages = 1 if what is None else getattr(image, "n_frames", 1)
    except Exception:  # noqa: BLE001 - libav has read the first page, which is what counts
        return []
    return [counted(pages - 1, f"further {what}")] if pages > 1 else []
