"""Digests of decoded pictures."""

from __future__ import annotations

import hashlib

import av
import numpy as np

from nodes.picture.layout import pixel_layout, plane_samples

__all__ = ["picture_sha256"]


def picture_sha256(picture: av.VideoFrame) -> str:
    """Return the SHA-256 of a picture's samples, plane by plane, without line padding.

    This is the digest of libav's raw video, as printed by
    `ffmpeg -i FILE -map 0:v:0 -f framehash -hash sha256 -`. It does not include size, pixel format
    and time.

    Raises:
        UnsupportedFormatError: the pixel format is not Y'CbCr or gray.
    """
    layout = pixel_layout(picture.format.name)
    digest = hashlib.sha256()
    for index in range(len(picture.planes)):
        # Planes without padding are not copied.
        samples = np.ascontiguousarray(plane_samples(picture, layout, index))
        digest.update(samples.data)
    return digest.hexdigest()
