"""How much faster the exported policy answers than the model that it came from, for one observation."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, cast

import numpy as np

from agent.envs.vec import VaultVecEnv
from agent.observation.observe import Observation
from agent.training.learner import draft
from agent.training.preset import Preset, load_preset
from tools.bench.figures import BenchError, Figure, Plan, Say, of_ratio
from tools.bench.measure import ratio, repeated
from tools.bench.training import HIDDEN, of_preset, variant

TARGET = 30.0
MAX_DIFFERENCE = 1e-6
_CALLS = 1500


def export(plan: Plan, say: Say) -> list[Figure]:
    """Compare networks' outputs and times; torch on one thread, which is its fastest for one observation.

    The target is for the network that the presets train and the keeper runs. Both sides take the vector and return the
    network's outputs. `NumpyPolicy.act` also builds the vector and projects the outputs, which `model.predict` does
    not; its time stands beside.
    """
    preset, figures = load_preset("rwa"), []
    for name, label, kind, target in (
        ("export", "MLP of the preset", preset, TARGET),
        ("export_large", "MLP 256/128/64", variant(preset, "ppo", hidden=HIDDEN), None),
        ("export_lstm", "LSTM 64 and MLP of the preset", variant(preset, "recurrent-ppo"), None),
    ):
        say(label)
        figures += _compare(name, label, kind, target, plan.turns)
    return figures


def _compare(name: str, label: str, preset: Preset, target: float | None, turns: int) -> list[Figure]:
    model: Any = of_preset(preset)
    env = cast(VaultVecEnv, model.env)
    policy = draft(model, preset.env_config().version)
    rows = env.reset()
    memory = np.zeros((1, policy.memory_size))
    state: Any = None
    apart, going = 0.0, np.zeros(1, dtype=np.bool_)
    for row in rows[:100]:  # as one sequence: the LSTM's memory must be the same too
        theirs, state = model.predict(row[None], state=state, episode_start=going, deterministic=True)
        ours, memory = policy.outputs(row[None].astype(np.float64), memory)
        apart = max(apart, float(np.abs(theirs - np.clip(ours, -1.0, 1.0)).max()))
    if not apart <= MAX_DIFFERENCE:
        raise BenchError(
            f"{label}: the exported policy is {apart:.1e} from model.predict, more than {MAX_DIFFERENCE:.0e}"
        )
    vector, single = rows[:1].astype(np.float64), _first(env.engine.observe())
    predict = repeated(lambda: model.predict(rows[0], state=None, deterministic=True), _CALLS // 10)
    outputs = repeated(lambda: policy.outputs(vector, memory), _CALLS)
    act = repeated(lambda: policy.act_with_memory(single, memory), _CALLS // 10)
    measured = ratio(outputs, predict, turns)
    whole = ratio(act, predict, turns)
    return [
        of_ratio(name, f"{label}: numpy against model.predict", measured, target=target),
        Figure(f"{name}_microseconds", f"{label}: numpy", 1e6 / measured.fast, "us", clock="processor time"),
        Figure(
            f"{name}_predict_microseconds", f"{label}: model.predict", 1e6 / measured.slow, "us", clock="processor time"
        ),
        Figure(
            f"{name}_act_microseconds",
            f"{label}: from observation to weights",
            1e6 / whole.fast,
            "us",
            clock="processor time",
        ),
        Figure(f"{name}_difference", f"{label}: largest difference of outputs", apart, ""),
    ]


def _first(seen: Observation) -> Observation:
    """Return the observation of the first vault alone."""
    every = {field.name: getattr(seen, field.name) for field in fields(seen)}
    first: dict[str, Any] = {name: value[:1] for name, value in every.items() if isinstance(value, np.ndarray)}
    return replace(seen, **first)
