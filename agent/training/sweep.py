"""Search for a preset's hyper-parameters with Optuna, its trials shared by processes and machines through a storage.

A trial is one training run with parameters of `agent.training.sweep_space`; its value is the best score on the preset's
evaluation markets, the same for all trials. Runs that are behind the median of the others at the same look are given
up. All trials use the preset's seed and, where its time runs out before its steps, depend on how busy the machine is:
judge what comes out by `agent evaluate` or `agent walk-forward`, on other markets and seeds.
"""

from __future__ import annotations

import tempfile
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.trial import TrialState
from sqlalchemy.exc import SQLAlchemyError

from agent.digest import digest_of
from agent.errors import AgentError, SweepError
from agent.parallel.tasks import run_tasks
from agent.training.preset import Preset
from agent.training.sweep_space import NumberedSampler, own_parameters, suggest, with_parameters
from agent.training.train import run_key, train

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial, Trial

    from agent.market.path import Market
    from agent.vault.limits import Limits

_HEARTBEAT, _GRACE = 30, 120  # seconds; a trial that is silent for longer has died with its worker
_WARM_UP_TRIALS, _WARM_UP_LOOKS = 5, 2  # nothing is pruned before there is something to compare with


@dataclass(frozen=True)
class Search:
    """What is searched and where its trials are kept.

    Attributes
    ----------
    preset, limits, market, names
        As of `agent.training.train.train`.
    storage
        URL of a database, for instance `sqlite:///out/sweep.db`. Workers on other machines need one that they can
        reach, such as `postgresql://USER@HOST/DATABASE`.
    study
        Name of the search in the storage; a search of this name goes on.
    trials
        How many trials are to be finished in the end, earlier ones included.
    seed
        Of what is tried, with the trial's number. With one worker, and runs that end by steps, all is repeatable.
    """

    preset: Preset
    limits: Limits | None
    market: Market
    names: tuple[str, ...] | None
    storage: str
    study: str
    trials: int
    seed: int = 0


@dataclass(frozen=True)
class SweepResult:
    """What a search has found so far.

    Attributes
    ----------
    preset
        The preset of the best trial.
    score, own_score
        Of the best trial and of the preset that the search began with, none if that was given up.
    number
        Number of the best trial.
    trials
        Of every trial: `number`, `state`, `score`, and its parameters.
    """

    preset: Preset
    score: float
    own_score: float | None
    number: int
    trials: list[dict[str, Any]]


def sweep(search: Search, *, workers: int | None = None, ray: str | None = None, progress: bool = False) -> SweepResult:
    """Run the trials that are missing, each as a task, and return the best of all.

    Parameters
    ----------
    search
        What to do.
    workers, ray, progress
        See `agent.parallel.tasks.run_tasks`.

    Raises
    ------
    SweepError
        If the storage cannot be used, its study is of something else, or no trial was finished.
    TasksError
        If the workers cannot be used.
    """
    search = replace(search, storage=_from_anywhere(search.storage))
    study = _open(search)
    try:
        _claim(study, search)
        optuna.storages.fail_stale_trials(study)
        missing = max(0, search.trials - _finished(study))
        results = run_tasks(
            run_trial,
            [search] * missing,
            workers=workers,
            ray=ray,
            progress=progress,
        )
        trials = study.get_trials(deepcopy=False)
    except SQLAlchemyError as error:
        raise SweepError(f"the storage {search.storage!r} failed ({error}): run again, the search goes on") from error
    broken = next((result for result in results if result.failed), None)
    if broken is not None:  # not a run that went badly, which its trial notes, but a fault
        raise SweepError(
            f"a trial broke off: {broken.error}; run again, the search goes on{chr(10) if broken.details else ''}"
            f"{broken.details}"
        )
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE and trial.value is not None]
    if not complete:
        noted = next((str(trial.user_attrs["error"]) for trial in trials if "error" in trial.user_attrs), "")
        why = noted or "all were given up"
        raise SweepError(f"no trial of {search.study!r} was finished ({why}): mend that, or give more --trials")
    best = max(complete, key=lambda trial: float(trial.value or -np.inf))
    own = next((trial.value for trial in complete if trial.number == 0), None)
    return SweepResult(
        preset=with_parameters(search.preset, best.params, f"{search.preset.name}-{search.study}"),
        score=float(best.value or 0.0),
        own_score=own,
        number=best.number,
        trials=[_plain(trial) for trial in trials],
    )


