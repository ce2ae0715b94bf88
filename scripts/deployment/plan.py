"""The plan of a deployment: limits, addresses, delay and funds checked against the chain, every fault told at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from eth_typing import ChecksumAddress
from web3 import Web3

from agent.units import span
from agent.vault.limits import to_wad
from agent.vault.limits_file import LimitsFile
from keeper.inspect.limits import LimitValues
from keeper.inspect.words import DAY, UINT128_MAX, WAD, percent
from scripts.deployment.chain_checks import (
    check_erc4626,
    check_funds,
    check_pool,
    checked_address,
    checked_seed,
    is_local,
    read_asset,
)
from scripts.deployment.errors import PlanRefusedError
from scripts.deployment.limits import check_limits


@dataclass(frozen=True)
class PlannedStrategy:
    """One strategy: either an Aave V3 `pool` that gets a new `AaveV3Strategy`, or an existing ERC-4626 `target`."""

    name: str
    pool: ChecksumAddress | None
    target: ChecksumAddress | None
    relative_cap: int
    absolute_cap: int


@dataclass(frozen=True)
class DeploymentPlan:
    """Everything that `deploy_vault` does; ratios in WAD, money in base units, `delay` of governance in seconds."""

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
    limits: LimitValues
    fee_recipient: ChecksumAddress | None
    strategies: tuple[PlannedStrategy, ...]
    seed: int = 0
    """First deposit, base units; its shares go to nobody, so that the vault is never empty again."""

    def lines(self) -> list[str]:
        """Return the plan as text, one thing a line."""
        unit = 10**self.asset_decimals
        told = [
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
            f"mark growth {percent(self.limits.mark_growth_rate)} a year",
            f"  keeper      at most every {span(self.limits.cooldown)}, silent after {span(self.limits.max_silence)}",
            f"  budgets     loss {_budget(self.limits.loss_capacity, self.limits.loss_refill)}; "
            f"turnover {_budget(self.limits.turnover_capacity, self.limits.turnover_refill)}",
        ]
        if self.seed:
            told.append(f"  seed        {self.seed / unit:,} {self.asset_symbol}, whose shares go to nobody")
        if self.fee_recipient is not None:
            told.append(f"  fee         {percent(self.limits.performance_fee)} of gains to {self.fee_recipient}")
        for strategy in self.strategies:
            venue = f"new strategy on Aave V3 pool {strategy.pool}" if strategy.pool else f"ERC-4626 {strategy.target}"
            cap = "no absolute cap"
            if strategy.absolute_cap < UINT128_MAX:
                cap = f"{strategy.absolute_cap / unit:,.0f} {self.asset_symbol}"
            told.append(f"  strategy    {strategy.name}: {venue}; at most {strategy.relative_cap / WAD:.2%}, {cap}")
        return told + [f"  warning     {line}" for line in self.warnings()]

    def warnings(self) -> list[str]:
        """Return what is allowed, but not wise."""
        told = []
        if self.guardian == self.governance:
            told.append(
                "guardian and governance are the same address: nobody else can cancel what a thief of it announces"
            )
        if self.delay == 0:
            told.append("governance has no delay: depositors have no notice of anything; for play only")
        if self.seed == 0:
            told.append(
                "the vault starts empty: whoever deposits little and then gives as much would put the share price "
                "ahead of its high-water mark; give it a first deposit with --seed, or make one before others do"
            )
        return told


def _budget(capacity: int, refill: int) -> str:
    return f"{percent(capacity)} at once, {percent(refill * DAY)} a day come back"


DEFAULT_DELAY = 2 * DAY
MIN_DELAY = DAY  # off a local chain
MAX_DELAY = 30 * DAY


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
    pools: Mapping[str, str] | None = None,
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
    pools
        Name -> Aave V3 pool, for the strategies that the limits file names.
    name, symbol
        Of the vault's shares; made from the asset's symbol when left out.
    seed
        First deposit, whole asset units, out of the deployer's own; nobody gets it back.

    Raises
    ------
    PlanRefusedError
        With every reason found, not only the first.
    """
    reasons = check_limits(limits)
    people = {"deployer": deployer, "asset": asset, "keeper": keeper, "governance": governance, "guardian": guardian}
    if fee_recipient is not None:
        people["fee recipient"] = fee_recipient
    addresses = {role: checked_address(role, value, reasons) for role, value in people.items()}
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
    asset_symbol, decimals = read_asset(w3, asset_address, reasons)
    strategies = _plan_strategies(w3, limits, asset_address, decimals, pools or {}, reasons)
    check_funds(w3, Web3.to_checksum_address(deployer), len(strategies), reasons)
    base_units = checked_seed(w3, asset_address, Web3.to_checksum_address(deployer), seed, decimals, reasons)
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
        limits=LimitValues.from_file(limits),
        fee_recipient=addresses.get("fee recipient"),
        strategies=strategies,
        seed=base_units,
    )


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
    pools: Mapping[str, str],
    reasons: list[str],
) -> tuple[PlannedStrategy, ...]:
    planned: list[PlannedStrategy] = []
    for entry in limits.strategies:
        pool = target = None
        if entry.address is not None:
            target = checked_address(entry.label, entry.address, reasons)
            if target is not None:
                check_erc4626(w3, entry.label, target, asset, reasons)
        elif entry.name is not None and entry.name in pools:
            pool = checked_address(entry.label, pools[entry.name], reasons)
            if pool is not None:
                check_pool(w3, entry.label, pool, asset, reasons)
        else:
            known = ", ".join(sorted(pools)) or "nothing"
            reasons.append(f"{entry.label}: not in the address book, which has {known}. Use one of them, or `address`")
        place = pool or target
        if place is not None and any(place in (other.pool, other.target) for other in planned):
            reasons.append(f"{entry.label}: {place} is already another strategy; one venue must not have two caps")
        if entry.absolute_cap is None:
            absolute = UINT128_MAX
        else:
            absolute = int(Decimal(repr(entry.absolute_cap)) * 10**decimals)
            if not 0 < absolute <= UINT128_MAX:
                reasons.append(
                    f"{entry.label}: absolute_cap {entry.absolute_cap} is nothing, or more than 128 bits hold"
                )
        planned.append(PlannedStrategy(entry.label, pool, target, to_wad(entry.relative_cap), absolute))
    return tuple(planned)


def _is_hex(text: str) -> bool:
    return all(digit in "0123456789abcdef" for digit in text)
