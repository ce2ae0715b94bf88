"""The demo of five DeFi venues: a day of five-minute steps, then full markets, a fall of ETH and a lost peg.

The series is a path of `DefiMarket`; `scripts.protocols.outsiders` says how the devnet follows it, a block a step.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from agent.observation.observe import DEFI
from agent.units import HOUR, WAD
from keeper.conversion import HOLD, Leg
from keeper.cycle import Keeper
from scripts.demonstration import walls
from scripts.demonstration.preset import Preset, Tracking
from scripts.demonstration.rules import rules_of
from scripts.demonstration.series import Series
from scripts.demonstration.stage import Stage
from scripts.demonstration.stress import Disaster, steal
from scripts.deployment.tables import defi_tables
from scripts.errors import ScriptError
from scripts.protocols.aave import ETH_PRICE
from scripts.protocols.artifacts import USDC_UNIT
from scripts.protocols.defi import YIELD_MARKET
from scripts.protocols.devnet import MARKET_MAKER_WETH, Devnet
from scripts.protocols.outsiders import LENDING, VENUES, Outsiders, Row, Step, rows_of

TRAINING = "defi"
STEP = 300
COIN = Leg(0.0001, 0.0001, 1e-9)
COSTS = {
    "uniswap-eth-usdc": Leg(0.00025, 0.00025, 0.25 / (MARKET_MAKER_WETH * ETH_PRICE)),  # half of it is traded
    "compound-dai": COIN,
    "aave-usdt": COIN,
    "stable-pool": Leg(0.0005, 0.0005),
}
"""Of a trade: the pools' fees, and what it moves their prices by on average."""

MAX_FEE_GWEI = 2_000.0  # gas is what the series says

LENT_OUT = (False, True, True)  # of `LENDING`
LOST_PEG = 0.85
FALL = 0.8
MOST_FALLS = 4
ENTRY = 1_000  # USDC
ATTACK = 0.02  # of NAV
STOLEN = 0.6


