"""The tables `prices`, `quotes` and `rates` of the configuration, and the sources that they name."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from keeper.chain.address import Address
from keeper.chain.rpc import Rpc
from keeper.errors import ConfigError
from keeper.feeds.chain import CallSource, ChainlinkSource, UniswapSource
from keeper.feeds.exchange import ExchangeSource, exchanges
from keeper.feeds.price import Agreement, Source
from keeper.feeds.quotes import Part, QuoteFeed

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def _known(name: str) -> str:
    try:
        known = exchanges()
    except ConfigError as error:
        raise ValueError(str(error)) from None
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        raise ValueError(f"ccxt knows no exchange {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    return name


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ChainlinkConfig(_Table):
    """A feed of a coin; `quote` is the asset's in the same currency, unless the feed is in the asset."""

    kind: Literal["chainlink"]
    address: Address
    heartbeat_seconds: Seconds
    quote: Address | None = None
    quote_heartbeat_seconds: Seconds = 86_400.0

    def source(self, rpc: Rpc) -> Source:
        """Return the source."""
        return ChainlinkSource(rpc, self.address, self.heartbeat_seconds, self.quote, self.quote_heartbeat_seconds)


class UniswapConfig(_Table):
    """A Uniswap V3 pool of a token (for `prices` the wrapped native coin) and another, in which its price is."""

    kind: Literal["uniswap-v3"]
    pool: Address
    token: Address
    window_seconds: Annotated[int, Field(ge=60)] = 1800

    def source(self, rpc: Rpc) -> Source:
        """Return the source."""
        return UniswapSource(rpc, self.pool, self.token, self.window_seconds)


class ExchangeConfig(_Table):
    """A pair of an exchange, both as ccxt names them."""

    kind: Literal["exchange"]
    exchange: Annotated[str, AfterValidator(_known)]
    symbol: Annotated[str, Field(pattern=r"^[A-Za-z0-9]+/[A-Za-z0-9]+$")]
    max_age_seconds: Seconds = 120.0
    timeout_seconds: Seconds = 10.0
    url: Annotated[str, Field(pattern=r"^https?://")] | None = None

    def source(self, rpc: Rpc) -> Source:
        """Return the source."""
        return ExchangeSource(self.exchange, self.symbol, self.max_age_seconds, self.timeout_seconds, self.url)


class CallConfig(_Table):
    """A number that a view without arguments returns."""

    kind: Literal["call"]
    address: Address
    signature: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*\(\)$")]
    decimals: Annotated[int, Field(ge=0, le=36)] = 18

    def source(self, rpc: Rpc) -> Source:
        """Return the source."""
        return CallSource(rpc, self.address, self.signature, self.decimals)


AnySource = Annotated[ChainlinkConfig | UniswapConfig | ExchangeConfig | CallConfig, Field(discriminator="kind")]


class PriceConfig(_Table):
    """A price (by itself the native coin's) from sources that must agree.

    Attributes
    ----------
    least
        Fewest sources that must agree: more than half of them, where that is not said.
    max_spread
        How far from their median a source may be.
    """

    sources: Annotated[list[AnySource], Field(min_length=1)]
    least: Annotated[int, Field(ge=1)] | None = None
    max_spread: Annotated[float, Field(gt=0, lt=1)] = Agreement.max_spread

    @model_validator(mode="after")
    def _enough(self) -> Self:
        if self.least is not None and self.least > len(self.sources):
            raise ValueError(f"least is {self.least}, but there are {len(self.sources)} sources")
        return self

    @property
    def agreement(self) -> Agreement:
        """When they are a price."""
        return self.agreement_about(Agreement.about)

    def agreement_about(self, what: str) -> Agreement:
        """Return when they are a price of something else."""
        return Agreement(self.least or len(self.sources) // 2 + 1, self.max_spread, what)

    def part(self, about: str, rpc: Rpc) -> Part:
        """Return the sources of something, with when they agree."""
        return Part(self.build(rpc), self.agreement_about(about))

    def build(self, rpc: Rpc) -> Sequence[Source]:
        """Return the sources, in their order."""
        return [source.source(rpc) for source in self.sources]


class QuoteConfig(_Table):
    """Anything that a policy is shown besides the vault: a fixed number, or one from sources that must agree.

    Attributes
    ----------
    value
        The number. It grows old: for what hardly moves, or is not told by anybody.
    price
        Sources of it.
    divided_by
        Sources of what `price` is divided by: the redemption value under a peg, a currency.
    """

    value: Annotated[float, Field(allow_inf_nan=False)] | None = None
    price: PriceConfig | None = None
    divided_by: PriceConfig | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.value is None) == (self.price is None):
            raise ValueError("give either `value`, a number, or `price`, a table with sources")
        if self.divided_by is not None and self.price is None:
            raise ValueError("`divided_by` divides a `price`, and there is none")
        return self

    def feed(self, about: str, rpc: Rpc) -> QuoteFeed:
        """Return the feed of something."""
        prices = (self.price, self.divided_by)
        return QuoteFeed(about, self.value, tuple(price.part(about, rpc) for price in prices if price is not None))
