"""docs/metrics.md names what is counted, with its kind and labels: neither less nor more."""

import re

from tests.support import ROOT

ROW = re.compile(r"^\| `ray_(aminet_\w+)` \| (\w+) \| (?:`(\w+)`)?[^|]*\|", re.MULTILINE)


def test_the_page_lists_every_metric_with_its_kind_and_label() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    listed = {name: (kind, label or None) for name, kind, label in ROW.findall(page)}
    code = (ROOT / "pipeline" / "cluster" / "metrics.py").read_text(encoding="utf-8")
    calls = re.split(r"(?=\b(?:Counter|Gauge|Histogram)\(\s*\")", code)[1:]
    counted: dict[str, tuple[str, str | None]] = {}
    for call in calls:
        kind, name = re.findall(r"^(\w+)\(\s*\"(\w+)\"", call)[0]
        label = re.search(r"tag_keys=(?:\(\"(\w+)\",\)|tags)", call)
        counted[name] = (kind.lower(), (label.group(1) or "pool") if label else None)
    assert listed == counted
    assert len(listed) == 7
