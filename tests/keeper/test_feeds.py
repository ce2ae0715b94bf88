"""Prices from several sources: which count, what they agree on, and that no price is no trade."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from keeper.cli import main
from keeper.config import build_config
from keeper.errors import ConfigError, NoPriceError, SourceError
from keeper.feeds.exchange import ExchangeSource
from keeper.feeds.price import Agreement, Price, Quote, agree, read_price
from tests.keeper.harness import World

NOW = 1_750_000_000.0
ADDRESS = "0x5FbDB2315678afecb367f032d93F642f64180aa3"


def quote(source: str, price: float, age: float = 0.0) -> Quote:
    return Quote(source, price, NOW - age, 60.0)


# --- agreement ---------------------------------------------------------------------------------------------------


def test_agree__the_median_of_those_that_are_fresh_and_near() -> None:
    quotes = [quote("a", 2000), quote("b", 2010), quote("c", 2004), quote("old", 1000, age=61), quote("mad", 3000)]
    price = agree(quotes, {"dead": "does not answer"}, NOW, Agreement(2, 0.02))
    assert price.value == 2004
    assert [each.source for each in price.quotes] == ["a", "b", "c"]
    assert price.left_out["old"] == "61 s old, and counts for 60 s"
    assert price.left_out["dead"] == "does not answer"
    assert "off the median" in price.left_out["mad"]
    assert price.to_json(NOW)["quotes"][0] == {"source": "a", "price": 2000, "age_seconds": 0.0}


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 0.0, -1.0])
def test_agree__what_is_no_price_does_not_count(bad: float) -> None:
    price = agree([quote("a", 2000), quote("b", 2001), quote("bad", bad)], {}, NOW, Agreement(2))
    assert price.value == pytest.approx(2000.5)
    assert "is no price" in price.left_out["bad"]


def test_agree__from_the_future__does_not_count() -> None:
    with pytest.raises(NoPriceError, match="61 s ahead of our clock"):
        agree([quote("a", 2000, age=-61)], {}, NOW, Agreement())
    assert agree([quote("a", 2000, age=-59)], {}, NOW, Agreement()).value == 2000


def test_agree__two_that_differ__are_no_price() -> None:
    with pytest.raises(NoPriceError, match="0 of the sources of the native coin's price agree, and 1 must"):
        agree([quote("a", 2000), quote("b", 2200)], {}, NOW, Agreement(1, 0.02))


def test_agree__too_few__names_all_and_why() -> None:
    with pytest.raises(NoPriceError) as refused:
        agree([quote("a", 2000), quote("b", 2000, age=99)], {"c": "timed out"}, NOW, Agreement(2))
    for told in ("1 of the", "2 must", "b: 99 s old", "c: timed out", "keeper price"):
        assert told in str(refused.value)
    with pytest.raises(NoPriceError, match="no source is configured"):
        agree([], {}, NOW, Agreement())


@given(st.lists(st.floats(1900, 2100), min_size=3, max_size=9), st.lists(st.floats(1, 1e6), max_size=2))
def test_agree__a_minority_of_liars__moves_the_price_no_further_than_the_honest(
    honest: list[float], lies: list[float]
) -> None:
    liars = lies[: (len(honest) - 1) // 2]
    quotes = [quote(f"h{i}", value) for i, value in enumerate(honest)]
    quotes += [quote(f"l{i}", value) for i, value in enumerate(liars)]
    try:
        price = agree(quotes, {}, NOW, Agreement(1, 0.2))
    except NoPriceError:
        return
    assert min(honest) * 0.8 <= price.value <= max(honest) * 1.2
    assert min(each.price for each in price.quotes) <= price.value <= max(each.price for each in price.quotes)


@dataclass(frozen=True)
class Broken:
    name: str = "broken"

    def read(self, now: float) -> Quote:
        raise SourceError("says nothing")


@dataclass(frozen=True)
class Steady:
    name: str = "steady"

    def read(self, now: float) -> Quote:
        return Quote(self.name, 2000.0, now, 60.0)


def test_read_price__one_that_fails__does_not_keep_the_others_from_it() -> None:
    assert read_price([Broken(), Steady()], NOW, Agreement()).left_out == {"broken": "says nothing"}


# --- an exchange, as it answers ----------------------------------------------------------------------------------


@dataclass
class Exchange:
    """A local server that speaks the API of an exchange (Coinbase's), as far as ccxt asks for a ticker."""

    url: str = ""
    ticker: dict[str, Any] = field(default_factory=dict)
    status: int = 200
    delay: float = 0.0
    since: int = 0

    def answer(self, path: str) -> Any:
        if path.startswith("/products/ETH-USDC/ticker"):
            time.sleep(self.delay)
            return self.ticker
        currencies = [{"id": code, "name": code, "details": {}} for code in ("ETH", "USDC")]
        pair = {"id": "ETH-USDC", "base_currency": "ETH", "quote_currency": "USDC", "status": "online"}
        sizes = {"base_increment": "0.00000001", "quote_increment": "0.01", "min_market_funds": "1"}
        return currencies if path.startswith("/currencies") else [{**pair, **sizes, "trading_disabled": False}]


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    state = Exchange()
    state.since = int(time.time())
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(state.since))
    state.ticker = {"bid": "1999", "ask": "2001", "price": "1998", "time": stamp, "trade_id": 1, "volume": "1"}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(state.answer(self.path)).encode()
            self.send_response(state.status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    yield state
    server.shutdown()
    server.server_close()


def source_of(exchange: Exchange, **changes: Any) -> ExchangeSource:
    return ExchangeSource(**{"exchange": "coinbaseexchange", "symbol": "ETH/USDC", "url": exchange.url, **changes})


def test_exchange__the_middle_of_bid_and_offer_with_its_time(exchange: Exchange) -> None:
    found = source_of(exchange).read(time.time())
    assert found.price == 2000
    assert found.source == "coinbaseexchange ETH/USDC"
    assert found.time == exchange.since


def test_exchange__without_an_offer__the_last_trade(exchange: Exchange) -> None:
    exchange.ticker |= {"bid": "", "ask": ""}
    assert source_of(exchange).read(NOW).price == 1998


def test_exchange__old_answer__does_not_count(exchange: Exchange) -> None:
    exchange.ticker["time"] = "2020-01-01T00:00:00.000000Z"
    with pytest.raises(NoPriceError, match="s old, and counts for 120 s"):
        read_price([source_of(exchange)], time.time(), Agreement())


def test_exchange__in_trouble__is_told_in_words(exchange: Exchange) -> None:
    with pytest.raises(SourceError, match="has no ETH/EUR"):
        source_of(exchange, symbol="ETH/EUR").read(NOW)
    exchange.ticker = {}
    with pytest.raises(SourceError, match="tells no price"):
        source_of(exchange).read(NOW)
    exchange.status = 503
    with pytest.raises(SourceError, match="does not answer"):
        source_of(exchange).read(NOW)
    with pytest.raises(SourceError, match="does not answer"):
        source_of(exchange, url="http://127.0.0.1:9").read(NOW)


def test_exchange__that_hangs__is_given_up(exchange: Exchange) -> None:
    exchange.delay = 2.0
    with pytest.raises(SourceError, match="does not answer"):
        source_of(exchange, timeout=0.3).read(NOW)


def test_exchange__that_trickles__is_given_up_and_not_asked_again_meanwhile() -> None:
    asked = []

    def trickle(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            for _ in range(40):
                connection.sendall(b"H")
                time.sleep(0.1)

    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    asked.append(server.accept()[0])
                    threading.Thread(target=trickle, args=(asked[-1],), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        source = source_of(Exchange(url=f"http://127.0.0.1:{server.getsockname()[1]}"), timeout=0.3)
        for _ in range(2):
            with pytest.raises(SourceError, match="does not answer within"):
                source.read(NOW)
        assert len(asked) == 1


# --- configuration -----------------------------------------------------------------------------------------------


def config_of(folder: Path, **changes: Any) -> Any:
    base = {"rpc_url": "http://127.0.0.1:1", "chain_id": 1, "vault": ADDRESS, "lens": ADDRESS, "policy": "hold"}
    return build_config({**base, **changes}, folder)


def exchange_table(**changes: Any) -> dict[str, Any]:
    return {"kind": "exchange", "exchange": "kraken", "symbol": "ETH/USDC", **changes}


def test_config__sources__more_than_half_must_agree_by_default(tmp_path: Path) -> None:
    chainlink = {"kind": "chainlink", "address": ADDRESS, "heartbeat_seconds": 3600.0}
    pool = {"kind": "uniswap-v3", "pool": ADDRESS, "token": ADDRESS}
    config = config_of(tmp_path, prices={"sources": [chainlink, pool, exchange_table()]})
    assert config.prices.agreement == Agreement(2, 0.02)
    names = [source.name for source in config.prices.build(None)]
    assert names == [f"chainlink {ADDRESS}", f"uniswap-v3 {ADDRESS}", "kraken ETH/USDC"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "either as `native_price`, a number, or from sources"),
        ({"native_price": 2000.0, "prices": {"sources": [exchange_table()]}}, "either as `native_price`"),
        ({"prices": {"sources": []}}, "`prices.sources`"),
        ({"prices": {"sources": [exchange_table()], "least": 2}}, "least is 2, but there are 1 sources"),
        ({"prices": {"sources": [exchange_table(exchange="krakn")]}}, "did you mean 'kraken'"),
        ({"prices": {"sources": [exchange_table(symbol="ETHUSDC")]}}, "symbol"),
        ({"prices": {"sources": [exchange_table(kind="telepathy")]}}, "telepathy"),
        ({"prices": {"sources": [exchange_table(colour=1)]}}, "unknown key `prices.sources.0.exchange.colour`"),
        ({"prices": {"sources": [{"kind": "chainlink", "address": ADDRESS}]}}, "heartbeat_seconds` is missing"),
    ],
)
def test_config__wrong_sources__are_named(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        config_of(tmp_path, **changes)
    assert told in str(refused.value)


# --- the keeper --------------------------------------------------------------------------------------------------


@pytest.mark.chain
def test_keeper__sources_agree__trades_at_their_price_and_notes_it(world: World, exchange: Exchange) -> None:
    table = exchange_table(exchange="coinbaseexchange", url=exchange.url)
    keeper = world.keeper(native_price=None, prices={"sources": [table]})
    done = keeper.cycle(live=True)
    assert done.outcome == "mined", done.reason
    price = keeper.native_price()
    assert isinstance(price, Price)
    assert price.value == 2000
    noted = json.loads(keeper.journal.recent_cycles(1)[0]["decision"])["native_price"]
    assert noted["price"] == 2000
    assert noted["quotes"][0]["source"] == "coinbaseexchange ETH/USDC"


@pytest.mark.chain
def test_keeper__sources_do_not_agree__does_not_trade_nor_say_that_it_could(world: World, exchange: Exchange) -> None:
    exchange.status = 500
    table = exchange_table(exchange="coinbaseexchange", url=exchange.url)
    keeper = world.keeper(native_price=None, prices={"sources": [table]})
    world.limit("MaxSilence", 7200)
    world.pass_time(7000)  # a sign of life would be due
    result = keeper.cycle(live=True)
    assert result.outcome == "no-trade"
    assert "0 of the sources of the native coin's price agree" in result.reason
    assert world.nonce() == 0
    exchange.status = 200
    done = keeper.cycle(live=True)
    assert done.outcome == "mined", done.reason


@pytest.mark.chain
def test_command__shows_every_source_and_the_price(world: World, exchange: Exchange) -> None:
    table = exchange_table(exchange="coinbaseexchange", url=exchange.url)
    dead = exchange_table(exchange="kraken", url="http://127.0.0.1:9")
    path = world.config_file(native_price=None)
    lines = ["", "[prices]", "least = 1"]
    for source in (table, dead):
        lines += ["[[prices.sources]]", *(f"{key} = {json.dumps(value)}" for key, value in source.items())]
    path.write_text(path.read_text() + "\n".join(lines))
    done = CliRunner().invoke(main, ["price", "--config", str(path), "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    assert found["price"] == 2000
    assert "does not answer" in found["sources"][1]["left_out"]
    shown = CliRunner().invoke(main, ["price", "--config", str(path)])
    assert "The native coin costs 2,000 of the asset." in shown.output
    exchange.status = 500
    failed = CliRunner().invoke(main, ["price", "--config", str(path)])
    assert failed.exit_code == 1
    assert "the native coin's price agree" in failed.output
    fixed = CliRunner().invoke(main, ["price", "--config", str(world.config_file())])
    assert "fixed price, 3,000" in fixed.output
