"""Presets of real networks: the addresses that a deployment needs there, and what stays out, with the reason.

A preset is a claim about a chain. `Preset.check` compares it with the chain before anything is sent; the plan then
checks every venue.
"""

import difflib
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from web3 import Web3

from agent.vault.limits_file import describe
from keeper.chain.address import Address
from keeper.chain.rpc import UNREADABLE
from scripts.deployment.code import code_hash
from scripts.deployment.pools import Liquidity, Swap
from scripts.deployment.prices import Feeds, PriceFeed
from scripts.deployment.stable import BalancerStable, CurveStable
from scripts.deployment.venues import AaveV3, CompoundV2, Existing, Venue
from scripts.errors import PresetError
from scripts.protocols.chain import node_of

FOLDER = Path(__file__).parents[1] / "networks"


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Located(_Table):
    """A contract of the network.

    Attributes
    ----------
    code_hash
        Of the code that must run there, behind a proxy too (`scripts.deployment.code`); a plan shows what it finds.
        Without it any code will do.
    """

    address: Address
    code_hash: Annotated[str, Field(pattern="^0x[0-9a-f]{64}$")] | None = None


class Asset(Located):
    """A token that a vault may be of, as it must be found on the chain."""

    symbol: str
    decimals: Annotated[int, Field(ge=0, le=77)]


class LocatedVenue(Located):
    """A venue of one of the preset's assets."""

    asset: str

    @property
    def prices(self) -> list[str]:
        """Names of the price feeds that it needs."""
        return []

    @property
    def feeds(self) -> list[str]:
        """Names of all feeds that it needs, with that of a rollup's sequencer."""
        return self.prices


class AaveVenue(LocatedVenue):
    """A reserve of an Aave V3 pool."""

    kind: Literal["aave-v3"]


class VaultVenue(LocatedVenue):
    """An ERC-4626 vault as it stands."""

    kind: Literal["erc-4626"]


class CompoundVenue(LocatedVenue):
    """A market of Compound V2 or a descendant."""

    kind: Literal["compound-v2"]
    blocks_per_year: Annotated[int, Field(gt=0)]


class PricedVenue(LocatedVenue):
    """A pool at `address` that is held against prices of its tokens; they are named by their feeds in the preset.

    Attributes
    ----------
    quote
        The asset's feed: without it those of the tokens are in the asset.
    sequencer
        Feed of the rollup's sequencer.
    """

    max_cost: Annotated[float, Field(gt=0, lt=1)]
    quote: str | None = None
    sequencer: str | None = None

    @property
    def tokens(self) -> list[str]:
        """Names of the feeds of the tokens beside the asset."""
        raise NotImplementedError

    @property
    def prices(self) -> list[str]:
        """Names of the price feeds that it needs."""
        return [*self.tokens, *([self.quote] if self.quote else [])]

    @property
    def feeds(self) -> list[str]:
        """Names of all feeds that it needs, with that of a rollup's sequencer."""
        return [*self.prices, *([self.sequencer] if self.sequencer else [])]


class PricedPoolVenue(PricedVenue):
    """A Uniswap V3 pool; `base` is the token's feed."""

    base: str

    @property
    def tokens(self) -> list[str]:
        """Name of the token's feed."""
        return [self.base]


class SwapVenue(PricedPoolVenue):
    """Another token, swapped in the pool.

    Attributes
    ----------
    inner
        Name of a venue of the token, which it is put into.
    """

    kind: Literal["swap"]
    inner: str | None = None


class LiquidityVenue(PricedPoolVenue):
    """Liquidity between two prices of a whole token in whole assets."""

    kind: Literal["uniswap-v3-liquidity"]
    low: Annotated[float, Field(gt=0)]
    high: Annotated[float, Field(gt=0)]
    max_deviation: Annotated[float, Field(gt=0, lt=1)]


class StablePoolVenue(PricedVenue):
    """A stable pool; `coins` are the feeds of the other coins, in the pool's order."""

    max_growth: Annotated[float, Field(ge=0)]
    coins: Annotated[list[str], Field(min_length=1)]

    @property
    def tokens(self) -> list[str]:
        """Names of the coins' feeds."""
        return self.coins


class BalancerVenue(StablePoolVenue):
    """A composable stable pool of Balancer V2."""

    kind: Literal["balancer-stable"]


