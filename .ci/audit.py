"""Whether a pinned version has a known vulnerability: exit code 0 none, 1 some, 2 not known because the advisories cannot be reached.

pip-audit does the asking. It calls a set clean of which it could look up nothing; here that is a failure.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SOURCE = "osv"


def verdict(report: dict[str, Any]) -> tuple[int, list[str]]:
    """The exit code, and the lines that say why."""
    audited = [one for one in report["dependencies"] if "skip_reason" not in one]
    skipped = [one for one in report["dependencies"] if "skip_reason" in one]
    bad = [(one, flaw) for one in audited for flaw in one["vulns"]]
    lines = [
        f"{one['name']} {one['version']}: {flaw['id']}, fixed in {', '.join(flaw['fix_versions']) or 'no version yet'}"
        for one, flaw in bad
    ]
    lines += [f"{one['name']}: not audited ({one['skip_reason']})" for one in skipped]
    lines.append(
        f"audit: {len(audited)} pinned versions looked up, {len(bad)} known vulnerabilities, {len(skipped)} skipped"
    )
    return (1 if bad else 2 if skipped or not audited else 0), lines


def main() -> int:
    command = [
        sys.executable, "-m", "pip_audit", "--requirement", str(ROOT / "constraints.txt"), "--no-deps", "--disable-pip",
        "--vulnerability-service", SOURCE, "--progress-spinner", "off", "--format", "json",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        report = json.loads(done.stdout)
    except ValueError:
        why = (done.stderr.strip().splitlines() or ["no answer"])[-1][:300]
        sys.stderr.write(f"audit: NOT DONE, the advisories ({SOURCE}) cannot be reached: {why}\n")
        return 2
    code, lines = verdict(report)
    sys.stderr.write("\n".join(lines) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
