"""Quotes: what a policy is shown of the world besides the vault, each fixed or from sources that must agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from keeper.feeds.price import Agreement, Price, Source, read_price


@dataclass(frozen=True)
class Part:
    """Sources, and when they agree."""

    sources: Sequence[Source]
    agreement: Agreement

    def read(self, now: float) -> Price:
        """Return what they agree on; raises `NoPriceError` where too few do."""
        return read_price(self.sources, now, self.agreement)


@dataclass(frozen=True)
class QuoteFeed:
    """A quote's feed.

    Attributes
    ----------
    about
        What is quoted.
    value
        The number, where it is fixed.
    parts
        Otherwise one part, or two: the second divides the first.
    """

    about: str
    value: float | None
    parts: tuple[Part, ...] = ()

    def read(self, now: float) -> Price:
        """Return the quote at a time, Unix seconds.

        Raises
        ------
        NoPriceError
            When too few of its sources agree.
        """
        if self.value is not None:
            return Price(self.value)
        prices = [part.read(now) for part in self.parts]
        if len(prices) == 1:
            return prices[0]
        value, divisor = prices
        return Price(
            value.value / divisor.value, (*value.quotes, *divisor.quotes), {**value.left_out, **divisor.left_out}
        )


@dataclass(frozen=True)
class Quotes:
    """Quotes at one moment.

    Attributes
    ----------
    values
        By name, as `agent.observation.quotes.QUOTES` has them.
    rates
        By a strategy's name or address, the rate that it pays, APR, in place of what its share price grew by.
    told
        Where each comes from, plain data for the journal.
    """

    values: Mapping[str, float] = field(default_factory=dict)
    rates: Mapping[str, float] = field(default_factory=dict)
    told: Mapping[str, Any] = field(default_factory=dict)


def read_quotes(feeds: Mapping[str, QuoteFeed], rates: Mapping[str, QuoteFeed], now: float) -> Quotes:
    """Ask every feed.

    Raises
    ------
    NoPriceError
        When one of them has no answer: a policy is shown everything, or asked nothing.
    """
    read = {name: feed.read(now) for name, feed in feeds.items()}
    paid = {name: feed.read(now) for name, feed in rates.items()}
    return Quotes(
        {name: price.value for name, price in read.items()},
        {name: price.value for name, price in paid.items()},
        {feeds[name].about: price.to_json(now) for name, price in read.items()}
        | {rates[name].about: price.to_json(now) for name, price in paid.items()},
    )
