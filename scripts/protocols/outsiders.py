"""The outsiders of the preset `defi`: they carry its prices, pegs, rates and gas along a series, by real transactions.

A step is one block. In it the feeds answer anew, arbitrage brings the Uniswap pools to the feeds' prices and the stable
pool to the coins' pegs, trades there and back pay the fees that the pools are said to earn, and borrowers move the
rates of the lending markets. How near a step comes to the series:

- **Prices and pegs.** Feeds to their last digit; Uniswap pools as near as they write prices; the stable pool to its
  fee, beyond which arbitrage pays, unless a coin all but leaves it.
- **Fees.** Arbitrage pays fees too. What it pays beyond a step's is left out of the next ones, so that the sum is
  right unless prices move more than the fees allow for.
- **Lending.** As in `scripts.protocols.borrower`; for a rate out of reach, the nearest that is not. A market that is
  lent out in full pays what its curve says then, not what the series says.
- **Gas.** The block's base fee, and how full it is: transactions that do nothing fill it up.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from web3.contract.contract import ContractFunction

from agent.market.path import MarketPath
from agent.units import DAY, GWEI, YEAR
from scripts.errors import ScriptError
from scripts.protocols.anvil import rpc
from scripts.protocols.arbitrage import Trader, price_of, root_of, swap_between, swap_to
from scripts.protocols.artifacts import WETH_UNIT
from scripts.protocols.balancer import StableCurve
from scripts.protocols.block import Order, mine_together
from scripts.protocols.borrower import lend_out, plan_loan
from scripts.protocols.chain import unit_of
from scripts.protocols.defi import COINS, YIELD_MARKET, Defi
from scripts.protocols.devnet import FEED_DECIMALS, Devnet
from scripts.protocols.loans import LoanMarket
from scripts.protocols.rwa import BTC_PRICE

LENDING = ("compound-dai", "aave-usdt", "yield-vault")
VENUES = ("uniswap-eth-usdc", *LENDING[:2], "stable-pool", LENDING[2])
_MONEY = 10**13  # whole coins
_WETH = 10**8
_PIPS = 10**6
_LEAST_TRADE = 1e-7
"""Of a price's root: less is not worth a swap."""


@dataclass(frozen=True)
class Row:
    """The world at a step.

    Attributes
    ----------
    eth, btc, dai, usdc, usdt
        Dollars.
    rates
        APR of `VENUES`, by their order: what fees and lending pay from now on.
    full
        Which markets of `LENDING` are lent out in full.
    gas_gwei, congestion
        Base fee, gwei, and gas used as a share of a block's limit.
    """

    eth: float
    btc: float
    dai: float
    usdc: float
    usdt: float
    rates: tuple[float, float, float, float, float]
    gas_gwei: float
    congestion: float = 0.5
    full: tuple[bool, bool, bool] = (False, False, False)


@dataclass(frozen=True)
class Step:
    """The result of a step.

    Attributes
    ----------
    block, timestamp
        Of the block in which all of it happened.
    transactions
        How many of the outsiders' were in it.
    clamped
        Markets of `LENDING` whose rate was out of reach.
    """

    block: int
    timestamp: int
    transactions: int
    clamped: tuple[str, ...]


@dataclass(frozen=True)
class Reached:
    """The state that the chain shows.

    Attributes
    ----------
    prices
        Uniswap's, of ETH, DAI and USDT in USDC.
    pegs
        The stable pool's price of each coin in USDC, by the coin's name.
    rates
        APR of `LENDING`.
    """

    prices: dict[str, float]
    pegs: dict[str, float]
    rates: dict[str, float]


