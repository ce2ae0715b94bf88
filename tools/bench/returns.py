"""How soon a policy is good: returns of presets after little time, on markets that neither training nor choice saw.

Returns are sums of rewards over whole episodes, the same held-out episodes for every policy, so that differences are
paired.

`tuned` compares a preset with the reference (`tools.bench.training`). The reference learns for a stated processor time,
and is given the best of its networks by another bank of markets, scored every 5,000 steps at no charge. The preset is
given a sixth of that time, from nothing: making the environment, imitating a rule if it does that, learning and
choosing its best network all count. The preset has reached the return if the 95 % interval of the paired difference
lies above -2 % of the change that learning made to the reference's return. If not, the ratio counts as not reached.

`good_policy` compares short runs with long ones. Every preset is trained from nothing twice, by the wall clock, as
`agent train` does it, one run per core: once for `Plan.long_seconds`, once for a third of that, less than five minutes.
Runs that were interrupted go on when the same bench is started again. By default the long run takes minutes;
`--long 3600` makes it the hour of the target.
"""

from __future__ import annotations

import math
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback

from agent.envs.presets import env_preset
from agent.errors import CheckpointError
from agent.market.path import MarketPath
from agent.parallel.tasks import TaskResult, run_tasks
from agent.policies.files import load_policy_file
from agent.policies.network import NumpyPolicy
from agent.training.learner import Learner, draft
from agent.training.preset import Preset, load_preset
from agent.training.train import Checkpoints, train
from agent.training.watch import episode_rewards
from agent.units import FloatArray
from tools.bench.figures import BenchError, Figure, Plan, Say, of_ratio, steps_per_second
from tools.bench.measure import Ratio, cores, ratio
from tools.bench.training import learning, of_preset, reference

TUNED_TARGET = 60.0
GOOD_TARGET = 0.98
MAX_SHORT_SECONDS = 260.0
"""Budget of the short run: under five minutes with imitating a rule before and writing files after."""
_FRACTION, _MARGIN = 6, 0.02
_SCORE_STEPS = 5000
_AT_ONCE = 512
_SEED = 20_301  # presets' seeds are spawned from other numbers