class CurveVenue(StablePoolVenue):
    """A stable pool of Curve; `token` is the pool's, where that is a contract of its own."""

    kind: Literal["curve-stable"]
    token: Address | None = None
    lists: bool = False


AnyVenue = Annotated[
    AaveVenue | VaultVenue | CompoundVenue | SwapVenue | LiquidityVenue | BalancerVenue | CurveVenue,
    Field(discriminator="kind"),
]


class Feed(Located):
    """A price feed of Chainlink's kind. A pool's needs its heartbeat, and the prices that are plausible."""

    decimals: Annotated[int, Field(ge=0, le=36)] = 8
    heartbeat: Annotated[int, Field(gt=0)] | None = None
    lowest: Annotated[float, Field(gt=0)] | None = None
    highest: Annotated[float, Field(gt=0)] | None = None


class Preset(_Table):
    """A network.

    Attributes
    ----------
    asset
        Which of the `assets` a vault is of, unless another one is asked for.
    source
        Where the addresses were taken from.
    refused
        What a vault cannot or should not hold there, with the reason.
    """

    name: str
    chain_id: Annotated[int, Field(gt=0)]
    asset: str
    source: str
    assets: Annotated[dict[str, Asset], Field(min_length=1)]
    venues: dict[str, AnyVenue]
    feeds: dict[str, Feed] = {}
    refused: dict[str, str] = {}

    @model_validator(mode="after")
    def _assets_known(self) -> Self:
        named = {"asset": self.asset, **{f"venues.{name}": venue.asset for name, venue in self.venues.items()}}
        for where, asset in named.items():
            if asset not in self.assets:
                raise ValueError(f"{where}: there is no asset {asset!r}, only {', '.join(self.assets)}")
        return self

    @model_validator(mode="after")
    def _feeds_complete(self) -> Self:
        for name, venue in self.venues.items():
            for feed in venue.feeds:
                if feed not in self.feeds:
                    raise ValueError(
                        f"venues.{name}: there is no feed {feed!r}, only {', '.join(self.feeds) or 'none'}"
                    )
            for feed in venue.prices:
                if None in (self.feeds[feed].heartbeat, self.feeds[feed].lowest, self.feeds[feed].highest):
                    raise ValueError(f"feeds.{feed}: the venue {name} needs its heartbeat, lowest and highest")
            inner = venue.inner if isinstance(venue, SwapVenue) else None
            if inner is not None and isinstance(self.venues.get(inner), PricedPoolVenue | StablePoolVenue | None):
                raise ValueError(f"venues.{name}: inner must name a venue without a pool, but is {inner!r}")
        return self

    def resolve(self, asset: str | None) -> str:
        """Return the address of an asset by its name in the preset; an address stays as it is."""
        name = asset or self.asset
        if name in self.assets:
            return self.assets[name].address
        if name.startswith("0x"):
            return name
        raise PresetError(f"{self.name} has no asset {name!r}: use one of {', '.join(self.assets)}, or an address.")

    def venues_of(self, asset: str) -> dict[str, Venue]:
        """Return the venues of one asset (an address) by name, as a plan takes them."""
        return {
            name: self._build(venue)
            for name, venue in self.venues.items()
            if self.assets[venue.asset].address.lower() == asset.lower()
        }

    def _build(self, venue: AnyVenue) -> Venue:
        address = Web3.to_checksum_address(venue.address)
        if isinstance(venue, AaveVenue):
            return AaveV3(address)
        if isinstance(venue, VaultVenue):
            return Existing(address)
        if isinstance(venue, CompoundVenue):
            return CompoundV2(address, venue.blocks_per_year)
        if isinstance(venue, BalancerVenue | CurveVenue):
            prices = tuple(self._price(coin, venue.quote, venue.sequencer) for coin in venue.coins)
            if isinstance(venue, BalancerVenue):
                return BalancerStable(address, venue.max_cost, venue.max_growth, prices)
            token = Web3.to_checksum_address(venue.token) if venue.token else None
            return CurveStable(address, venue.max_cost, venue.max_growth, prices, token, venue.lists)
        price = self._price(venue.base, venue.quote, venue.sequencer)
        if isinstance(venue, LiquidityVenue):
            return Liquidity(address, venue.max_cost, price, venue.low, venue.high, venue.max_deviation)
        return Swap(address, venue.max_cost, price, self._build(self.venues[venue.inner]) if venue.inner else None)

    def _price(self, base: str, quote: str | None, sequencer: str | None) -> Feeds:
        return Feeds(
            self._feed(base),
            self._feed(quote) if quote else None,
            Web3.to_checksum_address(self.feeds[sequencer].address) if sequencer else None,
        )

    def _feed(self, name: str) -> PriceFeed:
        feed = self.feeds[name]
        if feed.heartbeat is None or feed.lowest is None or feed.highest is None:
            raise PresetError(f"{self.name}: the feed {name} needs its heartbeat, lowest and highest.")
        return PriceFeed(
            Web3.to_checksum_address(feed.address), feed.decimals, feed.heartbeat, feed.lowest, feed.highest
        )

    def refuse(self, strategies: Iterable[str]) -> None:
        """Raise a `PresetError` with the reason where a strategy is named that stays out."""
        for name in strategies:
            why = next((why for out, why in self.refused.items() if out.lower() == name.lower()), None)
            if why is not None:
                raise PresetError(f"{name} on {self.name}: {why}. Take it out of the limits file.")

    def check(self, w3: Web3, asset: str, strategies: Iterable[str] = ()) -> None:
        """Compare the preset with the chain.

        Parameters
        ----------
        asset
            Address of the vault's asset.
        strategies
            Names of the venues that will be used.

        Raises
        ------
        PresetError
            When it is another chain, the asset is not what the preset says, or other code runs at an address whose code
            the preset names.
        """
        if w3.eth.chain_id != self.chain_id:
            raise PresetError(
                f"The preset {self.name} is for chain {self.chain_id}, but the node serves chain {w3.eth.chain_id}. "
                "Give the --network of that chain, or another preset."
            )
        for name, known in self.assets.items():
            if known.address.lower() != asset.lower():
                continue
            try:
                found = tuple(node_of(w3).read("Vault", known.address, what) for what in ("symbol", "decimals"))
            except UNREADABLE as error:
                raise PresetError(f"{self.name}: {name} at {known.address} is no token on this chain.") from error
            if found != (known.symbol, known.decimals):
                raise PresetError(
                    f"{self.name}: {name} at {known.address} is {found[0]} with {found[1]} decimals on this chain, not "
                    f"{known.symbol} with {known.decimals}. Do not deploy; the preset or the node is wrong."
                )
        self._check_code(w3, asset, strategies)

    def _check_code(self, w3: Web3, asset: str, strategies: Iterable[str]) -> None:
        for name, known in self._located(asset, strategies):
            if known.code_hash is None:
                continue
            found = code_hash(w3, known.address)
            if found != known.code_hash:
                raise PresetError(
                    f"{self.name}: the code of {name} at {known.address} is {found} on this chain, not "
                    f"{known.code_hash}. It was upgraded, or the node lies: read what changed before you take the new "
                    "hash into a preset of your own."
                )

    def _located(self, asset: str, strategies: Iterable[str]) -> Iterator[tuple[str, Located]]:
        """Yield the contracts that a vault of the asset over these venues would stand on."""
        yield from ((name, known) for name, known in self.assets.items() if known.address.lower() == asset.lower())
        for name in strategies:
            venue = self.venues.get(name)
            if venue is None:
                continue  # the plan says so
            yield name, venue
            if isinstance(venue, SwapVenue) and venue.inner is not None:
                yield venue.inner, self.venues[venue.inner]
            yield from ((feed, self.feeds[feed]) for feed in venue.feeds)


def preset_names() -> tuple[str, ...]:
    """Return the names of the shipped presets."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def load_preset(name: str, folder: Path = FOLDER) -> Preset:
    """Read a shipped preset by its name, or one of your own by its path.

    Raises
    ------
    PresetError
        If there is none, or it holds an unknown, missing or impossible entry; the message names it.
    """
    path = Path(name) if name.endswith(".toml") else folder / f"{name}.toml"
    try:
        data: Mapping[str, object] = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        near = difflib.get_close_matches(name, preset_names(), n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise PresetError(f"No preset {name!r}: choose one of {', '.join(preset_names())}, or a file.{hint}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PresetError(f"Cannot read the preset {path}: {error}") from error
    try:
        return Preset.model_validate(data)
    except ValidationError as error:
        raise PresetError(f"{path}: {describe(error)}") from error
