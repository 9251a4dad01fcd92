"""Damages sample files and runs the program over them, each in a fork: `make fuzz`.

    python -m tests.hostile.fuzz --minutes 30 [--seed 7]

A finding is a signal, a traceback, an exit code that is not documented, a hang, or CPU time or
memory beyond a limit. Each is kept with its seed in `out/fuzz`, and the program ends with 1.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NoReturn

from PIL import Image
from PIL.ImageCms import ImageCmsProfile, createProfile
from PIL.PngImagePlugin import PngInfo

from pipeline.__main__ import main as program
from pipeline.cli import app  # before the forks, which then need not
from tests.support import ROOT
from tests.support.exif import noise_jpeg
from tests.support.media import Video, make_video
from tests.support.png import write_png

__all__ = ["app"]

log = logging.getLogger("fuzz")

LIMIT_S: Final = 900
"""Time after which a run counts as hanging, s: long, because machines may be busy."""
LIMIT_CPU_S: Final = 60
LIMIT_BYTES: Final = 6 << 30
DOCUMENTED: Final = frozenset({0, 2, 3, 4})
MOST_CHANGES: Final = 40

GRAPH: Final = """
name: copy
nodes:
  decode: {type: aminet.decode}
  encode: {type: aminet.encode, inputs: {frames: decode.frames}, config: {preset: ultrafast}}