def rows_of(path: MarketPath, lane: int = 0) -> list[Row]:
    """Return the rows of one path of a `DefiMarket`.

    The path has no price of ETH, but what gas costs in dollars and in gwei; bitcoin begins at the devnet's price and
    moves as its ratio to its mean tells.
    """
    if path.features is None or path.liquidity is None:
        raise ScriptError("The path has no features or no liquidity: draw it from a DefiMarket.")
    features = dict(zip(path.feature_names, path.features[lane].T, strict=True))
    over, keep = np.log(features["btc_to_mean"]), np.exp(-np.diff(path.timestamps) / DAY)
    moves = np.concatenate([[0.0], np.cumsum(over[1:] / keep - over[:-1])])
    series = {
        "eth": path.gas_cost[lane] / (features["gas_gwei"] * GWEI),
        "btc": BTC_PRICE * np.exp(moves),
        **{coin: features[f"{coin}_peg"] for coin in ("dai", "usdc", "usdt")},
        **{name: features[name] for name in ("gas_gwei", "congestion")},
    }
    full = path.liquidity[lane][:, [VENUES.index(name) for name in LENDING]] <= 0.0
    return [
        Row(
            **{name: float(values[t]) for name, values in series.items()},
            rates=tuple(path.rates[lane, t].tolist()),
            full=tuple(full[t].tolist()),
        )
        for t in range(len(path.timestamps))
    ]