def run_trial(search: Search) -> int | None:
    """Run one trial; a task. Return its number, or none if enough have been finished meanwhile."""
    study = _open(search)
    if _finished(study) >= search.trials:
        return None
    numbers: list[int] = []

    def objective(trial: Trial) -> float:
        numbers.append(trial.number)
        try:
            return _train(search, trial)
        except AgentError as error:
            trial.set_user_attr("error", str(error))
            raise

    study.optimize(objective, n_trials=1, catch=(AgentError,))
    return numbers[0] if numbers else None


def _train(search: Search, trial: Trial) -> float:
    preset = with_parameters(search.preset, suggest(search.preset, trial), search.preset.name)
    look = preset.evaluation.model_copy(update={"test_paths": 1, "test_rows": 2})  # nobody reads a trial's manifest
    preset = preset.model_copy(update={"evaluation": look})
    scores: list[float] = []

    def watch(score: float) -> None:
        scores.append(score)
        trial.report(score, len(scores))
        if trial.should_prune():
            raise optuna.TrialPruned

    with tempfile.TemporaryDirectory(prefix="sweep-") as folder:
        train(
            preset,
            search.limits,
            Path(folder) / "policy.npz",
            market=search.market,
            names=search.names,
            on_score=watch,
        )
    return max(scores)


def _open(search: Search) -> Study:
    """Return the study, made if there is none."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", ExperimentalWarning)  # heartbeats are called experimental since 2021
    arguments = {"connect_args": {"timeout": 60}} if search.storage.startswith("sqlite:") else {}
    try:
        storage = optuna.storages.RDBStorage(
            search.storage, engine_kwargs=arguments, heartbeat_interval=_HEARTBEAT, grace_period=_GRACE
        )
        return optuna.create_study(
            storage=storage,
            sampler=NumberedSampler(search.seed, own_parameters(search.preset)),
            pruner=optuna.pruners.MedianPruner(_WARM_UP_TRIALS, _WARM_UP_LOOKS),
            study_name=search.study,
            direction="maximize",
            load_if_exists=True,
        )
    except (SQLAlchemyError, ImportError, ValueError, RuntimeError) as error:
        text = (str(error).splitlines() or [type(error).__name__])[0]
        raise SweepError(f"cannot use the storage {search.storage!r} ({text}): try sqlite:///FILE") from error


def _from_anywhere(storage: str) -> str:
    """Return the URL with its file's whole path: a worker of a Ray cluster was started in another folder."""
    file = storage.removeprefix("sqlite:///")
    return storage if file in (storage, "", ":memory:") else f"sqlite:///{Path(file).resolve()}"


def _claim(study: Study, search: Search) -> None:
    """Mark a new study with what it is of, and refuse an old one that is of something else."""
    of = digest_of({"run": run_key(search.preset, search.limits, search.market), "seconds": search.preset.seconds,
                    "steps": search.preset.steps})  # fmt: skip
    if study.user_attrs.get("of", of) != of:
        raise SweepError(
            f"the study {search.study!r} is of another preset, limits or market: choose another --study or --storage"
        )
    study.set_user_attr("of", of)


def _finished(study: Study) -> int:
    return len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED)))


def _plain(trial: FrozenTrial) -> dict[str, Any]:
    value = trial.value if trial.state == TrialState.COMPLETE else None
    return {"number": trial.number, "state": trial.state.name.lower(), "score": value, **trial.params}
