"""What the keeper knows: one view call at one block, checked, then as the agent sees it.

`read_snapshot` pins the lens call to a block's hash, so every number in a `Snapshot` is of the same moment.
`Snapshot.view` turns it into float64 whole asset units and fractions; nothing else in the keeper converts that way.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from eth_abi.exceptions import DecodingError
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from agent.bucket import Budget
from agent.limits import Limits
from agent.portfolio import Headroom
from agent.units import DAY, FloatArray
from keeper.chain.abi import decode_result, encode_call
from keeper.chain.rpc import Block, CallRevertedError, Rpc
from keeper.errors import MissingRateError, StaleBlockError, VaultNotReadyError, WrongContractError

WAD = 10**18
NO_CAP = 2**128 - 1  # an absolute cap at the top of its type is none
ROUNDING = 2  # base units that moving a position may lose to rounding, at most


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

    def view(self) -> View:
        """Return the snapshot in the agent's units, as a batch of one.

        Raises
        ------
        VaultNotReadyError
            When there is no strategy.
        MissingRateError
            When a live strategy publishes no rate.
        """
        if not self.strategies:
            raise VaultNotReadyError("The vault has no strategies yet. Have governance add some (ape run deploy does).")
        silent = [s.name or s.target for s in self.strategies if s.live and not s.has_rate]
        if silent:
            raise MissingRateError(
                f"No supply rate from {', '.join(silent)}: the policy cannot see what it pays. "
                "Wrap the venue in a strategy with supplyRate(), or remove it from the vault."
            )
        unit = 10**self.asset_decimals
        nav = self.total_assets
        shares = [s.assets / nav if nav else 0.0 for s in self.strategies]
        return View(
            weights=np.array([shares]),
            idle=np.array([self.idle / nav if nav else 1.0]),
            nav=np.array([nav / unit]),
            drawdown=np.array([self.drawdown]),
            rates=np.array([[s.supply_rate / WAD for s in self.strategies]]),
            limits=self._limits(unit),
            headroom=self._headroom(),
        )

    def _headroom(self) -> Headroom:
        rounding = ROUNDING * len(self.strategies) / self.total_assets if self.total_assets else 0.0
        return Headroom(
            wait=np.array([float(self.cooldown_left)]),
            turnover=np.array([self.turnover_budget / WAD]),
            loss=np.array([self.loss_budget / WAD - rounding]),
        )

    def _limits(self, unit: int) -> Limits:
        # A strategy that is dead or closed (cap 0) may hold nothing more: an absolute cap of zero says so.
        closed = [not s.live or s.relative_cap == 0 for s in self.strategies]
        pairs = list(zip(self.strategies, closed, strict=True))
        walls = self.limits
        unread = self.unread_assets / self.total_assets if self.total_assets else 0.0
        return Limits(
            relative_caps=np.array([1.0 if shut else s.relative_cap / WAD for s, shut in pairs]),
            absolute_caps=np.array(
                [0.0 if shut else np.inf if s.absolute_cap >= NO_CAP else s.absolute_cap / unit for s, shut in pairs]
            ),
            # What sits in strategies that cannot be read is as little to be spent as the floor.
            idle_floor=min(walls.idle_floor / WAD + unread, np.nextafter(1.0, 0.0)),
            max_drawdown=max(walls.max_drawdown / WAD, float(np.finfo(float).tiny)),
            mark_growth_rate=walls.mark_growth_rate / WAD,
            cooldown=float(walls.cooldown),
            max_silence=float(walls.max_silence),
            loss_budget=Budget(walls.loss_capacity / WAD, walls.loss_refill / WAD * DAY),
            turnover_budget=Budget(walls.turnover_capacity / WAD, walls.turnover_refill / WAD * DAY),
            performance_fee=walls.performance_fee / WAD,
        )


@dataclass(frozen=True)
class View:
    """A snapshot in the agent's units: `(1, n)` and `(1,)` arrays, whole asset units, fractions, APR."""

    weights: FloatArray
    idle: FloatArray
    nav: FloatArray
    drawdown: FloatArray
    rates: FloatArray
    limits: Limits
    headroom: Headroom


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
    walls = raw["limits"]
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
        limits=LimitsSnapshot(
            idle_floor=walls["idleFloor"],
            max_drawdown=walls["maxDrawdown"],
            mark_growth_rate=walls["markGrowthRate"],
            cooldown=walls["cooldown"],
            max_silence=walls["maxSilence"],
            loss_capacity=walls["lossCapacity"],
            loss_refill=walls["lossRefill"],
            turnover_capacity=walls["turnoverCapacity"],
            turnover_refill=walls["turnoverRefill"],
            performance_fee=walls["performanceFee"],
        ),
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
