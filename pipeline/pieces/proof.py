"""Proving that an output with copied packets shows what was meant, by decoding it again.

Every picture that could have gone wrong is compared with the one that it should be: those around
each place where copied and encoded packets meet, decoded in a row and after a seek to that place.
Elsewhere a decoder gets the same packets and the same header as from the file that they are from.
Where a muxer has changed them, all pictures are compared.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import accumulate, pairwise, zip_longest
from pathlib import Path
from typing import Final

from nodes.errors import MediaError
from nodes.media.open import open_media, read_packets, video_stream
from nodes.media.reader import PictureReader
from nodes.picture.digest import picture_sha256
from nodes.types import VideoInfo
from pipeline.pieces.packets import Copied, Piece, piece_clock
from pipeline.pieces.timing import VideoTiming

__all__ = ["prove"]

COMPARED_FRAMES: Final = 17
"""Frames after a join to compare: one more than a decoder may keep to reorder."""


def prove(
    target: Path,
    ticks: Sequence[int],
    pieces: Sequence[Piece],
    source: str,
    info: VideoInfo,
    timing: VideoTiming,
    cuts: Sequence[int],
) -> None:
    """Check an output of which packets were copied.

    Args:
        target: the finished file.
        ticks: presentation times of its pictures in its own time base, sorted.
        pieces: what it was made of, in order.
        source: path of the source.
        info: the encoded video; its time base is the one of the source.
        timing: of the pieces, in ticks of the source.
        cuts: pts of the source's keyframes at which decoding can begin, sorted.

    Raises:
        MediaError: a picture is not the one that it should be, or does not appear.
    """
    proof = _Proof(str(target), ticks, pieces, source, info, timing)
    if len(pieces) == 1:
        same = _same_packets(str(target), source)
        proof.compare(0, COMPARED_FRAMES if same else len(ticks), ())
        return
    begins, joins = [0], list[int]()
    for (piece, following), join in zip(pairwise(pieces), accumulate(timing.counts), strict=False):
        if isinstance(piece, Copied) != isinstance(following, Copied):
            joins.append(join)
            begins.append(max(begins[-1], _decodable_before(join, timing.shown, cuts)))
    for first, end, inside in _ranges(begins[1:], joins, len(ticks)):
        proof.compare(first, end, inside)


def _decodable_before(frame: int, shown: Sequence[int], cuts: Sequence[int]) -> int:
    """Return the last frame before another one from which the source can be decoded."""
    at = bisect_left(cuts, shown[frame])
    return bisect_left(shown, cuts[at - 1]) if at else 0


def _ranges(
    begins: Sequence[int], joins: Sequence[int], frames: int
) -> list[tuple[int, int, list[int]]]:
    """Return which frames to compare, as ranges that do not touch, and the joins in each."""
    ranges: list[tuple[int, int, list[int]]] = []
    for first, join in zip(begins, joins, strict=True):
        end = min(join + COMPARED_FRAMES, frames)
        if ranges and first <= ranges[-1][1]:
            earlier, _, inside = ranges.pop()
            ranges.append((earlier, end, [*inside, join]))
        else:
            ranges.append((first, end, [join]))
    return ranges


class _Proof:
    """Compares pictures of an output, counted from 0, with those that they should be."""

    def __init__(
        self,
        target: str,
        ticks: Sequence[int],
        pieces: Sequence[Piece],
        source: str,
        info: VideoInfo,
        timing: VideoTiming,
    ) -> None:
        self._target, self._ticks, self._source = target, ticks, source
        self._info, self._shown = info, timing.shown
        ends = list(accumulate(timing.counts))
        self._pieces = list(zip(pieces, [0, *ends], ends, strict=False))

    def compare(self, first: int, end: int, joins: Sequence[int]) -> None:
        """Compare the pictures from `first` to before `end`, in a row and from each join on."""
        end = min(end, len(self._ticks))
        meant = list(self._meant(first, end))
        for begin in (first, *joins):
            stop = end if begin == first else min(end, begin + COMPARED_FRAMES)
            got = _digests(self._target, self._ticks[begin:stop])
            wanted = meant[begin - first : stop - first]
            for number, (one, other) in enumerate(zip_longest(got, wanted), begin):
                if one != other:
                    raise MediaError(f"frame {number} is another picture once it is decoded")

    def _meant(self, first: int, end: int) -> Iterator[str]:
        for piece, begins, ends in self._pieces:
            times = self._shown[max(first, begins) : max(first, min(end, ends))]
            if not times:
                continue
            if isinstance(piece, Copied):
                yield from _digests(self._source, times)
            else:
                clock = piece_clock(piece, self._info)
                yield from _digests(str(piece), [clock.ticks(pts) for pts in times])


def _digests(path: str, times: Sequence[int]) -> Iterator[str]:
    """Yield the digests of the pictures with these pts; none for those that do not come.

    Raises:
        MediaError: the file cannot be opened.
    """
    with closing(PictureReader(path, 1)) as reader:
        if times[0]:
            reader.seek(times[0])
        wanted = set(times)
        for picture in reader.pictures():
            if picture.pts is not None and picture.pts > times[-1]:
                return
            if picture.pts in wanted:
                yield picture_sha256(picture)


def _same_packets(target: str, source: str) -> bool:
    """Return whether two files have the same header and packets of video."""
    with open_media(target) as made, open_media(source) as original:
        streams = video_stream(made, target), video_stream(original, source)
        ours, theirs = (stream.codec_context.extradata or b"" for stream in streams)
        if ours != theirs:
            return False
        packets = (
            (bytes(packet) for packet in read_packets(container, stream) if packet.size)
            for container, stream in zip((made, original), streams, strict=True)
        )
        return all(one == other for one, other in zip_longest(*packets))
