"""The contract every node keeps.

A node is a class with a static `spec` (checked before anything runs), a frozen pydantic `Config`,
and this lifecycle, all calls for one instance coming from one thread at a time:

    prepare(read)    where a run starts: read heavy files (weights); the instance then travels to
                     each machine
    setup(threads)   once a process: load models; no stream is known yet
    open(segment, inputs)  once a stretch of one video: state resets here
    process(...)     once a frame, in strictly increasing pts
    close()          always called after open, also after an error; idempotent

Four kinds: `SourceNode` makes packets, `MapNode` turns packets into packets, `PoolNode` does so in
batches from many frames and videos and keeps no state, `SinkNode` swallows them and says what
becomes of its files. A packet is read-only for all who get it: others hold it too. Third-party
packages register theirs under the entry-point group `aminet.nodes` with a namespaced name, for
example `"acme.blur" = "acme_nodes.blur:Blur"`; `nodes.registry` finds them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from aminet.files import Reader
from nodes.join import SegmentPart
from nodes.reports import sum_reports
from nodes.types import VideoInfo

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
"""Raised when a change here breaks nodes written against it."""


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


class State(StrEnum):
    """What a node remembers from frame to frame, which decides where a video may be cut."""

    STATELESS = "stateless"
    BOUNDED = "bounded"
    """Forgets after `Node.warmup_s`: a segment may start anywhere if it is warmed up that long."""
    UNBOUNDED = "unbounded"
    """Needs the whole video from its start: the planner refuses to split."""


@dataclass(frozen=True, slots=True)
class Port:
    """A named, typed input or output."""

    name: str
    type: type


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """What the graph needs to know of a node before it makes one."""

    type_name: str
    """Namespaced registry name, such as `aminet.track`."""
    summary: str
    """One line for `aminet nodes`."""
    inputs: tuple[Port, ...] = ()
    outputs: tuple[Port, ...] = ()
    state: State = State.STATELESS
    warmup_s: float = 0.0
    """See `Node.warmup_s`; for a class whose memory neither settings nor the video change."""
    gpu: bool = False
    """Whether the node can use a GPU when there is one."""
    api_version: int = API_VERSION


class NodeConfig(BaseModel):
    """Base of every node's configuration: immutable, unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    def uncut_reason(self) -> str | None:
        """Return why a video must not be cut into segments with these settings; None: it may."""
        return None


@dataclass(frozen=True, slots=True)
class Segment:
    """The stretch of one video that an `open` ... `close` handles."""

    input: str
    """Path or URL of the source."""
    work_dir: Path
    """A private folder on local disk, for each sink one of its own: it writes its files here, and
    `SinkNode.join` says which of them are published."""
    threads: int
    """CPU threads this node's libraries may use."""
    start_pts: int | None = None
    """First pts of the segment, None for the video's start."""
    end_pts: int | None = None
    """First pts after the segment, None for the video's end."""
    warmup_pts: int | None = None
    """First pts that the source sends, where that is before `start_pts`: nodes with bounded state
    and those that feed them see these frames too, and nothing is made of them."""

    codec: str | None = None
    """What the encoder's `auto` means, where the form of the output decides it."""

    @property
    def first_pts(self) -> int | None:
        """First pts that the source sends, None for the video's start."""
        return self.start_pts if self.warmup_pts is None else self.warmup_pts


class Node(ABC, Generic[ConfigT_co]):
    """Base of all nodes. An instance pickles until `setup` is called."""

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

        Called where the run starts. The instance then travels to every machine, to each of them
        once however many processes there are, so that the files need not be seen from there.
        What lies in the node's own package is there already.

        Args:
            read: returns the content of the file at a path or URL, None if there is none.
        """
        del read

    def warmup_s(self, source: VideoInfo) -> float:
        """Return how many seconds of video before a segment a `BOUNDED` node wants to see.

        May be called at any time.

        Args:
            source: the video as the source node describes it.
        """
        del source
        return self.spec.warmup_s

    def setup(self, threads: int) -> None:
        """Load what every video needs. Once a process.

        Args:
            threads: CPU threads the node's libraries may use.
        """

    def open(self, segment: Segment, inputs: Mapping[str, VideoInfo]) -> VideoInfo:
        """Start a stretch of video with fresh state.

        Args:
            segment: which stretch of which video, and where sinks may write.
            inputs: for each input port, the video that its packets belong to.

        Returns:
            The video that the node's outputs belong to.
        """
        del segment
        return self.announce(inputs)

    def announce(self, inputs: Mapping[str, VideoInfo]) -> VideoInfo:
        """Return what `open` will return, as far as the configuration decides it.

        May be called at any time; before the work, outputs are checked by it.

        Args:
            inputs: as those of `open`.
        """
        return next(iter(inputs.values()))

    def close(self) -> None:
        """Let go of what `open` took. Called once after `open`, and safe to call again."""

    def report(self) -> dict[str, Any]:
        """What this node has to say of the stretch in `report.json`. Called after `close`.

        A list of texts under `warnings` is also shown to the user. Counts leave
        out the frames before `segment.start_pts`, which another segment counts.
        """
        return {}

    @classmethod
    def merge_reports(cls, reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Return one report for a video whose segments, in order, gave `reports`."""
        return sum_reports(reports)

    def content_id(self) -> str:
        """Name the content of the files that the outputs depend on besides `config`.

        Called after `prepare`. Results made with another answer are not used again. For weights
        this is their SHA-256.
        """
        return ""


