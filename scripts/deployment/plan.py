"""What will be deployed, checked against the chain before anything is sent."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from eth_typing import ChecksumAddress
from web3 import Web3
from web3.exceptions import Web3Exception

from agent.limits import LimitsFile
from scripts.deployment.contracts import load_contract
from scripts.deployment.errors import PlanRefusedError
from scripts.protocols.aave import POOL
from scripts.protocols.chain import contract_at

WAD = 10**18
MAX_DRAWDOWN = 0.50
UINT128_MAX = 2**128 - 1
DEPLOYMENT_GAS = 9_000_000  # AccessManager, vault, lens and the calls between them; measured, rounded up
STRATEGY_GAS = 2_500_000
_ZERO_ADDRESS = "0x" + "00" * 20


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
    """Everything that `deploy_vault` does; ratios in WAD, money in base units."""

    chain_id: int
    deployer: ChecksumAddress
    asset: ChecksumAddress
    asset_symbol: str
    asset_decimals: int
    name: str
    symbol: str
    keeper: ChecksumAddress
    governance: ChecksumAddress
    policy_hash: str
    idle_floor: int
    max_drawdown: int
    mark_growth_rate: int
    strategies: tuple[PlannedStrategy, ...]

    def lines(self) -> list[str]:
        """Return the plan as text, one thing a line."""
        unit = 10**self.asset_decimals
        told = [
            f"Plan for chain {self.chain_id}:",
            f"  deployer    {self.deployer}",
            f"  vault       {self.name} ({self.symbol}) of {self.asset_symbol} {self.asset}",
            f"  keeper      {self.keeper}",
            f"  governance  {self.governance}",
            f"  policy      {self.policy_hash}",
            f"  limits      idle floor {self.idle_floor / WAD:.2%}, drawdown {self.max_drawdown / WAD:.2%}, "
            f"mark growth {self.mark_growth_rate / WAD:.2%} a year",
        ]
        for strategy in self.strategies:
            venue = f"new strategy on Aave V3 pool {strategy.pool}" if strategy.pool else f"ERC-4626 {strategy.target}"
            cap = "no absolute cap"
            if strategy.absolute_cap < UINT128_MAX:
                cap = f"{strategy.absolute_cap / unit:,.0f} {self.asset_symbol}"
            told.append(f"  strategy    {strategy.name}: {venue}; at most {strategy.relative_cap / WAD:.2%}, {cap}")
        return told


def make_plan(
    w3: Web3,
    limits: LimitsFile,
    *,
    deployer: str,
    asset: str,
    keeper: str,
    governance: str,
    policy_hash: str,
    pools: Mapping[str, str] | None = None,
    name: str | None = None,
    symbol: str | None = None,
) -> DeploymentPlan:
    """Check limits, addresses and funds, and return the plan.

    Parameters
    ----------
    limits
        From `agent.limits.load_limits`.
    keeper
        The one address that may rebalance.
    governance
        Becomes the only admin of the vault's AccessManager.
    policy_hash
        32 bytes hex of the policy to commit.
    pools
        Name -> Aave V3 pool, for the strategies that the limits file names.
    name, symbol
        Of the vault's shares; made from the asset's symbol when left out.

    Raises
    ------
    PlanRefusedError
        With every reason found, not only the first.
    """
    reasons = check_limits(limits)
    people = {"deployer": deployer, "asset": asset, "keeper": keeper, "governance": governance}
    addresses = {role: _address(role, value, reasons) for role, value in people.items()}
    if addresses["keeper"] is not None and addresses["keeper"] == addresses["governance"]:
        reasons.append("keeper and governance are the same address: whoever rebalances could lift every limit")
    hash_hex = policy_hash.lower().removeprefix("0x")
    if len(hash_hex) != 64 or not _is_hex(hash_hex) or int(hash_hex, 16) == 0:
        reasons.append(f"the policy hash must be 32 bytes hex and not zero, but is {policy_hash!r}")
    if reasons:
        raise PlanRefusedError(reasons)

    asset_address = Web3.to_checksum_address(asset)
    asset_symbol, decimals = _read_asset(w3, asset_address, reasons)
    strategies = _plan_strategies(w3, limits, asset_address, decimals, pools or {}, reasons)
    _check_funds(w3, Web3.to_checksum_address(deployer), len(strategies), reasons)
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
        policy_hash="0x" + hash_hex,
        idle_floor=to_wad(limits.idle_floor),
        max_drawdown=to_wad(limits.max_drawdown),
        mark_growth_rate=to_wad(limits.mark_growth_rate),
        strategies=strategies,
    )


def check_limits(limits: LimitsFile) -> list[str]:
    """Return why these limits are dangerous or inconsistent; empty if they are not. Looks at no chain.

    `load_limits` has refused what no vault could have: a cap over 1, a drawdown of 0, no strategies, unknown keys.
    """
    reasons = []
    if limits.max_drawdown > MAX_DRAWDOWN:
        reasons.append(
            f"max_drawdown is {limits.max_drawdown:.0%}: a kill-switch that waits for more than {MAX_DRAWDOWN:.0%} "
            "protects nobody; lower it"
        )
    if limits.mark_growth_rate == 0:
        reasons.append("mark_growth_rate is 0: the high-water mark would never follow a gain; give a rate per year")
    deployable = sum(Decimal(repr(entry.relative_cap)) for entry in limits.strategies)
    if deployable + Decimal(repr(limits.idle_floor)) < 1:
        reasons.append(
            f"the relative caps add up to {deployable:.0%} and the idle floor is {limits.idle_floor:.0%}: together "
            f"they cannot hold the NAV. Raise a cap, or raise idle_floor to {1 - deployable:.0%} if that much shall "
            "stay idle"
        )
    for entry in limits.strategies:
        if entry.relative_cap > 1 - limits.idle_floor + 1e-12:
            reasons.append(
                f"{entry.label}: a relative cap of {entry.relative_cap:.0%} can never be used beside an idle floor of "
                f"{limits.idle_floor:.0%}; lower one of them"
            )
    return reasons


def to_wad(fraction: float) -> int:
    """Return a fraction as WAD, exact in its decimal notation: 0.6 is 6e17."""
    return int(Decimal(repr(fraction)) * WAD)


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
            target = _address(entry.label, entry.address, reasons)
            if target is not None:
                _check_erc4626(w3, entry.label, target, asset, reasons)
        elif entry.name is not None and entry.name in pools:
            pool = _address(entry.label, pools[entry.name], reasons)
            if pool is not None:
                _check_pool(w3, entry.label, pool, asset, reasons)
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


def _read_asset(w3: Web3, asset: ChecksumAddress, reasons: list[str]) -> tuple[str, int]:
    token = contract_at(w3, asset, load_contract("Vault"))  # an ERC-20 like every asset
    try:
        return str(token.functions.symbol().call()), int(token.functions.decimals().call())
    except (Web3Exception, OverflowError, UnicodeDecodeError):
        reasons.append(f"asset: {asset} is no ERC-20 with symbol and decimals on chain {w3.eth.chain_id}")
        return "", 18


def _check_pool(w3: Web3, label: str, pool: ChecksumAddress, asset: ChecksumAddress, reasons: list[str]) -> None:
    contract = contract_at(w3, pool, POOL)
    try:
        a_token = contract.functions.getReserveData(asset).call().aTokenAddress
    except Web3Exception:
        reasons.append(f"{label}: {pool} is no Aave V3 pool on chain {w3.eth.chain_id}")
        return
    if a_token == _ZERO_ADDRESS:
        reasons.append(f"{label}: the Aave V3 pool {pool} does not lend the asset {asset}")


def _check_erc4626(w3: Web3, label: str, target: ChecksumAddress, asset: ChecksumAddress, reasons: list[str]) -> None:
    vault = contract_at(w3, target, load_contract("Vault")).functions
    try:
        found = vault.asset().call()
        vault.previewRedeem(10**18).call()
        vault.maxWithdraw(target).call()
        vault.maxDeposit(target).call()
    except Web3Exception:
        reasons.append(f"{label}: {target} is no ERC-4626 vault on chain {w3.eth.chain_id}")
        return
    if found != asset:
        reasons.append(f"{label}: its asset is {found}, not {asset}")


def _check_funds(w3: Web3, deployer: ChecksumAddress, strategies: int, reasons: list[str]) -> None:
    gas = DEPLOYMENT_GAS + strategies * STRATEGY_GAS
    needed, owned = gas * w3.eth.gas_price, w3.eth.get_balance(deployer)
    if owned < needed:
        reasons.append(
            f"deployer: {deployer} has {owned / WAD:.4f} of the native coin, but about {needed / WAD:.4f} may be "
            f"needed ({gas:,} gas); send it some"
        )


def _address(label: str, value: str, reasons: list[str]) -> ChecksumAddress | None:
    """Return the checksummed address; a wrong checksum (a mistyped digit) is a reason to refuse."""
    mixed = value[2:] not in (value[2:].lower(), value[2:].upper())
    if not Web3.is_address(value) or (mixed and not Web3.is_checksum_address(value)):
        reasons.append(f"{label}: {value!r} is no address, or its checksum is wrong (a mistyped digit?)")
        return None
    if int(value, 16) == 0:
        reasons.append(f"{label}: the zero address cannot be used")
        return None
    return Web3.to_checksum_address(value)


def _is_hex(text: str) -> bool:
    return all(digit in "0123456789abcdef" for digit in text)
