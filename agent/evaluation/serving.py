"""What serves where no learned policy may: a rule that is fitted to history, written to a file that the keeper loads.

What is written depends on the rule's name, the history and the setting alone, so that whoever has the history can make
the same file again, and finds the digest that governance committed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from agent.backtest import Setting
from agent.errors import ResultsError, UnknownPolicyError
from agent.evaluation.fitted import fitted_baselines
from agent.market.history import RateHistory
from agent.policies.rule_file import RulePolicy, save_rule
from agent.policies.rules import BASELINES, Rule
from agent.vault.limits import Limits


def write_rule(name: str, known: RateHistory, setting: Setting, out: Path | str) -> RulePolicy:
    """Fit a rule and write its file.

    Parameters
    ----------
    name
        As in `agent.evaluation.fitted`: `forecast-var1`, `best-trailing` and so on.
    known
        What it is fitted to, all of it.
    setting
        Limits, costs and assets that it is fitted under.
    out
        Where the file goes, `.npz`.

    Raises
    ------
    UnknownPolicyError
        If there is no such rule, or it needs no file.
    """
    if name in BASELINES:
        raise UnknownPolicyError(f"{name} has no fitted numbers and needs no file: the keeper knows it by that name")
    fitted = {rule.name: rule for rule in fitted_baselines(known, setting)}
    rule = fitted.get(name)
    if not isinstance(rule, Rule):
        raise UnknownPolicyError(f"no rule {name!r} is fitted to {len(known.names)} strategies: {', '.join(fitted)}")
    return save_rule(out, rule, known.names, {"training": _about(known, setting)}, setting.version)


def judged_part(about: Mapping[str, Any], history: RateHistory, limits: Limits) -> RateHistory:
    """Return what the rules of a walk-forward's last fold were fitted to, the fold that its candidate is of.

    Parameters
    ----------
    about
        What the walk-forward says about itself (`agent.evaluation.folder.load_about`).
    history, limits
        Must be those that it was run on.

    Raises
    ------
    ResultsError
        If they are others.
    """
    data = about["data"]
    gas = "daily prices" if history.has_gas else "1 gwei at 3000 per ETH"
    checks = {
        "file": (history.digest, data["sha256"]),
        "strategies": (list(history.names), data["strategies"]),
        "days": ([history.start.isoformat(), history.end.isoformat()], [data["first_day"], data["last_day"]]),
        "gas": (gas, data["gas"]),
        "caps": (limits.relative_caps.tolist(), about["limits"]["relative_caps"]),
        "idle floor": (limits.idle_floor, about["limits"]["idle_floor"]),
    }
    for what, (given, judged) in checks.items():
        if given != judged:
            raise ResultsError(
                f"the rules were judged with another {what} ({judged}, not {given}): give --data, --parts, --gas and "
                "--limits as `agent walk-forward` was given them"
            )
    days = [day.isoformat() for day in history.days]
    return history.part(0, days.index(about["folds"][-1]["train"][1]) + 1)


def _about(known: RateHistory, setting: Setting) -> dict[str, Any]:
    """Return what a rule was fitted to and under what, as trained policies say it of theirs."""
    return {
        "market": {
            "kind": "history",
            "source": known.source,
            "sha256": known.digest,
            "first_day": known.start.isoformat(),
            "last_day": known.end.isoformat(),
            "rows": len(known),
        },
        "setting": {
            "nav": setting.nav,
            "entry": np.asarray(setting.costs.entry).tolist(),
            "exit": np.asarray(setting.costs.exit).tolist(),
            "caps": setting.limits.caps(setting.nav).tolist(),
            "idle_floor": setting.limits.idle_floor,
        },
    }