class DefiWorld:
    """Outsiders who follow the series."""

    def __init__(self, devnet: Devnet, series: Series) -> None:
        if devnet.defi is None or devnet.eth_feed is None:
            raise ScriptError("The devnet has not the venues: deploy it with the preset defi.")
        self.tracking = Tracking()
        self._devnet, self._defi = devnet, devnet.defi
        self._rows, self._outsiders = rows_of(series.path), Outsiders(devnet)

    def prepare(self) -> None:
        """Bring the devnet to the first row."""
        self._outsiders.step(self._rows[0], STEP)

    def move(self, row: int, time: int) -> None:
        """Bring the chain to a row, in the block at which the keeper wakes."""
        if time - self._newest > 2 * STEP:  # the interest of so long a time would carry the rates off their row
            self._bring(self._rows[row], time - STEP)
        self._note(self._rows[row], self._bring(self._rows[row], time))

    def rates(self, row: int) -> tuple[float, ...]:
        """Return those of the series, which feeds and markets say."""
        return self._rows[row].rates

    def native_price(self, row: int) -> float:
        """Return the price of ETH in USDC."""
        return self._rows[row].eth / self._rows[row].usdc

    def told(self, stage: Stage) -> dict[str, Any]:
        """Return all that a policy of `defi-1` is shown, and what each venue pays."""
        strategies = dict(zip(stage.names, stage.deployment.strategies, strict=True))
        return {**defi_tables(self._devnet, strategies), "max_fee_gwei": MAX_FEE_GWEI}

    def strike(self, stage: Stage, keeper: Keeper) -> Disaster:
        """Let two markets be lent out in full, ETH fall, and DAI lose its peg, until the floor is broken."""
        lines: list[str] = []
        refusals: list[str] = []

        def let_keeper() -> None:
            result = keeper.cycle(live=True)
            lines.append(f"the keeper: {result.outcome}, {walls.named(result.reason)}")

        def try_wall(who: str, refused: str) -> None:
            refusals.append(refused)
            lines.append(f"{who}: {refused or 'ACCEPTED'}")

        def is_broken() -> bool:
            seen = stage.snapshot()
            return seen.share_price < seen.drawdown_floor

        bad = replace(self._rows[-1], full=LENT_OUT)
        lines.append("all that USDT's market and the yield vault's have is lent out")
        self._later(stage, bad, STEP)
        try_wall("a thief of the keeper's key who would lend more USDT", self._lend(stage, "aave-usdt"))
        let_keeper()
        bad = replace(bad, eth=bad.eth * FALL, btc=bad.btc * FALL)
        lines.append(f"ETH and bitcoin fall by {1 - FALL:.0%}")
        self._later(stage, bad, STEP)
        let_keeper()
        bad = replace(bad, dai=bad.dai * LOST_PEG)
        lines.append(f"DAI falls to {bad.dai:.0%} of a dollar, and stays there")
        for seconds in (STEP, HOUR):
            self._later(stage, bad, seconds)
            let_keeper()
        try_wall("a depositor who would enter the stable pool", self._enter(stage, "stable-pool"))
        for _ in range(MOST_FALLS):
            if is_broken():
                break
            bad = replace(bad, dai=bad.dai * LOST_PEG, usdt=bad.usdt * LOST_PEG)
            lines.append(f"DAI falls on to {bad.dai:.0%}, and USDT to {bad.usdt:.0%}")
            self._later(stage, bad, STEP)
            let_keeper()
        if not is_broken():
            market, victim = self._devnet.markets[YIELD_MARKET], self._defi.yield_vault.address
            loot = int(market.a_token.functions.balanceOf(victim).call() * STOLEN)
            steal(self._devnet, market.a_token, victim, loot)
            lines.append(f"{STOLEN:.0%} of the yield vault is stolen")
        try_wall("the chain, of a rebalance under the floor", walls.refusal(stage, (HOLD,) * len(VENUES)))
        return Disaster(tuple(lines), tuple(refusals))

    @property
    def _newest(self) -> int:
        """Time of the newest block."""
        return int(self._devnet.w3.eth.get_block("latest")["timestamp"])

    def _later(self, stage: Stage, row: Row, seconds: int) -> None:
        self._bring(row, int(stage.now()) + seconds)

    def _bring(self, row: Row, time: int) -> Step:
        return self._outsiders.step(row, time - self._newest)

    def _note(self, row: Row, done: Step) -> None:
        """Take in how near a step came to its row."""
        reached = self._outsiders.reached()
        prices = {"eth": row.eth / row.usdc, "dai": row.dai / row.usdc, "usdt": row.usdt / row.usdc}
        for name, price in prices.items():
            self.tracking.note(abs(reached.prices[name] / price - 1.0))
        for name, full in zip(LENDING, row.full, strict=True):
            rate = row.rates[VENUES.index(name)]
            if not full:
                self.tracking.note(abs(reached.rates[name] / rate - 1.0), name in done.clamped)

    def _enter(self, stage: Stage, name: str) -> str:
        return walls.entry_refusal(stage, stage.names.index(name), ENTRY * USDC_UNIT)

    def _lend(self, stage: Stage, name: str) -> str:
        """Return the refusal of moving a little more into a venue, out of the largest position that can be left."""
        seen, more = stage.snapshot(), stage.names.index(name)
        held = [item.assets * WAD // seen.nav for item in seen.strategies]
        can_pay = [min(item.max_withdraw, item.assets) if i != more else 0 for i, item in enumerate(seen.strategies)]
        source = max(range(len(held)), key=can_pay.__getitem__)
        weights = [HOLD] * len(held)
        amount = int(ATTACK * WAD)
        weights[source], weights[more] = max(held[source] - 2 * amount, 0), held[more] + amount
        return walls.refusal(stage, weights)


DEFI_PRESET = Preset(
    name="defi",
    what="five DeFi venues",
    protocols="Uniswap V3, Compound V2, Aave V3 and Balancer V2 from their real bytecode",
    training=TRAINING,
    limits=Path("scripts/limits.defi.toml"),
    deposits={"alice": 500_000, "bob": 300_000, "carol": 200_000},
    unit="step",
    steps=288,
    world=DefiWorld,
    rules=lambda limits: rules_of(TRAINING, limits),
    disaster="markets are lent out in full, ETH falls, and DAI loses its peg",
    costs=COSTS,
    version=DEFI,
    by_price=True,
)
