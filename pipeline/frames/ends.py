"""The ends of a graph that is fed with frames by a program."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar

from nodes.node import Inputs, NodeConfig, NodeSpec, Outputs, Port, Segment, SinkNode, SourceNode
from nodes.types import Frame, VideoInfo
from pipeline.errors import RunCancelledError

__all__ = ["FrameSink", "FrameSource"]


class FrameSource(SourceNode[NodeConfig]):
    """Hands on the frames that it is given, until `end` or `stop`."""

    spec: ClassVar[NodeSpec] = NodeSpec(
        type_name="aminet.given_frames",
        summary="hand on the frames of a Python program",
        outputs=(Port("frames", Frame),),
    )
    Config: ClassVar[type[NodeConfig]] = NodeConfig

    def __init__(self) -> None:
        super().__init__(NodeConfig())
        self._info: VideoInfo | None = None
        self._queue = queue.SimpleQueue[Frame | None]()
        self._stopped = threading.Event()

    def begin(self, info: VideoInfo) -> None:
        """Forget all, before a run; `info` describes the frames that follow."""
        self._info = info
        self._queue = queue.SimpleQueue()
        self._stopped = threading.Event()

    def push(self, frame: Frame) -> None:
        """Add a frame. Thread-safe."""
        self._queue.put(frame)

    def end(self) -> None:
        """There are no more frames. Thread-safe."""
        self._queue.put(None)

    def stop(self) -> None:
        """End the run with an error; what was pushed is dropped. Thread-safe."""
        self._stopped.set()
        self._queue.put(None)

    def open(self, segment: Segment, inputs: Mapping[str, VideoInfo]) -> VideoInfo:
        """Return the description of the frames."""
        del segment, inputs
        if self._info is None:
            raise RuntimeError("FrameSource.open was called before begin")
        return self._info

    def packets(self) -> Iterator[Outputs]:
        """Yield the frames as they come.

        Raises:
            RunCancelledError: `stop` was called.
        """
        while True:
            frame = self._queue.get()
            if self._stopped.is_set():
                raise RunCancelledError("the stream was closed")
            if frame is None:
                return
            yield {"frames": frame}


class FrameSink(SinkNode[NodeConfig]):
    """Gives each frame to `receiver`."""

    spec: ClassVar[NodeSpec] = NodeSpec(
        type_name="aminet.taken_frames",
        summary="give frames to a Python program",
        inputs=(Port("frames", Frame),),
    )
    Config: ClassVar[type[NodeConfig]] = NodeConfig

    def __init__(self) -> None:
        super().__init__(NodeConfig())
        self.receiver: Callable[[Frame], None] | None = None

    def process(self, inputs: Inputs) -> None:
        """Hand on one frame."""
        if self.receiver is None:
            raise RuntimeError("FrameSink.process was called without a receiver")
        self.receiver(inputs.get("frames", Frame))

    def finish(self) -> None:
        """There are no files to complete."""
