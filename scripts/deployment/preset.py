"""Presets of real networks: the addresses that a deployment needs there, and what stays out, with the reason.

A preset is a claim about a chain. `Preset.check` compares it with the chain before anything is sent; the plan then
checks every venue.
"""

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from web3 import Web3

from agent.vault.limits_file import describe
from keeper.chain.address import Address
from keeper.chain.rpc import UNREADABLE
from scripts.deployment.pools import Liquidity, Swap
from scripts.deployment.prices import Feeds, PriceFeed
from scripts.deployment.stable import BalancerStable, CurveStable
from scripts.deployment.venues import AaveV3, CompoundV2, Existing, Venue
from scripts.errors import PresetError
from scripts.protocols.chain import node_of

FOLDER = Path(__file__).parents[1] / "networks"


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Asset(_Table):
    """A token that a vault may be of, as it must be found on the chain."""

    address: Address
    symbol: str
    decimals: Annotated[int, Field(ge=0, le=77)]


class AaveVenue(_Table):
    """A reserve of an Aave V3 pool."""

    kind: Literal["aave-v3"]
    asset: str
    address: Address


class VaultVenue(_Table):
    """An ERC-4626 vault as it stands."""

    kind: Literal["erc-4626"]
    asset: str
    address: Address


class CompoundVenue(_Table):
    """A market of Compound V2 or a descendant."""

    kind: Literal["compound-v2"]
    asset: str
    address: Address
    blocks_per_year: Annotated[int, Field(gt=0)]


class PricedPoolVenue(_Table):
    """A Uniswap V3 pool at `address`; `base` and `quote` name feeds of the preset.

    Attributes
    ----------
    base, quote
        The token's feed, and the asset's: without the latter the former is in the asset.
    sequencer
        Feed of the rollup's sequencer.
    """

    asset: str
    address: Address
    max_cost: Annotated[float, Field(gt=0, lt=1)]
    base: str
    quote: str | None = None
    sequencer: str | None = None


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


class StablePoolVenue(_Table):
    """A stable pool at `address`; `coins`, `quote` and `sequencer` name feeds of the preset.

    Attributes
    ----------
    coins
        Feeds of the other coins, in the pool's order.
    quote
        The asset's feed: without it those of the coins are in the asset.
    """

    asset: str
    address: Address
    max_cost: Annotated[float, Field(gt=0, lt=1)]
    max_growth: Annotated[float, Field(ge=0)]
    coins: Annotated[list[str], Field(min_length=1)]
    quote: str | None = None
    sequencer: str | None = None


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


class Feed(_Table):
    """A price feed of Chainlink's kind. A pool's needs its heartbeat, and the prices that are plausible."""

    address: Address
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
            if isinstance(venue, PricedPoolVenue):
                priced = [venue.base, venue.quote]
            elif isinstance(venue, StablePoolVenue):
                priced = [*venue.coins, venue.quote]
            else:
                continue
            for feed in filter(None, (*priced, venue.sequencer)):
                if feed not in self.feeds:
                    raise ValueError(
                        f"venues.{name}: there is no feed {feed!r}, only {', '.join(self.feeds) or 'none'}"
                    )
            for feed in filter(None, priced):
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

    def check(self, w3: Web3, asset: str) -> None:
        """Compare the preset with the chain.

        Raises
        ------
        PresetError
            When it is another chain, or the asset (an address) is not what the preset says.
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
