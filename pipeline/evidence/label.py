"""What a file with restored faces says of itself."""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

from pipeline.evidence.versions import PACKAGE

__all__ = ["LABEL", "SOURCE_TYPE"]

SOURCE_TYPE: Final = (
    "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
)
"""IPTC's digital source type: a recording of which parts were made by a trained network."""

LABEL: Final = (
    f"Faces restored by a neural network ({PACKAGE} {version(PACKAGE)}): estimates, no proof of who"
    f" it is; digital source type {SOURCE_TYPE.rpartition('/')[2]}"
)
"""For people: the comment of a video."""
