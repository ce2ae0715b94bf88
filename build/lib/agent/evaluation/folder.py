"""The folder that a walk-forward leaves: its description, its candidate and the outcomes of the stress cases."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.errors import LimitsError, ResultsError
from agent.evaluation.recipe import Finished
from agent.evaluation.scoring import StudyInputs
from agent.policies.files import load_policy_file
from agent.vault.limits import Limits

CANDIDATE = "candidate.npz"
"""The policy that a gate may promote: of the last fold and the first seed, fixed before anything was run."""


def describe(
    out: Path,
    inputs: StudyInputs,
    chosen: Sequence[int],
    finished: Sequence[Finished],
    files: Sequence[tuple[Path, ...]],
) -> None:
    """Write the description of a walk-forward, and the candidate beside it; this comes last.

    Parameters
    ----------
    out
        The folder.
    inputs
        Study, history and limits.
    chosen
        Number of the configuration of each fold.
    finished
        All training runs.
    files
        The policy of each seed and fold.
    """
    study, history, limits = inputs.study, inputs.history, inputs.limits
    for suffix in (".npz", ".json"):
        shutil.copyfile(files[0][-1].with_suffix(suffix), (out / CANDIDATE).with_suffix(suffix))
    about = {
        "study": study.name,
        "preset": study.preset,
        "data": {
            "source": history.source,
            "sha256": history.digest,
            "strategies": list(history.names),
            "first_day": history.start.isoformat(),
            "last_day": history.end.isoformat(),
            "rows": len(history),
            "gas": "daily prices" if history.has_gas else "1 gwei at 3000 per ETH",
            "depth": history.depth is not None,
        },
        "limits": limits.record(),
        "folds": [
            {
                "train": [history.start.isoformat(), history.days[fold.train_end - 1].isoformat()],
                "test": [history.days[fold.test_start].isoformat(), history.days[fold.test_end].isoformat()],
                "configuration": dict(study.configurations[chosen[fold.index]]),
            }
            for fold in inputs.folds
        ],
        "purge": study.purge,
        "embargo": study.embargo,
        "seeds": study.seeds,
        "seconds_per_run": study.seconds,
        "trials": study.trials,
        "steps": int(sum(each.facts["steps"] for each in finished)),
        "policies": {
            f"seed {seed}": [load_policy_file(file).digest for file in each] for seed, each in enumerate(files, start=1)
        },
        "candidate": load_policy_file(out / CANDIDATE).digest,
    }
    (out / "about.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def write_stress(out: Path, stress: Sequence[dict[str, Any]]) -> None:
    """Write the outcomes of the stress cases."""
    (out / "stress.json").write_text(json.dumps(list(stress), indent=1) + "\n", encoding="utf-8")


def load_about(folder: Path) -> dict[str, Any]:
    """Read the description of a walk-forward.

    Raises
    ------
    ResultsError
        If there is none in the folder.
    """
    about: dict[str, Any] = _read(folder / "about.json")
    return about


def judged_limits(about: Mapping[str, Any], given: Limits | None = None) -> Limits:
    """Return the limits that a walk-forward was run under.

    Parameters
    ----------
    about
        Its description, from `load_about`.
    given
        Limits that must be the same, if any.

    Raises
    ------
    ResultsError
        If the folder does not record every limit, as those of earlier versions, or those given are others.
    """
    try:
        limits = Limits.from_record(about.get("limits", {}))
    except LimitsError as error:
        raise ResultsError(
            f"the results do not say under which limits they were made ({error}), so nothing can be promoted by them: "
            "run `agent walk-forward` again"
        ) from error
    if given is not None and (given.count != limits.count or limits.differences(given)):
        told = (
            f"limits for {limits.count} strategies, not {given.count}"
            if given.count != limits.count
            else "; ".join(
                each.told("then", "given") for each in limits.differences(given, about["data"]["strategies"])
            )
        )
        raise ResultsError(
            f"the walk-forward was run under other limits ({told}): give --limits as `agent walk-forward` was given it"
        )
    return limits


def load_stress(folder: Path) -> list[dict[str, Any]]:
    """Read the outcomes of the stress cases of a walk-forward.

    Raises
    ------
    ResultsError
        If there are none in the folder.
    """
    stress: list[dict[str, Any]] = _read(folder / "stress.json")
    return stress


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ResultsError(
            f"no whole walk-forward lies in {file.parent} ({error}): run `agent walk-forward`"
        ) from error
