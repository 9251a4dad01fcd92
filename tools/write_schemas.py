"""Write the JSON Schemas of what a run leaves to `docs/schema`: `python -m tools.write_schemas`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from nodes.evidence.rows import rows_schema
from pipeline.job.report import SCHEMA_VERSION, report_schema

__all__ = ["SCHEMAS", "schema_text"]

SCHEMAS: Final = {"report": report_schema, "frames": rows_schema}
"""What is described -> its schema."""

_FOLDER: Final = Path(__file__).parents[1] / "docs" / "schema"


def schema_text(schema: dict[str, Any]) -> str:
    """Return a schema as it is published."""
    return json.dumps(schema, indent=2) + "\n"


def schema_file(name: str) -> Path:
    """Return where a schema is published."""
    return _FOLDER / f"{name}-{SCHEMA_VERSION}.schema.json"


if __name__ == "__main__":
    _FOLDER.mkdir(exist_ok=True)
    for name, schema in SCHEMAS.items():
        schema_file(name).write_text(schema_text(schema()), encoding="utf-8")
