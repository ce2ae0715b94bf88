"""A vault at one block, in the chain's integers, read by one call through the lens.

`read_snapshot` pins the call to a block's hash, so every number of a `Snapshot` is of the same moment. The keeper,
`keeper inspect` and the deployment's check all read a vault this way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict, astuple, dataclass, fields
from typing import Any, Self

from eth_utils.crypto import keccak

from agent.units import WAD, YEAR
from agent.vault.limits import Limit
from agent.vault.limits_file import LimitsFile
from keeper.chain.abi import lens_code
from keeper.chain.rpc import UNREADABLE, Block, Rpc
from keeper.errors import InspectionError, KeeperError, RpcRejectedError, StaleBlockError, WrongContractError

MAX_SPREAD, DUST_ASSETS = (
    WAD // 20,
    1000,
)  # as in VaultStorage: deposits are closed while the ask is further over the bid
_LENS_AT = "0x" + keccak(text="bulkhead.lens")[-20:].hex()  # where the lens's code is put where none is deployed


@dataclass(frozen=True)
class StrategySnapshot:
    """One strategy at the block; money in base units, ratios in WAD. See IVaultLens."""

    target: str
    name: str
    shares: int
    assets: int
    recorded: int
    recorded_at: int
    price: int
    entry_price: int
    exit_price: int
    supply_rate: int
    has_rate: bool
    max_withdraw: int
    max_deposit: int
    cash: int
    has_cash: bool
    relative_cap: int
    absolute_cap: int
    live: bool

    @property
    def label(self) -> str:
        """Name, or the address of a strategy that does not tell one."""
        return self.name or self.target


@dataclass(frozen=True)
class GroupSnapshot:
    """Strategies that share a risk, and the caps on their sum. See IVaultTypes."""

    risk: str
    relative_cap: int
    absolute_cap: int
    members: int

    def holds(self, index: int) -> bool:
        """Return whether the strategy at a position is a member."""
        return bool(self.members >> index & 1)


@dataclass(frozen=True)
class LimitsSnapshot:
    """The vault's limits in its own integers: `IVaultTypes.Limits`, field by field in the order of `Limit`."""

    idle_floor: int
    max_drawdown: int
    max_growth_rate: int
    cooldown: int
    max_silence: int
    loss_capacity: int
    loss_refill: int
    turnover_capacity: int
    turnover_refill: int
    performance_fee: int
    unwind_loss: int
    deposit_cap: int

    @classmethod
    def from_file(cls, limits: LimitsFile, decimals: int) -> Self:
        """Return the limits of a file, as a vault stores them whose asset has these decimals."""
        return cls(*(limit.to_chain(limit.of(limits), 10**decimals) for limit in Limit))

    def struct(self) -> tuple[int, ...]:
        """Return the struct as the vault's constructor takes it."""
        return astuple(self)

    def of(self, limit: Limit) -> int:
        """Return the value of one limit."""
        return self.struct()[limit]


