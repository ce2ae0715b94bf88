"""The plan of a deployment: limits, addresses, delay and funds, checked against the chain; all faults at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from eth_typing import ChecksumAddress
from web3 import Web3
from web3.contract import Contract

from agent.units import DAY, WAD, YEAR, span
from agent.vault.limits import NO_CAP, to_wad
from agent.vault.limits_file import LimitsFile
from keeper.chain.address import checked_address
from keeper.chain.rpc import UNREADABLE, Rpc
from keeper.inspect.report import SAFE_UNWIND_LOSS
from keeper.inspect.words import money, percent
from keeper.snapshot import LimitsSnapshot
from scripts.deployment.code import code_hash
from scripts.deployment.limits import check_limits
from scripts.deployment.pools import Liquidity, Swap
from scripts.deployment.prices import Basket, Feeds, Price, PriceFeed, Rate
from scripts.deployment.stable import BalancerStable
from scripts.deployment.venues import AaveV3, CompoundV2, Existing, Venue
from scripts.errors import PlanRefusedError
from scripts.protocols.aave import ZERO
from scripts.protocols.chain import node_of
from scripts.protocols.defi import COINS, Defi
from scripts.protocols.devnet import FEED_DECIMALS, Devnet
from scripts.protocols.rwa import Rwa

DEPLOYMENT_GAS = 15_000_000  # AccessManager, vault, lens, groups and the calls between them; measured, rounded up
STRATEGY_GAS = 2_500_000
DEFAULT_DELAY = 2 * DAY
MIN_DELAY = DAY  # off a local chain
MAX_DELAY = 30 * DAY
DEVNET_COST = 0.01
"""Most that a trade may cost in a devnet's pools."""
DEVNET_GROWTH = 0.1
"""Most that an issuer's rate, or a stable pool's, grows in a year there."""
DEVNET_COIN_COST = 0.002
"""Most that a trade of one dollar for another may cost there."""
DEVNET_DEVIATION = 0.005
"""Most that a devnet's pool may be off the feed when liquidity enters or leaves."""
DEVNET_RANGE = (0.2, 20_000_000)
"""Prices of ETH between which liquidity is provided there: as good as all."""


@dataclass(frozen=True)
class PlannedStrategy:
    """One strategy: a venue under a name, its caps in WAD and base units, and the hash of the code that runs there."""

    name: str
    venue: Venue
    relative_cap: int
    absolute_cap: int
    code_hash: str


@dataclass(frozen=True)
class PlannedGroup:
    """Strategies that share a risk, by their positions, and the caps on their sum; the risk is an address, if any."""

    risk: ChecksumAddress
    members: tuple[int, ...]
    relative_cap: int
    absolute_cap: int

    @property
    def mask(self) -> int:
        """Members as the vault stores them: bit `i` is the strategy at position `i`."""
        return sum(1 << index for index in self.members)

    def struct(self) -> tuple[str, int, int, int]:
        """Return the struct as `setGroup` takes it."""
        return (self.risk, self.relative_cap, self.absolute_cap, self.mask)


