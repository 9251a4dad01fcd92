"""The schemas that are published describe what is written."""

from __future__ import annotations

import json

import jsonschema
import pytest

from nodes.evidence.rows import row_text
from nodes.types import FaceChange, FrameChanges
from pipeline.job.report import RunReport, VideoReport, seal_of
from tools.write_schemas import SCHEMAS, schema_file, schema_text

REPORT = RunReport(
    path="out/report.json",
    version="0.1.0",
    started_utc="2026-01-01T00:00:00+00:00",
    wall_s=1.0,
    runner={},
    videos=(VideoReport("in\udcff.mp4", None, "failed", error="no"),),
    skipped=(),
    config={},
)


@pytest.mark.parametrize("name", SCHEMAS)
def test_they_are_up_to_date(name: str) -> None:
    """After a change: `python -m tools.write_schemas`; raise the version if readers break."""
    assert schema_file(name).read_text(encoding="utf-8") == schema_text(SCHEMAS[name]())


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_field_is_described(name: str) -> None:
    schema = SCHEMAS[name]()
    for kind in (schema, *schema["$defs"].values()):
        assert kind["description"], kind["title"]


def test_a_report_keeps_to_its_schema() -> None:
    schema = json.loads(schema_file("report").read_text(encoding="utf-8"))
    report = json.loads(REPORT.to_json())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(report, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(report | {"schema_version": "one"}, schema)


def test_a_row_keeps_to_its_schema() -> None:
    schema = json.loads(schema_file("frames").read_text(encoding="utf-8"))
    change = FaceChange(2, (8, 8, 40, 40), 0.85, 300, 12, 2.5, None)
    row = json.loads(row_text("aa", "bb", FrameChanges(0, (change,))))
    jsonschema.validate(row, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(row | {"source": None}, schema)


def test_the_seal_is_of_everything_else() -> None:
    report = json.loads(REPORT.to_json())
    assert report["seal"] == seal_of(report)
    assert seal_of(report | {"version": "0.1.1"}) != report["seal"]
    assert seal_of(report | {"seal": "x"}) == report["seal"]
