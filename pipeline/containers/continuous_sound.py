"""Decoded sound as an encoder takes it: one format, and each sample right behind the last."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Final

from av.audio import AudioFrame
from av.audio.codeccontext import AudioCodecContext
from av.error import EOFError as AvEOFError
from av.filter import Graph

__all__ = ["ContinuousSound"]

_LONG_GAP_S: Final = 1
"""The resampler makes a gap's silence in one piece, which is too large for one of hours."""


class ContinuousSound:
    """libav's resampler, told to keep to the sound's times.

    Where sound is missing for more than a tenth of a second silence takes its place; where it
    overlaps the second part is cut. Formats may change between frames, as they do in broadcasts.
    """

    def __init__(self, encoder: AudioCodecContext, *, counts: bool = False) -> None:
        """Begin.

        Args:
            encoder: open; says what samples, rate and channels are wanted.
            counts: whether only the first time is right, and samples follow each other.
        """
        self._encoder, self._counts = encoder, counts
        self._end_s: Fraction | None = None
        self._graph: Graph | None = None
        self._form: tuple[str, str, int] | None = None

    def push(self, frame: AudioFrame) -> Iterator[AudioFrame]:
        """Yield what can be encoded once `frame` is there, in pieces of bounded length."""
        end_s = self._end_s
        self._time(frame)
        if end_s is not None:
            for silent in _silence(end_s, frame):
                yield from self._resampled(silent)
        yield from self._resampled(frame)

    def _resampled(self, frame: AudioFrame) -> Iterator[AudioFrame]:
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        if form != self._form:
            yield from self.end()
            self._form, self._graph = form, self._make(frame)
        graph = self._graph
        assert graph is not None  # noqa: S101 - made with the first frame
        graph.push(frame)
        yield from _pulled(graph)

    def _time(self, frame: AudioFrame) -> None:
        """Give a frame the time where the one before it ends, unless its own is there and right."""
        tick = Fraction(1, frame.sample_rate)
        own = None if frame.pts is None else round(frame.pts * (frame.time_base or tick) / tick)
        if own is None or (self._counts and self._end_s is not None):
            own = round((self._end_s or Fraction(0)) / tick)
        frame.pts, frame.time_base = own, tick
        self._end_s = (own + frame.samples) * tick

    def end(self) -> list[AudioFrame]:
        """Return what is left."""
        if self._graph is None:
            return []
        self._graph.push(None)
        left, self._graph, self._form = _pulled(self._graph), None, None
        return left

    def _make(self, frame: AudioFrame) -> Graph:
        encoder, graph = self._encoder, Graph()
        rate_hz = encoder.sample_rate
        source = graph.add_abuffer(
            format=frame.format.name,
            layout=frame.layout.name,
            sample_rate=frame.sample_rate,
            time_base=Fraction(1, frame.sample_rate),
        )
        graph.link_nodes(
            source,
            graph.add("aresample", f"{rate_hz}:async=1"),
            graph.add(
                "aformat",
                f"sample_fmts={encoder.format.name}:channel_layouts={encoder.layout.name}",
            ),
            graph.add("abuffersink"),
        ).configure()
        return graph


def _silence(end_s: Fraction, frame: AudioFrame) -> Iterator[AudioFrame]:
    """Yield silence for a long gap between the end of the sound so far and a frame."""
    rate_hz = frame.sample_rate
    at, until = round(end_s * rate_hz), frame.pts or 0
    if until - at <= _LONG_GAP_S * rate_hz:
        return
    while at < until:
        samples = min(_LONG_GAP_S * rate_hz, until - at)
        # Packed, because PyAV makes no valid planes for more than eight channels.
        silent = AudioFrame(frame.format.packed.name, frame.layout.name, samples)
        (plane,) = silent.planes
        plane.update((b"\x80" if silent.format.name == "u8" else b"\0") * plane.buffer_size)
        silent.sample_rate, silent.pts, silent.time_base = rate_hz, at, Fraction(1, rate_hz)
        yield silent
        at += samples


def _pulled(graph: Graph) -> list[AudioFrame]:
    frames: list[AudioFrame] = []
    while True:
        try:
            frame = graph.pull()
        except (AvEOFError, BlockingIOError):
            return frames
        if isinstance(frame, AudioFrame):
            frames.append(frame)
