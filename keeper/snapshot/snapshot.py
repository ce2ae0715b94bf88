"""The vault at one block, in the chain's integers, and the one call through the lens that reads and checks it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, astuple, dataclass
from typing import Any, Self

from eth_abi.exceptions import DecodingError
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from agent.vault.limits import Limit
from agent.vault.limits_file import LimitsFile
from keeper.chain.abi import decode_result, encode_call
from keeper.chain.rpc import Block, CallRevertedError, Rpc
from keeper.errors import StaleBlockError, WrongContractError

WAD = 10**18


@dataclass(frozen=True)
class StrategySnapshot:
    """One strategy at the block; money in base units, ratios in WAD. See IVaultLens."""

    target: str
    name: str
    shares: int
    assets: int
    price: int
    supply_rate: int
    has_rate: bool
    max_withdraw: int
    max_deposit: int
    relative_cap: int
    absolute_cap: int
    live: bool


@dataclass(frozen=True)
class LimitsSnapshot:
    """The vault's limits in its own integers: `IVault.Limits`, field by field in the order of `Limit`."""

    idle_floor: int
    max_drawdown: int
    mark_growth_rate: int
    cooldown: int
    max_silence: int
    loss_capacity: int
    loss_refill: int
    turnover_capacity: int
    turnover_refill: int
    performance_fee: int

    @classmethod
    def from_chain(cls, struct: Iterable[int]) -> Self:
        """Return the struct that `limits()` and the lens give."""
        return cls(*(int(value) for value in struct))

    @classmethod
    def from_file(cls, limits: LimitsFile) -> Self:
        """Return what a limits file asks for."""
        return cls(*(limit.to_chain(limit.of(limits)) for limit in Limit))

    def struct(self) -> tuple[int, ...]:
        """Return the struct as the vault's constructor takes it."""
        return astuple(self)

    def of(self, limit: Limit) -> int:
        """Return the value of one limit."""
        return self.struct()[limit]


@dataclass(frozen=True)
class Snapshot:
    """The vault at one block; money in base units, ratios in WAD. See IVaultLens.

    `loss_budget` and `turnover_budget` are what is left of them at the block.
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
    total_assets: int
    total_supply: int
    idle: int
    share_price: int
    high_water_mark: int
    drawdown_floor: int
    loss_budget: int
    turnover_budget: int
    limits: LimitsSnapshot
    strategies: tuple[StrategySnapshot, ...]

    @property
    def digest(self) -> str:
        """Keccak of everything read on chain, for the journal."""
        fields = {key: value for key, value in asdict(self).items() if key != "read_at"}
        return "0x" + keccak(text=json.dumps(fields, sort_keys=True, separators=(",", ":"))).hex()

    @property
    def strategies_digest(self) -> str:
        """Keccak of the strategies' addresses in order: what a rate memory belongs to."""
        return "0x" + keccak(text=",".join(strategy.target for strategy in self.strategies)).hex()

    @property
    def dead(self) -> tuple[StrategySnapshot, ...]:
        """Strategies that could not be read. They are not traded."""
        return tuple(strategy for strategy in self.strategies if not strategy.live)

    @property
    def unread_assets(self) -> int:
        """What the vault's books hold in strategies that could not be read: part of NAV, but in no position above."""
        return max(0, self.total_assets - self.idle - sum(strategy.assets for strategy in self.strategies))

    @property
    def cooldown_left(self) -> int:
        """Seconds after the block until the vault takes a rebalance; 0 when it would take one at the block."""
        return max(0, self.last_rebalance + self.limits.cooldown - self.block.timestamp)

    @property
    def silence(self) -> int:
        """Seconds from the keeper's last sign of life to the block."""
        return self.block.timestamp - self.last_seen

    @property
    def drawdown(self) -> float:
        """Fall of the share price under the high-water mark, as a share of the mark."""
        return max(0.0, 1.0 - self.share_price / self.high_water_mark) if self.high_water_mark else 0.0


def read_snapshot(rpc: Rpc, *, lens: str, vault: str, max_block_age: float, clock: Callable[[], float]) -> Snapshot:
    """Read the vault through the lens at the newest block.

    Raises
    ------
    StaleBlockError
        When the newest block's time is too far from the clock's.
    WrongContractError
        When the lens or the vault is not what it should be.
    """
    block, now = rpc.block("latest"), clock()
    _check_age(block, now, max_block_age)
    try:
        raw = decode_result(
            "VaultLens", "snapshot", rpc.call(lens, encode_call("VaultLens", "snapshot", [vault]), block)
        )
    except (CallRevertedError, DecodingError) as error:
        raise _diagnose(rpc, lens, vault, error) from error
    if raw["timestamp"] != block.timestamp:  # not the number: rollups report their base chain's
        raise StaleBlockError(
            f"The node answered for another block than {block.number}: its time is {raw['timestamp']}, not "
            f"{block.timestamp}. Trying again later; if it persists, use another node."
        )
    return _snapshot(raw, block, int(now))


def _check_age(block: Block, now: float, most: float) -> None:
    age = now - block.timestamp
    if abs(age) <= most:
        return
    behind = f"{age:.0f} s old" if age > 0 else f"{-age:.0f} s ahead of this machine's clock"
    raise StaleBlockError(
        f"The newest block, {block.number}, is {behind}; at most {most:.0f} s are allowed. Check that the node is in "
        "sync and the clock is right. On a local devnet, which mines on demand, raise max_block_age_seconds."
    )


def _diagnose(rpc: Rpc, lens: str, vault: str, error: Exception) -> WrongContractError:
    for key, address in (("vault", vault), ("lens", lens)):
        if not rpc.code(address):
            return WrongContractError(
                f"There is no contract at `{key}` {address} on this chain. Check the address and the network."
            )
    return WrongContractError(
        f"`lens` {lens} cannot read `vault` {vault} ({error}). Check that both addresses are of one deployment, "
        "and that the lens is the version this keeper was built for."
    )


def _snapshot(raw: dict[str, Any], block: Block, read_at: int) -> Snapshot:
    return Snapshot(
        chain_id=raw["chainId"],
        block=block,
        read_at=read_at,
        vault=to_checksum_address(raw["vault"]),
        asset=to_checksum_address(raw["asset"]),
        asset_decimals=raw["assetDecimals"],
        keeper=to_checksum_address(raw["keeper"]),
        policy_hash="0x" + raw["policyHash"].hex(),
        epoch=raw["epoch"],
        last_rebalance=raw["lastRebalance"],
        last_seen=raw["lastSeen"],
        halted=raw["halted"],
        valued=raw["valued"],
        total_assets=raw["totalAssets"],
        total_supply=raw["totalSupply"],
        idle=raw["idle"],
        share_price=raw["sharePrice"],
        high_water_mark=raw["highWaterMark"],
        drawdown_floor=raw["drawdownFloor"],
        loss_budget=raw["lossBudget"],
        turnover_budget=raw["turnoverBudget"],
        limits=LimitsSnapshot.from_chain(raw["limits"].values()),
        strategies=tuple(
            StrategySnapshot(
                target=to_checksum_address(item["target"]),
                name=item["name"],
                shares=item["shares"],
                assets=item["assets"],
                price=item["price"],
                supply_rate=item["supplyRate"],
                has_rate=item["hasRate"],
                max_withdraw=item["maxWithdraw"],
                max_deposit=item["maxDeposit"],
                relative_cap=item["relativeCap"],
                absolute_cap=item["absoluteCap"],
                live=item["live"],
            )
            for item in raw["strategies"]
        ),
    )