@dataclass(frozen=True)
class Estimate:
    """A mean over episodes and its 95 % interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.4g} [{self.low:.4g}, {self.high:.4g}]"


def estimate(values: FloatArray) -> Estimate:
    """Return the mean of independent episodes and its normal 95 % interval."""
    mean, error = float(values.mean()), float(values.std(ddof=1)) / float(np.sqrt(values.size))
    return Estimate(mean, mean - 1.96 * error, mean + 1.96 * error)


class HeldOut:
    """Markets to score policies on.

    Parameters
    ----------
    env
        Name of the environment.
    paths
        Least number of episodes. They are drawn anew, from the same seeds, for every policy: all of them at once take
        gigabytes.
    seed
        Added to the bench's own; other seeds are other markets.
    """

    def __init__(self, env: str, paths: int, seed: int = 0) -> None:
        kind = env_preset(env)
        self.config = kind.config(None)
        self._market, self._size = kind.market(), min(paths, _AT_ONCE)
        self._seeds = [[_SEED, seed, index] for index in range(math.ceil(paths / self._size))]

    def returns(self, policy: NumpyPolicy | Learner) -> FloatArray:
        """Return the sum of rewards of every episode, `(P,)`; a learner is scored in its exported form."""
        exported = policy if isinstance(policy, NumpyPolicy) else draft(policy, self.config.version)
        return np.concatenate([episode_rewards(exported, self._bank(seed), self.config) for seed in self._seeds])

    def _bank(self, seed: list[int]) -> MarketPath:
        return self._market.sample(np.random.default_rng(seed), self._size, self.config.path_rows)


# --- presets against the reference -------------------------------------------------------------------------------


def tuned(plan: Plan, say: Say) -> list[Figure]:
    """Compare speeds and returns of every preset with the reference's."""
    figures: list[Figure] = []
    for env in plan.envs:
        say(f"{env}: speed")
        preset = load_preset(env)
        faster = ratio(learning(of_preset(preset), 2), learning(reference(env)), plan.turns)
        say(f"{env}: the reference learns for {plan.reference_seconds:.0f} s of processor time")
        held_out = HeldOut(env, plan.paths)
        model, budget = reference(env), _Budget(plan.reference_seconds, HeldOut(env, 64, seed=1))
        untrained = held_out.returns(model)
        model.learn(1_000_000_000, callback=budget)
        theirs = held_out.returns(budget.best_of_all())
        seconds = plan.reference_seconds / _FRACTION
        say(f"{env}: the preset learns for {seconds:.0f} s")
        policy, steps, spent = _learned(preset, plan, seconds, faster)
        ours = held_out.returns(policy)
        difference = estimate(ours - theirs)
        reached = difference.low >= -_MARGIN * abs(float(theirs.mean() - untrained.mean()))
        note = (
            f"return {estimate(ours)} after {spent:.1f} s ({steps:,} steps); reference {estimate(theirs)} after "
            f"{plan.reference_seconds:.0f} s ({model.num_timesteps:,} steps), untrained {estimate(untrained)}; "
            f"paired difference {difference}"
            + ("" if reached else f": not shown to be reached, at a speed of {faster.value:.1f}x")
        )
        words = f"preset {env} against 1 environment and batch 64, at its return"
        measured = of_ratio(f"tuned_{env}", words, faster, target=TUNED_TARGET, note=note)
        if not reached:
            measured = Figure(measured.name, words, None, target=TUNED_TARGET, clock=measured.clock, note=note)
        time_ratio = plan.reference_seconds / spent if reached else None
        words = f"preset {env}: reference's time over its own"
        figures += [
            measured,
            Figure(f"tuned_{env}_time", words, time_ratio, clock=measured.clock),
            steps_per_second(f"tuned_{env}_steps", f"preset {env}", faster.fast),
            steps_per_second(f"tuned_{env}_reference_steps", f"{env}: 1 environment, batch 64", faster.slow),
        ]
    return figures


class _Budget(BaseCallback):
    """Ends learning after a processor time, and keeps the network that does best on other markets."""

    def __init__(self, seconds: float, choose: HeldOut) -> None:
        super().__init__()
        self._seconds, self._choose = seconds, choose
        self._free = 0.0
        self._scored = 0
        self._best: tuple[float, NumpyPolicy] | None = None

    def _on_training_start(self) -> None:
        self._began = time.process_time()

    def _on_rollout_start(self) -> None:
        if self.num_timesteps - self._scored >= _SCORE_STEPS:
            self._score()

    def _on_step(self) -> bool:
        return time.process_time() - self._began - self._free < self._seconds

    def _score(self) -> None:
        began = time.process_time()
        policy = draft(self.model, self._choose.config.version)  # type: ignore[arg-type]
        mean = float(self._choose.returns(policy).mean())
        if self._best is None or mean > self._best[0]:
            self._best = mean, policy
        self._scored = self.num_timesteps
        self._free += time.process_time() - began

    def best_of_all(self) -> NumpyPolicy:
        """Score the last network too, and return the best."""
        self._score()
        assert self._best is not None
        return self._best[1]