@dataclass(frozen=True)
class DeploymentPlan:
    """The input of `deploy_vault`: ratios in WAD, money in base units, the `delay` of governance in seconds."""

    chain_id: int
    deployer: ChecksumAddress
    asset: ChecksumAddress
    asset_symbol: str
    asset_decimals: int
    name: str
    symbol: str
    keeper: ChecksumAddress
    governance: ChecksumAddress
    guardian: ChecksumAddress
    delay: int
    policy_hash: str
    limits: LimitsSnapshot
    fee_recipient: ChecksumAddress | None
    strategies: tuple[PlannedStrategy, ...]
    groups: tuple[PlannedGroup, ...] = ()
    seed: int = 0
    """First deposit, base units; nobody can redeem its shares, so that the vault is never empty again."""

    def lines(self) -> list[str]:
        """Return the plan as text, one item a line."""
        unit = 10**self.asset_decimals
        text = [
            f"Plan for chain {self.chain_id}:",
            f"  deployer    {self.deployer}",
            f"  vault       {self.name} ({self.symbol}) of {self.asset_symbol} {self.asset}",
            f"  keeper      {self.keeper}",
            f"  governance  {self.governance}, after {span(self.delay)}"
            if self.delay
            else f"  governance  {self.governance}, WITHOUT A DELAY",
            f"  guardian    {self.guardian}",
            f"  policy      {self.policy_hash}",
            f"  limits      idle floor {percent(self.limits.idle_floor)}, "
            f"drawdown {percent(self.limits.max_drawdown)}, "
            f"growth of the bid {percent(self.limits.max_growth_rate)} a year",
            f"  keeper      at most every {span(self.limits.cooldown)}, silent after {span(self.limits.max_silence)}",
            f"  budgets     loss {_budget(self.limits.loss_capacity, self.limits.loss_refill)}; "
            f"turnover {_budget(self.limits.turnover_capacity, self.limits.turnover_refill)}",
            f"  exits       unwinding loses at most {percent(self.limits.unwind_loss)} of what it takes out",
            f"  deposits    {self._cap(self.limits.deposit_cap)}",
        ]
        if self.seed:
            text.append(f"  seed        {self.seed / unit:,} {self.asset_symbol}, whose shares go to nobody")
        if self.fee_recipient is not None:
            text.append(f"  fee         {percent(self.limits.performance_fee)} of gains to {self.fee_recipient}")
        for strategy in self.strategies:
            caps = f"{strategy.relative_cap / WAD:.2%}, {self._cap(strategy.absolute_cap)}"
            text.append(f"  strategy    {strategy.name}: {strategy.venue.words}; at most {caps}")
            text.append(f"              whose code is {strategy.code_hash}")
        for group in self.groups:
            names = ", ".join(self.strategies[index].name for index in group.members)
            shared = f", which share {group.risk}" if group.risk != ZERO else ""
            cap = self._cap(group.absolute_cap)
            text.append(f"  group       {names} together{shared}; at most {group.relative_cap / WAD:.2%}, {cap}")
        return text + [f"  warning     {line}" for line in self.warnings()]

    def _cap(self, amount: int) -> str:
        return "no absolute cap" if amount >= NO_CAP else f"{amount / 10**self.asset_decimals:,.0f} {self.asset_symbol}"

    def warnings(self) -> list[str]:
        """Return the choices that are allowed, but unwise."""
        found = []
        if self.guardian == self.governance:
            found.append(
                "guardian and governance are the same address: nobody else could cancel what a thief announces"
            )
        if self.delay == 0:
            found.append("governance has no delay: depositors have no notice of anything; for local chains only")
        if self.limits.unwind_loss > SAFE_UNWIND_LOSS:
            found.append(
                f"unwind_loss is {percent(self.limits.unwind_loss)}: anybody may force so dear an exit once the vault "
                f"is halted or its keeper silent; {percent(SAFE_UNWIND_LOSS)} is plenty"
            )
        if self.seed == 0:
            found.append(
                "the vault starts empty: in a vault that is empty but for dust nothing bounds the share price; give it "
                "a first deposit with --seed, or make one before others do"
            )
        return found


def _budget(capacity: int, refill: int) -> str:
    return f"{percent(capacity)} at once, {percent(refill * DAY)} a day come back"


