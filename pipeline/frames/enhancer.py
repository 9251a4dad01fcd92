"""`Enhancer`: restores the faces in pictures that a Python program holds."""

from __future__ import annotations

import atexit
import os
import queue
import tempfile
import threading
import weakref
from collections.abc import Generator, Iterable, Iterator, Mapping
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any, Final, Self, TypeVar, cast

import av
import numpy as np
import numpy.typing as npt

from nodes.node import Segment
from nodes.types import Frame, VideoInfo
from pipeline.config import load_graph, merge_settings
from pipeline.frames.ends import FrameSink, FrameSource
from pipeline.frames.pictures import FrameMaker
from pipeline.graph.ends import with_ends
from pipeline.graph.prepare import prepared
from pipeline.graph.spec import GraphSpec
from pipeline.run.contract import Progress
from pipeline.run.local import LocalRunner
from pipeline.run.task import SegmentTask, Task
from pipeline.sizing.cores import usable_cores

__all__ = ["Enhancer"]

PictureT = TypeVar("PictureT", npt.NDArray[np.uint8], av.VideoFrame)

_WINDOW_FRAMES: Final = 8
"""Most frames of a stream in flight, as for live sources."""

_LEAST_RATE: Final = 0.001
_MOST_RATE: Final = 1000
"""Frames a second, as of `decode.rate`."""

_CLOSED: Final = "this Enhancer is closed: make another one"


