"""A vault as it stands on chain at one block: limits, budgets, books, strategies, roles, and what is announced."""

from dataclasses import dataclass
from typing import Any

from eth_typing import ChecksumAddress
from web3 import Web3
from web3.contract import Contract
from web3.exceptions import Web3Exception

from agent.vault.limits import Limit
from keeper.inspect.authority import Authority, read_authority
from keeper.inspect.limits import LimitValues
from keeper.inspect.roles import GOVERNOR_FUNCTIONS, GUARDIAN_FUNCTIONS
from keeper.inspect.words import WAD
from scripts.deployment.contracts import load_contract, load_runtime
from scripts.deployment.errors import InspectionError
from scripts.protocols.chain import contract_at

# Where no lens is deployed, its code is put here for the length of one `eth_call`.
_LENS_AT = Web3.to_checksum_address(Web3.keccak(text="bulkhead.lens")[-20:])
_ZERO_ADDRESS = "0x" + "00" * 20


@dataclass(frozen=True)
class StrategyState:
    """One strategy; money in base units, ratios in WAD. Where `live` is false, reading it reverts."""

    target: ChecksumAddress
    name: str
    relative_cap: int
    absolute_cap: int
    assets: int
    withdrawable: int
    supply_rate: int | None
    live: bool


@dataclass(frozen=True)
class VaultState:
    """The vault at `block`; money in base units, ratios in WAD, times in seconds."""

    chain_id: int
    block: int
    timestamp: int
    vault: ChecksumAddress
    name: str
    symbol: str
    asset: ChecksumAddress
    asset_symbol: str
    asset_decimals: int
    keeper: ChecksumAddress
    policy_hash: str
    epoch: int
    last_rebalance: int
    last_seen: int
    halted: bool
    valued: bool
    total_assets: int
    total_supply: int
    idle: int
    share_price: int
    high_water_mark: int
    drawdown_floor: int
    loss_budget: int
    turnover_budget: int
    limits: LimitValues
    fee_recipient: ChecksumAddress | None
    abdicated: tuple[Limit, ...]
    caps_abdicated: bool
    strategies: tuple[StrategyState, ...]
    authority: Authority

    @property
    def drawdown(self) -> int:
        """Fall of the share price under the high-water mark (WAD)."""
        return max(0, WAD - self.share_price * WAD // self.high_water_mark)

    @property
    def has_keeper(self) -> bool:
        """Whether anybody may rebalance."""
        return self.keeper != _ZERO_ADDRESS

    @property
    def silent_from(self) -> int:
        """Timestamp after which anybody may unwind if the keeper gives no sign."""
        return self.last_seen + self.limits.max_silence

    @property
    def silent(self) -> bool:
        """Whether the keeper has been silent for too long."""
        return self.timestamp > self.silent_from

    def notice(self, *functions: str) -> int | None:
        """Return the least delay before anybody can call one of these functions, however they come by the role.

        None when nobody ever can. Not to be asked where the authority has a `problem`.
        """
        table = self.authority.functions
        return self.authority.notice([table[self.vault, name] for name in functions])


def inspect_vault(w3: Web3, vault: str, lens: str | None = None, since: int | None = None) -> VaultState:
    """Read a vault at the newest block.

    Parameters
    ----------
    lens
        A deployed `VaultLens`; None reads through its code in a state override, which most nodes know.
    since
        Block from which to read the authority's events; None finds the one it was created in.

    Raises
    ------
    InspectionError
        When there is no such vault, or the node cannot tell.
    """
    if not Web3.is_address(vault):
        raise InspectionError(f"{vault!r} is no address: it has 0x and 40 hex digits.")
    address, block = Web3.to_checksum_address(vault), w3.eth.block_number
    contract = contract_at(w3, address, load_contract("Vault"))
    _require_vault(contract, block)
    seen = _snapshot(w3, address, lens, block)
    calls = contract.functions

    def read(call: Any) -> Any:
        return call.call(block_identifier=block)

    recipient = read(calls.feeRecipient())
    return VaultState(
        chain_id=seen.chainId,
        block=block,
        timestamp=seen.timestamp,
        vault=address,
        name=read(calls.name()),
        symbol=read(calls.symbol()),
        asset=seen.asset,
        asset_symbol=_symbol(w3, seen.asset, block),
        asset_decimals=seen.assetDecimals,
        keeper=seen.keeper,
        policy_hash=Web3.to_hex(seen.policyHash),
        epoch=seen.epoch,
        last_rebalance=seen.lastRebalance,
        last_seen=seen.lastSeen,
        halted=seen.halted,
        valued=seen.valued,
        total_assets=seen.totalAssets,
        total_supply=seen.totalSupply,
        idle=seen.idle,
        share_price=seen.sharePrice,
        high_water_mark=seen.highWaterMark,
        drawdown_floor=seen.drawdownFloor,
        loss_budget=seen.lossBudget,
        turnover_budget=seen.turnoverBudget,
        limits=LimitValues.from_chain(seen.limits),
        fee_recipient=None if recipient == _ZERO_ADDRESS else recipient,
        abdicated=tuple(limit for limit in Limit if read(calls.abdicated(limit))),
        caps_abdicated=read(calls.capsAbdicated()),
        strategies=tuple(
            StrategyState(
                target=entry.target,
                name=entry.name or "a strategy that does not answer",
                relative_cap=entry.relativeCap,
                absolute_cap=entry.absoluteCap,
                assets=entry.assets,
                withdrawable=entry.maxWithdraw,
                supply_rate=entry.supplyRate if entry.hasRate else None,
                live=entry.live,
            )
            for entry in seen.strategies
        ),
        authority=read_authority(
            w3, read(calls.authority()), contract, (*GUARDIAN_FUNCTIONS, *GOVERNOR_FUNCTIONS), block, since
        ),
    )


def _require_vault(contract: Contract, block: int) -> None:
    chain_id = contract.w3.eth.chain_id
    if not contract.w3.eth.get_code(contract.address, block):
        raise InspectionError(
            f"{contract.address} has no code on chain {chain_id}: is the address right, and --network the chain you "
            "mean?"
        )
    try:
        for call in (contract.functions.limits(), contract.functions.authority(), contract.functions.lossBudget()):
            call.call(block_identifier=block)
    except (Web3Exception, OverflowError) as error:
        raise InspectionError(
            f"{contract.address} on chain {chain_id} is a contract, but no Bulkhead vault (it has no limits to tell)."
        ) from error


def _snapshot(w3: Web3, vault: ChecksumAddress, lens: str | None, block: int) -> Any:
    if lens is not None and (not Web3.is_address(lens) or not w3.eth.get_code(Web3.to_checksum_address(lens), block)):
        raise InspectionError(f"--lens {lens}: no contract is there.")
    call = contract_at(w3, lens or _LENS_AT, load_contract("VaultLens")).functions.snapshot(vault)
    override: Any = None if lens else {_LENS_AT: {"code": load_runtime("VaultLens")}}
    try:
        return call.call(block_identifier=block, state_override=override)
    except (Web3Exception, ValueError, OverflowError) as error:
        hint = "is it a VaultLens of this version?" if lens else "does the node know state overrides? Else give --lens."
        raise InspectionError(f"The lens cannot read {vault}: {error}; {hint}") from error


def _symbol(w3: Web3, asset: ChecksumAddress, block: int) -> str:
    """Return the asset's symbol, "units" for the few tokens that give none or not as a string."""
    try:
        return str(contract_at(w3, asset, load_contract("Vault")).functions.symbol().call(block_identifier=block))
    except (Web3Exception, OverflowError, UnicodeDecodeError):
        return "units"