@dataclass(frozen=True)
class Snapshot:
    """The vault at one block; money in base units, ratios in WAD. See IVaultLens.

    `nav` is what leaving every strategy pays, `bid` what of it is believed, and `ask` what entering counts. The share
    price is the bid's, `nav_price` is NAV's. `loss_budget` and `turnover_budget` are what is left of them at the block.
    """

    chain_id: int
    block: Block
    read_at: int
    vault: str
    asset: str
    asset_decimals: int
    keeper: str
    policy_hash: str
    epoch: int
    last_rebalance: int
    last_seen: int
    halted: bool
    valued: bool
    nav: int
    bid: int
    ask: int
    total_supply: int
    idle: int
    share_price: int
    nav_price: int
    high_water_mark: int
    drawdown_floor: int
    loss_budget: int
    turnover_budget: int
    limits: LimitsSnapshot
    groups: tuple[GroupSnapshot, ...]
    strategies: tuple[StrategySnapshot, ...]

    @property
    def digest(self) -> str:
        """Keccak of everything read on chain, for the journal."""
        fields = {key: value for key, value in asdict(self).items() if key != "read_at"}
        return "0x" + keccak(text=json.dumps(fields, sort_keys=True, separators=(",", ":"))).hex()

    @property
    def strategies_digest(self) -> str:
        """Keccak of the strategies' addresses in order: the key of a rate memory."""
        return "0x" + keccak(text=",".join(strategy.target for strategy in self.strategies)).hex()

    @property
    def dead(self) -> tuple[StrategySnapshot, ...]:
        """Strategies that could not be read. They are not traded."""
        return tuple(strategy for strategy in self.strategies if not strategy.live)

    @property
    def has_keeper(self) -> bool:
        """Whether anybody may rebalance."""
        return int(self.keeper, 16) != 0

    @property
    def unread_assets(self) -> int:
        """Base units that the vault's books hold in strategies that could not be read: in NAV, but in no position."""
        return max(0, self.nav - self.idle - sum(strategy.assets for strategy in self.strategies))

    @property
    def wall_base(self) -> int:
        """Base units of which budgets and relative caps are shares: NAV, but no more of it than the bid."""
        return min(self.nav, self.bid)

    @property
    def deposits_closed_by_spread(self) -> bool:
        """Whether the ask, of the whole or of a position, is so far over the bid that the vault takes no deposit."""
        sides = [(self.ask, self.bid), *((s.assets, self.believed(s)) for s in self.strategies)]
        return any(ask > bid + bid * MAX_SPREAD // WAD + DUST_ASSETS for ask, bid in sides)

    def believed(self, strategy: StrategySnapshot) -> int:
        """Base units that the bid believes of a position at most, at the block."""
        growth = self.limits.max_growth_rate * (self.block.timestamp - strategy.recorded_at)
        return strategy.recorded + strategy.recorded * growth // (WAD * YEAR)

    def group_assets(self, group: GroupSnapshot) -> int:
        """Return the base units in the members of a group."""
        return sum(strategy.assets for index, strategy in enumerate(self.strategies) if group.holds(index))

    @property
    def cooldown_left(self) -> int:
        """Seconds after the block until the vault takes a rebalance; 0 when it would take one at the block."""
        return max(0, self.last_rebalance + self.limits.cooldown - self.block.timestamp)

    @property
    def silence(self) -> int:
        """Seconds from the keeper's last sign of life to the block."""
        return self.block.timestamp - self.last_seen

    @property
    def silent_from(self) -> int:
        """Timestamp after which anybody may unwind if the keeper gives no sign of life."""
        return self.last_seen + self.limits.max_silence

    @property
    def is_silent(self) -> bool:
        """Whether the keeper has been silent for too long."""
        return self.block.timestamp > self.silent_from

    @property
    def drawdown(self) -> float:
        """Fall of the bid's share price under the high-water mark, as a share of the mark."""
        return max(0.0, 1.0 - self.share_price / self.high_water_mark) if self.high_water_mark else 0.0


def read_snapshot(
    rpc: Rpc, *, lens: str | None, vault: str, max_block_age: float, clock: Callable[[], float]
) -> Snapshot:
    """Read the vault through the lens at the newest block.

    Parameters
    ----------
    lens
        A deployed `VaultLens`; `None` runs the code shipped with the keeper, which most nodes allow.
    max_block_age
        Seconds that the newest block's time may differ from the clock's.

    Raises
    ------
    StaleBlockError
        When the newest block's time is too far from the clock's.
    WrongContractError
        When the lens or the vault is not the contract it should be.
    InspectionError
        When the node cannot run the lens's code without a deployed lens.
    """
    block, now = rpc.block("latest"), clock()
    check_age(block, now, max_block_age)
    try:
        code = "" if lens else lens_code()
        raw = rpc.read("VaultLens", lens or _LENS_AT, "snapshot", vault, block=block, code=code)
    except UNREADABLE as error:
        raise _diagnose(rpc, lens, vault, error) from error
    except RpcRejectedError as error:
        if lens is not None:
            raise
        raise InspectionError(_no_override(error.reason)) from error
    if raw["timestamp"] != block.timestamp:  # not the number: rollups report their base chain's
        raise StaleBlockError(
            f"The node answered for another block than {block.number}: its time is {raw['timestamp']}, not "
            f"{block.timestamp}. Trying again later; if it persists, use another node."
        )
    return _snapshot(raw, block, int(now))


def check_age(block: Block, now: float, limit: float) -> None:
    """Raise `StaleBlockError` where a newest block's time is further than `limit` seconds from `now`."""
    age = now - block.timestamp
    if abs(age) <= limit:
        return
    behind = f"{age:.0f} s old" if age > 0 else f"{-age:.0f} s ahead of this machine's clock"
    raise StaleBlockError(
        f"The newest block, {block.number}, is {behind}; at most {limit:.0f} s are allowed. Check that the node is in "
        "sync and the clock is right. On a local devnet, which mines on demand, raise max_block_age_seconds."
    )


def _diagnose(rpc: Rpc, lens: str | None, vault: str, error: Exception) -> KeeperError:
    chain = rpc.chain_id()
    for name, address in (("vault", vault), ("lens", lens)):
        if address is not None and not rpc.code(address):
            return WrongContractError(
                f"There is no contract at the {name}'s address {address} on chain {chain}. Check the address and the "
                "network."
            )
    try:
        rpc.read("Vault", vault, "lossBudget")
    except UNREADABLE:
        return WrongContractError(
            f"The contract at {vault} on chain {chain} is not a Bulkhead vault. Check the address and the network."
        )
    if lens is None:
        return InspectionError(_no_override(str(error)))
    return WrongContractError(
        f"The contract at {lens} cannot read the vault {vault} ({error}): is it a VaultLens of this version? Check "
        "that both addresses are of one deployment."
    )


def _no_override(reason: str) -> str:
    return (
        f"The node cannot run the lens's code in a state override ({reason}). Give the address of a deployed VaultLens "
        "with --lens, or use another node."
    )


def _snapshot(raw: dict[str, Any], block: Block, read_at: int) -> Snapshot:
    read = _fields(raw, Snapshot)
    read["policy_hash"] = "0x" + raw["policyHash"].hex()
    read["limits"] = LimitsSnapshot(**_fields(raw["limits"], LimitsSnapshot))
    read["groups"] = tuple(GroupSnapshot(**_fields(item, GroupSnapshot)) for item in raw["groups"])
    read["strategies"] = tuple(StrategySnapshot(**_fields(item, StrategySnapshot)) for item in raw["strategies"])
    return Snapshot(**read, block=block, read_at=read_at)


def _fields(raw: dict[str, Any], kind: type) -> dict[str, Any]:
    """Return the struct's values under the names of a data class: `supplyRate` is `supply_rate` here."""
    named = {re.sub("[A-Z]", lambda letter: "_" + letter[0].lower(), key): value for key, value in raw.items()}
    return {field.name: named[field.name] for field in fields(kind) if field.name in named}