class Enhancer:
    """Restores the faces in pictures: NumPy arrays as OpenCV's, or PyAV's frames.

        with pipeline.Enhancer(scale=2) as enhancer:
            larger = enhancer(cv2.imread("group.jpg"))
            for frame in enhancer.stream(container.decode(video=0)):
                ...

    The network is loaded once. One stream or picture at a time; a program that needs more makes
    more. Arrays have shape (height, width, 3), blue first, uint8, and so has what comes out,
    `scale` times as large; where no face was restored, at scale 1, it is the same bit for bit.
    PyAV's frames keep their pixel format and times.
    """

    def __init__(
        self,
        *,
        scale: int | None = None,
        look: str | None = None,
        strength: float | None = None,
        faces: str | int | None = None,
        graph: str | os.PathLike[str] | Mapping[str, Any] | GraphSpec | None = None,
        config: str | os.PathLike[str] | None = None,
        settings: Iterable[str] = (),
    ) -> None:
        """Load the network.

        Args:
            scale: output pixels per source pixel, 1 to 4.
            look: `faithful`, or `sharp`, which is generative.
            strength: share of the restoration to apply, 0 to 1.
            faces: `all`, `largest`, or how many of the largest faces in each picture.
            graph: another graph than `enhance`, with one decoder, which is left out, and one
                encoder, in whose place its frames are given back; see `pipeline.run_graph`.
            config: a run's YAML file.
            settings: single settings such as `"enhance.device=cpu"`.

        Raises:
            pipeline.errors.ConfigError, GraphError: a setting or the graph cannot work.
            aminet.errors.WeightsError: the weights are missing or damaged.
        """
        run = merge_settings(
            config,
            settings,
            graph=graph,
            scale=scale,
            look=look,
            strength=strength,
            faces=faces,
        )
        self._source, self._sink = FrameSource(), FrameSink()
        ends, _ = with_ends(load_graph(run), self._source, self._sink)
        self._window = min(run.run.window_frames, _WINDOW_FRAMES)
        self._threads = run.run.threads or usable_cores()
        options = run.run.model_copy(update={"window_frames": self._window})
        self._runner: LocalRunner | None = LocalRunner(
            ends, prepared(ends), options, threads=self._threads
        )
        self._process = os.getpid()
        self._stream: _Stream | None = None
        self._in_use = threading.Lock()
        _OPEN.add(self)

    def __call__(self, picture: PictureT) -> PictureT:
        """Restore the faces in one picture by itself, as in a photograph.

        Args:
            picture: a BGR array, or a PyAV frame.

        Returns:
            A picture of the same kind.

        Raises:
            MediaError: it is no such picture.
            RuntimeError: the enhancer is closed, or busy with a stream.
        """
        (made,) = self._pass([picture], Fraction(1), still=True)
        return made

    def stream(
        self, frames: Iterable[PictureT], *, rate: float | Fraction = 25
    ) -> Generator[PictureT]:
        """Restore the faces in a video: followed, fused and steadied over its frames.

        Frames are taken from `frames` in the calling thread, a few ahead of those given back, so
        that memory stays bounded. Closing the generator, or leaving the loop, ends the work.

        Args:
            frames: BGR arrays or PyAV frames of one size and format, in the order of showing.
            rate: frames a second, 0.001 to 1000, for those without times (`pts`).

        Yields:
            A picture for each, in order, of the same kind and with the same times.

        Raises:
            MediaError: a frame is of another kind or time base than the first, or not later than
                the one before.
            RuntimeError: the enhancer is closed, or busy with another stream.
            ValueError: `rate` is out of its range.
            AminetError: a node failed.
        """
        if not _LEAST_RATE <= rate <= _MOST_RATE:
            raise ValueError(
                f"rate is {rate}, expected {_LEAST_RATE} to {_MOST_RATE} frames a second"
            )
        yield from self._pass(frames, Fraction(rate).limit_denominator(1001), still=False)

    def close(self) -> None:
        """Free the network; a stream that is still open ends. May be called again."""
        if self._process != os.getpid():
            return
        # First of all: a stream that another thread begins at this moment looks for it.
        runner, self._runner = self._runner, None
        if self._stream is not None:
            self._stream.stop()
        if runner is not None:
            runner.__exit__(None, None, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _pass(
        self, frames: Iterable[PictureT], rate: Fraction, *, still: bool
    ) -> Generator[PictureT]:
        if self._runner is None:
            raise RuntimeError(_CLOSED)
        if self._process != os.getpid():
            raise RuntimeError(
                "this Enhancer was made by another process, and its threads are there: make one in"
                " each process, started with multiprocessing.get_context('spawn')"
            )
        # Claimed before the first picture is asked for, which may take long.
        if not self._in_use.acquire(blocking=False):
            raise RuntimeError(
                "this Enhancer is busy with a stream: close that first, or make another Enhancer"
            )
        try:
            yield from self._restored(self._runner, iter(frames), FrameMaker(rate), still=still)
        finally:
            self._in_use.release()

    def _restored(
        self, runner: LocalRunner, frames: Iterator[PictureT], maker: FrameMaker, *, still: bool
    ) -> Generator[PictureT]:
        try:
            # None is not the end: OpenCV gives it for a picture that it cannot read.
            first = next(frames)
        except StopIteration:
            return
        info = maker.info(first, still=still)
        stream = _Stream(runner, self._source, self._sink, self._threads)
        stream.start(info)
        self._stream = stream
        try:
            if self._runner is None:  # since the first picture was awaited
                raise RuntimeError(_CLOSED)
            for picture in chain([first], frames):
                stream.push(maker.frame(picture))
                while (made := stream.take(wait=stream.in_flight >= self._window)) is not None:
                    yield cast("PictureT", maker.picture(made))
            stream.end()
            while (made := stream.take(wait=True)) is not None:
                yield cast("PictureT", maker.picture(made))
        finally:
            stream.stop()
            self._stream = None


_OPEN: Final = weakref.WeakSet[Enhancer]()


@atexit.register
def _close_all() -> None:
    """Close what a program leaves open: a thread that still works would abort it at its end."""
    for enhancer in list(_OPEN):
        enhancer.close()


class _Stream:
    """One run of the graph, in a thread of its own."""

    def __init__(
        self, runner: LocalRunner, source: FrameSource, sink: FrameSink, threads: int
    ) -> None:
        self._runner, self._source, self._sink = runner, source, sink
        self._threads = threads
        self._made = queue.SimpleQueue[Frame | BaseException | None]()
        self._thread = threading.Thread(target=self._run, name="aminet-stream", daemon=True)
        self._ended = False
        self.in_flight = 0

    def start(self, info: VideoInfo) -> None:
        self._source.begin(info)
        self._sink.receiver = self._made.put
        self._thread.start()

    def push(self, frame: Frame) -> None:
        self.in_flight += 1
        self._source.push(frame)

    def end(self) -> None:
        self._source.end()

    def take(self, *, wait: bool) -> Frame | None:
        """Return the next finished frame; None if there is none yet, or no more."""
        if self._ended:
            return None
        try:
            made = self._made.get(block=wait)
        except queue.Empty:
            return None
        if isinstance(made, Frame):
            self.in_flight -= 1
            return made
        self._ended = True
        if made is not None:
            raise made
        return None

    def stop(self) -> None:
        """End the run if it has not ended; afterwards no thread and no open node is left."""
        self._source.stop()
        self._thread.join()

    def _run(self) -> None:
        with tempfile.TemporaryDirectory(prefix="aminet-") as folder:
            task = SegmentTask(Segment("", Path(folder), self._threads))
            (outcome,) = self._runner.run([task], _ignore)
        self._made.put(outcome.error)


def _ignore(task: Task, progress: Progress) -> None:
    """Ignore progress: whoever takes the frames counts them."""
