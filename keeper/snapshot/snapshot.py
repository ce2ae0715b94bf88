"""The vault at one block, in the chain's integers."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from eth_utils.crypto import keccak

from keeper.chain.rpc import Block

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
    """The vault's limits at the block; ratios in WAD, refills in WAD per second. See IVault."""

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
