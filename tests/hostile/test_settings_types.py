"""A setting takes values of its own type only: `true` is no number, and text neither."""

from __future__ import annotations

import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Union, get_args, get_origin

import numpy as np
import pytest
from pydantic import BaseModel, ValidationError

from aminet.model_files import Alignment, ModelCard
from aminet.settings import Settings
from aminet.training import config as training
from nodes.crop.config import CropConfig
from nodes.decode.config import DecodeConfig
from nodes.registry import find_node, registered_nodes
from pipeline.config import RunOptions, load_graph, merge_settings

SECTIONS = [s for s in vars(training).values() if isinstance(s, type) and issubclass(s, Settings)]
MODELS = [
    RunOptions,
    Alignment,
    ModelCard,
    *(section for section in SECTIONS if section is not Settings),
    *(find_node(name).Config for name in registered_nodes()),
]

AS_TEXT = ("from_s", "to_s", "faces")
"""Settings with an option of their own on the command line, whose values are texts."""


def kinds(annotation: Any) -> Iterator[Any]:
    """Yield what a value may be, without what it may be made of."""
    if get_origin(annotation) in (Union, types.UnionType):
        for choice in get_args(annotation):
            yield from kinds(choice)
    else:
        yield get_args(annotation)[0] if hasattr(annotation, "__metadata__") else annotation


def refused(model: type[BaseModel], name: str, value: object) -> bool:
    try:
        model.model_validate({name: value})
    except ValidationError as error:
        return any(issue["loc"][:1] == (name,) for issue in error.errors())
    return False


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__qualname__)
def test_no_setting_takes_another_type(model: type[BaseModel]) -> None:
    for field, facts in model.model_fields.items():
        name, taken = facts.alias or field, set(kinds(facts.annotation))
        if taken & {int, float} and bool not in taken:
            assert refused(model, name, True), name
        if taken & {int, float} and not taken & {str} and name not in AS_TEXT:
            assert refused(model, name, "1"), name
        if int in taken and float not in taken:
            assert refused(model, name, 1.0), name
        if bool in taken:
            assert refused(model, name, 1) or int in taken, name
            assert refused(model, name, "true") or str in taken, name


def test_there_are_such_settings() -> None:
    counted = [
        name
        for model in MODELS
        for name, facts in model.model_fields.items()
        if set(kinds(facts.annotation)) & {int, float, bool}
    ]
    assert len(counted) > 80


@pytest.mark.parametrize(
    "setting",
    [
        "run.scratch_bytes=true",
        "crop.times_s=[0, true]",
        "crop.track_ids=[1, true]",
        "crop.track_ids=['1']",
        "crop.region_xyxy_px=[0, 0, '64', 64]",
        "decode.from_s=true",
        "crop.faces=true",
        "params.scale='2'",
    ],
)
def test_values_inside_of_others_neither(setting: str) -> None:
    with pytest.raises(Exception, match="expected ") as caught:
        load_graph(merge_settings(None, [setting]))
    assert getattr(caught.value, "exit_code", 2) == 2


def test_numbers_as_people_write_them_are_taken(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("run: {segment_s: 1e2}\nnodes: {decode: {from_s: '90'}}")
    config = merge_settings(file, ["encode.convert.1=flac", "run.max_wait_s=5E-3"])
    assert (config.run.segment_s, config.run.max_wait_s) == (100, 0.005)
    nodes = load_graph(config).nodes
    configs: dict[str, Any] = {node.name: node.config for node in nodes}
    assert configs["decode"].from_s == 90
    assert configs["encode"].convert == {1: "flac"}


@pytest.mark.parametrize(
    ("text", "number"), [("3", 3), ("all", "all"), ("largest", "largest"), (2, 2)]
)
def test_the_number_of_faces_is_taken_from_the_command_line(text: object, number: object) -> None:
    assert CropConfig.model_validate({"faces": text}).faces == number


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "2.0", "", "true", "some", "9" * 12])
def test_other_texts_are_no_number_of_faces(text: str) -> None:
    with pytest.raises(ValidationError):
        CropConfig.model_validate({"faces": text})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        (".5", 0.5),
        ("1e0", 1),
        ("1e-1", 0.1),
        ("01:30", 90),
        ("90:00", 5400),
        ("1:00:00.5", 3600.5),
    ],
)
def test_a_time_is_a_number_or_a_clock(text: str, seconds: float) -> None:
    assert DecodeConfig.model_validate({"from_s": text}).from_s == seconds


@pytest.mark.parametrize(
    "text",
    ["-5", "nan", "inf", "1:99:00:00", "1:99", "0:75", "1:60:00", "1:00:60", "ten", "", "1e99"],
)
def test_other_texts_are_no_time(text: str) -> None:
    with pytest.raises(ValidationError):
        DecodeConfig.model_validate({"from_s": text})


def test_numbers_of_numpy_are_numbers() -> None:
    crop = CropConfig.model_validate(
        {"scale": np.int64(2), "faces": np.int32(3), "track_ids": [np.int64(1)]}
    )
    assert (crop.scale, crop.faces, crop.track_ids) == (2, 3, (1,))
    assert (
        RunOptions.model_validate({"threads": np.int64(4), "segment_s": np.float32(2)}).threads == 4
    )
    with pytest.raises(ValidationError):
        CropConfig.model_validate({"scale": np.float64(2.0)})
    with pytest.raises(ValidationError):
        CropConfig.model_validate({"scale": np.bool_(True)})
