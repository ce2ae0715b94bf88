"""Prices that a strategy believes: their checks against the chain, the oracles for them, and what is read back."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from eth_typing import ChecksumAddress
from web3 import Web3
from web3.exceptions import Web3Exception

from agent.units import WAD
from scripts.protocols.aave import ZERO
from scripts.protocols.artifacts import load_contract
from scripts.protocols.chain import Chain, contract_at, node_of

Check = tuple[str, Any, Any]
"""What, as it is, and as it was planned."""
ORACLE_DECIMALS = 36
NO_FEED = (ZERO, 0, 0, 0)


class Price(ABC):
    """Where the price of a token in another comes from."""

    @abstractmethod
    def check(self, w3: Web3) -> list[str]:
        """Return why there is no price now; nothing where there is one."""

    @abstractmethod
    def deploy(self, chain: Chain, base_decimals: int, quote_decimals: int) -> ChecksumAddress:
        """Deploy the oracle of a token with `base_decimals` in one with `quote_decimals`."""

    @abstractmethod
    def facts(self, w3: Web3, oracle: ChecksumAddress) -> Iterator[Check]:
        """Yield what the chain says of a deployed oracle, beside what was planned."""


@dataclass(frozen=True)
class PriceFeed:
    """A feed of Chainlink's kind, and the answers of it that are believed.

    Attributes
    ----------
    heartbeat
        Seconds within which it answers again.
    lowest, highest
        Least and largest plausible price.
    """

    aggregator: ChecksumAddress
    decimals: int
    heartbeat: int
    lowest: float
    highest: float

    def struct(self) -> tuple[Any, ...]:
        """Return the struct as `ChainlinkOracle` takes it."""
        bounds = (round(price * 10**self.decimals) for price in (self.lowest, self.highest))
        return (self.aggregator, self.heartbeat, *bounds)

    def value(self, w3: Web3) -> float:
        """Return its answer."""
        functions = contract_at(w3, self.aggregator, load_contract("IAggregator")).functions
        return float(functions.latestRoundData().call()[1] / 10**self.decimals)

    def check(self, w3: Web3) -> list[str]:
        """Return why its answer is not believed now."""
        functions = contract_at(w3, self.aggregator, load_contract("IAggregator")).functions
        try:
            decimals, (_, answer, _, updated, _) = functions.decimals().call(), functions.latestRoundData().call()
        except Web3Exception:
            return [f"{self.aggregator} is not a price feed on chain {w3.eth.chain_id}"]
        if decimals != self.decimals:
            return [f"the feed {self.aggregator} has {decimals} decimals, not {self.decimals}"]
        age = w3.eth.get_block("latest")["timestamp"] - updated
        if age > self.heartbeat:
            return [f"the feed {self.aggregator} answered {age:,} s ago, and its heartbeat is {self.heartbeat:,} s"]
        price = answer / 10**decimals
        if not self.lowest <= price <= self.highest:
            return [f"the feed {self.aggregator} says {price:g}, outside {self.lowest:g} to {self.highest:g}"]
        return []


@dataclass(frozen=True)
class Feeds(Price):
    """Feeds of the base and of the quote token, through a new `ChainlinkOracle`.

    Attributes
    ----------
    base, quote
        Without the latter the former is in the quote token.
    sequencer, grace
        Feed of a rollup's sequencer, and the seconds that it must have been up.
    """

    base: PriceFeed
    quote: PriceFeed | None = None
    sequencer: ChecksumAddress | None = None
    grace: int = 3600

    def value(self, w3: Web3) -> float:
        """Return the price of a whole base token in whole quote tokens."""
        return self.base.value(w3) / (self.quote.value(w3) if self.quote else 1.0)

    def check(self, w3: Web3) -> list[str]:
        """Whether both feeds answer."""
        return [reason for feed in (self.base, self.quote) if feed for reason in feed.check(w3)]

    def deploy(self, chain: Chain, base_decimals: int, quote_decimals: int) -> ChecksumAddress:
        """Deploy the oracle."""
        return chain.deploy(
            load_contract("ChainlinkOracle"),
            *(self.base.struct(), self.quote.struct() if self.quote else NO_FEED, base_decimals, quote_decimals),
            *(self.sequencer or ZERO, self.grace),
        ).address

    def facts(self, w3: Web3, oracle: ChecksumAddress) -> Iterator[Check]:
        """Yield the feeds."""
        functions = contract_at(w3, oracle, load_contract("ChainlinkOracle")).functions
        yield "feed", functions.BASE_FEED().call(), self.base.aggregator
        yield "heartbeat", functions.BASE_HEARTBEAT().call(), self.base.heartbeat
        yield "feed of the asset", functions.QUOTE_FEED().call(), self.quote.aggregator if self.quote else ZERO
        yield "sequencer", functions.SEQUENCER().call(), self.sequencer or ZERO


@dataclass(frozen=True)
class Rate(Price):
    """What an issuer redeems a token for, through a new `RateOracle`.

    Attributes
    ----------
    source, question
        The contract that knows the rate, and the call data that it answers.
    decimals
        Of the answer.
    max_growth
        Most that the rate grows in a year, as a share.
    unit, unit_decimals
        Price and decimals of what the rate is in; without a price that is the quote token.
    """

    source: ChecksumAddress
    question: bytes
    decimals: int
    max_growth: float
    unit: Price | None = None
    unit_decimals: int = 18

    def check(self, w3: Web3) -> list[str]:
        """Whether the issuer answers, and what the rate is in has a price."""
        try:
            rate = int.from_bytes(w3.eth.call({"to": self.source, "data": self.question})[:32])
        except Web3Exception:
            rate = 0
        reasons = [] if rate else [f"{self.source} answers no rate on chain {w3.eth.chain_id}"]
        return reasons + (self.unit.check(w3) if self.unit else [])

    def deploy(self, chain: Chain, base_decimals: int, quote_decimals: int) -> ChecksumAddress:
        """Deploy the oracle, and that of what the rate is in."""
        unit = self.unit.deploy(chain, self.unit_decimals, quote_decimals) if self.unit else ZERO
        decimals = self.unit_decimals if self.unit else quote_decimals
        scale = 10 ** (ORACLE_DECIMALS - self.decimals + decimals - base_decimals)
        growth = round(self.max_growth * WAD)
        return chain.deploy(load_contract("RateOracle"), self.source, self.question, scale, growth, unit).address

    def facts(self, w3: Web3, oracle: ChecksumAddress) -> Iterator[Check]:
        """Yield the issuer, its bound, and the price of what the rate is in."""
        functions = contract_at(w3, oracle, load_contract("RateOracle")).functions
        yield "rate", functions.SOURCE().call(), self.source
        yield "question", functions.QUESTION().call(), self.question
        yield "growth of the rate", functions.MAX_GROWTH().call(), round(self.max_growth * WAD)
        unit = functions.UNDERLYING().call()
        yield "unit of the rate", "a token" if unit != ZERO else "none", "a token" if self.unit else "none"
        if self.unit is None or unit == ZERO:
            return
        for what, found, planned in self.unit.facts(w3, unit):
            yield f"unit of the rate: {what}", found, planned


@dataclass(frozen=True)
class Basket(Price):
    """What is in an index token of Set V2, through a new `BasketOracle`.

    Attributes
    ----------
    parts
        The tokens in it, in its order, and the price of each.
    """

    token: ChecksumAddress
    parts: tuple[tuple[ChecksumAddress, Price], ...]

    def check(self, w3: Web3) -> list[str]:
        """Whether these are the basket's parts, and each has a price."""
        try:
            found = contract_at(w3, self.token, load_contract("ISetToken")).functions.getComponents().call()
        except Web3Exception:
            return [f"{self.token} is not a Set V2 token on chain {w3.eth.chain_id}"]
        planned = [token for token, _ in self.parts]
        if found != planned:
            return [f"the basket {self.token} holds {', '.join(found)}, not {', '.join(planned)}"]
        return [reason for _, price in self.parts for reason in price.check(w3)]

    def deploy(self, chain: Chain, base_decimals: int, quote_decimals: int) -> ChecksumAddress:
        """Deploy the oracle, and those of the parts."""
        node = node_of(chain.w3)
        oracles = [
            price.deploy(chain, node.read("Vault", token, "decimals"), quote_decimals) for token, price in self.parts
        ]
        return chain.deploy(load_contract("BasketOracle"), self.token, oracles).address

    def facts(self, w3: Web3, oracle: ChecksumAddress) -> Iterator[Check]:
        """Yield the basket, and each part."""
        functions = contract_at(w3, oracle, load_contract("BasketOracle")).functions
        yield "basket", functions.BASKET().call(), self.token
        found = functions.parts().call()
        tokens, wanted = [part.token for part in found], [token for token, _ in self.parts]
        yield "parts", tokens, wanted
        if tokens != wanted:
            return
        for part, (token, price) in zip(found, self.parts, strict=True):
            for what, as_is, planned in price.facts(w3, part.oracle):
                yield f"part {token}: {what}", as_is, planned