def _learned(preset: Preset, plan: Plan, seconds: float, faster: Ratio) -> tuple[NumpyPolicy, int, float]:
    """Return the policy that the preset learns in about this processor time, its steps, and the time that it took.

    Its budget is in steps: those of the wall clock would depend on what else the machine does.
    """
    rollout = preset.ppo.envs * preset.ppo.n_steps
    steps = max(1, round(seconds * faster.fast / rollout)) * rollout
    look = preset.evaluation.model_copy(
        update={"every_steps": max(rollout, steps // 4), "paths": 64, "test_paths": 2, "test_rows": 2}
    )
    short = preset.model_copy(update={"steps": steps, "seconds": 1e9, "evaluation": look})
    began = time.process_time()
    result = train(short, None, plan.folder / f"tuned-{preset.name}.npz")
    torch.set_num_threads(1)
    return result.policy, result.steps, time.process_time() - began


# --- short runs against long ones --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """One training run, for `agent.parallel.tasks`."""

    preset: str
    seconds: float
    folder: Path

    @property
    def name(self) -> str:
        """Name of the run and its files."""
        return f"{self.preset}-{self.seconds:.0f}s"


@dataclass(frozen=True)
class Trained:
    """A finished run: the policy's file, its steps, and seconds of the wall clock from nothing to the file.

    A run that went on from a checkpoint counts the time of its budget alone.
    """

    path: Path
    steps: int
    seconds: float


def good_policy(plan: Plan, say: Say) -> list[Figure]:
    """Train short and long, and compare returns."""
    short = min(MAX_SHORT_SECONDS, plan.long_seconds / 3.0)
    runs = [Run(env, seconds, plan.folder) for seconds in (plan.long_seconds, short) for env in plan.envs]
    say(f"{len(runs)} runs of {short:.0f} s and {plan.long_seconds:.0f} s, {cores()} at a time")

    def tell(result: TaskResult[Trained]) -> None:
        say(f"{result.name} {'failed' if result.failed else 'done'}")

    results = run_tasks(train_one, runs, describe=lambda run: run.name, on_result=tell)
    for result in results:
        if result.value is None:
            raise BenchError(f"{result.name}: {result.error}\n{result.details}".strip())
    trained = {run: result.value for run, result in zip(runs, results, strict=True) if result.value is not None}
    figures: list[Figure] = []
    for env in plan.envs:
        say(f"{env}: held-out episodes")
        few, many = (trained[run] for run in (Run(env, short, plan.folder), Run(env, plan.long_seconds, plan.folder)))
        figures += _compare(env, plan, few, many)
    return figures


def train_one(run: Run) -> Trained:
    """Train a preset for some time, from where an interrupted run of the same kind stopped."""
    preset = load_preset(run.preset, seconds=run.seconds, steps=2_000_000_000)
    look = preset.evaluation.model_copy(update={"test_paths": 2, "test_rows": 2})
    preset = preset.model_copy(update={"evaluation": look})
    began = time.monotonic()
    out, folder = run.folder / f"{run.name}.npz", run.folder / f"{run.name}.checkpoint"
    try:
        result = train(preset, None, out, checkpoints=Checkpoints(folder, resume=folder.exists()))
    except CheckpointError:  # of another preset: it has changed since
        shutil.rmtree(folder)
        result = train(preset, None, out, checkpoints=Checkpoints(folder))
    shutil.rmtree(folder)  # the next bench measures anew
    return Trained(result.path, result.steps, max(result.seconds, time.monotonic() - began))


def _compare(env: str, plan: Plan, few: Trained, many: Trained) -> list[Figure]:
    """Return the short run's return as a share of the long one's."""
    held_out = HeldOut(env, plan.paths)
    short, long = (held_out.returns(load_policy_file(trained.path)) for trained in (few, many))
    untrained = held_out.returns(of_preset(load_preset(env)))
    difference, gain = estimate(short - long), float(long.mean() - untrained.mean())
    note = (
        f"return {estimate(short)} after {few.seconds:.0f} s ({few.steps:,} steps), {estimate(long)} after "
        f"{many.seconds:.0f} s ({many.steps:,} steps), untrained {estimate(untrained)}; paired difference {difference}"
    )
    words = f"preset {env}: return after {few.seconds:.0f} s as a share of that after {many.seconds:.0f} s"
    changes = (difference.low, difference.mean, difference.high)
    low, value, high = (1.0 + change / abs(float(long.mean())) for change in changes)
    figures = [Figure(f"good_policy_{env}", words, value, "%", GOOD_TARGET, low, high, "wall clock", note)]
    if gain > 0:  # returns may be near zero, or below: the gain is the steadier measure
        low, value, high = (1.0 + change / gain for change in changes)
        words = f"preset {env}: the same share of the gain over an untrained network"
        figures.append(Figure(f"good_policy_{env}_gain", words, value, "%", None, low, high, "wall clock"))
    return figures
