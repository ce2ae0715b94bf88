"""Search for a preset's hyper-parameters with Optuna, its trials shared by processes and machines through a storage.

A trial is one training run with parameters that `suggest` draws; its value is the best score on the preset's evaluation
markets, the same for all trials. Runs that are behind the median of the others at the same look are given up. All
trials use the preset's seed and, where its time runs out before its steps, depend on how busy the machine is: judge the
result by `agent evaluate` or `agent walk-forward`, on other markets and seeds.
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
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import TrialState
from sqlalchemy.exc import SQLAlchemyError

from agent.digest import digest_of
from agent.errors import AgentError, SweepError
from agent.parallel.tasks import run_tasks
from agent.training.preset import Preset
from agent.training.train import run_key, train

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study
    from optuna.trial import FrozenTrial, Trial

    from agent.market.path import Market
    from agent.vault.limits import Limits

_HEARTBEAT, _GRACE = 30, 120  # seconds; a trial that is silent for longer has died with its worker
_WARM_UP_TRIALS, _WARM_UP_LOOKS = 5, 2  # nothing is pruned before there is something to compare with


@dataclass(frozen=True)
class Search:
    """A search, and where its trials are kept.

    Attributes
    ----------
    preset, limits, market, names
        As for `agent.training.train.train`.
    storage
        URL of a database, for instance `sqlite:///out/sweep.db`. Workers on other machines need one that they can
        reach, such as `postgresql://USER@HOST/DATABASE`.
    study
        Name of the search in the storage; a search of this name goes on.
    trials
        Number of trials to finish, earlier ones included.
    seed
        Seed, with the trial's number, of the parameters to try. With one worker, and runs that end by steps, a search
        can be repeated exactly.
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
    """Results of a search so far.

    Attributes
    ----------
    preset
        The preset of the best trial.
    score, own_score
        Scores of the best trial and of the preset that the search began with; none if that trial was given up.
    number
        Number of the best trial.
    trials
        Every trial's `number`, `state`, `score`, and parameters.
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
        The search to go on with.
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
    """Mark a new study with the digest of its search, and refuse an old study of another search."""
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


# --- the search space --------------------------------------------------------------------------------------------


def with_parameters(preset: Preset, parameters: dict[str, Any], name: str) -> Preset:
    """Return a preset with the parameters of a trial."""
    given = dict(parameters)
    given["batch_size"] = preset.ppo.envs * given["n_steps"] // given.pop("minibatches")
    given["gamma"] = 1.0 - given.pop("one_minus_gamma")
    given["hidden"] = [int(width) for width in given["hidden"].split("x")]
    content = preset.model_dump(mode="json")
    return Preset.model_validate({**content, "name": name, "ppo": {**content["ppo"], **given}})


def suggest(preset: Preset, trial: Trial) -> dict[str, Any]:
    """Draw the parameters of a trial."""
    ppo, own = preset.ppo, own_parameters(preset)

    def within(name: str, low: float, high: float, log: bool = False) -> float:
        return trial.suggest_float(name, min(low, own[name]), max(high, own[name]), log=log)

    def one_of(name: str, *choices: Any) -> Any:
        return trial.suggest_categorical(name, [*choices, *({own[name]} - set(choices))])

    return {
        "learning_rate": within("learning_rate", 1e-4, 3e-3, log=True),
        "n_steps": one_of("n_steps", 8, 16, 32, 64),
        "minibatches": one_of("minibatches", *_divisors(ppo.envs)),
        "n_epochs": trial.suggest_int("n_epochs", 1, max(10, ppo.n_epochs)),
        "one_minus_gamma": within("one_minus_gamma", 0.001, 0.5, log=True),
        "gae_lambda": within("gae_lambda", 0.8, 1.0),
        "ent_coef": within("ent_coef", 0.0, 0.01),
        "clip_range": within("clip_range", 0.1, 0.4),
        "hidden": one_of("hidden", "32x32", "64x64", "128x128", "256x128x64"),
    }


def own_parameters(preset: Preset) -> dict[str, Any]:
    """Return the preset's own values as parameters; its minibatches as near as divide any rollout."""
    ppo = preset.ppo
    count = ppo.envs * ppo.n_steps // ppo.batch_size
    return {
        "learning_rate": ppo.learning_rate,
        "n_steps": ppo.n_steps,
        "minibatches": count if ppo.envs % count == 0 else max(k for k in _divisors(ppo.envs) if k <= count),
        "n_epochs": ppo.n_epochs,
        "one_minus_gamma": max(1.0 - ppo.gamma, 1e-6),
        "gae_lambda": ppo.gae_lambda,
        "ent_coef": ppo.ent_coef,
        "clip_range": ppo.clip_range,
        "hidden": "x".join(str(width) for width in ppo.hidden),
    }


def _divisors(envs: int) -> list[int]:
    return [count for count in (1, 2, 4, 8, 16, 32) if envs % count == 0 and (envs // count) >= 2] or [1]


class NumberedSampler(BaseSampler):
    """A tree-structured Parzen estimator (Bergstra et al., 2011) that draws by seed and trial number.

    Workers that share a study would try the same points if each began with the same seed. Trial 0 gets the given point,
    because two workers can take a point from Optuna's queue at once.
    """

    def __init__(self, seed: int, first: dict[str, Any]) -> None:
        self._seed, self._first = seed, first
        self._inner = TPESampler(seed=seed)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Begin a trial with a generator of its own."""
        state = np.random.SeedSequence([self._seed, trial.number]).generate_state(1)[0]
        self._inner = TPESampler(seed=int(state))
        self._inner.before_trial(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the parameters that are drawn together: none of the first trial's."""
        return self._inner.infer_relative_search_space(study, trial) if trial.number else {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Draw the parameters that are drawn together."""
        return self._inner.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Draw a parameter by itself; in the first trial, return the given point's."""
        if trial.number == 0:
            return self._first[param_name]
        return self._inner.sample_independent(study, trial, param_name, param_distribution)
