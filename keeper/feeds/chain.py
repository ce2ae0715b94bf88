"""Prices on the chain: feeds of Chainlink's kind, the mean of a Uniswap V3 pool over a time, and any view's number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from keeper.chain.rpc import UNREADABLE, Rpc
from keeper.errors import SourceError
from keeper.feeds.price import Quote

TICK = 1.0001
"""Ratio of the prices of neighbouring ticks (Uniswap V3 whitepaper, section 6.1)."""
MAX_BLOCK_AGE = 300.0
"""Seconds that the newest block may be old where a pool's mean, or a view, is read at it."""
WORD = 32


@dataclass(frozen=True)
class ChainlinkSource:
    """A feed of a coin and, unless that is in the asset, one of the asset in the same currency."""

    rpc: Rpc
    base: str
    heartbeat: float
    quote: str | None = None
    quote_heartbeat: float = 86_400.0

    @property
    def name(self) -> str:
        """Kind and address."""
        return f"chainlink {self.base}"

    def read(self, now: float) -> Quote:
        """Read the feeds; the quotient is as old as the one that is nearer to the end of its time."""
        price, time = self._answer(self.base)
        left = self.heartbeat - (now - time)
        if self.quote is not None:
            asset, asset_time = self._answer(self.quote)
            price /= asset
            left = min(left, self.quote_heartbeat - (now - asset_time))
            time = min(time, asset_time)
        return Quote(self.name, price, time, now - time + left)

    def _answer(self, feed: str) -> tuple[float, float]:
        decimals = _read(self.rpc, "IAggregator", feed, "decimals")
        _, answer, _, updated, _ = _read(self.rpc, "IAggregator", feed, "latestRoundData")
        if answer <= 0:
            raise SourceError(f"the feed {feed} answers {answer}")
        return answer / 10**decimals, float(updated)


@dataclass(frozen=True)
class UniswapSource:
    """The geometric mean of a Uniswap V3 pool of a token and another, over a time: the token's price in the other.

    Attributes
    ----------
    token
        Of which the price is.
    window
        Seconds: the longer, the dearer it is to move the mean, and the later it sees a move.
    """

    rpc: Rpc
    pool: str
    token: str
    window: int = 1800

    @property
    def name(self) -> str:
        """Kind and address."""
        return f"uniswap-v3 {self.pool}"

    def read(self, now: float) -> Quote:
        """Read the pool's cumulative ticks at both ends of the window."""
        block = self.rpc.block()
        tokens = [to_checksum_address(_read(self.rpc, "IUniswapV3Pool", self.pool, f"token{i}")) for i in (0, 1)]
        token = to_checksum_address(self.token)
        if token not in tokens:
            raise SourceError(f"the pool trades {tokens[0]} and {tokens[1]}, not {token}")
        try:
            ticks, _ = self.rpc.read("IUniswapV3Pool", self.pool, "observe", [self.window, 0], block=block)
        except UNREADABLE as error:
            raise SourceError(
                f"the pool does not remember {self.window:,} s (its observation cardinality can be raised by anybody)"
            ) from error
        # Base units of the second token for one of the first.
        ratio = TICK ** ((ticks[1] - ticks[0]) / self.window)
        first, second = (_read(self.rpc, "Vault", address, "decimals") for address in tokens)
        price = ratio * 10.0 ** (first - second)
        return Quote(self.name, price if token == tokens[0] else 1.0 / price, float(block.timestamp), MAX_BLOCK_AGE)


@dataclass(frozen=True)
class CallSource:
    """The first number that a view without arguments returns: an exchange rate, an issuer's price, a lending rate.

    Attributes
    ----------
    signature
        As in Solidity: `getPrice()`.
    decimals
        Of the number.
    """

    rpc: Rpc
    address: str
    signature: str
    decimals: int = 18

    @property
    def name(self) -> str:
        """Address and function."""
        return f"{self.address} {self.signature}"

    def read(self, now: float) -> Quote:
        """Call it at the newest block."""
        block = self.rpc.block()
        try:
            answer = self.rpc.call(self.address, keccak(text=self.signature)[:4], block)
        except UNREADABLE as error:
            raise SourceError(f"{self.address} does not answer {self.signature}: is it the right address?") from error
        if len(answer) < WORD:
            raise SourceError(f"{self.address} answers {self.signature} with nothing: is it the right address?")
        number = int.from_bytes(answer[:WORD], "big") / 10**self.decimals
        return Quote(self.name, number, float(block.timestamp), MAX_BLOCK_AGE)


def _read(rpc: Rpc, contract: str, address: str, function: str) -> Any:
    try:
        return rpc.read(contract, address, function)
    except UNREADABLE as error:
        raise SourceError(f"{address} does not answer {function}(): is it the right address?") from error
