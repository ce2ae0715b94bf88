"""One training run of a walk-forward, as a task that depends on nothing but its item: seeds and folds share no state.

Finished work stays: a task whose policy file and key lie in its folder is not run again, so that a walk-forward that
was stopped goes on where it was.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from agent.errors import AgentError, LookAheadError, PolicyError
from agent.evaluation.metrics import growth_rate
from agent.evaluation.scoring import Leg, score
from agent.evaluation.study import Scenario, Study, inner_folds
from agent.market.bootstrap import BootstrapMarket, MixedMarket
from agent.market.history import DEFAULT_ETH_PRICE, RateHistory
from agent.market.lending import SyntheticMarket, fitted_market
from agent.policies.files import load_policy_file
from agent.policies.network import NumpyPolicy
from agent.units import GWEI
from agent.vault.limits import Limits

if TYPE_CHECKING:
    from agent.training.preset import Preset

_KEY = "key.txt"


@dataclass(frozen=True)
class Run:
    """One training run.

    Attributes
    ----------
    key
        Digest of everything that the result depends on; a finished result with the same key is this run's.
    folder
        Where its results lie; absolute, for a worker may have been started elsewhere.
    history
        The training part of a fold and nothing after it.
    ends_before
        First day of the test; the training may know nothing of it or later.
    limits
        The vault's limits.
    preset
        Training preset with the configuration's changes, the time and the seed in it: a worker need not find a file.
    validation
        For tuning: the days after the training part, preceded by `warm_up` rows of it; scored under `scenarios`.
    scenarios, warm_up
        See `validation`.
    """

    key: str
    folder: Path
    history: RateHistory
    ends_before: date
    limits: Limits
    preset: Preset
    validation: RateHistory | None = None
    scenarios: tuple[Scenario, ...] = ()
    warm_up: int = 0

    @property
    def label(self) -> str:
        """Name in a progress bar."""
        return f"{self.folder.parent.name} {self.folder.name}"

    @property
    def policy_file(self) -> Path:
        """Where its policy lies."""
        return self.folder / "policy.npz"


@dataclass(frozen=True)
class Finished:
    """Result of a run: its policy's file, and, for tuning, the mean annual log growth over the scenarios."""

    policy: Path
    score: float | None = None
    facts: dict[str, Any] = field(default_factory=dict)


def training_market(history: RateHistory, ends_before: date, *, permute: bool = True) -> MixedMarket:
    """Return the training market: half of the paths from a model fitted to the history, half resampled from it.

    Where the history is too short to fit, the shipped model stands in, if it was fitted to days before the test.

    Raises
    ------
    LookAheadError
        If anything would be trained on that is not known before `ends_before`.
    """
    if history.end >= ends_before:
        raise LookAheadError(f"the training part ends on {history.end} but the test begins on {ends_before}")
    model = fitted_market(history, history.names)
    last = date.fromisoformat(str(model.model.fitted_to["last_day"]))
    if last >= ends_before:
        raise LookAheadError(
            f"{len(history)} days are too few to fit a market to, and the shipped one knows days up to {last}, which "
            f"are not before {ends_before}: begin testing later, so that more history lies before it"
        )
    return MixedMarket((_with_gas(model, history), BootstrapMarket(history)), (0.5, 0.5), permute=permute)


def _with_gas(market: SyntheticMarket, history: RateHistory) -> SyntheticMarket:
    """Return the market with gas as dear and as restless as in the history."""
    if not (history.has_gas and (history.gas_cost > 0).all()):
        return market
    logs = np.log(history.gas_cost[0])
    gwei = float(np.exp(logs.mean())) / (GWEI * DEFAULT_ETH_PRICE)
    return replace(market, gwei=gwei, eth_price=DEFAULT_ETH_PRICE, gas_volatility=float(logs.std()))