class SourceNode(Node[ConfigT_co]):
    """Makes packets out of `segment.input`, for `first_pts <= pts < end_pts`."""

    @abstractmethod
    def packets(self) -> Iterator[Outputs]:
        """Yield the outputs for each frame of the segment. Called once after `open`."""


class MapNode(Node[ConfigT_co]):
    """Turns one packet per input port into one packet per output port."""

    @abstractmethod
    def process(self, inputs: Inputs) -> Outputs:
        """Handle one frame's packets."""


class TrackingNode(MapNode[ConfigT_co]):
    """Gives faces the numbers of tracks, in each segment from 1.

    The frames before a segment, which it sees to warm up, are the ones by which the tracks of two
    segments are told to be the same.
    """

    @classmethod
    @abstractmethod
    def track_numbers(cls, reports: Sequence[Mapping[str, Any]]) -> list[dict[int, int]]:
        """Number the tracks of a video, from 1.

        Args:
            reports: what `report` said of each segment of the video, in order.

        Returns:
            For each segment, its own track number -> the video's.
        """


class PoolNode(Node[ConfigT_co]):
    """Stateless work in batches drawn from many frames, segments and videos at once.

    `open` is called with each video as for any node, but must not keep anything of it.
    """

    @property
    @abstractmethod
    def max_batch(self) -> int:
        """How much `weight` one `process_batch` call should carry at most."""

    @abstractmethod
    def weight(self, inputs: Inputs) -> int:
        """How many items of work `inputs` hold; those with 0 are answered without `setup`."""

    def travel_bytes(self, inputs: Inputs) -> int:
        """How many bytes `inputs` and the answer to them are: that much is under way for a while.

        Runners bound the sum. 0, the default, is for packets too small to matter.
        """
        del inputs
        return 0

    @abstractmethod
    def process_batch(self, batch: Sequence[Inputs]) -> list[Outputs]:
        """Handle many frames' packets; the answer must not depend on what else is in the batch."""


class SinkNode(Node[ConfigT_co]):
    """Swallows packets; what it makes lies in `segment.work_dir` after `close`.

    When all segments of a video are done, `join` makes files for the whole video of theirs. They
    are published beside the output, under the output's name without its suffix and an ending: of
    `door.mp4`, the ending `.plates.csv` becomes `door.plates.csv`. In endings, `{node}` stands for
    the node's name in the graph; it also comes before an ending that a sink before it has.

    A stream has nothing beside it: sinks with a `join` of their own are left out there.
    """

    endings: ClassVar[tuple[str, ...]] = (".{node}/*",)
    """The endings of all that `join` may return; names in a folder as a pattern: `.plates/*.png`.
    Files that have such names already are refused before the work, or replaced with `--overwrite`;
    those with other endings only when they are made."""

    @abstractmethod
    def process(self, inputs: Inputs) -> None:
        """Handle one frame's packets."""

    @abstractmethod
    def finish(self) -> None:
        """Complete the files. Called after the last packet; not called after an error."""

    @classmethod
    def join(
        cls, parts: Sequence[SegmentPart], folder: Path, config: NodeConfig
    ) -> dict[str, Path]:
        """Make the files of a video of those of its segments.

        A class that keeps this default has its files published as they are, in a folder with
        the node's name, and its videos are not cut into segments.

        Args:
            parts: what each segment gave, in order; at least one. Their files stay as they are.
            folder: an empty folder to write to.
            config: the node's configuration.

        Returns:
            The files to publish, by ending: a text that begins with a dot, with a slash where the
            file goes into a folder beside the output. Without files, nothing.
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
        """Say whether the class can make files of those of several segments."""
        return cls.join.__func__ is not SinkNode.join.__func__
