"""The stand-in for a policy that was not promoted: a rule fitted to history, in a file that the keeper loads.

The file depends on the rule's name, the history and the setting alone. So whoever has the history can make the same
file again, and finds the digest that governance committed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from agent.backtest import Setting
from agent.errors import ResultsError, UnknownPolicyError
from agent.evaluation.fitted import fitted_baselines
from agent.evaluation.folder import judged_limits
from agent.market.history import RateHistory
from agent.policies.files import RulePolicy, save_rule
from agent.policies.rules import BASELINES, Rule
from agent.vault.limits import Limits


def write_rule(name: str, known: RateHistory, setting: Setting, out: Path | str) -> RulePolicy:
    """Fit a rule and write its file.

    Parameters
    ----------
    name
        As in `agent.evaluation.fitted`: `forecast-var1`, `best-trailing` and so on.
    known
        History; the rule is fitted to all of it.
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
    """Return the history that the rules of a walk-forward's last fold, the candidate's, were fitted to.

    Parameters
    ----------
    about
        Description of the walk-forward (`agent.evaluation.folder.load_about`).
    history, limits
        Must be those of the walk-forward.

    Raises
    ------
    ResultsError
        If they are others, or the walk-forward did not record every limit.
    """
    judged_limits(about, limits)
    data = about["data"]
    gas = "daily prices" if history.has_gas else "1 gwei at 3000 per ETH"
    checks = {
        "file": (history.digest, data["sha256"]),
        "strategies": (list(history.names), data["strategies"]),
        "days": ([history.start.isoformat(), history.end.isoformat()], [data["first_day"], data["last_day"]]),
        "gas": (gas, data["gas"]),
    }
    for what, (given, judged) in checks.items():
        if given != judged:
            raise ResultsError(
                f"the rules were judged with another {what} ({judged}, not {given}): give --data, --parts and --gas as "
                "`agent walk-forward` was given them"
            )
    days = [day.isoformat() for day in history.days]
    return history.part(0, days.index(about["folds"][-1]["train"][1]) + 1)


def _about(known: RateHistory, setting: Setting) -> dict[str, Any]:
    """Return the history and the setting of a fit, for the manifest; trained policies have the like."""
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
            **({"impact": np.asarray(setting.costs.impact).tolist()} if setting.costs.sized else {}),
            "limits": setting.limits.record(),
        },
    }
