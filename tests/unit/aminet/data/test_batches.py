import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from aminet.data.batches import (
    Batch,
    BatchPlan,
    Protocol,
    Stage,
    TrainingBatches,
    degrade_group,
    stage_at,
    to_device,
)
from aminet.data.pictures import (
    FacePicture,
    by_identity,
    check_split,
    list_pictures,
    read_square,
)
from aminet.errors import DataError
from tests.support.faces import paint_face, paint_folder

CPU = torch.device("cpu")


def plan(
    *, protocol: Protocol = "camera", patch: int = 128, batch: int = 4, clean: float = 0.4
) -> BatchPlan:
    return BatchPlan(protocol, (Stage(50, patch, batch),), seed=3, clean_share=clean, groups=2)


def batches(folder: Path, batch_plan: BatchPlan) -> TrainingBatches:
    return TrainingBatches(list_pictures(folder), batch_plan)


def same(a: Batch, b: Batch) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a[:3], b[:3], strict=True))


def test_a_batch_is_decided_by_seed_and_step(face_folders: tuple[Path, Path]) -> None:
    first, again = (batches(face_folders[0], plan()) for _ in range(2))
    # Asked for in another order, as several workers would.
    forwards = [first[step] for step in (0, 1, 2)]
    backwards = [again[step] for step in (2, 1, 0)][::-1]
    assert all(same(a, b) for a, b in zip(forwards, backwards, strict=True))
    assert not same(forwards[0], forwards[1])


def test_patches_are_cut_from_the_same_place(face_folders: tuple[Path, Path]) -> None:
    here = plan(patch=64, clean=1.0)
    hr, lq, _ = to_device(batches(face_folders[0], here)[0], CPU)
    assert hr.shape == lq.shape == (4, 3, 64, 64)
    # Degraded, but of the same place: nearer to it than to the mirrored patch.
    assert float((hr - lq).abs().mean()) < 0.5 * float((hr.flip(-1) - lq).abs().mean())


def test_the_paper_protocol_is_plain_bicubic_x8(face_folders: tuple[Path, Path]) -> None:
    here = plan(protocol="bicubic")
    hr, lq, _ = to_device(batches(face_folders[0], here)[0], CPU)
    assert torch.allclose(lq, degrade_group(hr, here, seed=0).lq_BCHW, atol=1e-4)
    sharp = Image.fromarray((hr[0] * 255).round().byte().permute(1, 2, 0).numpy())
    small = sharp.resize((16, 16), Image.Resampling.BICUBIC)
    back = np.asarray(small.resize((128, 128), Image.Resampling.BICUBIC))
    got = (lq[0] * 255).round().permute(1, 2, 0).numpy()
    # One level of rounding at 16 px, and one more after upsampling.
    assert np.abs(got - back).max() <= 3
    assert np.abs(got - back).mean() < 0.6


def stripes_seen(folder: Path, side: int) -> list[int]:
    """For each crop of a picture of 8 stripes, how many edges its middle row crosses."""
    folder.mkdir()
    across = np.tile(np.sin(2 * np.pi * 8 * np.arange(side) / side), (side, 1))
    Image.fromarray(np.uint8(127 + 100 * across)).convert("RGB").save(folder / "stripes.png")
    sampler = batches(folder, plan(clean=1.0))
    rows = torch.cat([sampler[step].hr_BCHW[:, 1, 64] for step in range(20)]).float()
    above = rows > rows.mean(dim=1, keepdim=True)
    return (above[:, 1:] != above[:, :-1]).sum(dim=1).tolist()


def test_only_large_sources_are_seen_from_close(tmp_path: Path) -> None:
    # 16 edges over the whole width, so at 2.3 times the canvas 7 are left.
    assert min(stripes_seen(tmp_path / "large", 256)) <= 8
    # A source of the canvas's size would only become soft.
    assert min(stripes_seen(tmp_path / "small", 128)) >= 13


def test_some_clean_faces_lose_nothing() -> None:
    """Video that is not enlarged has such faces, and they must stay as they are."""
    hr = torch.from_numpy(np.asarray(paint_face(0)).copy()).permute(2, 0, 1)[None] / 255
    lost = [
        float((degrade_group(hr, plan(clean=1.0), s).lq_BCHW - hr).abs().mean()) for s in range(60)
    ]
    assert min(lost) < 1 / 255
    assert max(lost) > 5 / 255


def test_stages_follow_each_other() -> None:
    stages = (Stage(2, 64, 16), Stage(3, 128, 8))
    assert [stage_at(stages, step).patch for step in range(7)] == [64, 64] + [128] * 5


def test_people_are_drawn_evenly_though_one_has_most_pictures(tmp_path: Path) -> None:
    """The second person is white all over, so the crops show who was drawn."""
    folder = paint_folder(tmp_path / "train", range(20))
    Image.new("RGB", (128, 128), "white").save(folder / "face020.png")
    rows = [
        {"file": f"face{i:03d}.png", "identity": 0 if i < 20 else 1, "split": "train"}
        for i in range(21)
    ]
    (tmp_path / "MANIFEST.json").write_text(json.dumps(rows))
    sampler = batches(folder, plan(clean=1.0))
    faces = torch.cat([sampler[step].hr_BCHW for step in range(30)]).float()
    white = faces.std(dim=(2, 3)).mean(dim=1) < 1
    assert 0.38 < float(white.float().mean()) < 0.62


