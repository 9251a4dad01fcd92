"""What old film, telephones, tape and cameras on poles make of a clip: soft faces of any size.

Each takes frames (H, W, 3) uint8 of a sharp clip, and returns them as large as one would see them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from aminet.data.burst import BurstSettings, compress_burst

__all__ = ["KINDS", "Frames", "Kind"]

Frames = Sequence[npt.NDArray[np.uint8]]
Kind = Callable[[Frames], list[npt.NDArray[np.uint8]]]
_GREY: Final = np.array([0.299, 0.587, 0.114])


def film(frames: Frames) -> list[npt.NDArray[np.uint8]]:
    """Grey, out of focus, grainy, scanned small, and shown four times as large."""
    rng = np.random.default_rng(0)
    shown: list[npt.NDArray[np.uint8]] = []
    for frame in frames:
        small = gaussian_filter(_resized(frame @ _GREY, 160), 0.5) * 0.85 + 20
        grainy = _resized(small + rng.normal(0, 4, small.shape), 640)
        shown.append(_levels(np.repeat(grainy[..., None], 3, axis=2)))
    return _coded(shown, BurstSettings("mpeg4", 6))


def telephone(frames: Frames) -> list[npt.NDArray[np.uint8]]:
    """A small recording, sent on and compressed again on the way."""
    small = [
        np.asarray(Image.fromarray(f).resize((208, 208), Image.Resampling.BOX)) for f in frames
    ]
    once = _coded(small, BurstSettings("libx264", 30))
    large = [
        np.asarray(Image.fromarray(f).resize((480, 480), Image.Resampling.BICUBIC)) for f in once
    ]
    return _coded(large, BurstSettings("libx264", 26))


def tape(frames: Frames) -> list[npt.NDArray[np.uint8]]:
    """VHS: soft and ringing along the lines, colours that bleed, noise."""
    rng = np.random.default_rng(1)
    shown: list[npt.NDArray[np.uint8]] = []
    for frame in frames:
        small = Image.fromarray(frame).convert("YCbCr").resize((288, 288), Image.Resampling.BICUBIC)
        samples = np.asarray(small, np.float32)
        luma = gaussian_filter1d(samples[..., 0], 0.9, axis=1)
        luma += 0.5 * (luma - gaussian_filter1d(luma, 1.6, axis=1)) + rng.normal(0, 4, luma.shape)
        bled = gaussian_filter(np.roll(samples[..., 1:], 2, axis=1), (1, 4, 0))
        mixed = Image.fromarray(_levels(np.dstack([luma, bled])), "YCbCr").convert("RGB")
        shown.append(np.asarray(mixed.resize((576, 576), Image.Resampling.BICUBIC)))
    return _coded(shown, BurstSettings("libx264", 22))


def camera(frames: Frames) -> list[npt.NDArray[np.uint8]]:
    """A surveillance camera far away: small faces, noise, few bits."""
    rng = np.random.default_rng(2)
    shown: list[npt.NDArray[np.uint8]] = []
    for frame in frames:
        soft = gaussian_filter(_rgb_resized(frame, 112).astype(np.float32), (0.5, 0.5, 0))
        shown.append(_levels(soft + rng.normal(0, 3, (*soft.shape[:2], 1))))
    return _coded(shown, BurstSettings("libx264", 27))


KINDS: Final[dict[str, tuple[Kind, int]]] = {
    "old film": (film, 1),
    "telephone": (telephone, 1),
    "tape": (tape, 1),
    "camera": (camera, 4),
}
"""How each spoils a clip, and the `--scale` it is restored at."""


def _resized(plane: npt.NDArray[Any], side_px: int) -> npt.NDArray[np.float32]:
    image = Image.fromarray(plane.astype(np.float32))
    return np.asarray(image.resize((side_px, side_px), Image.Resampling.BICUBIC), np.float32)


def _rgb_resized(frame: npt.NDArray[np.uint8], side_px: int) -> npt.NDArray[np.uint8]:
    return np.asarray(Image.fromarray(frame).resize((side_px, side_px), Image.Resampling.BICUBIC))


def _levels(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _coded(frames: Sequence[Any], settings: BurstSettings) -> list[npt.NDArray[np.uint8]]:
    return list(compress_burst(np.stack(frames), settings))