def make_plan(
    w3: Web3,
    limits: LimitsFile,
    *,
    deployer: str,
    asset: str,
    keeper: str,
    governance: str,
    guardian: str,
    policy_hash: str,
    delay: int = DEFAULT_DELAY,
    allow_no_delay: bool = False,
    fee_recipient: str | None = None,
    venues: Mapping[str, Venue] | None = None,
    name: str | None = None,
    symbol: str | None = None,
    seed: Decimal = Decimal(0),
) -> DeploymentPlan:
    """Check limits, addresses and funds, and return the plan.

    Parameters
    ----------
    limits
        From `agent.vault.limits_file.load_limits`.
    keeper
        The one address that may rebalance.
    governance
        Becomes the only admin of the vault's AccessManager, and governor of the vault, both after `delay`.
    guardian
        May tighten, halt, cut the keeper off, and cancel what governance has announced.
    policy_hash
        32 bytes hex of the policy to commit.
    delay
        Seconds between what governance announces and does; at least a day where the chain is not local (an Anvil).
    allow_no_delay
        Lets `delay` be 0 on a local chain.
    fee_recipient
        Gets the performance fee; must be given if, and only if, there is one.
    venues
        Name -> venue, for the strategies that the limits file names.
    name, symbol
        Of the vault's shares; made from the asset's symbol when left out.
    seed
        First deposit, whole asset units, paid by the deployer for good.

    Raises
    ------
    PlanRefusedError
        With every reason found, not only the first.
    """
    reasons = check_limits(limits)
    people = {"deployer": deployer, "asset": asset, "keeper": keeper, "governance": governance, "guardian": guardian}
    if fee_recipient is not None:
        people["fee recipient"] = fee_recipient
    addresses = {role: _checked_address(role, value, reasons) for role, value in people.items()}
    if addresses["keeper"] is not None and addresses["keeper"] == addresses["governance"]:
        reasons.append("keeper and governance are the same address: whoever rebalances could lift every limit")
    if addresses["keeper"] is not None and addresses["keeper"] == addresses["guardian"]:
        reasons.append("keeper and guardian are the same address: nobody could cut a thief of it off")
    reasons += _check_delay(delay, is_local(w3), allow_no_delay)
    if (limits.performance_fee > 0) != (fee_recipient is not None):
        reasons.append(
            f"performance_fee is {limits.performance_fee:.2%} and the fee recipient is {fee_recipient or 'nobody'}: "
            "give both or neither"
        )
    hash_hex = policy_hash.lower().removeprefix("0x")
    if len(hash_hex) != 64 or not _is_hex(hash_hex) or int(hash_hex, 16) == 0:
        reasons.append(f"the policy hash must be 32 bytes hex and not zero, but is {policy_hash!r}")
    if reasons:
        raise PlanRefusedError(reasons)

    asset_address = Web3.to_checksum_address(asset)
    asset_symbol, decimals = _read_asset(node_of(w3), asset_address, reasons)
    strategies = _plan_strategies(w3, limits, asset_address, decimals, venues or {}, reasons)
    groups = _plan_groups(limits, decimals, reasons)
    _check_funds(w3, Web3.to_checksum_address(deployer), len(strategies), reasons)
    stored = LimitsSnapshot.from_file(limits, decimals)
    base_units = _checked_seed(w3, asset_address, Web3.to_checksum_address(deployer), seed, decimals, reasons)
    if base_units > stored.deposit_cap:
        cap = money(stored.deposit_cap, decimals, asset_symbol)
        reasons.append(f"seed: {seed:,} is more than the deposit cap of {cap} allows")
    if reasons:
        raise PlanRefusedError(reasons)
    return DeploymentPlan(
        chain_id=w3.eth.chain_id,
        deployer=Web3.to_checksum_address(deployer),
        asset=asset_address,
        asset_symbol=asset_symbol,
        asset_decimals=decimals,
        name=name or f"Bulkhead {asset_symbol}",
        symbol=symbol or f"bh{asset_symbol}",
        keeper=Web3.to_checksum_address(keeper),
        governance=Web3.to_checksum_address(governance),
        guardian=Web3.to_checksum_address(guardian),
        delay=delay,
        policy_hash="0x" + hash_hex,
        limits=stored,
        fee_recipient=addresses.get("fee recipient"),
        strategies=strategies,
        groups=groups,
        seed=base_units,
    )


def plan_on(devnet: Devnet, limits: LimitsFile, policy_hash: str, **changes: Any) -> DeploymentPlan:
    """Return the plan of a vault on a devnet, with its USDC, its people and its markets but for `changes`."""
    people = {role: devnet.accounts[role] for role in ("deployer", "keeper", "governance", "guardian")}
    wanted = {**people, "asset": devnet.usdc.address, "venues": venues_of(devnet), **changes}
    return make_plan(devnet.w3, limits, policy_hash=policy_hash, **wanted)


def venues_of(devnet: Devnet) -> dict[str, Venue]:
    """Return the venues of a devnet by name: its Aave markets, and what its preset has besides."""
    found: dict[str, Venue] = {name: AaveV3(market.pool.address) for name, market in devnet.markets.items()}
    if devnet.compound is not None:
        found["compound"] = CompoundV2(devnet.compound.market.address, devnet.compound.blocks_per_year)
    if devnet.eth_feed is not None:
        eth = _devnet_feed(devnet.eth_feed, 10, 100_000)
        found["eth"] = Swap(devnet.uniswap.pool.address, DEVNET_COST, eth)
        if devnet.defi is not None:
            found |= _defi_venues(devnet.defi, devnet.uniswap.pool.address, eth.base)
        if devnet.rwa is not None:
            found |= _rwa_venues(devnet.rwa, devnet.weth.address, eth, issuer=devnet.accounts["deployer"])
    return found


