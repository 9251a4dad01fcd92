"""The ComfyUI node, in a host that has a module `nodes` of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.support import ROOT
from tests.support.faces import portrait, scene

pytestmark = pytest.mark.slow

NODE = ROOT / "configs" / "comfyui" / "aminet_comfyui.py"

HOST = """
import importlib.util, sys
import numpy as np, torch
import nodes  # the host's own, and its table of node classes

spec = importlib.util.spec_from_file_location("custom", "custom_nodes/aminet_comfyui.py")
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
nodes.NODE_CLASS_MAPPINGS.update(module.NODE_CLASS_MAPPINGS)
node_class = nodes.NODE_CLASS_MAPPINGS["AminetEnhance"]
names = set(node_class.INPUT_TYPES()["required"])
assert names == {"images", "scale", "strength", "fps", "weights"}
images = torch.from_numpy(np.load(sys.argv[1]))
call = getattr(node_class(), node_class.FUNCTION)
(made,) = call(images, int(sys.argv[2]), 1.0, 25.0, sys.argv[3])
assert made.dtype == torch.float32 and 0 <= made.min() and made.max() <= 1
np.save(sys.argv[4], made.numpy())
"""


@pytest.fixture
def host(tmp_path: Path) -> Path:
    (tmp_path / "custom_nodes").mkdir()
    shutil.copy(NODE, tmp_path / "custom_nodes")
    (tmp_path / "nodes.py").write_text("NODE_CLASS_MAPPINGS = {}\n", encoding="utf-8")
    (tmp_path / "main.py").write_text(HOST, encoding="utf-8")
    return tmp_path


def call(
    host: Path, images: npt.NDArray[np.float32], scale: int, weights: str
) -> subprocess.CompletedProcess[str]:
    np.save(host / "in.npy", images)
    program = Path(sys.executable).with_name("aminet")
    environment = {**os.environ, "PYTHONPATH": str(host), "AMINET": str(program)}
    return subprocess.run(
        [sys.executable, "main.py", "in.npy", str(scale), weights, "out.npy"],
        cwd=host,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def soft_scene(width_px: int, height_px: int) -> npt.NDArray[np.float32]:
    soft = portrait(128).resize((40, 40)).resize((128, 128))
    picture = np.asarray(scene(width_px, height_px, (soft, 100, 50)), np.float32)
    return picture / np.float32(255)


def test_a_picture_is_restored_where_its_face_is_and_nowhere_else(host: Path) -> None:
    before = soft_scene(320, 240)
    done = call(host, before[None], 1, "aminet-s")
    assert done.returncode == 0, done.stderr
    (made,) = np.load(host / "out.npy")
    change = np.abs(made - before).max(axis=2)
    assert change[70:160, 120:210].max() > 8 / 255
    change[50:178, 100:228] = 0
    assert change.max() < 1e-4


def test_frames_of_a_video_in_hd_are_enlarged(host: Path) -> None:
    before = np.stack([soft_scene(960, 720)] * 6)
    done = call(host, before, 2, "aminet-s")
    assert done.returncode == 0, done.stderr
    made = np.load(host / "out.npy")
    assert made.shape == (6, 1440, 1920, 3)
    assert np.abs(made[:, ::2, ::2] - before)[:, :40].max() < 0.02
    assert np.abs(made[-1, ::2, ::2] - before[-1])[70:160, 120:210].max() > 0.05


def test_what_aminet_says_is_told(host: Path) -> None:
    done = call(host, soft_scene(64, 48)[None], 1, "no-such-network")
    assert "RuntimeError: aminet failed (2): " in done.stderr
    assert "no-such-network" in done.stderr
