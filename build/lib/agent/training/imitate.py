"""The warm start: before PPO learns, its actor learns to act as a simple rule does, and its critic what that is worth.

The rule is played in the training environment. Its weights are projected onto the limits and turned into the action
that stands for them (`actions_for`, the inverse of `agent.policies.actions.to_weights`). The actor is regressed on
these actions, the critic on the discounted rewards that followed. That takes seconds, and PPO begins at the rule
instead of at random. The imitation is scored too, so nothing worse than it on the evaluation markets is ever kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from sb3_contrib import RecurrentPPO
from torch import Tensor

from agent.envs.engine import Engine, EnvConfig
from agent.envs.reward import RiskReward
from agent.errors import PresetError
from agent.observation.observe import DEFI, RWA, Observation
from agent.policies.actions import RWA_MIN
from agent.policies.rules import BASELINES
from agent.training.learner import Learner
from agent.training.preset import WarmStartTable
from agent.units import BoolArray, FloatArray
from agent.vault.limits import Limits

_CLEAR = 0.3  # how far beyond its bound an action is put where a weight is at zero or at its cap
_BATCH = 512


def actions_for(version: str, weights: FloatArray, limits: Limits, nav: FloatArray) -> FloatArray:
    """Return actions `(B, n)` in [-1, 1] that `to_weights` and the projection onto the limits turn into `weights`.

    Parameters
    ----------
    version
        Observation version.
    weights
        `(B, n)` admissible weights; a version that always deploys everything meets only such weights exactly.
    limits
        The vault's limits.
    nav
        `(B,)`.
    """
    if version == RWA:  # a softmax: logarithms, up to a constant
        logs = np.log(np.maximum(weights, RWA_MIN))
        middle = 0.5 * (logs.max(-1, keepdims=True) + logs.min(-1, keepdims=True))
        return np.asarray(np.clip(logs - middle, -1.0, 1.0))
    if version == DEFI:  # outputs are shares
        return np.asarray(np.clip(weights, 0.0, 1.0))
    # A projection adds one number to all and cuts at zero and the caps: weights are their own actions, up to a
    # constant; at a bound anything beyond it will do, and being well beyond it is robust.
    caps = limits.caps(np.maximum(nav, 0.0))
    beyond = np.where(weights <= 1e-3, -_CLEAR, 0.0) + np.where(weights >= caps - 1e-3, _CLEAR, 0.0)
    return np.asarray(np.clip(weights - 0.5 + beyond, -1.0, 1.0))


class Rule(Protocol):
    """A rule that can be imitated."""

    def act(self, observation: Observation) -> FloatArray:
        """Return wanted weights `(B, n)`."""


class Mix:
    """Fixed weights, except for strategies that are held as they are; the others share the room that these leave.

    Parameters
    ----------
    weights
        One share of NAV or `"hold"` per strategy.
    config
        For the idle floor, the number of strategies and the pegs.
    leave_lost_pegs
        Whether to leave strategies whose coin is seen below its peg; the others share their weight.

    Raises
    ------
    PresetError
        If there are more weights than strategies, or fewer.
    """

    def __init__(self, weights: Sequence[float | str], config: EnvConfig, leave_lost_pegs: bool = False) -> None:
        if len(weights) != config.limits.count:
            raise PresetError(
                f"warm_start.weights: {len(weights)} for {config.limits.count} strategies; give one for each"
            )
        self._held = np.array([weight == "hold" for weight in weights])
        self._weights = np.array([0.0 if weight == "hold" else float(weight) for weight in weights])
        self._most = 1.0 - config.limits.idle_floor
        self._pegs = config.reward if leave_lost_pegs and isinstance(config.reward, RiskReward) else None

    def act(self, observation: Observation) -> FloatArray:
        """Return wanted weights `(B, n)`."""
        held = np.where(self._held, observation.weights, 0.0)
        mix = np.tile(self._weights, (len(held), 1))
        if self._pegs is not None:
            kept = ~self._pegs.lost(observation)
            held, mix = held * kept, mix * kept
        room = np.clip(self._most - held.sum(-1, keepdims=True), 0.0, self._weights.sum())
        return np.asarray(held + mix * room / np.maximum(mix.sum(-1, keepdims=True), 1e-9))


def imitate(model: Learner, engine: Engine, table: WarmStartTable) -> float:
    """Play the rule, regress actor and critic on it, and begin the engine's episodes anew.

    Returns
    -------
    float
        Root of the mean squared error of the actor's actions at the end.
    """
    seen, actions, rewards, starts = _play(engine, table)
    returns = _discounted(rewards, starts, model.gamma)
    kept = slice(0, len(seen) - min(len(seen) // 2, int(5.0 / max(1.0 - model.gamma, 1e-3))))  # ends are cut short
    with_memory = isinstance(model, RecurrentPPO)

    def sequences(values: FloatArray | BoolArray) -> Tensor:
        """Turn `(T, B, ...)` into one sequence per vault, `(B, T, ...)`; without memory, into sequences of one step."""
        each = torch.as_tensor(values[kept].astype(np.float32), device=model.device).transpose(0, 1)
        return each if with_memory else each.flatten(0, 1).unsqueeze(1)

    inputs, targets, worth, begins = (sequences(part) for part in (seen, actions, returns, starts))
    adam = torch.optim.Adam(model.policy.parameters(), lr=table.learning_rate, fused=True)
    scale = 1.0 / max(float(worth.var()), 1e-6)
    rng = np.random.default_rng(model.seed)
    error = 0.0
    model.policy.set_training_mode(True)
    for epoch in range(table.epochs):
        for group in adam.param_groups:
            group["lr"] = table.learning_rate * (1.0 - epoch / table.epochs)
        errors = []
        order = torch.as_tensor(rng.permutation(len(inputs)), device=model.device)
        for chosen in torch.split(order, max(1, _BATCH // inputs.shape[1])):
            means, values = _outputs(model, inputs[chosen], begins[chosen])
            actor = (means - targets[chosen].flatten(0, 1)).square().mean()
            loss = actor + scale * (values - worth[chosen].flatten()).square().mean()
            adam.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.policy.parameters(), 1.0)
            adam.step()
            errors.append(actor.detach())
        error = float(torch.stack(errors).mean().sqrt())
    model.policy.optimizer.zero_grad()
    engine.reset()
    return error


def _outputs(model: Learner, seen: Tensor, starts: Tensor) -> tuple[Tensor, Tensor]:
    """Return means `(S L, k)` and values `(S L,)` for sequences `(S, L, m)` that begin without a memory."""
    policy: Any = model.policy
    rows = seen.flatten(0, 1)
    if isinstance(model, RecurrentPPO):
        nothing = torch.zeros(1, len(seen), policy.lstm_actor.hidden_size, device=model.device)
        memory = (nothing, nothing), starts.flatten()
        distribution, _ = policy.get_distribution(rows, *memory)
        return distribution.distribution.mean, policy.predict_values(rows, *memory).flatten()
    return policy.get_distribution(rows).distribution.mean, policy.predict_values(rows).flatten()


def _play(engine: Engine, table: WarmStartTable) -> tuple[FloatArray, FloatArray, FloatArray, BoolArray]:
    """Return vectors `(T, B, m)`, actions `(T, B, n)`, rewards and episode starts `(T, B)` of the rule."""
    config = engine.config
    rule = _rule(table, config)
    played: list[tuple[FloatArray, FloatArray, FloatArray, BoolArray]] = []
    begins = np.ones(engine.batch, dtype=np.bool_)
    for _ in range(table.rows):
        observation = engine.observe()
        nav = engine.state.nav
        chosen = actions_for(config.version, config.limits.project(rule.act(observation), nav), config.limits, nav)
        moved = engine.step(chosen)
        played.append((observation.vector(), chosen, moved.reward, begins))
        begins = moved.terminated | moved.truncated
        if begins.any():
            engine.reset(begins)
    vectors, actions, rewards, starts = zip(*played, strict=True)
    return np.stack(vectors), np.stack(actions), np.stack(rewards), np.stack(starts)


def _rule(table: WarmStartTable, config: EnvConfig) -> Rule:
    if table.rule == "mix":
        return Mix(table.weights, config, table.leave_lost_pegs)
    return BASELINES[table.rule]()


def _discounted(rewards: FloatArray, starts: BoolArray, gamma: float) -> FloatArray:
    """Return the discounted sum of rewards from each step to the end of its episode, or of the record, `(T, B)`."""
    returns = np.zeros_like(rewards)
    following = np.zeros(rewards.shape[1])
    for row in range(len(rewards) - 1, -1, -1):
        following = returns[row] = rewards[row] + gamma * following
        following = np.where(starts[row], 0.0, following)
    return returns