def _defi_venues(defi: Defi, eth_pool: ChecksumAddress, eth: PriceFeed) -> dict[str, Venue]:
    """Return the venues of `DefiYield-v0`, in its order. Feeds are in dollars, and prices in USDC."""
    feeds = {name: _devnet_feed(defi.feeds[name], 0.1, 10).base for name in (*COINS, "usdc")}
    in_usdc = {coin: Feeds(feeds[coin], feeds["usdc"]) for coin in COINS}
    compound = CompoundV2(defi.compound_dai.market.address, defi.compound_dai.blocks_per_year)
    lent: dict[str, Venue] = {"dai": compound, "usdt": AaveV3(defi.aave_usdt.pool.address)}
    swaps = [Swap(defi.pools[coin].address, DEVNET_COIN_COST, in_usdc[coin], lent[coin]) for coin in COINS]
    coins = {getattr(defi, coin).address: in_usdc[coin] for coin in COINS}
    prices = tuple(coins[coin] for coin in defi.stable.coins if coin in coins)
    ends = (*DEVNET_RANGE, DEVNET_DEVIATION)
    return {
        "uniswap-eth-usdc": Liquidity(eth_pool, DEVNET_COST, Feeds(eth, feeds["usdc"]), *ends),
        "compound-dai": swaps[0],
        "aave-usdt": swaps[1],
        "stable-pool": BalancerStable(defi.stable.pool.address, DEVNET_COIN_COST, DEVNET_GROWTH, prices),
        "yield-vault": Existing(defi.yield_vault.address),
    }


def _rwa_venues(rwa: Rwa, weth: ChecksumAddress, eth: Price, issuer: ChecksumAddress) -> dict[str, Venue]:
    """Return the venues of tokenised assets; the issuer's rates have 18 decimals, as the tokens."""
    dollars = bytes.fromhex(rwa.usdy_oracle.encode_abi("getPrice").removeprefix("0x"))
    ether = bytes.fromhex(rwa.meth.encode_abi("mETHToETH", args=[WAD]).removeprefix("0x"))
    meth = Rate(rwa.meth.address, ether, 18, DEVNET_GROWTH, eth)
    btc = _devnet_feed(rwa.btc_feed, 100, 10_000_000)
    prices: dict[str, Price] = {
        "usdy": Rate(rwa.usdy_oracle.address, dollars, 18, DEVNET_GROWTH),
        "meth": meth,
        "mi4": Basket(rwa.mi4.address, ((rwa.wbtc.address, btc), (weth, eth), (rwa.meth.address, meth))),
    }
    return {
        name: Swap(pool.address, DEVNET_COST, prices[name], issuer=issuer if name == "usdy" else None)
        for name, pool in rwa.pools.items()
    }


def _devnet_feed(feed: Contract, lowest: float, highest: float) -> Feeds:
    """Nobody answers anew on a devnet, so an answer is good for a year."""
    return Feeds(PriceFeed(feed.address, FEED_DECIMALS, round(YEAR), lowest, highest))


def _check_delay(delay: int, local: bool, allow_none: bool) -> list[str]:
    if delay > MAX_DELAY:
        return [
            f"the delay is {span(delay)}: a halted vault could not be resumed for so long; {span(MAX_DELAY)} at most"
        ]
    if not local and delay < MIN_DELAY:
        return [
            f"the delay is {span(delay)}: depositors could not leave in time; give at least {span(MIN_DELAY)} where "
            "the chain is not a local one"
        ]
    if delay <= 0 and not allow_none:
        return [
            "the delay is 0: governance could change everything at once; on a local chain ask for it with --no-delay"
        ]
    return []


