"""The batched engine under the environments: episodes on market paths, through the vault's decision and money math.

An `Engine` steps `B` vaults at once, each at a row of its own in a `Bank` of paths, which one look-up per step reads.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from functools import reduce
from operator import add
from typing import Any

import numpy as np

from agent.envs.reward import Reward
from agent.errors import MarketDataError, ShapeError
from agent.market.path import MarketPath
from agent.observation.memory import RateMemory
from agent.observation.observe import CHAIN, Observation, observe, version_of
from agent.policies.actions import to_weights
from agent.units import BoolArray, FloatArray, IntArray
from agent.vault.bid import Records
from agent.vault.decision import Decision, DecisionRules, decide
from agent.vault.limits import Limits
from agent.vault.portfolio import Costs, MarketRow, PortfolioState, StepResult, step, unwind

Range = tuple[float, float]
"""Bounds of a number that is drawn log-uniformly for every episode."""


@dataclass(frozen=True)
class EnvConfig:
    """Definition of an episode.

    Attributes
    ----------
    limits
        The vault's limits.
    reward
        Value of a step.
    version
        Observation version, which also gives actions their meaning.
    costs, rules
        Costs of moving, and when it is worth them.
    leg_cost
        Share of every deposit and withdrawal that is lost besides `costs`, drawn for every episode, so that one policy
        serves several costs; none by default.
    nav
        Assets at the start, one number or a range to draw from for every episode.
    episode_rows
        Decisions per episode; after them it is truncated.
    warm_up
        Largest number of rows that the running means have seen before an episode; drawn for every episode.
    start_weights
        `n` shares of NAV that episodes start with; all idle by default.
    deployed_share
        Share of episodes that start with random admissible positions instead.
    ruin
        Share of the starting assets under which an episode terminates.
    halt_ends
        Whether a halt terminates the episode too. Otherwise the halted vault is unwound, as far as its strategies can
        pay out, and the rest of the episode passes with nothing left to decide.
    """

    limits: Limits
    reward: Reward
    version: str = CHAIN
    costs: Costs = field(default_factory=Costs)
    rules: DecisionRules = field(default_factory=DecisionRules)
    leg_cost: Range | None = None
    nav: float | Range = 10_000_000.0
    episode_rows: int = 90
    warm_up: int = 30
    start_weights: tuple[float, ...] | None = None
    deployed_share: float = 0.5
    ruin: float = 0.5
    halt_ends: bool = True

    def __post_init__(self) -> None:
        if self.start_weights is not None and len(self.start_weights) != self.limits.count:
            raise ShapeError(f"start_weights must be {self.limits.count} numbers, one per strategy")
        for name in ("nav", "leg_cost"):
            value = getattr(self, name)
            if isinstance(value, tuple) and not 0 < value[0] <= value[1] < np.inf:
                raise ShapeError(f"the range of {name} must be two numbers above zero, the smaller first, not {value}")

    @property
    def path_rows(self) -> int:
        """Fewest rows of a market path that holds one episode."""
        return self.warm_up + self.episode_rows + 1


class Bank:
    """Market paths as one table: a line per path and row, with the market there and up to the next row.

    Raises
    ------
    MarketDataError
        If the rows are not equally spaced.
    """

    def __init__(self, path: MarketPath) -> None:
        spacing = np.diff(path.timestamps)
        if not (spacing == spacing[0]).all():
            raise MarketDataError("training needs market paths with equally spaced rows")
        self.paths, self.length, self.seconds = path.batch, path.length, float(spacing[0])

        def after(values: FloatArray | None) -> FloatArray | None:
            return None if values is None else np.concatenate([values[:, 1:], values[:, -1:]], axis=1)

        growth = path.growth()
        columns = {
            "rates": path.rates,
            "gas_cost": path.gas_cost[..., None],
            "growth": np.concatenate([growth, growth[:, -1:]], axis=1),  # nothing follows the last row: repeat it
            "factors": after(path.factors),
            "depth": after(path.depth),
            "surprises": after(path.surprises),
            "liquidity": path.liquidity,
            "features": path.features,
        }
        self._parts: dict[str, slice] = {}
        end = 0
        for name, values in columns.items():
            if values is not None:
                self._parts[name] = slice(end, end + values.shape[-1])
                end += values.shape[-1]
        known = [values for values in columns.values() if values is not None]
        self._table = np.concatenate(known, axis=-1).reshape(-1, end)

    def at(self, path: IntArray, row: IntArray) -> MarketRow:
        """Return the market at these rows of these paths, `(B,)` indices each."""
        line = self._table.take(path * self.length + row, axis=0)
        found = {name: line[:, part] for name, part in self._parts.items()}
        found["gas_cost"] = found["gas_cost"][:, 0]
        return MarketRow(seconds=self.seconds, **found)

    def rates_before(self, path: IntArray, row: IntArray, rows: int) -> FloatArray:
        """Return the rates of these rows and of `rows` before, `(B, rows + 1, n)`; before the first row, the first."""
        back = np.maximum(row[:, None] - np.arange(rows, -1, -1), 0)
        lines = self._table.take(path[:, None] * self.length + back, axis=0)
        return np.asarray(lines[..., self._parts["rates"]])


@dataclass(frozen=True)
class Transition:
    """Outcome of one step of the batch, `(B, ...)`.

    Attributes
    ----------
    observation
        `(B, m)` vectors after the step, before any reset.
    reward
        `(B,)`, the sum of the parts.
    parts
        The reward's parts by name, `(B,)` each.
    terminated, truncated
        `(B,)` ended by halt or ruin; ended by length.
    decision, result
        The decision and its outcome.
    """

    observation: FloatArray
    reward: FloatArray
    parts: dict[str, FloatArray]
    terminated: BoolArray
    truncated: BoolArray
    decision: Decision
    result: StepResult


class Engine:
    """`batch` episodes at once on a bank of market paths.

    Parameters
    ----------
    bank
        Paths that episodes are cut from; equally spaced rows.
    config
        Definition of an episode.
    batch
        Number of vaults.
    rng
        Source of all randomness: path, row, warm-up, costs, assets and starting positions of each episode.
    """

    def __init__(self, bank: MarketPath, config: EnvConfig, batch: int, rng: np.random.Generator) -> None:
        if bank.count != config.limits.count:
            raise ShapeError(f"the market has {bank.count} strategies but the limits are for {config.limits.count}")
        version_of(config.version).check_market(bank.count, bank.feature_names)
        if bank.length < config.path_rows:
            raise MarketDataError(
                f"market paths of {bank.length} rows are too short for episodes of {config.episode_rows} rows after a "
                f"warm-up of {config.warm_up}: {config.path_rows} are needed"
            )
        self.config = config
        self.batch = batch
        self._rng = rng
        self._bank = Bank(bank)
        self._path = np.zeros(batch, dtype=np.int64)
        self._row = np.zeros(batch, dtype=np.int64)
        self._age = np.zeros(batch, dtype=np.int64)
        self._opening_nav = np.ones(batch)
        self._costs = config.costs
        self._leg_cost = np.zeros((batch, 1))
        self._state = PortfolioState.open(1.0, bank.count, batch)
        self._now = self._bank.at(self._path, self._row)
        self._memory = RateMemory.start(self._now.rates, 0)
        self._seen: Observation | None = None
        self.reset()

    @property
    def state(self) -> PortfolioState:
        """The vaults now."""
        return self._state

    def reset(self, which: BoolArray | None = None) -> FloatArray:
        """Start new episodes, all or those of a `(B,)` mask; return observation vectors `(B, m)` of all."""
        chosen = np.arange(self.batch) if which is None else np.nonzero(which)[0]
        if chosen.size:
            self._start(chosen)
        return self.observe().vector()

    def observe(self) -> Observation:
        """Return the observation now."""
        if self._seen is None:
            self._seen = observe(
                self._state,
                self._now.rates,
                self._memory,
                self._now.gas_cost,
                self._costs,
                version=self.config.version,
                features=self._now.features,
                elapsed=self._age * self._bank.seconds,
            )
        return self._seen

    def step(self, actions: FloatArray) -> Transition:
        """Act on all vaults; `(B, n)` network outputs. Episodes that ended stay ended until reset."""
        config, state, now, seen = self.config, self._state, self._now, self.observe()
        payable = now.payable(state.nav)
        decision = decide(
            to_weights(config.version, actions),
            state.weights,
            state.nav,
            now.gas_cost,
            config.limits,
            self._costs,
            config.rules,
            state.halted,
            state.allowance(config.limits),
            room=payable,
            believed=state.believed,
            payable=payable,
        )
        result = step(state, decision.weights, decision.traded, now, config.limits, self._costs)
        self._row = self._row + 1
        self._age = self._age + 1
        self._now = self._bank.at(self._path, self._row)
        if not config.halt_ends and result.state.halted.any():
            left = unwind(result.state, result.state.halted, self._costs, self._now.liquidity)
            result = replace(result, state=left)
        parts = config.reward.parts(state, result.state, now, decision, seen)
        self._state, self._seen = result.state, None
        self._memory = self._memory.update(self._now.rates, self._memory.timestamp + int(self._bank.seconds))
        ruined = result.state.net_worth < config.ruin * self._opening_nav
        terminated = ruined | (result.state.halted & config.halt_ends)
        truncated = (self._age >= config.episode_rows) & ~terminated
        vector = self.observe().vector()
        return Transition(vector, reduce(add, parts.values()), parts, terminated, truncated, decision, result)

    def _start(self, chosen: IntArray) -> None:
        """Begin new episodes of the vaults with these indices."""
        rng, config, size = self._rng, self.config, chosen.size
        warm_up = rng.integers(0, config.warm_up + 1, size)
        self._path[chosen] = rng.integers(0, self._bank.paths, size)
        self._row[chosen] = rng.integers(warm_up, self._bank.length - config.episode_rows)
        self._age[chosen] = 0
        self._opening_nav[chosen] = config.nav if isinstance(config.nav, float | int) else self._drawn(config.nav, size)
        if config.leg_cost is not None:
            self._leg_cost[chosen] = self._drawn(config.leg_cost, size)[:, None]
            entry, leave = (np.asarray(cost) + self._leg_cost for cost in (config.costs.entry, config.costs.exit))
            self._costs = replace(config.costs, entry=entry, exit=leave)
        self._state = _put(self._state, chosen, self._opening(self._opening_nav[chosen]))
        self._now, self._seen = self._bank.at(self._path, self._row), None
        seen = self._bank.rates_before(self._path[chosen], self._row[chosen], config.warm_up)
        warm = RateMemory.after(seen, warm_up, self._bank.seconds, self._memory.timestamp)
        fast, slow = self._memory.fast.copy(), self._memory.slow.copy()
        fast[chosen], slow[chosen] = warm.fast, warm.slow
        self._memory = replace(self._memory, fast=fast, slow=slow)

    def _drawn(self, bounds: Range, size: int) -> FloatArray:
        """Return `(size,)` numbers, log-uniform between the bounds."""
        low, high = np.log(bounds)
        return np.asarray(np.exp(self._rng.uniform(low, high, size)))

    def _opening(self, nav: FloatArray) -> PortfolioState:
        """Return new vaults of this NAV: some as configured, some with random admissible positions."""
        config, size, count = self.config, nav.size, self.config.limits.count
        wanted = config.limits.project(self._rng.dirichlet(np.ones(count), size), nav)
        deployed = self._rng.random(size) < config.deployed_share
        usual = np.zeros(count) if config.start_weights is None else np.asarray(config.start_weights)
        return PortfolioState.open(nav, count, size, np.where(deployed[:, None], wanted, usual))


def _put(state: PortfolioState, chosen: IntArray, new: PortfolioState) -> PortfolioState:
    """Return the state with the rows `chosen` replaced."""
    kept = [entry.name for entry in fields(state) if entry.name != "records"]
    made = replace(state, **{name: _replaced(state, new, name, chosen) for name in kept})
    if state.records is None:
        return made
    fresh = Records.of(new.assets, new.nav)
    parts = {entry.name: _replaced(state.records, fresh, entry.name, chosen) for entry in fields(Records)}
    return replace(made, records=Records(**parts))


def _replaced(old: object, new: object, name: str, chosen: IntArray) -> Any:
    values = getattr(old, name).copy()
    values[chosen] = getattr(new, name)
    return values
