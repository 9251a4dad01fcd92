"""What a verification found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding", "Verification", "failed", "ok", "unproven"]

State = Literal["ok", "unproven", "failed"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One check and what came of it."""

    check: str
    """What was looked at: `report`, `source`, `output`, `beside`, `signature`, `record`, `weights`,
    `versions`, `graph`, `frames`, `outside`, `pictures`."""
    state: State
    """`unproven`: nothing speaks against it, but it could not be shown."""
    text: str
    """The finding in words."""
    output: str = ""
    """Name of the output it is about, where several are verified."""

    def __str__(self) -> str:
        """Return it as a line for the terminal."""
        marks = {"ok": "ok", "unproven": "unproven", "failed": "FAILED"}
        output = f"{self.output}: " if self.output else ""
        return f"{marks[self.state]}  {output}{self.check}: {self.text}"


@dataclass(frozen=True, slots=True)
class Verification:
    """All findings about a result."""

    findings: tuple[Finding, ...]

    @property
    def failed(self) -> tuple[Finding, ...]:
        """Those that speak against it."""
        return tuple(finding for finding in self.findings if finding.state == "failed")


def ok(check: str, text: str) -> Finding:
    """Return a finding that all is as recorded."""
    return Finding(check, "ok", text)


def unproven(check: str, text: str) -> Finding:
    """Return a finding that something could not be shown."""
    return Finding(check, "unproven", text)


def failed(check: str, text: str) -> Finding:
    """Return a finding that something is not as recorded."""
    return Finding(check, "failed", text)