def test_the_mirrored_part_of_a_picture_is_not_valid(tmp_path: Path) -> None:
    """White inside `valid_xyxy` and black outside: whatever is valid must be white."""
    folder = tmp_path / "train"
    folder.mkdir()
    picture = Image.new("RGB", (192, 192))
    picture.paste("white", (30, 20, 180, 192))
    picture.save(folder / "face.png")
    # The manifest's px are those of the size it names, as the picture may have been reduced.
    row = {"file": "face.png", "identity": 0, "size": 384, "valid_xyxy": [60, 40, 360, 384]}
    (tmp_path / "MANIFEST.json").write_text(json.dumps([row]))
    sampler = TrainingBatches(list_pictures(folder), plan(clean=1.0))
    batch = [sampler[step] for step in range(8)]
    hr = torch.cat([b.hr_BCHW for b in batch]).float()
    valid = torch.cat([b.valid_B1HW for b in batch]).float()
    assert set(valid.unique().tolist()) == {0, 1}
    brightest = hr.amax(dim=(2, 3), keepdim=True)
    white = (hr > 0.5 * brightest).float().amin(dim=1, keepdim=True)
    # A pixel of interpolation along the edge.
    assert float(((white == 0) & (valid == 1)).float().mean()) < 0.01
    assert float(((white == 1) & (valid == 0)).float().mean()) < 0.2


def test_the_border_beyond_a_source_is_not_valid(face_folders: tuple[Path, Path]) -> None:
    sampler = batches(face_folders[0], plan(clean=1.0))
    shares = [float(sampler[step].valid_B1HW.float().mean()) for step in range(10)]
    assert 0.7 < min(shares) < 1


def tracks(share: float) -> BatchPlan:
    return replace(plan(clean=0.3), in_channels=7, track_share=share)


def test_networks_with_history_get_seven_channels(face_folders: tuple[Path, Path]) -> None:
    photographs = batches(face_folders[0], tracks(0.0))
    for step in range(4):
        lq = photographs[step].lq_BCHW
        assert lq.shape == (4, 7, 128, 128)
        assert torch.equal(lq[:, :3], lq[:, 3:6])
        assert not lq[:, 6].any()
    sampler = batches(face_folders[0], tracks(1.0))
    weights = torch.cat([sampler[step].lq_BCHW[:, 6] for step in range(12)]).float().mean((1, 2))
    assert 0.3 < float((weights > 0).float().mean()) < 0.9
    assert float(weights.max()) > 150


def test_where_a_track_ended_nothing_is_learnt(face_folders: tuple[Path, Path]) -> None:
    still, moving = (batches(face_folders[0], tracks(share)) for share in (0.0, 1.0))
    # The crops are the same: tracks only take away.
    pairs = [(still[step].valid_B1HW, moving[step].valid_B1HW) for step in range(6)]
    assert all(bool((less <= more).all()) for more, less in pairs)
    assert any(float(less.float().mean()) < float(more.float().mean()) for more, less in pairs)


def test_batches_of_tracks_are_decided_by_seed_and_step(face_folders: tuple[Path, Path]) -> None:
    first, again = (batches(face_folders[0], tracks(1.0)) for _ in range(2))
    forwards = [first[step] for step in (0, 1, 2)]
    backwards = [again[step] for step in (2, 1, 0)][::-1]
    assert all(same(a, b) for a, b in zip(forwards, backwards, strict=True))


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no pictures in .*empty"):
        list_pictures(tmp_path / "empty")
    with pytest.raises(DataError, match="no folder at"):
        list_pictures(tmp_path / "absent")


def test_small_pictures_are_refused_with_their_size(tmp_path: Path) -> None:
    folder = paint_folder(tmp_path / "train", range(1), side=40)
    with pytest.raises(DataError, match="40x40 px; its shorter side must be at least 64 px"):
        batches(folder, plan())[0]
    with pytest.raises(DataError, match="at least 64 px"):
        read_square(folder / "face000.png", 128)


def test_a_file_that_is_no_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    with pytest.raises(DataError, match=r"cannot read .*broken.png"):
        read_square(tmp_path / "broken.png", 128)


def test_an_identity_on_both_sides_is_refused() -> None:
    train = [FacePicture(Path("a.png"), "ann"), FacePicture(Path("b.png"), "bob")]
    with pytest.raises(DataError, match=r"1 identities .*\(bob\)"):
        check_split(train, [FacePicture(Path("c.png"), "bob")])
    check_split(train, [FacePicture(Path("c.png"), "cat")])


def test_a_file_on_both_sides_is_refused(tmp_path: Path) -> None:
    folder = paint_folder(tmp_path / "all", range(3))
    with pytest.raises(DataError, match="identities are in both"):
        check_split(list_pictures(folder), list_pictures(folder))


def test_celeba_is_split_by_its_own_partition(tmp_path: Path) -> None:
    folder = paint_folder(tmp_path / "img_align_celeba", range(4))
    names = [p.name for p in sorted(folder.iterdir())]
    parts = zip(names, "0012", strict=True)
    (tmp_path / "list_eval_partition.txt").write_text("".join(f"{n} {p}\n" for n, p in parts))
    people = zip(names, ["7", "7", "8", "9"], strict=True)
    (tmp_path / "identity_CelebA.txt").write_text("".join(f"{n} {p}\n" for n, p in people))
    train, val = list_pictures(folder, "train"), list_pictures(folder, "val")
    assert [p.path.name for p in train] == names[:2]
    assert [p.path.name for p in val] == names[2:3]
    assert [len(group) for group in by_identity(train)] == [2]
    check_split(train, val)


def test_oblong_pictures_lose_their_ends_not_their_shape(tmp_path: Path) -> None:
    wide = Image.new("RGB", (178, 218))
    wide.paste(paint_face(0, 178), (0, 20))
    wide.save(tmp_path / "celeba.png")
    got = read_square(tmp_path / "celeba.png", 128)
    expected = paint_face(0, 178).resize((128, 128), Image.Resampling.BICUBIC)
    assert np.abs(got.astype(int) - np.asarray(expected)).max() <= 1
