"""The batched engine under the environments: episodes on market paths, through the vault's own decision and money math.

Every vault of the batch runs its own episode, from a random row of a random path of a bank. A step is exactly what
the keeper does once a day: observe, let the policy want, decide under the limits, rebalance; then the market pays.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace

import numpy as np

from agent.actions import to_weights
from agent.decision import Decision, DecisionRules, decide
from agent.errors import MarketDataError, ShapeError
from agent.limits import Limits
from agent.market.path import MarketPath
from agent.observation import CHAIN, Observation, RateMemory, observe
from agent.portfolio import Costs, MarketRow, PortfolioState, StepResult, step
from agent.units import YEAR, BoolArray, FloatArray, IntArray

_LEAST_LEVEL = 0.001  # APR; rewards are in units of the market's level, which is not taken below this


@dataclass(frozen=True)
class EnvConfig:
    """What an episode is.

    Attributes
    ----------
    limits
        The vault's walls.
    costs, rules
        What moving costs and when it is worth it.
    nav
        Assets at the start.
    episode_rows
        Decisions per episode; after them it is truncated.
    warm_up
        Most rows before an episode that the running means have already seen; drawn anew for every episode.
    deployed_share
        Share of episodes that start with random admissible positions and not all idle.
    concentration_price
        What the reward takes for concentration, per unit of the sum of squared weights, in units of the market's
        interest. History has no failed strategy in it; whoever learns from rates alone puts all that the caps allow
        into the best one.
    ruin
        Share of the starting assets under which an episode terminates.
    """

    limits: Limits
    costs: Costs = field(default_factory=Costs)
    rules: DecisionRules = field(default_factory=DecisionRules)
    nav: float = 10_000_000.0
    episode_rows: int = 90
    warm_up: int = 30
    deployed_share: float = 0.5
    concentration_price: float = 0.7
    ruin: float = 0.5

    @property
    def path_rows(self) -> int:
        """Fewest rows of a market path that holds one episode."""
        return self.warm_up + self.episode_rows + 1


@dataclass(frozen=True)
class Transition:
    """What one step of the batch gave, `(B, ...)`.

    Attributes
    ----------
    observation
        `(B, m)` vectors after the step, before any reset.
    reward
        `(B,)`.
    terminated, truncated
        `(B,)` ended by halt or ruin; ended by length.
    decision, result
        What was decided and what came of it.
    """

    observation: FloatArray
    reward: FloatArray
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
        What an episode is.
    batch
        Number of vaults.
    rng
        Source of all randomness: path, row, warm-up and starting positions of each episode.
    """

    def __init__(self, bank: MarketPath, config: EnvConfig, batch: int, rng: np.random.Generator) -> None:
        if bank.count != config.limits.count:
            raise ShapeError(f"the market has {bank.count} strategies but the limits are for {config.limits.count}")
        if bank.length < config.path_rows:
            raise MarketDataError(
                f"market paths of {bank.length} rows are too short for episodes of {config.episode_rows} rows after a "
                f"warm-up of {config.warm_up}: {config.path_rows} are needed"
            )
        spacing = np.diff(bank.timestamps)
        if not (spacing == spacing[0]).all():
            raise MarketDataError("training needs market paths with equally spaced rows")
        self.config = config
        self.batch = batch
        self._rng = rng
        self._bank = bank
        self._growth = bank.growth()
        self._seconds = float(spacing[0])
        self._path = np.zeros(batch, dtype=np.int64)
        self._row = np.zeros(batch, dtype=np.int64)
        self._age = np.zeros(batch, dtype=np.int64)
        self._state = PortfolioState.open(config.nav, bank.count, batch)
        self._memory = RateMemory.start(bank.rates[self._path, self._row], 0)
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
        """Return what is known now."""
        gas = self._bank.gas_cost[self._path, self._row]
        return observe(self._state, self._rates(), self._memory, gas, self.config.costs)

    def step(self, actions: FloatArray) -> Transition:
        """Act on all vaults; `(B, n)` network outputs. Episodes that ended stay ended until reset."""
        config, state = self.config, self._state
        gas = self._bank.gas_cost[self._path, self._row]
        decision = decide(
            to_weights(CHAIN, actions),
            state.weights,
            state.nav,
            gas,
            config.limits,
            config.costs,
            config.rules,
            state.halted,
            state.headroom(config.limits),
        )
        row = self._market_row(gas)
        result = step(state, decision.weights, decision.traded, row, config.limits, config.costs)
        reward = self._reward(state, result.state, row, decision.weights)
        self._state = result.state
        self._row = self._row + 1
        self._age = self._age + 1
        self._memory = self._memory.update(self._rates(), self._memory.timestamp + int(self._seconds))
        terminated = result.state.halted | (result.state.net_worth < config.ruin * config.nav)
        truncated = (self._age >= config.episode_rows) & ~terminated
        return Transition(self.observe().vector(), reward, terminated, truncated, decision, result)

    def _market_row(self, gas: FloatArray) -> MarketRow:
        """Return what follows a decision at every vault's own row, as `MarketPath.row` does."""
        path, row, bank = self._path, self._row, self._bank
        return MarketRow(
            growth=self._growth[path, row],
            gas_cost=gas,
            seconds=self._seconds,
            factors=None if bank.factors is None else bank.factors[path, row + 1],
            depth=None if bank.depth is None else bank.depth[path, row + 1],
            liquidity=None if bank.liquidity is None else bank.liquidity[path, row],
        )

    def _reward(self, before: PortfolioState, after: PortfolioState, row: MarketRow, weights: FloatArray) -> FloatArray:
        """Log growth of net worth, and what concentration costs, over that of an equally weighted vault.

        In units of the market's interest (the slow mean of the rates, known before the step), so it is of order one.
        What is taken off for the equally weighted vault does not depend on the action: it removes noise and moves no
        optimum.
        """
        deployed = 1.0 - self.config.limits.idle_floor
        passive = np.log1p(deployed * (row.growth.mean(-1) - 1.0))
        worth = np.maximum(after.net_worth, 1e-9) / np.maximum(before.net_worth, 1e-9)
        unit = np.maximum(self._memory.slow.mean(-1), _LEAST_LEVEL) * (self._seconds / YEAR)
        concentration = (weights**2).sum(-1) - deployed**2 / weights.shape[-1]
        return np.asarray((np.log(worth) - passive) / unit - self.config.concentration_price * concentration)

    def _rates(self) -> FloatArray:
        return self._bank.rates[self._path, self._row]

    def _start(self, chosen: IntArray) -> None:
        """Begin new episodes of the vaults with these indices."""
        rng, config, size = self._rng, self.config, chosen.size
        warm_up = rng.integers(0, config.warm_up + 1, size)
        self._path[chosen] = rng.integers(0, self._bank.batch, size)
        self._row[chosen] = rng.integers(warm_up, self._bank.length - config.episode_rows)
        self._age[chosen] = 0
        self._state = _put(self._state, chosen, self._opening(size))
        fast, slow = self._warm(chosen, warm_up)
        self._memory = replace(self._memory, fast=fast, slow=slow)

    def _opening(self, size: int) -> PortfolioState:
        """Return new vaults: some all idle, some with random admissible positions."""
        config, count = self.config, self._bank.count
        opened = PortfolioState.open(config.nav, count, size)
        wanted = config.limits.project(self._rng.dirichlet(np.ones(count), size), opened.nav)
        deployed = self._rng.random(size) < config.deployed_share
        assets = np.where(deployed[:, None], wanted * config.nav, 0.0)
        return replace(opened, assets=assets, idle=config.nav - assets.sum(-1))

    def _warm(self, chosen: IntArray, warm_up: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return the running means of all vaults, those of `chosen` begun `warm_up` rows before their episode."""
        path, row = self._path[chosen], self._row[chosen]
        first = row - warm_up
        memory = RateMemory.start(self._bank.rates[path, first], 0)
        for offset in range(1, int(warm_up.max()) + 1):
            at = np.minimum(first + offset, row)
            newer = memory.update(self._bank.rates[path, at], memory.timestamp + int(self._seconds))
            still = (offset <= warm_up)[:, None]
            fast, slow = np.where(still, newer.fast, memory.fast), np.where(still, newer.slow, memory.slow)
            memory = RateMemory(fast, slow, newer.timestamp)
        all_fast, all_slow = self._memory.fast.copy(), self._memory.slow.copy()
        all_fast[chosen], all_slow[chosen] = memory.fast, memory.slow
        return all_fast, all_slow


def _put(state: PortfolioState, chosen: IntArray, new: PortfolioState) -> PortfolioState:
    """Return the state with the rows `chosen` replaced."""
    parts = {}
    for entry in fields(state):
        values = getattr(state, entry.name).copy()
        values[chosen] = getattr(new, entry.name)
        parts[entry.name] = values
    return PortfolioState(**parts)
