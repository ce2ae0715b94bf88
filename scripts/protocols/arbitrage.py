"""The outside trader: moves a Uniswap V3 pool to a price, by a swap that ends there, as arbitrage does.

The swap goes through the router with the price as its limit: the pool takes what leads there, to the unit, and no more.
What the trader lacks is minted before.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import isqrt

from eth_typing import ChecksumAddress
from web3.contract import Contract
from web3.contract.contract import ContractFunction

from keeper.chain.rpc import Rpc
from scripts.errors import PriceUnreachableError, ScriptError
from scripts.protocols.anvil import rpc
from scripts.protocols.artifacts import USDC
from scripts.protocols.chain import Chain, Sender, node_of
from scripts.protocols.devnet import Devnet
from scripts.protocols.rwa import UNIT, Rwa
from scripts.protocols.uniswap import Uniswap

Press = Callable[[int], None]
"""Gives the trader base units of a token."""

LOWEST, HIGHEST = 4295128739, 1461446703485210103287273052203988822378723970342
"""Ends of a pool's prices, as it writes them (`TickMath`)."""
_MUCH = 2**127
_FOREVER = 2**63
_GAS = 3_000_000
_MIN_NATIVE = 10_000 * UNIT


@dataclass(frozen=True)
class Trader:
    """An outsider who trades on Uniswap.

    Attributes
    ----------
    chain
        Sends, and reads.
    exchange
        For its router and its quoter.
    sender
        Who trades.
    presses
        Token -> gives the trader more of it.
    """

    chain: Chain
    exchange: Uniswap
    sender: Sender
    presses: Mapping[ChecksumAddress, Press]
    cache: dict[str, "PoolFacts"] = field(default_factory=dict, repr=False, compare=False)

    def pool(self, pool: Contract) -> "PoolFacts":
        """Return the facts of a pool, which never change; the router may take both tokens from now on."""
        if pool.address not in self.cache:
            tokens = (pool.functions.token0().call(), pool.functions.token1().call())
            node = node_of(self.chain.w3)
            for token in tokens:
                self.chain.approve(self.chain.at(token, USDC), self.exchange.router.address, self.sender)
            decimals = (_decimals(node, tokens[0]), _decimals(node, tokens[1]))
            self.cache[pool.address] = PoolFacts(tokens, decimals, pool.functions.fee().call())
        return self.cache[pool.address]


@dataclass(frozen=True)
class PriceMove:
    """The result of `trade_to_price`.

    Attributes
    ----------
    target, price
        Wanted and reached price.
    paid
        Base units that the trader paid in, of the token that the pool bought; zero where nothing was traded.
    """

    target: float
    price: float
    paid: int

    @property
    def relative_error(self) -> float:
        """|price / target - 1|."""
        return abs(self.price / self.target - 1.0)


