"""The audit of the pinned set never calls clean what it could not look up."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest
from conftest import ROOT

_SPEC = importlib.util.spec_from_file_location("audit", ROOT / ".ci" / "audit.py")
assert _SPEC is not None
assert _SPEC.loader is not None
audit = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(audit)

CLEAN = {"name": "a", "version": "1", "vulns": []}
BAD = {"name": "b", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["3"]}]}
SKIPPED = {"name": "c", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("found", "code", "said"),
    [
        ([CLEAN], 0, "1 pinned versions looked up, 0 known"),
        ([CLEAN, BAD], 1, "b 2: CVE-1, fixed in 3"),
        ([CLEAN, SKIPPED], 2, "c: not audited (not found)"),
        ([BAD, SKIPPED], 1, "CVE-1"),
        ([], 2, "0 pinned versions"),
    ],
)
def test_a_report_is_judged(found: list[dict[str, Any]], code: int, said: str) -> None:
    given, lines = audit.verdict({"dependencies": found})
    assert given == code
    assert said in "\n".join(lines)
