"""Running a graph on one segment in this process, with a thread per node and queues between them.

The libraries that do the work (libav, MediaPipe, torch) release the GIL, so that decoding,
tracking, restoring and encoding overlap. Every stream has one packet per frame in order, so that a
node with several inputs takes one packet from each queue. Memory is bounded by a window: the source
may be at most `window_frames` ahead of the slowest sink, and fewer if pictures are large. The bytes
in flight in pools are bounded as well, and so that faces do not pile up before a pool instead, the
queues on the way to it are short. All other queues need no bound. Branches cannot deadlock: every
node takes one packet per input and frame and sends one per output, and no queue is shorter than
one.

Warm-up frames (`Segment.warmup_pts`) are sent only to nodes with bounded state and to the nodes
before them, to each as many as it needs. Sinks never see them.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Final, cast

from nodes.node import (
    Inputs,
    MapNode,
    Node,
    NodeConfig,
    Outputs,
    PoolNode,
    Segment,
    SinkNode,
    SourceNode,
    Timed,
)
from nodes.types import VideoInfo
from pipeline.errors import NodeFailedError, NodeSetupError
from pipeline.graph.graph import Graph, GraphNode
from pipeline.graph.naming import naming, with_name
from pipeline.interrupts import interruptible, postponed, raise_pending
from pipeline.run.byte_credits import ByteCredits
from pipeline.run.channel import Channel, channels_of
from pipeline.run.checks import check_info, check_outputs, close_all, report_of
from pipeline.run.contract import Flow, PoolClient, Progress, SegmentResult, own_part
from pipeline.run.malloc import FreeMemory
from pipeline.run.memory import check_fits, frames_at_once
from pipeline.run.read_only import watched
from pipeline.run.warmup import Warmup

__all__ = ["SegmentExecutor"]

POLL_S: Final = 0.1
"""Interval of progress reports and of checks for interrupts, s."""

_Pending = tuple[int, Callable[[], None], Future[Outputs]]
_END: Final = object()
_ABORT: Final = object()


class _AbortedError(Exception):
    """Ends a node's thread after another one failed."""


class SegmentExecutor:
    """Sets up one instance of each node of a graph, and runs segments one after another."""

    def __init__(
        self,
        graph: Graph,
        nodes: Mapping[str, Node[NodeConfig]],
        pools: Mapping[str, PoolClient],
        *,
        threads: int,
        window_frames: int,
        window_bytes: int | None = None,
        picture_bytes: int | None = None,
    ) -> None:
        """Set up the nodes.

        Args:
            graph: the dataflow.
            nodes: its nodes, from `pipeline.graph.prepare.prepared`.
            pools: a client for each pool node.
            threads: CPU threads that each node's libraries may use.
            window_frames: most frames in flight.
            window_bytes: most bytes of pool work in flight, None for no limit.
            picture_bytes: most bytes of pictures in flight, None for no limit.
        """
        self._graph = graph
        self._pools = pools
        self._window_frames = window_frames
        self._window_bytes = window_bytes
        self._picture_bytes = picture_bytes
        self._nodes = nodes
        self._free_memory = FreeMemory()
        for entry in graph.nodes:
            if entry.name not in pools:
                with naming(entry, NodeSetupError):
                    nodes[entry.name].setup(threads)

    @property
    def graph(self) -> Graph:
        """The dataflow."""
        return self._graph

    def run(self, segment: Segment, listener: Callable[[Progress], None]) -> SegmentResult:
        """Run the graph on one segment.

        Args:
            segment: the segment; each sink writes to its own folder in `work_dir`.
            listener: called with the progress every 0.1 s and at the end, in this thread.

        Raises:
            MediaError: the pictures are too large for this machine.
            AminetError: the first error of any node, with its name, after all nodes were closed.
        """
        started = time.perf_counter()
        infos: dict[str, VideoInfo] = {}
        opened: dict[str, tuple[GraphNode, Node[NodeConfig]]] = {}
        failed = True
        try:
            for entry in self._graph.nodes:
                opened[entry.name] = entry, self._nodes[entry.name]
                infos[entry.name] = self._opened(entry, segment, infos)
            check_fits(infos.values(), threads=segment.threads, name=segment.input)
            run = _Run(
                self._graph,
                self._nodes,
                self._pools,
                frames_at_once(
                    infos.values(),
                    most_frames=self._window_frames,
                    most_bytes=self._picture_bytes,
                ),
                ByteCredits(self._window_bytes),
                Warmup(self._graph, infos[self._graph.source.name], segment.start_pts),
            )
            busy_s = {name: pool.busy_s for name, pool in self._pools.items()}
            run.drive(listener, self._free_memory)
            failed = False
        finally:
            close_all(opened, failed=failed)
            self._free_memory.give_back()
        return SegmentResult(
            infos=infos,
            progress=run.progress,
            wall_s=time.perf_counter() - started,
            busy_s=run.busy_s | {n: p.busy_s - busy_s[n] for n, p in self._pools.items()},
            reports={e.name: report_of(e, self._nodes[e.name]) for e in self._graph.nodes},
            flow=run.flow,
        )

    def _opened(
        self, entry: GraphNode, segment: Segment, infos: Mapping[str, VideoInfo]
    ) -> VideoInfo:
        inputs = {port: infos[edge.node] for port, edge in entry.inputs.items()}
        with naming(entry):
            node = self._nodes[entry.name]
            if isinstance(node, SinkNode):
                segment = own_part(segment, entry.name)
            return check_info(node.open(segment, inputs))


