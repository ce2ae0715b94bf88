"""How good a policy is after a few minutes: its return as a share of what a long run reaches.

Every preset is trained from nothing twice, by the wall clock, as `agent train` does it, one run per core: once for
`Plan.long_seconds`, once for a third of that, less than five minutes. Each run keeps its best network by its own
evaluation markets; both are then scored on the same held-out episodes. Runs that were interrupted go on when the same
bench is started again. By default the long run takes minutes; `--long 3600` makes it the hour of the target.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from agent.errors import CheckpointError
from agent.parallel.tasks import TaskResult, run_tasks
from agent.policies.files import load_policy_file
from agent.training.preset import load_preset
from tools.bench.learners import of_preset
from tools.bench.machine import cores
from tools.bench.part import BenchError, Figure, Plan, Say
from tools.bench.returns import HeldOut, estimate

LEAST = 0.98
MOST_SECONDS = 260.0
"""Budget of the short run: under five minutes with imitating a rule before and writing files after."""


@dataclass(frozen=True)
class Run:
    """One training run, for `agent.parallel.tasks`."""

    preset: str
    seconds: float
    folder: Path

    @property
    def name(self) -> str:
        """What it and its files are called."""
        return f"{self.preset}-{self.seconds:.0f}s"


@dataclass(frozen=True)
class Trained:
    """What a run left: the policy's file, its steps, and seconds of the wall clock from nothing to the file.

    A run that went on from a checkpoint counts the time of its budget alone.
    """

    path: Path
    steps: int
    seconds: float


def good_policy(plan: Plan, say: Say) -> list[Figure]:
    """Train short and long, and compare returns."""
    short = min(MOST_SECONDS, plan.long_seconds / 3.0)
    runs = [Run(env, seconds, plan.folder) for seconds in (plan.long_seconds, short) for env in plan.envs]
    say(f"{len(runs)} runs of {short:.0f} s and {plan.long_seconds:.0f} s, {cores()} at a time")
    results = run_tasks(train_one, runs, describe=lambda run: run.name, on_result=lambda result: say(_told(result)))
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
    """Train a preset for some time, going on from where an interrupted run of the same kind was."""
    from agent.training.train import Checkpoints, train

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


def _told(result: TaskResult[Trained]) -> str:
    return f"{result.name} " + ("failed" if result.failed else "done")


def _compare(env: str, plan: Plan, few: Trained, many: Trained) -> list[Figure]:
    """Return the short run's return as a share of the long one's."""
    held_out = HeldOut(env, plan.paths)
    short, long = (held_out.returns(load_policy_file(trained.path)) for trained in (few, many))
    untrained = held_out.returns(held_out.policy_of(of_preset(load_preset(env))))
    difference, gain = estimate(short - long), float(long.mean() - untrained.mean())
    note = (
        f"return {estimate(short)} after {few.seconds:.0f} s ({few.steps:,} steps), {estimate(long)} after "
        f"{many.seconds:.0f} s ({many.steps:,} steps), untrained {estimate(untrained)}; paired difference {difference}"
    )
    words = f"preset {env}: return after {few.seconds:.0f} s as a share of that after {many.seconds:.0f} s"
    changes = (difference.low, difference.mean, difference.high)
    low, value, high = (1.0 + change / abs(float(long.mean())) for change in changes)
    figures = [Figure(f"good_policy_{env}", words, value, "%", LEAST, low, high, "wall clock", note)]
    if gain > 0:  # returns may be near zero, or below: what was gained is the steadier measure
        low, value, high = (1.0 + change / gain for change in changes)
        words = f"preset {env}: the same of what was gained over an untrained network"
        figures.append(Figure(f"good_policy_{env}_gain", words, value, "%", None, low, high, "wall clock"))
    return figures
