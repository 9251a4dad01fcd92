import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer import Typer
from typer.testing import CliRunner

from aminet.errors import DataError, DeviceError, TrainConfigError, WeightsError
from aminet.judge.evaluate import EvaluationRequest, evaluate
from aminet.judge.judges import load_judges, measure
from aminet.judge.trials import ALL, camera_trial, clean_trial, load_faces
from aminet.model_files import save_weights
from aminet.network import AMINet
from pipeline.cli.network import register
from pipeline.errors import ConfigError, exit_code
from tests.support.faces import TINY, paint_face, paint_folder


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    return paint_folder(tmp_path / "faces", range(3))


def test_models_stand_side_by_side_on_every_scale(
    faces: Path, tiny_network: AMINet, tmp_path: Path
) -> None:
    file = tmp_path / "mine.safetensors"
    save_weights(tiny_network, file, protocol="camera")
    models = ("bicubic", "lanczos", str(file))
    evaluation = evaluate(EvaluationRequest(faces, models, (4, 8), device="cpu"))
    assert [(r.model, r.trial) for r in evaluation.rows] == [
        (m, t) for m in models for t in ("x4", "x8")
    ]
    by_name = {(r.model, r.trial): r for r in evaluation.rows}
    assert by_name["bicubic", "x4"].psnr_lab > by_name["bicubic", "x8"].psnr_lab
    assert by_name["bicubic", "x4"].psnr_lab != by_name["lanczos", "x4"].psnr_lab
    assert by_name["bicubic", "x4"].psnr_lab != by_name["bicubic", "x4"].psnr_dic
    assert all(r.faces == 3 for r in evaluation.rows)


def test_the_self_ensemble_is_another_result(
    faces: Path, tiny_network: AMINet, tmp_path: Path
) -> None:
    file = tmp_path / "mine.safetensors"
    save_weights(tiny_network, file, protocol="camera")
    once, twice = (
        evaluate(EvaluationRequest(faces, (str(file),), (4,), device="cpu", ensemble=ensemble))
        for ensemble in (False, True)
    )
    assert once.rows[0].psnr_lab != twice.rows[0].psnr_lab


def test_the_table_is_the_same_in_all_three_forms(faces: Path, tmp_path: Path) -> None:
    evaluation = evaluate(EvaluationRequest(faces, ("bicubic",), (4,), device="cpu"))
    files = {f.name: f for f in evaluation.write(tmp_path / "out")}
    tables = {f"evaluation.{suffix}" for suffix in ("txt", "csv", "json")}
    assert set(files) == {*tables, "faces.csv", "page_x4.png"}
    row = json.loads(files["evaluation.json"].read_text())[0]
    (line,) = csv.DictReader(io.StringIO(files["evaluation.csv"].read_text()))
    assert float(line["psnr_lab"]) == row["psnr_lab"]
    assert f"{row['psnr_lab']:.3f}" in files["evaluation.txt"].read_text()
    of_faces = list(csv.DictReader(io.StringIO(files["faces.csv"].read_text())))
    assert [face["face"] for face in of_faces] == ["face000.png", "face001.png", "face002.png"]
    mean = sum(float(face["psnr_lab"]) for face in of_faces) / 3
    assert mean == pytest.approx(row["psnr_lab"])


def test_a_page_shows_every_model_at_natural_size(
    faces: Path, tiny_network: AMINet, tmp_path: Path
) -> None:
    file = tmp_path / "mine.safetensors"
    save_weights(tiny_network, file, protocol="camera")
    request = EvaluationRequest(faces, ("lanczos", str(file)), (4,), device="cpu")
    page = evaluate(request).pages["x4"]
    # Small face, bicubic, two models and the truth; three faces under two lines of text each.
    assert page.size == (5 * (128 + 4), 14 + 3 * (128 + 2 * 14 + 4))
    with Image.open(faces / "face000.png") as truth:
        cell = np.asarray(page.convert("RGB"))[:, 4 * 132 : 4 * 132 + 128]
        shown = [cell[top : top + 128] for top in (28, 28 + 160, 28 + 320)]
        assert any(np.array_equal(np.asarray(truth), face) for face in shown)


