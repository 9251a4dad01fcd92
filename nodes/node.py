"""The node contract.

A node is a class with a static `spec`, which is checked before anything runs, a frozen pydantic
`Config`, and this lifecycle. An instance is used by one thread at a time.

    prepare(read)          once, where the run starts: read large files (weights); the instance is
                           then pickled and sent to each machine
    setup(threads)         once per process: load models; no video is known yet
    open(segment, inputs)  once per segment of a video: reset all state
    process(...)           once per frame, in strictly increasing pts
    close()                always called after `open`, also after an error; idempotent

There are four kinds. A `SourceNode` produces packets, a `MapNode` turns packets into packets, a
`PoolNode` does so statelessly in batches from many frames and videos, and a `SinkNode` consumes
packets and writes files. Packets are read-only, because several nodes may hold the same one: a run
ends with an error if a node of another package writes into pictures or arrays that it was given.
Other packages register nodes under the entry-point group `aminet.nodes`, by a namespaced name such
as `"acme.blur" = "acme_nodes.blur:Blur"`; see `nodes.registry`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from aminet.files import Reader
from aminet.settings import Settings
from nodes.join import SegmentPart
from nodes.reports import sum_reports
from nodes.types import PictureForm, VideoInfo

__all__ = [
    "API_VERSION",
    "Inputs",
    "MapNode",
    "Node",
    "NodeConfig",
    "NodeSpec",
    "Outputs",
    "PoolNode",
    "Port",
    "Reader",
    "Segment",
    "SinkNode",
    "SourceNode",
    "State",
    "Timed",
    "TrackingNode",
]

API_VERSION = 1
"""Incremented when a change here breaks existing nodes."""


class Timed(Protocol):
    """Anything that travels between nodes."""

    @property
    def pts(self) -> int:
        """Presentation time, in ticks of the video's time base."""
        ...


Outputs = Mapping[str, Timed]
"""One packet for each output port of a node, by port name, all with the pts of the inputs."""

PacketT = TypeVar("PacketT", bound=Timed)
ConfigT_co = TypeVar("ConfigT_co", bound="NodeConfig", covariant=True)


class Inputs:
    """One packet for each input port of a node, all of the same pts."""

    __slots__ = ("_packets",)

    def __init__(self, packets: Mapping[str, Timed]) -> None:
        self._packets = packets

    @property
    def pts(self) -> int:
        """The packets' common presentation time."""
        return next(iter(self._packets.values())).pts

    def get(self, port: str, packet_type: type[PacketT]) -> PacketT:
        """Return the packet that arrived on `port`.

        Raises:
            TypeError: the upstream node sent something other than its spec declares.
        """
        packet = self._packets[port]
        if not isinstance(packet, packet_type):
            got, want = type(packet).__name__, packet_type.__name__
            raise TypeError(f"port {port!r} received a {got}, expected a {want}")
        return packet

    def find(self, port: str, packet_type: type[PacketT]) -> PacketT | None:
        """Return the packet that arrived on `port`, None where an optional input is not connected.

        Raises:
            TypeError: the upstream node sent something other than its spec declares.
        """
        return self.get(port, packet_type) if port in self._packets else None


class State(StrEnum):
    """How long a node keeps state, which decides whether a video may be split into segments."""

    STATELESS = "stateless"
    BOUNDED = "bounded"
    """State older than `Node.warmup_s` does not matter: segments are started that much earlier."""
    UNBOUNDED = "unbounded"
    """State from the start of the video matters: the video is not split."""


@dataclass(frozen=True, slots=True)
class Port:
    """A named, typed input or output."""

    name: str
    type: type
    optional: bool = False
    """Of an input: a graph may leave it unconnected. At least one input of a node is connected."""


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """Static description of a node type."""

    type_name: str
    """Namespaced registry name, such as `aminet.track`."""
    summary: str
    """One line for `aminet nodes`."""
    inputs: tuple[Port, ...] = ()
    outputs: tuple[Port, ...] = ()
    state: State = State.STATELESS
    warmup_s: float = 0.0
    """Default of `Node.warmup_s`, for nodes where it does not depend on settings or video."""
    gpu: bool = False
    """Whether the node can use a GPU when there is one."""
    api_version: int = API_VERSION


