"""The one call that reads a vault through its lens, and the checks on what comes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from eth_abi.exceptions import DecodingError
from eth_utils.address import to_checksum_address

from keeper.chain.abi import decode_result, encode_call
from keeper.chain.rpc import Block, CallRevertedError, Rpc
from keeper.errors import StaleBlockError, WrongContractError
from keeper.snapshot.snapshot import LimitsSnapshot, Snapshot, StrategySnapshot


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
