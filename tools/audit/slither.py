"""Slither over contracts/: what it holds for high or medium must be mended, or answered in the reviewed list."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

from tools.audit.errors import ReviewError
from tools.audit.part import Findings, Options, Say
from tools.audit.tools import VENV, run, workspace

REVIEWED = Path(__file__).with_name("slither_reviewed.toml")
SERIOUS = ("High", "Medium")


def slither(options: Options, say: Say) -> Findings:
    """Run slither and compare its findings with the reviewed list.

    Raises
    ------
    ToolFailedError
        Slither could not read the contracts.
    ReviewError
        The reviewed list is malformed.
    """
    answers = load_reviewed(REVIEWED)
    root = workspace("slither", ["contracts", "slither.config.json"])
    report = root / "slither.json"
    report.unlink(missing_ok=True)
    say("compiling and analysing")
    run([str(VENV / "bin/slither"), ".", "--json", report.name, "--fail-none"], cwd=root, timeout=600)
    results = json.loads(report.read_text(encoding="utf-8"))["results"].get("detectors", [])
    serious = {(item["check"], place(item)): item for item in results if item["impact"] in SERIOUS}
    open_ = [
        f"{item['impact'].lower()}: {check} at {at}"
        for (check, at), item in serious.items()
        if (check, at) not in answers
    ]
    stale = [f"answered, but no longer found: {check} at {at}" for check, at in answers if (check, at) not in serious]
    figures = {"slither_findings": len(serious), "slither_unanswered": len(open_)}
    return Findings(figures, [*open_, *stale])


def place(finding: dict[str, Any]) -> str:
    """Return where a finding is in the contract's own names, which stay when lines move: `Vault._move.withdrawn`."""
    first = finding["description"].split("\n")[0].split(" (")[0]
    return re.sub(r"\([^()]*\)", "", first)


def load_reviewed(path: Path) -> dict[tuple[str, str], str]:
    """Read the reviewed list: reasons by check and place.

    Raises
    ------
    ReviewError
        An entry lacks its check, its place or its reason.
    """
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8")).get("finding", [])
        answers = {(entry["check"], entry["place"]): entry["reason"].strip() for entry in entries}
    except (OSError, tomllib.TOMLDecodeError, KeyError, AttributeError) as error:
        raise ReviewError(f"{path.name}: every [[finding]] needs check, place and reason ({error!r}).") from error
    if not all(answers.values()):
        raise ReviewError(f"{path.name}: a finding without a reason is not reviewed.")
    return answers
