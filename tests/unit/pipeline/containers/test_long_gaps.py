"""Sound that stops for hours, as of recorders of events: silence, without memory for all of it."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
from av.audio.codeccontext import AudioCodecContext
from av.filter import Graph

from pipeline.containers.continuous_sound import ContinuousSound

RATE_HZ = 8000


def encoder(layout: str = "mono") -> AudioCodecContext:
    made = AudioCodecContext.create("pcm_s16le", "w")
    assert isinstance(made, AudioCodecContext)
    made.sample_rate, made.format, made.layout = RATE_HZ, "s16", layout
    made.time_base = Fraction(1, RATE_HZ)
    made.open()
    return made


def loud(form: str, start_s: float, rate_hz: int = RATE_HZ) -> av.AudioFrame:
    """Return a tenth of a second at half of the full level."""
    samples = rate_hz // 10
    values = {
        "u8": np.full((1, samples), 192, np.uint8),
        "s16": np.full((1, samples), 1 << 14, np.int16),
        "s32p": np.full((1, samples), 1 << 30, np.int32),
        "fltp": np.full((1, samples), 0.5, np.float32),
    }
    frame = av.AudioFrame.from_ndarray(values[form], form, "mono")
    frame.sample_rate, frame.time_base = rate_hz, Fraction(1, rate_hz)
    frame.pts = round(start_s * rate_hz)
    return frame


@pytest.mark.parametrize("form", ["u8", "s16", "s32p", "fltp"])
@pytest.mark.parametrize("gap_s", [0.05, 0.5, 1.0, 1.5, 600.0])
def test_what_follows_a_gap_is_in_its_place(form: str, gap_s: float) -> None:
    sound = ContinuousSound(encoder())
    frames = [loud(form, 0), loud(form, 0.1 + gap_s)]
    made = [piece for frame in frames for piece in sound.push(frame)]
    made += sound.end()
    assert max(piece.samples for piece in made) <= 1.2 * RATE_HZ
    heard = np.concatenate([piece.to_ndarray()[0] for piece in made])
    first, last = RATE_HZ // 10, len(heard) - RATE_HZ // 10
    if gap_s > 0.1:
        assert len(heard) == round((gap_s + 0.2) * RATE_HZ)
        assert not heard[first + 1 : last - 1].any()
    assert np.all(abs(heard[: first - 1] - (1 << 14)) <= 64)
    assert np.all(abs(heard[last + 1 :] - (1 << 14)) <= 64)


def test_a_gap_of_many_channels_is_filled() -> None:
    graph = Graph()
    source = graph.add("anullsrc", f"sample_rate={RATE_HZ}:channel_layout=hexadecagonal")
    planar = graph.add("aformat", "sample_fmts=fltp")
    graph.link_nodes(source, planar, graph.add("abuffersink")).configure()
    frames = [graph.pull(), graph.pull()]
    assert all(isinstance(frame, av.AudioFrame) for frame in frames)
    sound, made = ContinuousSound(encoder("hexadecagonal")), list[av.AudioFrame]()
    for number, frame in enumerate(cast("list[av.AudioFrame]", frames)):
        frame.pts = number * 5 * RATE_HZ
        made += sound.push(frame)
    made += sound.end()
    assert sum(piece.samples for piece in made) == 5 * RATE_HZ + made[0].samples


def test_a_gap_where_the_sound_changes_is_filled() -> None:
    sound = ContinuousSound(encoder())
    frames = [loud("s16", 0), loud("fltp", 5.1, 16_000)]
    made = [piece for frame in frames for piece in sound.push(frame)]
    made += sound.end()
    heard = np.concatenate([piece.to_ndarray()[0] for piece in made])
    assert abs(len(heard) - round(5.2 * RATE_HZ)) <= 32
    assert np.all(heard[-RATE_HZ // 20 : -100] > 1 << 13)


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_the_silence_of_hours_is_not_made_at_once() -> None:
    sound = ContinuousSound(encoder())
    list(sound.push(loud("s16", 0)))
    before = resident_bytes()
    pieces = iter(sound.push(loud("s16", 3 * 3600)))  # 173 MB
    assert next(pieces).samples <= 1.2 * RATE_HZ
    assert resident_bytes() - before < 50_000_000