def carry_out(run: Run) -> Finished:
    """Train (unless that is done already), and score on the validation part if there is one.

    Raises
    ------
    AgentError
        If training or scoring fails; the folder keeps no key then, so that it is tried again.
    """
    done = _kept(run)
    if done is not None:
        return done
    from agent.training.train import train

    run.folder.mkdir(parents=True, exist_ok=True)
    (run.folder / _KEY).unlink(missing_ok=True)
    market = training_market(run.history, run.ends_before)
    result = train(run.preset, run.limits, run.policy_file, market=market, names=run.history.names)
    value = None
    if run.validation is not None:
        value = float(np.mean([_validated(result.policy, run, run.validation, scenario) for scenario in run.scenarios]))
    facts = {"steps": result.steps, "seconds": result.seconds, "digest": result.policy.digest}
    (run.folder / "run.json").write_text(json.dumps({"score": value, **facts}) + "\n", encoding="utf-8")
    (run.folder / _KEY).write_text(run.key, encoding="utf-8")  # last: whoever finds it finds all
    return Finished(run.policy_file, value, facts)


def _validated(policy: NumpyPolicy, run: Run, validation: RateHistory, scenario: Scenario) -> float:
    legs = [Leg(policy, len(validation) - 1 - run.warm_up)]
    setting = scenario.setting(run.limits)
    return float(growth_rate(score("validation", legs, validation, setting, warm_up=run.warm_up))[0])


def _kept(run: Run) -> Finished | None:
    """Return the result of an earlier run with the same key, if it is whole."""
    try:
        if (run.folder / _KEY).read_text(encoding="utf-8") != run.key:
            return None
        load_policy_file(run.policy_file)
        facts = json.loads((run.folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, PolicyError):
        return None
    return Finished(run.policy_file, facts.pop("score"), facts)


def _merged(base: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        merged[key] = _merged(merged[key], value) if isinstance(value, Mapping) else value
    return merged


def runs_of_tuning(study: Study, history: RateHistory, limits: Limits, folder: Path, fold: int) -> list[list[Run]]:
    """Return the runs that choose a configuration for a fold: for each configuration one per inner fold."""
    outer = study.cut(history)[fold]
    inner = inner_folds(outer, study.inner, purge=study.purge, embargo=study.embargo)
    cases: list[list[Run]] = []
    for number, configuration in enumerate(study.configurations):
        cases.append([])
        for part in inner:
            first = part.test_start - min(study.warm_up, part.test_start)
            cases[-1].append(
                _run(
                    study,
                    history.part(0, part.train_end),
                    history.days[part.test_start],
                    limits,
                    folder / f"fold-{fold}" / f"tune-{number}-{part.index}",
                    configuration,
                    study.tune_seconds,
                    seed=1_000_000 + part.index,
                    validation=history.part(first, part.test_end + 1),
                    scenarios=tuple(each for each in study.scenarios if not each.latency)[:4],
                    warm_up=part.test_start - first,
                )
            )
    return cases


def run_of_seed(
    study: Study, history: RateHistory, limits: Limits, folder: Path, fold: int, seed: int, configuration: int
) -> Run:
    """Return the run of one seed on the training part of a fold."""
    outer = study.cut(history)[fold]
    return _run(
        study,
        history.part(0, outer.train_end),
        history.days[outer.test_start],
        limits,
        folder / f"fold-{fold}" / f"seed-{seed}",
        study.configurations[configuration],
        study.seconds,
        seed=seed,
    )


def _run(
    study: Study,
    known: RateHistory,
    ends_before: date,
    limits: Limits,
    folder: Path,
    configuration: Mapping[str, Any],
    seconds: float,
    seed: int,
    **more: Any,
) -> Run:
    from agent.training.preset import load_preset

    validation: RateHistory | None = more.get("validation")
    if known.end >= ends_before:
        raise AgentError(f"a training part ends on {known.end}, not before the test on {ends_before}")
    key = study.key(
        load_preset(study.preset).model_dump(mode="json"),
        known.digest,
        [known.start.isoformat(), known.end.isoformat(), list(known.names)],
        float(known.gas_cost[0].sum()) if known.has_gas else None,
        None if validation is None else [validation.start.isoformat(), validation.end.isoformat()],
        ends_before.isoformat(),
        limits.record(),
        dict(configuration),
        seconds,
        seed,
        [scenario.name for scenario in more.get("scenarios", ())],
    )
    preset = load_preset(study.preset, seconds=seconds, seed=seed)
    changed = type(preset).model_validate(_merged(preset.model_dump(mode="json"), configuration))
    return Run(key, folder.resolve(), known, ends_before, limits, changed, **more)
