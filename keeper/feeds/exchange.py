"""Prices of exchanges, by ccxt."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from keeper.errors import ConfigError, SourceError
from keeper.feeds.price import Quote

REQUESTS = 3
"""Requests that a ticker takes at most: ccxt asks for an exchange's markets first."""


@dataclass(frozen=True)
class ExchangeSource:
    """The middle of the best bid and offer of a pair, or the last trade where an exchange does not tell them.

    Attributes
    ----------
    exchange, symbol
        As ccxt names them: `kraken`, `ETH/USDC`.
    max_age
        Seconds for which an answer counts. One without a time of its own is as old as its answer.
    timeout
        Seconds for a request.
    url
        Where the exchange's API is instead of where ccxt knows it: a proxy, or a test.
    """

    exchange: str
    symbol: str
    max_age: float = 120.0
    timeout: float = 10.0
    url: str | None = None
    _clients: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def name(self) -> str:
        """Exchange and symbol."""
        return f"{self.exchange} {self.symbol}"

    def read(self, now: float) -> Quote:
        """Ask for the ticker."""
        ccxt = _library()
        try:
            ticker = self._asked()
        except TimeoutError as error:
            raise SourceError(f"{self.exchange} does not answer within {REQUESTS * self.timeout:g} s") from error
        except ccxt.BadSymbol as error:
            raise SourceError(f"{self.exchange} has no {self.symbol}") from error
        except ccxt.NetworkError as error:
            raise SourceError(f"{self.exchange} does not answer ({type(error).__name__})") from error
        except (ccxt.BaseError, ValueError, TypeError, KeyError) as error:
            raise SourceError(f"{self.exchange} answers nothing usable ({type(error).__name__})") from error
        sides = ticker.get("bid"), ticker.get("ask")
        price = sum(sides) / 2 if all(sides) else ticker.get("last")
        if not price:
            raise SourceError(f"{self.exchange} tells no price of {self.symbol}")
        time = ticker.get("timestamp")
        return Quote(self.name, float(price), time / 1000 if time else now, self.max_age)

    def _asked(self) -> Any:
        """Fetch the ticker, in a thread of its own: ccxt's timeout begins anew with every byte."""
        before: Future[Any] | None = self._clients.get("asked")
        if before is not None and not before.done():
            raise TimeoutError
        asked = self._clients["asked"] = Future[Any]()

        def ask() -> None:
            try:
                asked.set_result(self._client().fetch_ticker(self.symbol))
            except Exception as error:
                asked.set_exception(error)

        threading.Thread(target=ask, name=self.name, daemon=True).start()
        return asked.result(REQUESTS * self.timeout)

    def _client(self) -> Any:
        if "client" not in self._clients:
            kind = getattr(_library(), self.exchange)
            client = kind({"enableRateLimit": True, "timeout": int(self.timeout * 1000)})
            if self.url is not None:
                client.urls["api"] = _moved(client.urls["api"], self.url)
            self._clients["client"] = client
        return self._clients["client"]


def exchanges() -> tuple[str, ...]:
    """Return the names of the exchanges that ccxt knows; raises `ConfigError` where ccxt is not installed."""
    return tuple(_library().exchanges)


def _moved(urls: Any, to: str) -> Any:
    """Return an exchange's addresses, all at another one."""
    return {key: _moved(value, to) for key, value in urls.items()} if isinstance(urls, dict) else to


def _library() -> Any:
    try:
        import ccxt
    except ImportError as error:
        raise ConfigError("A price source of the kind exchange needs ccxt. Install it: pip install ccxt") from error
    return ccxt
