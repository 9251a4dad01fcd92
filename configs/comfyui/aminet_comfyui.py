"""A ComfyUI node that restores the faces in pictures or in the frames of a video.

Copy this file into `ComfyUI/custom_nodes/`. ComfyUI has a module named `nodes`, as aminet does, so
that the two cannot share a process: aminet is installed in a virtual environment of its own, and
this file sends it the frames through a pipe. It needs nothing but what ComfyUI has. The program is
found on PATH, or by the environment variable AMINET.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
import torch

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS", "AminetEnhance"]

_TOP = 65535
_HD_LINES = 720
"""From this height on, untagged video is BT.709, as aminet takes it; below it is BT.601."""


class AminetEnhance:
    """Restores faces by `aminet enhance - -o -`."""

    CATEGORY: ClassVar[str] = "image/video"
    FUNCTION: ClassVar[str] = "enhance"
    RETURN_TYPES: ClassVar[tuple[str, ...]] = ("IMAGE",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - ComfyUI's name
        """Return the inputs, as ComfyUI asks for them."""
        return {
            "required": {
                "images": ("IMAGE",),
                "scale": ("INT", {"default": 1, "min": 1, "max": 4}),
                "strength": ("FLOAT", {"default": 1.0, "min": 0.0, "max": 1.0, "step": 0.05}),
                "fps": ("FLOAT", {"default": 25.0, "min": 1.0, "max": 240.0}),
                "weights": ("STRING", {"default": "aminet"}),
            }
        }

    def enhance(
        self, images: torch.Tensor, scale: int, strength: float, fps: float, weights: str
    ) -> tuple[torch.Tensor]:
        """Restore faces.

        Args:
            images: (B, H, W, 3) RGB in [0, 1]: a picture, or the frames of a video in order.
            scale: output pixels per source pixel.
            strength: share of the restoration to apply.
            fps: frames a second.
            weights: name or file of the network.

        Returns:
            (B, scale H, scale W, 3) RGB in [0, 1].

        Raises:
            RuntimeError: aminet is missing, or failed; the message is its own.
        """
        frames = np.asarray(images.cpu(), np.float64)[..., :3]
        height, width = frames.shape[1:3]
        matrix = _matrix(height)
        # A face of a video is restored when it was seen in several frames.
        single = ["--set", "track.confirm_hits=1"] if len(frames) == 1 else []
        words = ["--scale", str(scale), "--strength", str(strength), *single]
        words += ["--set", f"params.weights={weights}"]
        rate = Fraction(fps).limit_denominator(1001)
        header = f"YUV4MPEG2 W{width} H{height} F{rate.numerator}:{rate.denominator} Ip A1:1"
        sent = f"{header} C444p16 XYSCSS=444P16 XCOLORRANGE=FULL\n".encode() + b"".join(
            b"FRAME\n" + _planes(frame, matrix).tobytes() for frame in frames
        )
        size = (len(frames), scale * height, scale * width)
        made = _rgb(_pictures(_run(words, sent), *size), matrix)
        return (torch.from_numpy(made.astype(np.float32)),)


def _run(words: list[str], sent: bytes) -> bytes:
    program = os.environ.get("AMINET") or shutil.which("aminet")
    if program is None:
        raise RuntimeError(
            "aminet was not found: install it in a virtual environment of its own, and set the"
            " environment variable AMINET to its program (.../bin/aminet)"
        )
    # ComfyUI's own folders are not for aminet: they hold another module `nodes`.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run(
        [program, "enhance", "-", "-o", "-", *words],
        input=sent,
        capture_output=True,
        env=environment,
        check=False,
    )
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        raise RuntimeError(f"aminet failed ({done.returncode}): {lines[-1]}")
    return done.stdout


def _matrix(height: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the matrix from RGB to Y'CbCr (ITU-T H.273), all in [0, 1] or [-0.5, 0.5]."""
    red, blue = (0.2126, 0.0722) if height >= _HD_LINES else (0.299, 0.114)
    luma = np.array([red, 1 - red - blue, blue])
    cb = (np.array([0, 0, 1]) - luma) / (2 - 2 * blue)
    cr = (np.array([1, 0, 0]) - luma) / (2 - 2 * red)
    return np.stack([luma, cb, cr])


def _planes(rgb: Any, matrix: Any) -> Any:
    codes = np.moveaxis(rgb @ matrix.T, -1, 0) * _TOP
    codes[1:] += (_TOP + 1) / 2
    return np.clip(np.rint(codes), 0, _TOP).astype("<u2")


def _rgb(codes: Any, matrix: Any) -> Any:
    values = codes.astype(np.float64)
    values[:, 1:] -= (_TOP + 1) / 2
    return np.clip(np.moveaxis(values, 1, -1) / _TOP @ np.linalg.inv(matrix).T, 0, 1)


def _pictures(stream: bytes, count: int, height: int, width: int) -> Any:
    """Return the samples of a y4m stream, (count, 3, height, width)."""
    start = stream.find(b"\n") + 1
    mark = stream.find(b"\n", start) + 1 - start
    size = 3 * height * width * 2
    if len(stream) != start + count * (mark + size):
        raise RuntimeError(f"aminet sent {len(stream)} bytes, expected {count} frames of {size}")
    frames = np.frombuffer(stream, np.uint8, offset=start).reshape(count, mark + size)
    return np.ascontiguousarray(frames[:, mark:]).view("<u2").reshape(count, 3, height, width)


NODE_CLASS_MAPPINGS = {"AminetEnhance": AminetEnhance}
NODE_DISPLAY_NAME_MAPPINGS = {"AminetEnhance": "Restore faces (aminet)"}