class _Run:
    """The threads and queues of one segment."""

    def __init__(
        self,
        graph: Graph,
        nodes: Mapping[str, Node[NodeConfig]],
        pools: Mapping[str, PoolClient],
        window_frames: int,
        byte_credits: ByteCredits,
        warmup: Warmup,
    ) -> None:
        self._nodes = nodes
        self._pools = pools
        self._warmup = warmup
        self._queues = channels_of(graph, pools)
        self._readers: dict[tuple[str, str], list[tuple[str, Channel]]] = {}
        for node in graph.nodes:
            for port, edge in node.inputs.items():
                reader = self._queues[node.name, port]
                self._readers.setdefault((edge.node, edge.port), []).append((node.name, reader))
        self._answers = {name: Channel() for name in pools}
        self._window = threading.Semaphore(window_frames)
        self._byte_credits = byte_credits
        self._sinks = frozenset(n for n, node in nodes.items() if isinstance(node, SinkNode))
        self._ended: Counter[int] = Counter()
        self._lock = threading.Lock()
        self._failed = threading.Event()
        self._error: BaseException | None = None
        self._faces = 0
        self._frames = 0
        self._frame_wait_s = 0.0
        self.busy_s: dict[str, float] = {node.name: 0.0 for node in graph.nodes}
        self._threads = [
            threading.Thread(target=self._guard, args=(body, node), name=node.name, daemon=True)
            for node in graph.nodes
            for body in self._bodies(node)
        ]

    @property
    def progress(self) -> Progress:
        return Progress(self._frames, self._faces)

    @property
    def flow(self) -> Flow:
        return Flow(
            frame_wait_s=self._frame_wait_s,
            byte_wait_s=self._byte_credits.waited_s,
            peak_bytes=self._byte_credits.peak_bytes,
            travelled_bytes=self._byte_credits.travelled_bytes,
        )

    def drive(self, listener: Callable[[Progress], None], free_memory: FreeMemory) -> None:
        with postponed():
            for thread in self._threads:
                thread.start()
            try:
                with interruptible():
                    self._watch(listener, free_memory)
            except BaseException as error:  # noqa: BLE001 - an interrupt, say; raised again below
                self._fail(error)
            for thread in self._threads:
                thread.join()
        if self._error is not None:
            raise self._error

    def _watch(self, listener: Callable[[Progress], None], free_memory: FreeMemory) -> None:
        for thread in self._threads:
            while thread.is_alive():
                thread.join(POLL_S)
                raise_pending()
                listener(self.progress)
                free_memory.give_back_sometimes()
        # Of short runs nothing was told yet.
        listener(self.progress)

    def _bodies(self, entry: GraphNode) -> list[Callable[[GraphNode], None]]:
        node = self._nodes[entry.name]
        if isinstance(node, SourceNode):
            return [self._source]
        if isinstance(node, SinkNode):
            return [self._sink]
        if isinstance(node, PoolNode):
            return [self._submit, self._collect]
        return [self._map]

    def _guard(self, body: Callable[[GraphNode], None], entry: GraphNode) -> None:
        try:
            body(entry)
        except _AbortedError:
            pass
        except BaseException as error:  # noqa: BLE001 - carried to the thread that called run
            self._fail(with_name(entry, error))

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            if self._error is None:
                self._error = error
        self._failed.set()
        for waiting in (*self._queues.values(), *self._answers.values()):
            waiting.put_last(_ABORT)

    def _source(self, entry: GraphNode) -> None:
        node = cast("SourceNode[NodeConfig]", self._nodes[entry.name])
        packets = node.packets()
        last: int | None = None
        while True:
            waited = time.perf_counter()
            while not self._window.acquire(timeout=POLL_S):
                self._check()
            self._check()
            started = time.perf_counter()
            self._frame_wait_s += started - waited
            outputs = next(packets, None)
            self.busy_s[entry.name] += time.perf_counter() - started
            if outputs is None:
                break
            pts = check_outputs(entry, outputs)
            if last is not None and pts <= last:
                raise NodeFailedError(f"sent pts {pts} after {last}: they have to increase")
            last = pts
            self._send(entry, outputs)
            self._end_of_path(entry, pts)
        self._send_end(entry)

    def _map(self, entry: GraphNode) -> None:
        node = cast("MapNode[NodeConfig]", self._nodes[entry.name])
        while (inputs := self._receive(entry)) is not None:
            with self._working(entry, watched(entry, inputs)):
                outputs = node.process(inputs)
            check_outputs(entry, outputs, inputs.pts)
            self._send(entry, outputs)
            self._end_of_path(entry, inputs.pts)
        self._send_end(entry)

    def _sink(self, entry: GraphNode) -> None:
        node = cast("SinkNode[NodeConfig]", self._nodes[entry.name])
        while (inputs := self._receive(entry)) is not None:
            with self._working(entry, watched(entry, inputs)):
                node.process(inputs)
            self._end_of_path(entry, inputs.pts)
        started = time.perf_counter()
        node.finish()
        self.busy_s[entry.name] += time.perf_counter() - started

    @contextmanager
    def _working(self, entry: GraphNode, check: Callable[[], None]) -> Generator[None]:
        """Count the time of a block as a node's, and call `check` after it."""
        started = time.perf_counter()
        yield
        self.busy_s[entry.name] += time.perf_counter() - started
        check()

    def _end_of_path(self, entry: GraphNode, pts: int) -> None:
        """Count that a node has finished a frame; after the last node the frame is done."""
        warming_up = self._warmup.holds(pts)
        ends = self._warmup.ends(pts) if warming_up else self._sinks
        if entry.name not in ends:
            return
        with self._lock:
            self._ended[pts] += 1
            if self._ended[pts] < len(ends):
                return
            del self._ended[pts]
            self._frames += not warming_up
        self._byte_credits.give_back(pts)
        self._window.release()

    def _submit(self, entry: GraphNode) -> None:
        node = cast("PoolNode[NodeConfig]", self._nodes[entry.name])
        client = self._pools[entry.name]
        while (inputs := self._receive(entry)) is not None:
            if not self._warmup.holds(inputs.pts):
                self._faces += node.weight(inputs)
            self._byte_credits.take(inputs.pts, node.travel_bytes(inputs), self._check)
            answer = inputs.pts, watched(entry, inputs), client.submit(inputs)
            self._answers[entry.name].put(answer, self._check)
        self._answers[entry.name].put_last(_END)

    def _collect(self, entry: GraphNode) -> None:
        """Send a pool's outputs in the order of the frames."""
        while (pending := self._take(self._answers[entry.name])) is not _END:
            pts, check_unwritten, answer = cast("_Pending", pending)
            outputs = self._wait(answer)
            check_unwritten()
            check_outputs(entry, outputs, pts)
            self._send(entry, outputs)
        self._send_end(entry)

    def _wait(self, answer: Future[Outputs]) -> Outputs:
        while True:
            try:
                return answer.result(timeout=POLL_S)
            except TimeoutError:
                if answer.done():  # the node itself raised it
                    raise
                self._check()

    def _receive(self, entry: GraphNode) -> Inputs | None:
        """Return the next packet of every input, or None at the end of the streams."""
        taken = {port: self._take(self._queues[entry.name, port]) for port in entry.inputs}
        ended = sum(packet is _END for packet in taken.values())
        if ended == len(taken):
            return None
        if ended:
            raise NodeFailedError("its inputs differ in length")
        packets = cast("dict[str, Timed]", taken)
        if len({packet.pts for packet in packets.values()}) > 1:
            times = {port: packet.pts for port, packet in packets.items()}
            raise NodeFailedError(f"its inputs differ in pts: {times}")
        return Inputs(packets)

    def _take(self, source: Channel) -> object:
        packet = source.take()
        if packet is _ABORT:
            raise _AbortedError
        return packet

    def _check(self) -> None:
        if self._failed.is_set():
            raise _AbortedError

    def _send(self, entry: GraphNode, outputs: Outputs) -> None:
        self._check()
        for port in entry.spec.outputs:
            packet = outputs[port.name]
            for name, reader in self._readers.get((entry.name, port.name), ()):
                if self._warmup.is_for(name, packet.pts):
                    reader.put(packet, self._check)

    def _send_end(self, entry: GraphNode) -> None:
        for port in entry.spec.outputs:
            for _, reader in self._readers.get((entry.name, port.name), ()):
                reader.put_last(_END)
