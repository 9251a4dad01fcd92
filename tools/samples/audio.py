"""Made-up sound for the samples: a street's murmur, and something like a voice in a room."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import signal

__all__ = ["SOUND_RATE_HZ", "Sound", "street_sound", "voice_sound"]

SOUND_RATE_HZ = 32000

Sound = npt.NDArray[np.float32]
"""Shape (channels, samples), range -1 to 1."""


def street_sound(duration_s: float, rng: np.random.Generator) -> Sound:
    """Traffic: low rumble that swells as a car goes by, and a distant horn. Mono."""
    time_s = _times(duration_s)
    rumble = _band(rng.standard_normal(time_s.size), 40, 400)
    hiss = _band(rng.standard_normal(time_s.size), 800, 3500)
    passing = np.exp(-((time_s - 0.6 * duration_s) ** 2) / 0.8)
    horn = np.sin(2 * np.pi * 392 * time_s) + np.sin(2 * np.pi * 494 * time_s)
    blown = ((time_s > 1.1) & (time_s < 1.45)).astype(np.float64)
    horn *= signal.lfilter([0.002], [1, -0.998], blown)
    mix = 0.13 * rumble * (0.6 + passing) + 0.03 * hiss * (0.4 + passing) + 0.04 * horn
    return mix[None, :].astype(np.float32)


def voice_sound(duration_s: float, rng: np.random.Generator) -> Sound:
    """A hummed, syllable-shaped tone over room noise. Stereo, the voice left of the middle."""
    time_s = _times(duration_s)
    pitch_hz = 195 + 18 * np.sin(2 * np.pi * 0.7 * time_s) + 6 * np.sin(2 * np.pi * 5 * time_s)
    buzz = signal.sawtooth(2 * np.pi * np.cumsum(pitch_hz) / SOUND_RATE_HZ)
    vowel = _band(buzz, 350, 900) + 0.4 * _band(buzz, 1400, 2400)
    syllables = np.clip(np.sin(2 * np.pi * 2.3 * time_s) + 0.2, 0, 1) ** 0.7
    voice = 0.09 * vowel * syllables
    ambience = 0.006 * _band(rng.standard_normal((2, time_s.size)), 80, 3000)
    return (np.array([[1.0], [0.7]]) * voice + ambience).astype(np.float32)


def _times(duration_s: float) -> npt.NDArray[np.float64]:
    return np.arange(round(duration_s * SOUND_RATE_HZ)) / SOUND_RATE_HZ


def _band(sound: npt.NDArray[np.float64], low_hz: float, high_hz: float) -> npt.NDArray[np.float64]:
    """Keeps a band and brings it to unit deviation."""
    sections = signal.butter(2, (low_hz, high_hz), "bandpass", fs=SOUND_RATE_HZ, output="sos")
    kept = np.asarray(signal.sosfilt(sections, sound, axis=-1), np.float64)
    return kept / kept.std()
