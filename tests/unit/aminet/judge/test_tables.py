"""Groups, means over them, and the choice of faces for a page."""

import csv
import io
import json

import pytest
import torch
from torch import Tensor

from aminet.judge.groups import group_faces, lightness
from aminet.judge.judges import Figures
from aminet.judge.page import ranking
from aminet.judge.tables import as_csv, as_json, as_text, make_row
from aminet.judge.trials import clean_trial


def figures(psnr: list[float], **more: list[float]) -> Figures:
    n = len(psnr)
    values: dict[str, Tensor] = {
        name: torch.zeros(n) for name in Figures.__slots__ if name not in {"lpips", "identity"}
    }
    values["psnr_lab"] = torch.tensor(psnr)
    lpips, identity = (
        torch.tensor(more[key]) if key in more else None for key in ("lpips", "identity")
    )
    return Figures(**values, lpips=lpips, identity=identity)


BEFORE = figures([20.0, 21, 22, 23], lpips=[0.4, 0.4, 0.4, 0.8], identity=[0.5, 0.5, 0.5, 0.5])
AFTER = figures([22.0, 24, 21, 23], lpips=[0.2, 0.2, 0.2, 0.2], identity=[0.4, 0.5, 0.6, 0.1])
FACES = torch.rand(4, 3, 128, 128, generator=torch.Generator().manual_seed(0))


def test_means_are_over_a_groups_faces_and_against_the_same_faces_before() -> None:
    trial = clean_trial(FACES, 4)
    row = make_row("mine", trial, ("some", (0, 2, 3)), AFTER, BEFORE, 7.0)
    assert (row.model, row.trial, row.group, row.faces) == ("mine", "x4", "some", 3)
    assert row.eyes_px == pytest.approx(7)
    assert row.psnr_lab == pytest.approx(22)
    assert row.gain_db == pytest.approx(1 / 3)
    assert row.worst_gain_db == pytest.approx(-1)
    assert row.lpips_share == pytest.approx(0.2 / (1.6 / 3))
    assert (row.identity, row.identity_before) == (pytest.approx(1.1 / 3), pytest.approx(0.5))
    assert row.nearer == pytest.approx(2 / 3)
    # As near as before is not nearer.
    assert make_row("mine", trial, ("one", (1,)), AFTER, BEFORE, 7.0).nearer == 0


def test_what_was_not_measured_is_left_out_and_empty() -> None:
    plain = figures([20.0] * 4)
    rows = [make_row("m", clean_trial(FACES, 4), ("all", range(4)), plain, plain, 1.0)]
    assert "lpips" not in as_text(rows)
    assert "nearer" not in as_text(rows)
    (line,) = csv.DictReader(io.StringIO(as_csv(rows)))
    assert line["lpips"] == line["identity"] == line["nearer"] == ""
    assert json.loads(as_json(rows))[0]["identity"] is None


def test_groups_have_a_table_of_their_own_ordered_by_group_and_trial() -> None:
    rows = [
        make_row(model, clean_trial(FACES, scale), (group, places), AFTER, BEFORE, 1.0)
        for model in ("a", "b")
        for scale in (8, 4)
        for group, places in (("all", range(4)), ("real", (0, 1)))
    ]
    everyone, grouped = as_text(rows).split("\n\n")
    assert [line.split()[:2] for line in everyone.splitlines()[1:]] == [
        [m, t] for m in "ab" for t in ("x8", "x4")
    ]
    assert [line.split()[:3] for line in grouped.splitlines()[1:]] == [
        ["real", m, t] for t in ("x4", "x8") for m in "ab"
    ]


def test_a_manifest_sorts_faces_into_groups() -> None:
    hr = torch.zeros(9, 3, 128, 128)
    hr[5:] = 0.8
    rows = [
        {"real_person": True, "grey": False, "yaw": -0.3, "source": "github:a/b@3f21"},
        *({"real_person": False, "source": "github:a/b@3f21"} for _ in range(4)),
        {"yaw": 0.1, "source": "pkg/one.png"},
        {"source": "pkg2/x/two.png"},
        {"grey": True},
        {},
    ]
    assert group_faces(rows, hr) == {
        "all": tuple(range(9)),
        "colour": (0,),
        "dark": (0, 1, 2, 3, 4),
        "from a/b": (0, 1, 2, 3, 4),
        "from other sources": (5, 6),
        "frontal": (5,),
        "generated people": (1, 2, 3, 4),
        "grey": (7,),
        "light": (5, 6, 7),
        "real people": (0,),
        "turned": (0,),
    }
    assert group_faces([{}, {}], hr[:2]) == {"all": (0, 1)}


def test_lightness_is_that_of_the_cheeks() -> None:
    face = torch.full((1, 3, 128, 128), 0.9)
    face[:, :, 70:90] = 119 / 255  # L* 50 of a mid grey
    assert float(lightness(face)) == pytest.approx(50, abs=0.5)


def test_faces_are_ranked_by_identity_or_else_by_gain() -> None:
    n = 20
    plain, order = figures([20.0] * n), [float(v) for v in range(n)]
    shuffled = [order[(7 * i) % n] for i in range(n)]
    chosen = ranking(figures([20 + v for v in shuffled]), plain)
    assert [[shuffled[i] for i in chosen[kind]] for kind in ("worst", "median", "best")] == [
        [0, 1, 2],
        [8, 9, 10],
        [17, 18, 19],
    ]
    before = figures([20.0] * n, identity=[0.5] * n)
    after = figures([20 + v for v in shuffled], identity=[0.01 * v for v in shuffled])
    by_identity = ranking(after, before)
    assert [shuffled[i] for i in by_identity["worst"]] == [19, 18, 17]


@pytest.mark.parametrize("count", range(1, 12))
def test_no_face_is_shown_twice(count: int) -> None:
    plain = figures([20.0] * count)
    chosen = ranking(figures([20.0 + i for i in range(count)]), plain)
    places = [i for kind in ("worst", "median", "best") for i in chosen[kind]]
    assert len(places) == len(set(places)) == min(count, 9)