@dataclass
class Outsiders:
    """The people who move a devnet of the preset `defi`; raises `ScriptError` on another devnet.

    They have as much of every coin as they need. A devnet needs no two of them.
    """

    devnet: Devnet
    _ahead: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("liquidity", "stable"), 0.0), repr=False)
    """Fees that arbitrage has paid beyond what the series said, as a share of the pool."""

    def __post_init__(self) -> None:
        if self.devnet.defi is None or self.devnet.eth_feed is None:
            raise ScriptError("This devnet has not the venues: start one with `ape run devnet --preset defi`.")
        self._defi: Defi = self.devnet.defi
        self._feeds = {"eth": self.devnet.eth_feed, **self._defi.feeds}
        self.markets: dict[str, LoanMarket] = {
            "compound-dai": self._defi.compound_dai,
            "aave-usdt": self._defi.aave_usdt,
            "yield-vault": self.devnet.markets[YIELD_MARKET],
        }
        self._tokens = {"usdc": self.devnet.usdc, "dai": self._defi.dai, "usdt": self._defi.usdt}
        self._names: dict[str, str] = {token.address: name for name, token in self._tokens.items()}
        self._pools = {"eth": self.devnet.uniswap.pool, **self._defi.pools}
        self._sides = {"eth": self.devnet.weth.address, **{coin: self._tokens[coin].address for coin in COINS}}
        self.maker = self.devnet.sender("market_maker")
        self._trader = Trader(self.devnet.chain, self.devnet.uniswap, self.maker, {})
        self._fund()

    def _fund(self) -> None:
        chain, maker = self.devnet.chain, self.maker
        for token in self._tokens.values():
            chain.mint(token, maker.address, _MONEY * unit_of(token))
        rpc(self.devnet.w3, "anvil_setBalance", maker.address, hex((_WETH + 10_000) * WETH_UNIT))
        chain.send(self.devnet.weth.functions.deposit(), sender=maker, value=_WETH * WETH_UNIT)
        for pool in self._pools.values():
            self._trader.pool(pool)  # lets the router take the coins

    def step(self, row: Row, seconds: int = 300) -> Step:
        """Carry the chain to `row`, in one block that comes `seconds` after the newest one.

        Raises
        ------
        TransactionFailedError
            When one of the transactions reverts.
        """
        time = self.devnet.w3.eth.get_block("latest")["timestamp"] + seconds
        wanted = {"liquidity": row.rates[0] * seconds / YEAR, "stable": row.rates[3] * seconds / YEAR}
        due = {name: max(fees - self._ahead[name], 0.0) for name, fees in wanted.items()}
        trades, paid = self._trade_eth(row.eth / row.usdc, due["liquidity"])
        swaps, paid_stable = self._swap(row, due["stable"])
        loans = {name: self._loan(name, row) for name in LENDING}
        orders = [
            *swaps,
            *(order for order, _ in loans.values() if order is not None),
            *trades,
            *(order for coin in COINS for order in self._trade_coin(coin, getattr(row, coin) / row.usdc)),
            *self._answers_to(row, time),
        ]
        mine_together(self.devnet.w3, orders, time, round(row.gas_gwei * 10**9), row.congestion)
        for name, fees in {"liquidity": paid, "stable": paid_stable}.items():
            self._ahead[name] += fees - wanted[name]
        clamped = tuple(name for name, (_, far) in loans.items() if far)
        return Step(self.devnet.w3.eth.block_number, time, len(orders), clamped)

    def reached(self) -> Reached:
        """Read what the chain shows now."""
        curve = dict(zip((self._names[coin] for coin in self._defi.stable.coins), self._curve().prices(), strict=True))
        return Reached(
            prices={name: price_of(self._trader, pool, self._sides[name]) for name, pool in self._pools.items()},
            pegs={coin: price / curve["usdc"] for coin, price in curve.items()},
            rates={name: market.supply_rate() for name, market in self.markets.items()},
        )

    # --- the parts of a step ---------------------------------------------------------------------------------------

    def _answers_to(self, row: Row, time: int) -> Iterator[Order]:
        wanted = {name: getattr(row, name) for name in ("eth", "btc", "dai", "usdc", "usdt")}
        wanted |= {"liquidity_rate": row.rates[0], "stable_rate": row.rates[3]}
        for name, value in wanted.items():
            call = self._feeds[name].functions.set(round(value * 10**FEED_DECIMALS), time)
            yield Order(call, self.devnet.chain.sender)

    def _trade_eth(self, price: float, due: float) -> tuple[list[Order], float]:
        """Return the trades to a price that pay `due` in fees, as a share of the liquidity, and what they pay.

        Liquidity `L` is worth `2 L r` at the root `r` of the price, and trades from one root to another move `L` times
        their distance: so the fees are a share of the way, whoever provides.
        """
        pool = self._pools["eth"]
        facts, now = self._trader.pool(pool), root_of(pool)
        target, fee = facts.root(self._sides["eth"], price), facts.fee / _PIPS
        beyond = max(round(2 * target * due / fee) - abs(target - now), 0) // 2
        if beyond < target * _LEAST_TRADE:
            beyond = 0
        over = target + (beyond if target >= now else -beyond)
        way = abs(over - now) + abs(over - target)
        swaps = (swap_between(self._trader, pool, *ends) for ends in ((now, over), (over, target)))
        return self._orders(*swaps), way * fee / (2 * target)

    def _trade_coin(self, coin: str, price: float) -> list[Order]:
        return self._orders(swap_to(self._trader, self._pools[coin], self._sides[coin], price))

    def _orders(self, *swaps: ContractFunction | None) -> list[Order]:
        return [Order(swap, self.maker) for swap in swaps if swap is not None]

    def _curve(self) -> StableCurve:
        return self._defi.stable.curve()

    def _swap(self, row: Row, due: float) -> tuple[list[Order], float]:
        """Return the trades in the stable pool to the pegs that pay `due`, as a share of it, and what they pay."""
        curve = self._curve()
        worth = curve.invariant
        trades = curve.trades_to([getattr(row, self._names[coin]) for coin in self._defi.stable.coins], due * worth)
        if not trades:
            return [], 0.0
        call = self._defi.stable.swaps(trades, self.maker)
        return [Order(call, self.maker)], sum(trade.amount for trade in trades) * curve.fee / worth

    def _loan(self, name: str, row: Row) -> tuple[Order | None, bool]:
        """Return what a market's borrower sends, and whether the rate is out of reach."""
        market, index = self.markets[name], LENDING.index(name)
        loans = market.loans()
        if row.full[index]:
            loan = lend_out(market, loans)
        else:
            loan = plan_loan(market, loans, row.rates[VENUES.index(name)], clamp=True)
        return (None if loan.call is None else Order(loan.call, market.borrower)), loan.clamped
