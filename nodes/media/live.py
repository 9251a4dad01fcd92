"""Reading the packets of a live source in a thread, as they arrive."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from typing import Final

from av.packet import Packet
from av.stream import Stream

__all__ = ["LivePackets"]

_POLL_S: Final = 0.1
"""How often a wait checks for the end, s."""
_MOST_PACKETS: Final = 5_000
"""Most packets in the queue; if the decoder falls further behind, packets are lost."""
_PATIENCE_S: Final = 1.0
"""How long closing waits for the reading thread, s; a silent source is left open."""

_Arrival = tuple[float, "Packet[Stream] | Exception | None"]


class LivePackets:
    """Reads packets in its own thread, which records their arrival and lets a wait be ended."""

    def __init__(self, packets: Iterator[Packet[Stream]], ended: threading.Event) -> None:
        """Start reading.

        Args:
            packets: the packets; must not be used by another thread any more.
            ended: set it to stop the iteration.
        """
        self._packets, self._ended = packets, ended
        self._arrivals: queue.Queue[_Arrival] = queue.Queue(_MOST_PACKETS)
        self._closed = threading.Event()
        self.arrived_s = time.monotonic()
        """Arrival of the last packet that was yielded, by `time.monotonic`."""
        self._thread = threading.Thread(target=self._read, name="live", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        last: Exception | None = None
        try:
            for packet in self._packets:
                self._put((time.monotonic(), packet))
                if self._closed.is_set():
                    return
        except Exception as error:  # noqa: BLE001 - raised again where the packets are used
            last = error
        self._put((time.monotonic(), last))

    def _put(self, arrival: _Arrival) -> None:
        while not self._closed.is_set():
            try:
                self._arrivals.put(arrival, timeout=_POLL_S)
            except queue.Full:
                continue
            return

    def __iter__(self) -> Iterator[Packet[Stream]]:
        """Yield the packets in order, until the source ends or `ended` is set.

        Raises:
            FFmpegError: the source cannot be read any further.
        """
        while not self._ended.is_set():
            try:
                self.arrived_s, arrival = self._arrivals.get(timeout=_POLL_S)
            except queue.Empty:
                continue
            if arrival is None:
                return
            if isinstance(arrival, Exception):
                raise arrival
            yield arrival

    def close(self) -> bool:
        """Stop reading; return whether the thread has ended, so that the source may be closed."""
        self._closed.set()
        self._thread.join(_PATIENCE_S)
        return not self._thread.is_alive()
