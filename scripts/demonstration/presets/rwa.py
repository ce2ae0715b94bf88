"""The demo of tokenised assets: USDY, mETH and MI4 for thirty days of hours, then a lost peg and a fall of ETH.

The series is a path of `RwaMarket`. On the devnet

- ETH, bitcoin and MNT are feeds, and so is what no contract tells: the policy's other quotes, and what each asset pays;
- USDY's issuer begins a range every day at the series' rate, so that its price grows once a day;
- mETH's issuer reports its rate every hour;
- the index is worth its basket at the feeds: at first half bitcoin, 30 % ETH and 20 % mETH, in which it earns what it
  earns. The series' rate of the fund and the noise of its own are left out: a basket that grows has no price (see
  `BasketOracle`);
- a trader brings each asset's pool to the oracle's price times the series' peg.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from eth_typing import ChecksumAddress
from web3.contract import Contract

from agent.market.path import MarketPath
from agent.market.rwa import ASSETS
from agent.observation.observe import RWA
from agent.observation.quotes import QUOTES
from agent.units import DAY, HOUR, WAD, YEAR
from keeper.conversion import HOLD, Leg
from keeper.cycle import Keeper
from scripts.demonstration import told, walls
from scripts.demonstration.preset import Preset, Tracking
from scripts.demonstration.rules import rules_of
from scripts.demonstration.series import Series
from scripts.demonstration.stage import Stage
from scripts.demonstration.stress import Disaster
from scripts.demonstration.told import Told
from scripts.deployment.prices import ORACLE_DECIMALS
from scripts.errors import ScriptError
from scripts.protocols.anvil import mine_at, number_at
from scripts.protocols.arbitrage import price_of, swap_to, trader_on
from scripts.protocols.artifacts import USDC_UNIT, load_contract
from scripts.protocols.block import Order, mine_together
from scripts.protocols.devnet import Devnet
from scripts.protocols.rwa import BTC_UNIT, DEPTH, METH_RATE, UNIT

TRAINING = "rwa"
SERIES = ("btc_dominance", "fed_funds", "usdy_lending", "meth_lending")
"""Quotes that are features of the series under the same name, and answered by feeds."""
TOKEN_DECIMALS, ASSET_DECIMALS = 18, 6
LEAD = 120  # seconds before the keeper wakes, at which the outsiders act
COST = Leg(0.0005, 0.0005, 1 / DEPTH)  # the pool's fee, and what a trade moves its price by on average
STOCK = 200_000_000  # dollars of each token that the trader has: more than prices take to any side
_RAY = 10**27

LOST_PEG = 0.93
WRITE_DOWN = 100  # the part that its issuer writes off: as much as its oracle takes in a day
FALL = 0.8
BETA = 0.74  # of bitcoin on ETH, in the series: 0.89 x 0.5 / 0.6
MOST_FALLS = 5
ENTRY = 1_000  # USDC


@dataclass(frozen=True)
class Outside:
    """The world at a moment.

    Attributes
    ----------
    eth, btc
        USD.
    pegs
        Of USDY and mETH: what their pools pay over what their issuers say.
    rates
        What each asset pays, APR.
    gas_gwei
        Gas price.
    quotes
        The policy's other quotes.
    """

    eth: float
    btc: float
    pegs: tuple[float, float]
    rates: tuple[float, ...]
    gas_gwei: float
    quotes: Mapping[str, float] = field(default_factory=dict)


class RwaWorld:
    """Issuers, feeds and a trader who follow the series."""

    def __init__(self, devnet: Devnet, series: Series) -> None:
        if devnet.rwa is None or devnet.eth_feed is None:
            raise ScriptError("The devnet has no tokenised assets: deploy it with the preset rwa.")
        self.tracking = Tracking()
        self._chain, self._rwa, self._path = devnet.chain, devnet.rwa, series.path
        self._usdc, self._weth = devnet.usdc.address, devnet.weth.address
        self._trader = trader_on(devnet)
        feeds = {"eth": devnet.eth_feed, "btc": devnet.rwa.btc_feed}
        self._feeds = Told(devnet.chain, feeds, ("mnt", *SERIES, *(f"{asset} rate" for asset in ASSETS)))
        self._now = outside_at(self._path, 0)
        self._staking = METH_RATE / UNIT  # ETH per mETH
        self._reported: int | None = None
        mi4 = devnet.rwa.mi4.functions
        self._basket = {part: mi4.getDefaultPositionRealUnit(part).call() for part in mi4.getComponents().call()}
        self._day: int | None = None

    def prepare(self) -> None:
        """Give the trader enough of each token for the whole series, and bring prices to the first row."""
        rwa, press = self._rwa, self._trader.presses
        press[self._usdc](STOCK * USDC_UNIT)
        for token, price in ((rwa.usdy, 1), (rwa.meth, 1_000), (rwa.mi4, 100)):
            press[token.address](STOCK // price * UNIT)
        self._bring(self._now, self._chain.w3.eth.get_block("latest")["timestamp"] + 2 * LEAD)

    def move(self, row: int, time: int) -> None:
        """Let the outsiders act some minutes before a time, so that pools have had the row's prices for a while."""
        self._bring(outside_at(self._path, row), time)

    def native_price(self, row: int) -> float:
        """Return the price of MNT, which pays for gas on Mantle."""
        return _feature(self._path, row, "mnt_price")

    def rates(self, row: int) -> tuple[float, ...]:
        """Return what the feeds say that each asset pays."""
        return self._paid(self._now)

    def told(self, stage: Stage) -> dict[str, Any]:
        """Return all that a policy of `rwa-1` is shown, and what each asset pays."""
        feeds, pools, tokens = self._feeds, self._rwa.pools, {"usdy": self._rwa.usdy, "meth": self._rwa.meth}
        targets = dict(zip(stage.names, (contract.address for contract in stage.deployment.strategies), strict=True))
        pegs = {
            f"{name}_peg": told.peg(pools[name].address, token.address, _oracle(stage, targets[name]))
            for name, token in tokens.items()
        }
        return {
            "prices": {"sources": [feeds.source("mnt")]},
            "quotes": {**{name: feeds.quote(name) for name in QUOTES[RWA] if name not in pegs}, **pegs},
            "rates": {targets[asset]: feeds.quote(f"{asset} rate") for asset in ASSETS},
        }

    def strike(self, stage: Stage, keeper: Keeper) -> Disaster:
        """Let USDY lose its peg for a day, its issuer give in a little, and ETH fall until the floor is broken."""
        lines: list[str] = []
        refusals: list[str] = []

        def hours_later(hours: int, outside: Outside) -> None:
            until = int(stage.now()) // HOUR * HOUR + hours * HOUR
            self._bring(outside, until)

        def let_keeper() -> None:
            result = keeper.cycle(live=True)
            lines.append(f"the keeper: {result.outcome}, {walls.named(result.reason)}")

        calm = self._now
        lost = replace(calm, pegs=(LOST_PEG, calm.pegs[1]))
        lines.append(f"USDY is sold for {LOST_PEG:.0%} of what its issuer says it is worth, and stays there")
        hours_later(1, lost)
        let_keeper()
        hours_later(24, lost)
        seen = stage.snapshot()
        half = seen.strategies[0].assets * WAD // seen.nav // 2
        for who, refused in (
            ("a depositor who would enter it", walls.entry_refusal(stage, 0, ENTRY * USDC_UNIT)),
            ("a thief of the keeper's key who would sell half of it", walls.refusal(stage, (half, HOLD, HOLD))),
        ):
            refusals.append(refused)
            lines.append(f"{who}: {refused or 'ACCEPTED'}")
        let_keeper()
        price = self._rwa.usdy_oracle.functions.getPrice().call()
        self._chain.send(self._rwa.usdy_oracle.functions.setPrice(price - price // WRITE_DOWN))
        lines.append(f"its issuer gives in, by the {1 / WRITE_DOWN:.0%} that its oracle takes in a day")
        for count in range(1, MOST_FALLS + 1):
            fallen = replace(self._now, eth=self._now.eth * FALL, btc=self._now.btc * (1 - (1 - FALL) * BETA))
            hours_later(1, fallen)
            lines.append(f"ETH falls by {1 - FALL:.0%}" + (" again" if count > 1 else ""))
            let_keeper()
            seen = stage.snapshot()
            if seen.share_price < seen.drawdown_floor:
                break
        refusals.append(walls.refusal(stage, (HOLD,) * len(ASSETS)))
        lines.append(f"the chain, of a rebalance under the floor: {refusals[-1] or 'ACCEPTED'}")
        return Disaster(tuple(lines), tuple(refusals))

    # --- outsiders at work -------------------------------------------------------------------------------------------

    def _bring(self, outside: Outside, time: int) -> None:
        """Let the outsiders act in one block a while before a time, and mine at the time."""
        self._now, at = outside, time - LEAD
        issuers = self._issuers(at)
        targets = self._targets(at)
        swaps = [swap for target in targets if (swap := swap_to(self._trader, *target)) is not None]
        trades = [Order(swap, self._trader.sender) for swap in swaps]
        mine_together(self._chain.w3, [*issuers, *self._say(at), *trades], at)
        for pool, token, price in targets:
            self.tracking.note(abs(price_of(self._trader, pool, token) / price - 1.0))
        mine_at(self._chain.w3, time, max(1, round(outside.gas_gwei * 1e9)))

    def _issuers(self, time: int) -> list[Order]:
        """Return what begins USDY's next range, once a day, and reports what staking has earned since."""
        calls = []
        if self._day is None or time >= self._day + DAY:
            daily = self._now.rates[0] * DAY / YEAR
            calls.append(self._rwa.usdy_oracle.functions.setRange(time + round(YEAR), round(daily * _RAY)))
            self._day = time
        if self._reported is not None:
            self._staking *= 1.0 + self._now.rates[1] * (time - self._reported) / YEAR
            calls.append(self._rwa.meth.functions.report(round(self._staking * UNIT)))
        self._reported = time
        return [Order(call, self._chain.sender) for call in calls]

    def _say(self, time: int) -> list[Order]:
        """Return every feed's answer."""
        now = self._now
        rates = {f"{asset} rate": rate for asset, rate in zip(ASSETS, self._paid(now), strict=True)}
        return self._feeds.answers({"eth": now.eth, "btc": now.btc, **now.quotes, **rates}, time)

    def _targets(self, time: int) -> list[tuple[Contract, str, float]]:
        """Return each pool with its token and the oracle's price at a time, times the peg."""
        rwa, now = self._rwa, self._now
        dollars = number_at(self._chain.w3, rwa.usdy_oracle.functions.getPrice(), time) / UNIT
        return [
            (rwa.pools["usdy"], rwa.usdy.address, dollars * now.pegs[0]),
            (rwa.pools["meth"], rwa.meth.address, now.eth * self._staking * now.pegs[1]),
            (rwa.pools["mi4"], rwa.mi4.address, math.fsum(self._parts(now).values())),
        ]

    def _paid(self, outside: Outside) -> tuple[float, ...]:
        """Return what each asset pays: the index, what the staked part of it does."""
        usdy, meth, _ = outside.rates
        parts = self._parts(outside)
        return usdy, meth, meth * parts[self._rwa.meth.address] / math.fsum(parts.values())

    def _parts(self, outside: Outside) -> dict[ChecksumAddress, float]:
        """Return the worth of each part of a whole index token, USD."""
        rwa, meth = self._rwa, outside.eth * self._staking
        price = {
            rwa.wbtc.address: outside.btc / BTC_UNIT,
            self._weth: outside.eth / UNIT,
            rwa.meth.address: meth / UNIT,
        }
        return {part: units * price[part] for part, units in self._basket.items()}


def outside_at(path: MarketPath, row: int) -> Outside:
    """Return the world at a row of a path."""
    features = {name: _feature(path, row, name) for name in path.feature_names}
    return Outside(
        eth=features["eth_price"],
        btc=features["btc_price"],
        pegs=(features["usdy_peg"], features["meth_peg"]),
        rates=tuple(float(rate) for rate in path.rates[0, row]),
        gas_gwei=features["gas_gwei"],
        quotes={"mnt": features["mnt_price"], **{name: features[name] for name in QUOTES[RWA] if name in SERIES}},
    )


def _feature(path: MarketPath, row: int, name: str) -> float:
    features = path.features
    if features is None:
        raise ScriptError("The series has no features: draw it from the market of tokenised assets.")
    return float(features[0, row, path.feature_names.index(name)])


def _oracle(stage: Stage, strategy: str) -> dict[str, Any]:
    """Return the price that a strategy believes, whole assets per whole token, as a source of the configuration."""
    oracle = stage.devnet.chain.at(strategy, load_contract("SwapStrategy")).functions.ORACLE().call()
    decimals = ORACLE_DECIMALS - TOKEN_DECIMALS + ASSET_DECIMALS
    return {"kind": "call", "address": oracle, "signature": "price()", "decimals": decimals}


RWA_PRESET = Preset(
    name="rwa",
    what="USDY, mETH and MI4",
    protocols="Uniswap V3 and Set V2 from their real bytecode, USDY and mETH by stand-ins",
    training=TRAINING,
    limits=Path("scripts/limits.rwa.toml"),
    deposits={"alice": 50_000, "bob": 30_000, "carol": 20_000},
    unit="hour",
    steps=720,
    world=RwaWorld,
    rules=lambda limits: rules_of(TRAINING, limits),
    disaster="USDY loses its peg, and ETH falls",
    costs=dict.fromkeys(ASSETS, COST),
    version=RWA,
    by_price=True,
)
