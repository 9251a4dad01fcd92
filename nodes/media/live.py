"""Packets of a live source, taken as they come: nobody else holds on to them."""

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
_MOST_PACKETS: Final = 5_000
"""Waiting at once; a decoder that falls back farther makes the network lose packets."""
_PATIENCE_S: Final = 1.0
"""How long closing waits for a packet to come; a source that is silent is left open."""

_Arrival = tuple[float, "Packet[Stream] | Exception | None"]


class LivePackets:
    """Reads in a thread of its own, so that each packet's arrival is known, and a wait can end."""

    def __init__(self, packets: Iterator[Packet[Stream]], ended: threading.Event) -> None:
        """Start reading.

        Args:
            packets: what is read; used by no other thread from now on.
            ended: when it is set, iteration stops.
        """
        self._packets, self._ended = packets, ended
        self._arrivals: queue.Queue[_Arrival] = queue.Queue(_MOST_PACKETS)
        self._closed = threading.Event()
        self.arrived_s = time.monotonic()
        """When the last packet that was handed out had come, by `time.monotonic`."""
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
        """Yield the packets in order, until the source or the user ends it.

        Raises:
            FFmpegError: the source cannot be read further.
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
        """Stop reading; say whether the source may be closed, as nothing reads it any more."""
        self._closed.set()
        self._thread.join(_PATIENCE_S)
        return not self._thread.is_alive()