"""


def flip(data: bytearray, dice: random.Random) -> None:
    for _ in range(dice.randint(1, MOST_CHANGES)):
        data[dice.randrange(len(data))] = dice.randrange(256)


def header(data: bytearray, dice: random.Random) -> None:
    for _ in range(dice.randint(1, 8)):
        data[dice.randrange(min(len(data), 600))] = dice.choice((0, 1, 0x7F, 0x80, 0xFF))


def number(data: bytearray, dice: random.Random) -> None:
    at = dice.randrange(max(1, len(data) - 8))
    width = dice.choice((2, 4, 8))
    value = dice.choice(
        (0, 1, 2 ** (8 * width - 1) - 1, 2 ** (8 * width - 1), 2 ** (8 * width) - 1)
    )
    data[at : at + width] = value.to_bytes(width, dice.choice(("big", "little")))


def cut(data: bytearray, dice: random.Random) -> None:
    del data[dice.randrange(1, len(data)) :]


def repeat(data: bytearray, dice: random.Random) -> None:
    begin = dice.randrange(len(data))
    data[begin:begin] = data[begin : begin + dice.randrange(1, 2000)] * dice.randint(1, 20)


def swap(data: bytearray, dice: random.Random) -> None:
    one, other = sorted(dice.randrange(len(data)) for _ in range(2))
    data[one : one + 64], data[other : other + 64] = data[other : other + 64], data[one : one + 64]


CHANGES: Final[tuple[Callable[[bytearray, random.Random], None], ...]] = (
    *(flip, header, number),
    *(cut, repeat, swap),
)


def seeds(folder: Path) -> list[Path]:
    """Make a small file of each kind that is read."""
    folder.mkdir()
    films = [
        make_video(folder / f"v.{suffix}", Video(frames=8, gop_frames=4))
        for suffix in ("mp4", "mkv", "mov", "ts", "avi")
    ]
    (folder / "p.jpg").write_bytes(noise_jpeg(1))
    write_png(folder / "p.png", width_px=64, height_px=48)
    pictures = [Image.effect_noise((64, 48), 40 + number).convert("RGB") for number in range(3)]
    moving: dict[str, Any] = {"save_all": True, "append_images": pictures[1:], "duration": 40}
    said = PngInfo()
    said.add_itxt("Comment", "said", zip=True)
    profile = ImageCmsProfile(createProfile("sRGB")).tobytes()
    pictures[0].save(folder / "p.webp", icc_profile=profile)
    pictures[0].save(folder / "a.gif", **moving)
    pictures[0].save(folder / "a.webp", **moving)
    pictures[0].save(folder / "a.png", pnginfo=said, icc_profile=profile, **moving)
    (folder / "run.yaml").write_text("params: {scale: 2}\nnodes: {encode: {crf: 20}}\n")
    (folder / "graph.yml").write_text(GRAPH)
    return [*films, *sorted({*folder.iterdir()} - {*films})]


def words_for(source: Path, folder: Path, good: Path, config: Path) -> list[list[str]]:
    target = folder / f"out{source.suffix}"
    if source.suffix == ".yaml":
        return [["plan", str(good), "-o", str(folder / "o.mkv"), "-c", str(source)]]
    if source.suffix == ".yml":
        return [["graph", "validate", str(source)], ["graph", "show", str(source)]]
    return [["probe", str(source)], ["enhance", str(source), "-o", str(target), "-c", str(config)]]


def run_here(words: list[str], errors: Path) -> NoReturn:
    """Run the program in this process, a fork, and end it."""
    code = 1
    try:
        resource.setrlimit(resource.RLIMIT_AS, (LIMIT_BYTES, LIMIT_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (LIMIT_CPU_S, LIMIT_CPU_S))
        os.dup2(os.open(os.devnull, os.O_RDWR), sys.stdin.fileno())
        os.dup2(os.open(os.devnull, os.O_RDWR), sys.stdout.fileno())
        os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), sys.stderr.fileno())
        sys.argv = ["aminet", *words]
        program()
    except SystemExit as done:
        code = done.code if isinstance(done.code, int) else int(done.code is not None)
    except BaseException:  # noqa: BLE001 - what is found is told by the exit code
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def ended(process: int) -> int | None:
    """Wait for a process; return its exit code, the negative signal, or None if it was killed."""
    until = time.monotonic() + LIMIT_S
    while time.monotonic() < until:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return None


def finding(words: list[str], errors: Path) -> str | None:
    """Run the program in a fork; return what is wrong with how it ended, None if nothing is."""
    process = os.fork()
    if not process:
        run_here(words, errors)
    code = ended(process)
    said = errors.read_text("utf-8", "replace") if errors.exists() else ""
    if code is None:
        return f"still running after {LIMIT_S} s"
    if "Traceback" in said or "aminet: failed (" in said or code not in DOCUMENTED:
        return f"exit code {code}: {said[-2000:]}"
    return None


def fuzz(minutes: float, seed: int, kept: Path) -> int:
    """Return how many findings there were."""
    until, found, runs = time.monotonic() + 60 * minutes, 0, 0
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        folder = Path(name)
        files, config = seeds(folder / "seeds"), folder / "config.yaml"
        (folder / "graph.yaml").write_text(GRAPH)
        config.write_text(f"graph: {folder}/graph.yaml\nrun: {{runner: local, threads: 1}}\n")
        while time.monotonic() < until:
            dice = random.Random(seed)
            chosen = dice.choice(files)
            data = bytearray(chosen.read_bytes())
            for _ in range(dice.randint(1, 3)):
                dice.choice(CHANGES)(data, dice)
                data = data or bytearray(b"\0")
            work = folder / "work"
            work.mkdir()
            source = work / chosen.name
            source.write_bytes(data)
            for words in words_for(source, work, files[0], config):
                runs += 1
                wrong = finding(words, folder / "said")
                if wrong is not None:
                    found += 1
                    kept.mkdir(parents=True, exist_ok=True)
                    shutil.copy(source, kept / f"{seed}-{chosen.name}")
                    log.error("seed %d, %s: %s", seed, words[0], wrong)
            shutil.rmtree(work)
            seed += 1
    log.warning("%d runs, %d findings, next seed %d", runs, found, seed)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    sys.exit(bool(fuzz(given.minutes, given.seed, ROOT / "out" / "fuzz")))


if __name__ == "__main__":
    main()