@dataclass(frozen=True)
class PoolFacts:
    """The parts of a pool that never change: tokens, their decimals, and the fee in hundredths of a basis point."""

    tokens: tuple[ChecksumAddress, ChecksumAddress]
    decimals: tuple[int, int]
    fee: int

    def root(self, token: str, price: float) -> int:
        """Return a price of a whole `token` in whole units of the other as the pool writes it, Q64.96."""
        ratio = Fraction(price) if token == self.tokens[0] else 1 / Fraction(price)
        ratio *= Fraction(10) ** (self.decimals[1] - self.decimals[0])
        return isqrt((ratio.numerator << 192) // ratio.denominator)

    def price(self, token: str, root: int) -> float:
        """Return what `root` converts from."""
        ratio = Fraction(root**2, 1 << 192) * Fraction(10) ** (self.decimals[0] - self.decimals[1])
        return float(ratio if token == self.tokens[0] else 1 / ratio)


def trade_to_price(trader: Trader, pool: Contract, token: str, price: float, *, tolerance: float = 0.0) -> PriceMove:
    """Let the trader swap until the pool's price is `price`.

    Parameters
    ----------
    token
        Address of one of the pool's tokens.
    price
        Of a whole token in whole units of the pool's other one.
    tolerance
        Relative distance under which nothing is traded.

    Raises
    ------
    PriceUnreachableError
        When `price` is none, or beyond the pool's ends, or when the trader has no more of a token.
    ScriptError
        When `token` is not of the pool.
    """
    facts = trader.pool(pool)
    if token not in facts.tokens:
        raise ScriptError(f"The pool {pool.address} trades {facts.tokens[0]} and {facts.tokens[1]}, not {token}.")
    if not 0 < price < float("inf") or not LOWEST < (target := facts.root(token, price)) < HIGHEST:
        raise PriceUnreachableError(f"The pool {pool.address} has no price {price}: give one within its ends.")
    now = root_of(pool)
    at = facts.price(token, now)
    if target == now or abs(at / price - 1.0) <= tolerance:
        return PriceMove(price, at, 0)
    paid = _swap(trader, facts, target, sells_first=target < now)
    return PriceMove(price, price_of(trader, pool, token), paid)


def swap_to(trader: Trader, pool: Contract, token: str, price: float) -> ContractFunction | None:
    """Return the swap that brings a pool to a price; None where it is there.

    For many trades in one block, by a trader who has enough of both tokens: nothing is minted.
    """
    return swap_between(trader, pool, root_of(pool), trader.pool(pool).root(token, price))


def swap_between(trader: Trader, pool: Contract, now: int, target: int) -> ContractFunction | None:
    """Return the swap from one root of a pool's price to another, as `swap_to`; None where both are the same."""
    if target == now:
        return None
    facts = trader.pool(pool)
    sold, bought = facts.tokens if target < now else facts.tokens[::-1]
    swap = (sold, bought, facts.fee, trader.sender.address, _FOREVER, _MUCH, 0, target)
    return trader.exchange.router.functions.exactInputSingle(swap)


def price_of(trader: Trader, pool: Contract, token: str) -> float:
    """Return a pool's price of a whole token in whole units of the other."""
    return trader.pool(pool).price(token, root_of(pool))


def _swap(trader: Trader, pool: PoolFacts, target: int, sells_first: bool) -> int:
    """Swap to a price, and return what was paid in."""
    sold, bought = pool.tokens if sells_first else pool.tokens[::-1]
    who = trader.sender.address
    quote = trader.exchange.quoter.functions.quoteExactOutputSingle((sold, bought, _MUCH, pool.fee, target))
    needed = int(quote.call()[0])
    lacking = needed - int(trader.chain.at(sold, USDC).functions.balanceOf(who).call())
    if lacking > 0:
        if sold not in trader.presses:
            raise PriceUnreachableError(f"The trader {who} lacks {lacking} base units of {sold}: give a press for it.")
        trader.presses[sold](2 * lacking)  # twice, so that few trades need it
    # More than is needed: the limit ends the swap, and the router takes what the pool asks for.
    swap = (sold, bought, pool.fee, who, _FOREVER, 2 * needed + 1, 0, target)
    trader.chain.send(trader.exchange.router.functions.exactInputSingle(swap), sender=trader.sender, gas=_GAS)
    return needed


def root_of(pool: Contract) -> int:
    """Return the root of a pool's price as the pool writes it, Q64.96."""
    return int(pool.functions.slot0().call()[0])


def _decimals(node: Rpc, token: str) -> int:
    return int(node.read("Vault", token, "decimals"))


# --- the devnet's trader ---------------------------------------------------------------------------------------------


def trader_on(devnet: Devnet) -> Trader:
    """Return the market maker of a devnet, with presses for its tokens."""
    chain, maker = devnet.chain, devnet.sender("market_maker")
    presses: dict[ChecksumAddress, Press] = {
        devnet.usdc.address: mints(chain, devnet.usdc, maker),
        devnet.weth.address: _wraps(devnet, maker),
    }
    if devnet.rwa is not None:
        rwa = devnet.rwa
        presses |= {token.address: mints(chain, token, maker) for token in (rwa.usdy, rwa.meth, rwa.wbtc)}
        presses[rwa.mi4.address] = _issues(chain, rwa, maker, dict(presses))
    return Trader(chain, devnet.uniswap, maker, presses)


def mints(chain: Chain, token: Contract, to: Sender) -> Press:
    """Return the press of a token that the chain's sender may mint."""
    return lambda amount: chain.mint(token, to.address, amount)


def _wraps(devnet: Devnet, who: Sender) -> Press:
    def press(amount: int) -> None:
        rpc(devnet.w3, "anvil_setBalance", who.address, hex(amount + _MIN_NATIVE))
        devnet.chain.send(devnet.weth.functions.deposit(), sender=who, value=amount)

    return press


def _issues(chain: Chain, rwa: Rwa, who: Sender, presses: Mapping[ChecksumAddress, Press]) -> Press:
    """Return the press of the index token, which is issued for its parts."""

    def press(amount: int) -> None:
        parts = rwa.mi4.functions.getComponents().call()
        units = rwa.issuance.functions.getRequiredComponentUnitsForIssue(rwa.mi4.address, amount).call()
        for part, needed in zip(parts, units, strict=True):
            presses[part](needed)
            chain.approve(chain.at(part, USDC), rwa.issuance.address, who)
        chain.send(rwa.issuance.functions.issue(rwa.mi4.address, amount, who.address), sender=who)

    return press
