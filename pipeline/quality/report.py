"""What was measured of a restored video, and the table of it."""

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
    """Median, in the source."""
    flicker: float | None
    """Frame-to-frame change over the source's; None without two frames in a row."""
    source_change: float | None
    """The source's own change, in levels."""
    consistency_db: float
    psnr_db: float | None = None
    """Against the reference; infinite where equal, None without one."""
    ssim: float | None = None
    """Gaussian window of sigma 1.5 px."""
    enlarged_psnr_db: float | None = None
    """The same for the source merely enlarged."""
    reference_flicker: float | None = None
    """Flicker of the reference, which has none: what of `flicker` may be the face's own change."""

    @property
    def gain_db(self) -> float | None:
        """PSNR over the source merely enlarged."""
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
        """Return a table for people."""
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
