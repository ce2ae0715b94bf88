"""From quotes of several sources to one price, or to none."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Protocol

from keeper.errors import NoPriceError, SourceError

FUTURE = 60.0
"""Seconds that a source's clock may be ahead of ours."""


@dataclass(frozen=True)
class Quote:
    """One source's answer.

    Attributes
    ----------
    source
        Its name, for messages and the journal.
    price
        What it says: a price, or another number above zero.
    time
        When that was so, Unix seconds.
    max_age
        Seconds for which it counts.
    """

    source: str
    price: float
    time: float
    max_age: float

    def fault(self, now: float) -> str | None:
        """Return why the quote does not count at a time by itself; None where it does."""
        if not (math.isfinite(self.price) and self.price > 0):
            return f"{self.price} is no price"
        age = now - self.time
        if age > self.max_age:
            return f"{age:,.0f} s old, and counts for {self.max_age:,.0f} s"
        return f"{-age:,.0f} s ahead of our clock" if age < -FUTURE else None


class Source(Protocol):
    """Something that knows the price."""

    @property
    def name(self) -> str:
        """Its name, the same in every message."""

    def read(self, now: float) -> Quote:
        """Return what it says at a time (Unix seconds); raises `SourceError` where it says nothing usable."""


@dataclass(frozen=True)
class Agreement:
    """When quotes are a price.

    Attributes
    ----------
    least
        Fewest quotes that must agree.
    max_spread
        How far from the median a quote may be, as a share of it; one that is farther is an outlier.
    about
        What is quoted, for messages.
    """

    least: int = 1
    max_spread: float = 0.02
    about: str = "the native coin's price"


@dataclass(frozen=True)
class Price:
    """A price, and where it comes from.

    Attributes
    ----------
    value
        Of the native coin, asset units; otherwise what is quoted.
    quotes
        Those that agree.
    left_out
        Sources that do not count, with the reason.
    """

    value: float
    quotes: tuple[Quote, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)

    def to_json(self, now: float) -> dict[str, Any]:
        """Return plain data, for the journal and for scripts."""
        used = [{"source": q.source, "price": q.price, "age_seconds": round(now - q.time, 3)} for q in self.quotes]
        return {"price": self.value, "quotes": used, "left_out": dict(self.left_out)}


def agree(quotes: Sequence[Quote], failed: Mapping[str, str], now: float, rule: Agreement) -> Price:
    """Return the median of the quotes that are fresh and near the median of all fresh ones.

    Parameters
    ----------
    quotes
        What the sources said.
    failed
        Sources that said nothing, with the reason.
    now
        Unix seconds.
    rule
        When they are a price.

    Raises
    ------
    NoPriceError
        When fewer than `rule.least` agree; the message names every source that does not count, and why.
    """
    faults = {quote.source: fault for quote in quotes if (fault := quote.fault(now)) is not None}
    left_out = {**failed, **faults}
    fresh = [quote for quote in quotes if quote.source not in faults]
    kept: list[Quote] = []
    if fresh:
        middle = median(quote.price for quote in fresh)
        for quote in fresh:
            off = abs(quote.price / middle - 1.0)
            if off <= rule.max_spread:
                kept.append(quote)
            else:
                left_out[quote.source] = f"{quote.price:,.6g} is {off:.1%} off the median of {middle:,.6g}"
    if len(kept) < rule.least:
        why = "; ".join(f"{source}: {reason}" for source, reason in left_out.items()) or "no source is configured"
        raise NoPriceError(
            f"{len(kept)} of the sources of {rule.about} agree, and {rule.least} must ({why}). Nothing is traded until "
            "they do. Check them with: keeper price"
        )
    return Price(median(quote.price for quote in kept), tuple(kept), left_out)


def ask(sources: Sequence[Source], now: float) -> tuple[list[Quote], dict[str, str]]:
    """Ask every source; return the quotes, and why others gave none: one that fails keeps no other from answering."""
    quotes, failed = [], {}
    for source in sources:
        try:
            quotes.append(source.read(now))
        except SourceError as error:
            failed[source.name] = str(error)
    return quotes, failed


def read_price(sources: Sequence[Source], now: float, rule: Agreement) -> Price:
    """Ask every source, and return the price that they agree on.

    Raises
    ------
    NoPriceError
        When too few agree.
    """
    return agree(*ask(sources, now), now, rule)