def test_feature_networks_judge_every_model_against_bicubic(
    faces: Path, feature_files: tuple[Path, Path], tmp_path: Path
) -> None:
    request = EvaluationRequest(
        faces, ("bicubic", "lanczos"), (4,), device="cpu", features=feature_files
    )
    bicubic, lanczos = evaluate(request).rows
    assert bicubic.lpips_share == pytest.approx(1)
    assert bicubic.identity == pytest.approx(bicubic.identity_before)
    assert bicubic.nearer == 0
    assert lanczos.lpips not in {None, 0, bicubic.lpips}
    assert lanczos.identity not in {None, 0, bicubic.identity}
    assert lanczos.identity_before == bicubic.identity


def test_a_manifest_makes_groups_of_rows(tmp_path: Path) -> None:
    faces = paint_folder(tmp_path / "val", range(3))
    rows = [{"file": f"face00{i}.png", "real_person": i == 0} for i in range(3)]
    (tmp_path / "MANIFEST.json").write_text(json.dumps(rows))
    evaluation = evaluate(EvaluationRequest(faces, ("bicubic",), (4,), device="cpu"))
    found = {row.group: row.faces for row in evaluation.rows}
    assert found["all"] == 3
    assert found["real people"] == 1
    assert found["generated people"] == 2


@pytest.fixture
def tiny_with_history() -> AMINet:
    torch.manual_seed(0)
    network = AMINet(replace(TINY, in_channels=7))
    torch.nn.init.normal_(network.tail.weight, std=0.05)
    return network.eval()


def test_only_networks_with_a_history_see_the_frames_before(
    faces: Path, tiny_network: AMINet, tiny_with_history: AMINet, tmp_path: Path
) -> None:
    files = tmp_path / "alone.safetensors", tmp_path / "history.safetensors"
    for file, network in zip(files, (tiny_network, tiny_with_history), strict=True):
        save_weights(network, file, protocol="camera")
    models = ("bicubic", *map(str, files))
    gains = {
        (row.model, protocol): row.psnr_lab
        for protocol in ("track", "frame")
        for row in evaluate(EvaluationRequest(faces, models, (4,), protocol, device="cpu")).rows
    }
    for model in models[:2]:
        assert gains[model, "track"] == pytest.approx(gains[model, "frame"], abs=1e-6)
    assert gains[models[2], "track"] != pytest.approx(gains[models[2], "frame"], abs=1e-6)


def test_everything_at_once_is_clean_camera_tracks_and_large_faces(tmp_path: Path) -> None:
    faces = paint_folder(tmp_path / "faces", range(1))
    paint_face(7, 256).save(faces / "large.png")
    evaluation = evaluate(EvaluationRequest(faces, ("bicubic",), protocol="all", device="cpu"))
    trials = {row.trial: row for row in evaluation.rows}
    small = ("x2", "x4", "x8", *(f"{p}{s}" for p in ("camera", "track") for s in (2, 3, 4, 6, 8)))
    large = ("camera1@256", "camera2@256", "camera4@256")
    assert list(trials) == [*small, "frame4", *large]
    # The smaller picture is not sharp there.
    assert [trials[name].faces for name in (*small, *large)] == [2] * 13 + [1] * 3
    assert trials["camera8"].eyes_px == pytest.approx(3.5)
    assert trials["camera1@256"].eyes_px == pytest.approx(56)
    # Neither picture is sharp at the largest size.
    assert {plan.side_px for plan in ALL} == {128, 256, 704}
    with pytest.raises(TrainConfigError, match=r"'all' has its own reductions, got \[4\]"):
        evaluate(EvaluationRequest(faces, ("bicubic",), (4,), "all", device="cpu"))


def test_figures_of_a_perfect_and_of_a_tinted_result(faces: Path) -> None:
    trial = clean_trial(load_faces(sorted(faces.iterdir()), 128), 4)
    judges = load_judges((), torch.device("cpu"))
    perfect = measure(judges, trial, trial.hr_BCHW)
    assert bool(perfect.psnr_lab.isinf().all())
    assert float(perfect.ssim_lab.mean()) == pytest.approx(1)
    assert float(perfect.consistency_db.mean()) == pytest.approx(100)
    tinted = measure(judges, trial, trial.lq_BCHW + 4 / 255)
    assert float(tinted.colour_shift.mean()) == pytest.approx(4, abs=1e-3)
    assert float(tinted.consistency_db.mean()) < 38


