"""How much faster the tuned presets are than the set-up to beat, provided that they learn as much.

The set-up to beat learns for a stated processor time, and is given the best of its networks by another bank of markets,
looked at every 5,000 steps at no charge. The preset is given a sixth of that time, from nothing: making the
environment, imitating a rule if it does that, learning and choosing its best network all count. Both are scored on the
same held-out episodes. The preset has reached the return if the 95 % interval of the paired difference lies above
-2 % of what learning has changed the reference's return by. If not, the ratio counts as not reached.
"""

from __future__ import annotations

import time

import torch
from stable_baselines3.common.callbacks import BaseCallback

from agent.policies.network import NumpyPolicy
from agent.training.preset import Preset, load_preset
from agent.training.train import train
from agent.units import FloatArray
from tools.bench.learners import learning, of_preset, reference
from tools.bench.measure import Ratio, ratio
from tools.bench.part import Figure, Plan, Say, of_ratio, steps_per_second
from tools.bench.returns import HeldOut, estimate

LEAST = 60.0
FRACTION = 6
MARGIN = 0.02
_LOOK_STEPS = 5000


def tuned(plan: Plan, say: Say) -> list[Figure]:
    """Compare speeds and returns, for both presets."""
    figures: list[Figure] = []
    for env in plan.envs:
        say(f"{env}: speed")
        preset = load_preset(env)
        faster = ratio(learning(of_preset(preset), 2), learning(reference(env)), plan.turns)
        say(f"{env}: the reference learns for {plan.reference_seconds:.0f} s of processor time")
        held_out, choose = HeldOut(env, plan.paths), HeldOut(env, 64, seed=1)
        untrained, theirs, their_steps = _reference(env, plan.reference_seconds, held_out, choose)
        seconds = plan.reference_seconds / FRACTION
        say(f"{env}: the preset learns for {seconds:.0f} s")
        policy, steps, spent = _preset(preset, plan, seconds, faster)
        ours = held_out.returns(policy)
        difference = estimate(ours - theirs)
        reached = difference.low >= -MARGIN * abs(float(theirs.mean() - untrained.mean()))
        note = (
            f"return {estimate(ours)} after {spent:.1f} s ({steps:,} steps); reference {estimate(theirs)} after "
            f"{plan.reference_seconds:.0f} s ({their_steps:,} steps), untrained {estimate(untrained)}; "
            f"paired difference {difference}"
            + ("" if reached else f": not shown to be reached, at a speed of {faster.value:.1f}x")
        )
        words = f"preset {env} against 1 environment and batch 64, at its return"
        measured = of_ratio(f"tuned_{env}", words, faster, least=LEAST, note=note)
        if not reached:
            measured = Figure(f"tuned_{env}", words, None, least=LEAST, clock=measured.clock, note=note)
        time_ratio = plan.reference_seconds / spent if reached else None
        figures += [
            measured,
            Figure(
                f"tuned_{env}_time", f"preset {env}: reference's time over its own", time_ratio, clock=measured.clock
            ),
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
        self._looked = 0
        self._best_return = -float("inf")
        self.best: NumpyPolicy | None = None

    def _on_training_start(self) -> None:
        self._began = time.process_time()

    def _on_rollout_start(self) -> None:
        if self.num_timesteps - self._looked >= _LOOK_STEPS:
            self.look()

    def _on_step(self) -> bool:
        return time.process_time() - self._began - self._free < self._seconds

    def look(self) -> None:
        """Score the network as it is."""
        began = time.process_time()
        policy = self._choose.policy_of(self.model)
        mean = float(self._choose.returns(policy).mean())
        if mean > self._best_return:
            self._best_return, self.best = mean, policy
        self._looked = self.num_timesteps
        self._free += time.process_time() - began


def _reference(env: str, seconds: float, held_out: HeldOut, choose: HeldOut) -> tuple[FloatArray, FloatArray, int]:
    """Return the returns of the reference before and after learning, and its steps."""
    model = reference(env)
    untrained = held_out.returns(held_out.policy_of(model))
    budget = _Budget(seconds, choose)
    model.learn(1_000_000_000, callback=budget)
    budget.look()
    assert budget.best is not None
    return untrained, held_out.returns(budget.best), int(model.num_timesteps)


def _preset(preset: Preset, plan: Plan, seconds: float, faster: Ratio) -> tuple[NumpyPolicy, int, float]:
    """Return what the preset learns in about this processor time, its steps, and the time that it took.

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