class NodeConfig(Settings):
    """Base of every node's configuration: immutable; unknown keys and other types are errors."""

    def uncut_reason(self) -> str | None:
        """Return why a video must not be split with these settings, or None if it may be."""
        return None


@dataclass(frozen=True, slots=True)
class Segment:
    """The part of one video that is processed between `open` and `close`."""

    input: str
    """Path or URL of the source."""
    work_dir: Path
    """A private folder on the local disk. Each sink has its own and writes its files there;
    `SinkNode.join` returns those to publish."""
    threads: int
    """CPU threads this node's libraries may use."""
    start_pts: int | None = None
    """First pts of the segment, None for the video's start."""
    end_pts: int | None = None
    """First pts after the segment, None for the video's end."""
    warmup_pts: int | None = None
    """First pts that the source sends, if before `start_pts`. The frames before `start_pts` go to
    nodes with bounded state and to the nodes before them only; they do not reach the output."""
    codec: str | None = None
    """The codec for `encode.codec=auto` if pictures are written from the encoded file."""
    cuts: tuple[int, ...] | None = None
    """Pts between which frames are all encoded or all left to be copied; None: all are encoded."""
    pictures: tuple[PictureForm, ...] = ()
    """The forms of the source's pictures, if they change within it."""

    @property
    def first_pts(self) -> int | None:
        """First pts that the source sends, None for the video's start."""
        return self.start_pts if self.warmup_pts is None else self.warmup_pts


