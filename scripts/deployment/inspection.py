"""What a vault enforces, read from the chain: to verify a deployment, and to tell a depositor in plain words."""

from dataclasses import dataclass

from eth_typing import ChecksumAddress
from web3 import Web3

from scripts.deployment.contracts import access_manager, load_contract
from scripts.deployment.errors import VerificationError
from scripts.deployment.plan import UINT128_MAX, WAD, DeploymentPlan
from scripts.protocols.chain import contract_at

ADMIN_ROLE = 0


@dataclass(frozen=True)
class StrategyLimits:
    """Caps of one strategy as they stand on chain."""

    target: ChecksumAddress
    name: str
    relative_cap: int
    absolute_cap: int


@dataclass(frozen=True)
class VaultLimits:
    """A vault's limits and keys as they stand on chain at `block`; ratios in WAD, money in base units."""

    block: int
    vault: ChecksumAddress
    name: str
    symbol: str
    asset: ChecksumAddress
    asset_symbol: str
    asset_decimals: int
    authority: ChecksumAddress
    keeper: ChecksumAddress
    policy_hash: str
    idle_floor: int
    max_drawdown: int
    mark_growth_rate: int
    halted: bool
    strategies: tuple[StrategyLimits, ...]

    def lines(self) -> list[str]:
        """Return the limits in plain words, one sentence each."""
        unit = 10**self.asset_decimals
        told = [
            f"{self.name} ({self.symbol}) at {self.vault} holds {self.asset_symbol} ({self.asset}).",
            f"Only the keeper {self.keeper} moves funds, and only between the strategies below and idle.",
        ]
        for strategy in self.strategies:
            most = f"at most {_percent(strategy.relative_cap)} of the vault"
            if strategy.absolute_cap < UINT128_MAX:
                most += (
                    f" and at most {strategy.absolute_cap / unit:,.{0 if strategy.absolute_cap % unit == 0 else 6}f} "
                )
                most += self.asset_symbol
            told.append(f"After every rebalance {most} in {strategy.name} ({strategy.target}).")
        told += [
            f"After every rebalance at least {_percent(self.idle_floor)} stays idle.",
            f"When the share price is more than {_percent(self.max_drawdown)} under its high-water mark, anybody may "
            "halt the vault for good; then anybody may take its funds out of the strategies, to idle.",
            f"The high-water mark grows at most {_percent(self.mark_growth_rate)} a year.",
            f"Only decisions of the policy {self.policy_hash} are carried out.",
            f"These limits can be changed, at once, by the admin of {self.authority}.",
            "Withdrawing needs nobody's permission.",
        ]
        if self.halted:
            told.append("THE VAULT IS HALTED: no deposits, no rebalances; withdraw.")
        return told


def read_limits(w3: Web3, vault: str) -> VaultLimits:
    """Read everything `VaultLimits` holds from the vault itself."""
    address = Web3.to_checksum_address(vault)
    code = load_contract("Vault")
    calls = contract_at(w3, address, code).functions
    asset = calls.asset().call()
    token = contract_at(w3, asset, code).functions
    strategies = []
    for entry in calls.strategies().call():
        name = contract_at(w3, entry.target, code).functions.name().call()
        strategies.append(StrategyLimits(entry.target, name, entry.relativeCap, entry.absoluteCap))
    return VaultLimits(
        block=w3.eth.block_number,
        vault=address,
        name=calls.name().call(),
        symbol=calls.symbol().call(),
        asset=asset,
        asset_symbol=token.symbol().call(),
        asset_decimals=token.decimals().call(),
        authority=calls.authority().call(),
        keeper=calls.keeper().call(),
        policy_hash=Web3.to_hex(calls.policyHash().call()),
        idle_floor=calls.idleFloor().call(),
        max_drawdown=calls.maxDrawdown().call(),
        mark_growth_rate=calls.markGrowthRate().call(),
        halted=calls.halted().call(),
        strategies=tuple(strategies),
    )


def verify(w3: Web3, plan: DeploymentPlan, vault: str, lens: str, targets: tuple[ChecksumAddress, ...]) -> VaultLimits:
    """Compare the vault on chain with the plan and return its limits; raises `VerificationError` on any difference."""
    found = read_limits(w3, vault)
    calls = contract_at(w3, found.vault, load_contract("Vault")).functions
    manager = contract_at(w3, found.authority, access_manager()).functions
    checks = [
        (key, getattr(found, key), getattr(plan, key))
        for key in (
            "name",
            "symbol",
            "asset",
            "keeper",
            "policy_hash",
            "idle_floor",
            "max_drawdown",
            "mark_growth_rate",
        )
    ]
    checks += [
        ("number of strategies", len(found.strategies), len(plan.strategies)),
        ("halted", found.halted, False),
        ("epoch", calls.epoch().call(), 0),
        ("shares", calls.totalSupply().call(), 0),
        ("governance is admin, and its delay", manager.hasRole(ADMIN_ROLE, plan.governance).call(), (True, 0)),
    ]
    if plan.deployer != plan.governance:
        checks.append(("deployer is admin", manager.hasRole(ADMIN_ROLE, plan.deployer).call()[0], False))
    for stands, planned, target in zip(found.strategies, plan.strategies, targets, strict=False):
        checks += [
            (f"{planned.name}: address", stands.target, target),
            (f"{planned.name}: relative cap", stands.relative_cap, planned.relative_cap),
            (f"{planned.name}: absolute cap", stands.absolute_cap, planned.absolute_cap),
        ]
        if planned.pool is not None:
            strategy = contract_at(w3, target, load_contract("AaveV3Strategy")).functions
            checks.append((f"{planned.name}: pool", strategy.POOL().call(), planned.pool))
    snapshot = contract_at(w3, lens, load_contract("VaultLens")).functions.snapshot(found.vault).call()
    live = [entry.live for entry in snapshot.strategies]
    checks.append(("strategies that the lens can read", live, [True] * len(targets)))
    differences = [f"{what} is {is_!r}, planned {should!r}" for what, is_, should in checks if is_ != should]
    if differences:
        raise VerificationError(differences)
    return found


def _percent(wad: int) -> str:
    return f"{wad / WAD * 100:g} %"
