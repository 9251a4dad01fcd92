"""The sizes that VP9's frames give between keyframes, as encoders for calls change them.

Field names and order are those of the VP9 bitstream specification, section 6.2.
"""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["given_sizes"]

_KEY_FRAME = 0
_REFERENCES = 3
_SYNC_BITS = 24


class _Bits:
    """Reads bits, the first one being the highest of the first byte."""

    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 0

    def read(self, count: int) -> int:
        """Return the next bits as a number.

        Raises:
            IndexError: there are not so many.
        """
        number = 0
        for _ in range(count):
            byte = self._content[self._at >> 3]
            number = number << 1 | byte >> (7 - (self._at & 7)) & 1
            self._at += 1
        return number


def given_sizes(packet: bytes) -> Iterator[tuple[int, int]]:
    """Yield width and height, px, of the frames of a packet that have a size of their own.

    Keyframes, and frames that have the size of an earlier one, are left out. Damage yields nothing.
    """
    for frame in _frames(packet):
        try:
            size_px = _given_size(_Bits(frame))
        except IndexError:
            continue
        if size_px is not None:
            yield size_px


def _frames(packet: bytes) -> Iterator[bytes]:
    """Yield the frames of a packet: several if it ends in the index of a superframe."""
    marker = packet[-1]
    count, size_bytes = (marker & 7) + 1, (marker >> 3 & 3) + 1
    index_at = len(packet) - 2 - count * size_bytes
    if marker >> 5 != 0b110 or index_at < 0 or packet[index_at] != marker:
        yield packet
        return
    begin = 0
    for number in range(count):
        at = index_at + 1 + number * size_bytes
        end = begin + int.from_bytes(packet[at : at + size_bytes], "little")
        yield packet[begin : min(end, index_at)]
        begin = end


def _given_size(bits: _Bits) -> tuple[int, int] | None:
    bits.read(2)  # frame_marker
    profile = bits.read(1) | bits.read(1) << 1
    if profile == 3:
        bits.read(1)
    if bits.read(1):  # show_existing_frame
        return None
    frame_type, show_frame, error_resilient_mode = bits.read(1), bits.read(1), bits.read(1)
    if frame_type == _KEY_FRAME:
        return None
    intra_only = 0 if show_frame else bits.read(1)
    if not error_resilient_mode:
        bits.read(2)  # reset_frame_context
    if intra_only:
        return _of_intra_only(bits, profile)
    bits.read(8 + _REFERENCES * 4)  # refresh_frame_flags, and each reference with its sign bias
    if any(bits.read(1) for _ in range(_REFERENCES)):  # found_ref
        return None
    return _size(bits)


def _of_intra_only(bits: _Bits, profile: int) -> tuple[int, int]:
    bits.read(_SYNC_BITS)
    if profile > 0:
        _skip_color_config(bits, profile)
    bits.read(8)  # refresh_frame_flags
    return _size(bits)


def _skip_color_config(bits: _Bits, profile: int) -> None:
    if profile >= 2:
        bits.read(1)  # ten_or_twelve_bit
    is_rgb = bits.read(3) == 7
    has_subsampling = profile in (1, 3)
    if not is_rgb:
        bits.read(1)  # color_range
    if has_subsampling:
        bits.read(1 if is_rgb else 3)


def _size(bits: _Bits) -> tuple[int, int]:
    return bits.read(16) + 1, bits.read(16) + 1