def test_a_face_is_degraded_alike_in_any_company(faces: Path) -> None:
    hr = load_faces(sorted(faces.iterdir()), 128)
    assert torch.equal(camera_trial(hr, 4).lr_BCHW[:2], camera_trial(hr[:2], 4).lr_BCHW)


def test_pairs_are_matched_by_name(faces: Path, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    for file in faces.iterdir():
        with Image.open(file) as image:
            image.resize((32, 32), Image.Resampling.BICUBIC).save(small / file.name)
    pairs = evaluate(EvaluationRequest(faces, ("bicubic",), lr=small, device="cpu")).rows[0]
    made = evaluate(EvaluationRequest(faces, ("bicubic",), (4,), device="cpu")).rows[0]
    assert pairs.trial == "pairs"
    assert pairs.psnr_lab == pytest.approx(made.psnr_lab, abs=0.05)
    (small / "face001.png").unlink()
    with pytest.raises(DataError, match=r"no small face for 1 of 3 sharp ones \(face001"):
        evaluate(EvaluationRequest(faces, ("bicubic",), lr=small, device="cpu"))


def test_unknown_protocols_and_models_are_refused(faces: Path) -> None:
    with pytest.raises(
        TrainConfigError,
        match="no protocol 'film'; expected one of bicubic, camera, track, frame, all",
    ):
        evaluate(EvaluationRequest(faces, protocol="film"))
    with pytest.raises(WeightsError, match="no weights called 'esrgan'"):
        evaluate(EvaluationRequest(faces, ("esrgan",), device="cpu"))


def cli() -> Typer:
    app = Typer()
    register(app)
    return app


def test_the_eval_command_prints_and_writes_the_table(faces: Path, tmp_path: Path) -> None:
    arguments = ["eval", str(faces), "-m", "bicubic", "--scale", "4", "-o", str(tmp_path / "o")]
    result = CliRunner().invoke(cli(), [*arguments, "--device", "cpu"], catch_exceptions=False)
    assert result.exit_code == 0
    assert "psnr_lab" in result.stdout
    assert (tmp_path / "o" / "evaluation.csv").is_file()


def test_the_train_command_takes_a_folder_with_both_parts(
    face_folders: tuple[Path, Path], tmp_path: Path, tiny_preset: str
) -> None:
    overrides = [
        f"preset={tiny_preset}",
        f"out={tmp_path / 'run'}",
        "stages=[{steps: 2, patch: 64, batch: 1}]",
        "data.workers=0",
        "device=cpu",
    ]
    options = [part for text in overrides for part in ("--set", text)]
    arguments = ["train", "aminet-s", "--data", str(face_folders[0].parent), *options]
    result = CliRunner().invoke(cli(), arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert "2 steps in" in result.stdout
    checkpoint = tmp_path / "run" / "checkpoint.pt"
    exported = CliRunner().invoke(
        cli(), ["models", "--export", str(checkpoint), "-o", str(tmp_path / "w.safetensors")]
    )
    assert exported.exit_code == 0
    assert (tmp_path / "w.json").is_file()


def test_a_mistyped_training_config_is_told_the_names_there_are() -> None:
    told = "called 'aminet-x': did you mean 'aminet-s'? expected one of aminet, amin"
    with pytest.raises(ConfigError, match=re.escape(told)):
        CliRunner().invoke(cli(), ["train", "aminet-x"], catch_exceptions=False)


def test_folders_with_any_name_can_be_trained_on(tmp_path: Path) -> None:
    folder = tmp_path / "a: [b #c"
    for part in ("train", "val"):
        (folder / part).mkdir(parents=True)
    arguments = ["train", "aminet-s", "--data", str(folder), "--set", f"out={tmp_path}/run"]
    with pytest.raises(DataError, match=r"a: \[b #c"):
        CliRunner().invoke(cli(), arguments, catch_exceptions=False)


@pytest.mark.parametrize("device", ["nonsense", "cuda:9999", "cuda:-1", "mps", "meta", ""])
def test_a_device_that_is_not_there_is_a_usage_error(device: str, faces: Path) -> None:
    with pytest.raises(DeviceError, match="device is") as caught:
        CliRunner().invoke(cli(), ["eval", str(faces), "--device", device], catch_exceptions=False)
    assert exit_code(caught.value) == 2


def test_the_models_command_lists_what_ships() -> None:
    result = CliRunner().invoke(cli(), ["models"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert "aminet-s" in result.stdout
