"""The result of measuring a restored video, and its table."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

__all__ = ["TrackQuality", "VideoQuality"]


@dataclass(frozen=True, slots=True)
class TrackQuality:
    """One face over the whole video."""

    name: str
    frames: int
    eye_distance_px: float
    """Median eye distance in the source, px."""
    flicker: float | None
    """Frame-to-frame change divided by that of the source; None without consecutive frames."""
    source_change: float | None
    """Frame-to-frame change of the source, in 8-bit levels."""
    consistency_db: float
    psnr_db: float | None = None
    """PSNR against the reference, dB; infinite if equal, None without a reference."""
    ssim: float | None = None
    """Gaussian window of sigma 1.5 px."""
    enlarged_psnr_db: float | None = None
    """The same for the enlarged source."""
    reference_flicker: float | None = None
    """`flicker` of the reference: the part that is due to the face's own changes."""

    @property
    def gain_db(self) -> float | None:
        """Gain of PSNR over the enlarged source, dB."""
        if self.psnr_db is None or self.enlarged_psnr_db is None:
            return None
        return self.psnr_db - self.enlarged_psnr_db


@dataclass(frozen=True, slots=True)
class VideoQuality:
    """All faces of a video."""

    source: str
    restored: str
    reference: str | None
    tracks: tuple[TrackQuality, ...]

    def text(self) -> str:
        """Return a table as text."""
        lines = [f"{'face':>16} {'frames':>6} {'eyes px':>7} {'flicker':>7} {'agrees dB':>9}"]
        lines[0] += f" {'PSNR dB':>8} {'gain dB':>8} {'its own':>7}" if self.reference else ""
        for track in self.tracks:
            lines.append(
                f"{track.name:>16} {track.frames:>6} {track.eye_distance_px:>7.1f}"
                f" {_shown(track.flicker, '7.2f')} {track.consistency_db:>9.1f}"
            )
            if self.reference:
                lines[-1] += f" {_shown(track.psnr_db, '8.2f')} {_shown(track.gain_db, '+8.2f')}"
                lines[-1] += f" {_shown(track.reference_flicker, '7.2f')}"
        return "\n".join(lines)

    def to_json(self) -> str:
        """Return everything as indented JSON."""
        tracks = [asdict(track) | {"gain_db": track.gain_db} for track in self.tracks]
        text = json.dumps(asdict(self) | {"tracks": tracks}, indent=2)
        return text.replace("Infinity", "null") + "\n"


def _shown(value: float | None, number_format: str) -> str:
    width = number_format.lstrip("+").split(".")[0]
    return f"{'-':>{width}}" if value is None else f"{value:{number_format}}"