class Node(ABC, Generic[ConfigT_co]):
    """Base class of all nodes. An instance can be pickled until `setup` is called."""

    spec: ClassVar[NodeSpec]
    Config: ClassVar[type[NodeConfig]]

    def __init__(self, config: ConfigT_co) -> None:
        self._config = config

    @property
    def config(self) -> ConfigT_co:
        """The node's configuration."""
        return self._config

    def prepare(self, read: Reader) -> None:
        """Read the files that `setup` needs, and keep their content in this instance.

        Called where the run starts. The instance is then sent once to every machine, so that the
        files need not be accessible there. Files of the node's own package need not be read.

        Args:
            read: takes a path or URL, returns the file's content, or None if it does not exist.
        """
        del read

    def warmup_s(self, source: VideoInfo) -> float:
        """Return how many seconds of video before a segment a `BOUNDED` node must see.

        May be called at any time.

        Args:
            source: the video as described by the source node.
        """
        del source
        return self.spec.warmup_s

    def setup(self, threads: int) -> None:
        """Load models and other things that do not depend on the video. Called once per process.

        Args:
            threads: CPU threads the node's libraries may use.
        """

    def open(self, segment: Segment, inputs: Mapping[str, VideoInfo]) -> VideoInfo:
        """Start a segment with fresh state.

        Args:
            segment: the part of a video, and where sinks may write.
            inputs: for each connected input port, the video that its packets belong to.

        Returns:
            The video that the node's outputs belong to.
        """
        del segment
        return self.announce(inputs)

    def announce(self, inputs: Mapping[str, VideoInfo]) -> VideoInfo:
        """Return what `open` will return of `inputs`, for checks; may be called at any time."""
        return next(iter(inputs.values()))

    def close(self) -> None:
        """Release what `open` acquired. Called after `open`; may be called again."""

    def report(self) -> dict[str, Any]:
        """Return this node's entry for the segment in `report.json`. Called after `close`.

        A list of texts under `warnings` is also shown to the user, and so is what lies under
        `left_alone`: why faces were not restored, in words -> how often. With a count
        `generative_faces` above 0 the output is labelled as generative. Frames before
        `segment.start_pts` must not be counted: another segment counts them.
        """
        return {}

    @classmethod
    def merge_reports(cls, reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Merge the reports of a video's segments, given in order."""
        return sum_reports(reports)

    def content_id(self) -> str:
        """Return a text that identifies the files on which the outputs depend, besides `config`.

        Called after `prepare`. Results of an earlier run are reused only if it is the same. For
        weights it is their SHA-256.
        """
        return ""


class SourceNode(Node[ConfigT_co]):
    """Produces packets from `segment.input`, for `first_pts <= pts < end_pts`."""

    @abstractmethod
    def packets(self) -> Iterator[Outputs]:
        """Yield the outputs of each frame of the segment. Called once after `open`."""


class MapNode(Node[ConfigT_co]):
    """Turns one packet per input port into one packet per output port."""

    @abstractmethod
    def process(self, inputs: Inputs) -> Outputs:
        """Process the packets of one frame."""


class TrackingNode(MapNode[ConfigT_co]):
    """Assigns track numbers to faces, in each segment from 1.

    Tracks of neighbouring segments are matched by the warm-up frames, which both of them see.
    """

    @classmethod
    @abstractmethod
    def track_numbers(cls, reports: Sequence[Mapping[str, Any]]) -> list[dict[int, int]]:
        """Number the tracks of a whole video, from 1.

        Args:
            reports: the result of `report` for each segment, in order.

        Returns:
            For each segment, a mapping from its track numbers to those of the video.
        """


class PoolNode(Node[ConfigT_co]):
    """Processes batches of packets from many frames, segments and videos, without state.

    `open` is called for each video as for any node, but must not keep anything of it.
    """

    @property
    @abstractmethod
    def max_batch(self) -> int:
        """Largest sum of `weight` in one call of `process_batch`."""

    @abstractmethod
    def weight(self, inputs: Inputs) -> int:
        """Return the amount of work in `inputs`, such as the number of faces.

        Inputs of weight 0 may be processed by an instance on which `setup` was not called.
        """

    def travel_bytes(self, inputs: Inputs) -> int:
        """Return the size of `inputs` and their outputs in bytes; 0, the default, if small."""
        del inputs
        return 0

    @abstractmethod
    def process_batch(self, batch: Sequence[Inputs]) -> list[Outputs]:
        """Process the packets of many frames.

        The outputs of a frame must not depend on the other frames in the batch.
        """


class SinkNode(Node[ConfigT_co]):
    """Consumes packets and writes files to `segment.work_dir`, complete after `close`.

    When all segments of a video are done, `join` makes the files of the whole video from theirs.
    They are published beside the output, under its name without the suffix, plus an ending: for
    `door.mp4` the ending `.plates.csv` gives `door.plates.csv`. `{node}` in an ending is replaced
    by the node's name in the graph. If an earlier sink has the same ending, the node's name is put
    before it. Beside a stream no files are published: sinks that override `join` are left out.
    """

    endings: ClassVar[tuple[str, ...]] = (".{node}/*",)
    """The endings of all files that `join` may return. Files in a folder are given as a pattern:
    `.plates/*.png`. If such files exist already, the run is refused before it starts, or replaces
    them with `--overwrite`; files with other endings are checked only when they are made."""

    @abstractmethod
    def process(self, inputs: Inputs) -> None:
        """Process the packets of one frame."""

    @abstractmethod
    def finish(self) -> None:
        """Complete the files. Called after the last packet, but not after an error."""

    @classmethod
    def join(
        cls, parts: Sequence[SegmentPart], folder: Path, config: NodeConfig
    ) -> dict[str, Path]:
        """Join the files of a video's segments.

        By default the files are published as they are, in a folder with the node's name, and videos
        are not split into segments.

        Args:
            parts: the files of each segment, in order; at least one. They must not be changed.
            folder: an empty folder to write to.
            config: the node's configuration.

        Returns:
            The files to publish, by ending. An ending begins with a dot; with a slash the file goes
            into a folder beside the output.
        """
        del folder, config
        (part,) = parts
        return {
            f".{{node}}/{path.relative_to(part.folder).as_posix()}": path
            for path in sorted(part.folder.rglob("*"))
            if path.is_file()
        }

    @classmethod
    def can_join(cls) -> bool:
        """Return whether the class can join the files of several segments."""
        return cls.join.__func__ is not SinkNode.join.__func__