def _plan_strategies(
    w3: Web3,
    limits: LimitsFile,
    asset: ChecksumAddress,
    decimals: int,
    venues: Mapping[str, Venue],
    reasons: list[str],
) -> tuple[PlannedStrategy, ...]:
    planned: list[PlannedStrategy] = []
    for entry in limits.strategies:
        venue = None if entry.name is None else venues.get(entry.name)
        if entry.address is not None:
            target = _checked_address(entry.label, entry.address, reasons)
            venue = Existing(target) if target is not None else None
        elif venue is None:
            known = ", ".join(sorted(venues)) or "nothing"
            reasons.append(f"{entry.label}: not in the address book, which has {known}. Use one of them, or `address`")
        absolute = _absolute_cap(entry.label, entry.absolute_cap, decimals, reasons)
        if venue is None:
            continue
        reasons += [f"{entry.label}: {reason}" for reason in venue.check(w3, asset)]
        if any(venue.place == other.venue.place for other in planned):
            reasons.append(
                f"{entry.label}: {venue.place} is already another strategy; one venue must not have two caps"
            )
        code = code_hash(w3, venue.place)
        planned.append(PlannedStrategy(entry.label, venue, to_wad(entry.relative_cap), absolute, code))
    return tuple(planned)


def _plan_groups(limits: LimitsFile, decimals: int, reasons: list[str]) -> tuple[PlannedGroup, ...]:
    planned = []
    for number, (group, cap) in enumerate(zip(limits.groups, limits.group_caps(), strict=True)):
        label = f"group {number}"
        risk = ZERO if group.risk is None else _checked_address(f"{label}: risk", group.risk, reasons)
        absolute = _absolute_cap(label, group.absolute_cap, decimals, reasons)
        planned.append(PlannedGroup(risk or ZERO, cap.members, to_wad(group.relative_cap), absolute))
    return tuple(planned)


def _absolute_cap(label: str, cap: float | None, decimals: int, reasons: list[str]) -> int:
    """Return an absolute cap in base units."""
    if cap is None:
        return NO_CAP
    absolute = int(Decimal(repr(cap)) * 10**decimals)
    if not 0 < absolute <= NO_CAP:
        reasons.append(f"{label}: absolute_cap {cap} is nothing, or more than 128 bits hold")
    return absolute


def _is_hex(text: str) -> bool:
    return all(digit in "0123456789abcdef" for digit in text)


# --- checks against the chain; one that fails adds its reason to `reasons` -------------------------------------------


def is_local(w3: Web3) -> bool:
    """Whether the chain is an Anvil, which may be a fork: nothing on it is worth anything."""
    return "anvil" in w3.client_version.lower()


def _checked_address(label: str, value: str, reasons: list[str]) -> ChecksumAddress | None:
    try:
        address = checked_address(value)
    except ValueError as error:
        reasons.append(f"{label}: {value!r} {error}")
        return None
    if int(address, 16) == 0:
        reasons.append(f"{label}: the zero address cannot be used")
        return None
    return Web3.to_checksum_address(address)


def _read_asset(rpc: Rpc, asset: str, reasons: list[str]) -> tuple[str, int]:
    """Return the symbol and the decimals of the asset."""
    try:
        return rpc.read("Vault", asset, "symbol"), rpc.read("Vault", asset, "decimals")  # an ERC-20 like every asset
    except UNREADABLE:
        reasons.append(f"asset: {asset} is not an ERC-20 with symbol and decimals on chain {rpc.chain_id()}")
        return "", 18


def _check_funds(w3: Web3, deployer: ChecksumAddress, strategies: int, reasons: list[str]) -> None:
    """Check that the deployer can pay for the gas."""
    gas = DEPLOYMENT_GAS + strategies * STRATEGY_GAS
    needed, owned = gas * w3.eth.gas_price, w3.eth.get_balance(deployer)
    if owned < needed:
        reasons.append(
            f"deployer: {deployer} has {owned / WAD:.4f} of the native coin, but about {needed / WAD:.4f} may be "
            f"needed ({gas:,} gas); send it some"
        )


def _checked_seed(
    w3: Web3, asset: ChecksumAddress, deployer: ChecksumAddress, seed: Decimal, decimals: int, reasons: list[str]
) -> int:
    """Return the seed in base units; the deployer must own it."""
    if seed == 0 or reasons:
        return 0
    if not seed.is_finite() or seed < 0 or seed != seed.quantize(Decimal(1).scaleb(-decimals)):
        reasons.append(f"seed: {seed} is no amount of an asset with {decimals} decimals")
        return 0
    amount = int(seed.scaleb(decimals))
    owned = int(node_of(w3).read("Vault", asset, "balanceOf", deployer))
    if owned < amount:
        reasons.append(
            f"seed: {deployer} has {owned / 10**decimals:,} of the asset, but {seed:,} are to be deposited; send it "
            "some, or give --seed 0 and make a first deposit before others do"
        )
    return amount
