"""Trying the walls with the keeper's key, past the keeper, as a thief of the key would."""

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from hexbytes import HexBytes
from web3.exceptions import ContractLogicError

from agent.units import DAY
from keeper.chain.abi import decode_revert
from keeper.chain.rpc import CallRevertedError, Rpc
from keeper.chain.signer import open_keystore
from keeper.chain.transaction import GWEI, FeeRules, build, deliver
from keeper.decide import Rebalance
from scripts.demonstration.stage import Stage
from scripts.protocols.artifacts import load_contract
from scripts.protocols.chain import describe_revert

_GAS = 5_000_000
_ERRORS = {
    "liquidity": ("Illiquid",),
    "price": (
        "TooDear",
        "Depegged",
        "SharePriceBelowMinimum",
        "ERC4626ExceededMaxDeposit",
        "ERC4626ExceededMaxRedeem",
        "ERC4626ExceededMaxWithdraw",
    ),
}


def wall_of(revert: str) -> str:
    """Return which wall an error is of: `liquidity` or `price`; nothing for another one."""
    found = set(re.findall(r"\b(\w+)\(", revert))
    return next((wall for wall, errors in _ERRORS.items() if found & set(errors)), "")


def named(reason: str) -> str:
    """Return a reason of the keeper's with the errors of strategies named, which it does not know."""
    return re.sub(r"UnknownError\(data=0x([0-9a-f]+)\)", lambda found: _name(found[1]), reason)


def _name(data: str) -> str:
    return str(decode_revert(bytes.fromhex(data), _strategies()))


@cache
def _strategies() -> list[Any]:
    """Return the ABIs of the strategies that have errors of their own."""
    names = ("SwapStrategy", "UniswapV3LiquidityStrategy", "BalancerStableStrategy", "CompoundV2Strategy")
    return [entry for name in names for entry in load_contract(name).abi]


def refusal(stage: Stage, weights: Sequence[int]) -> str:
    """Return the error by which the vault refuses these weights (WAD or `HOLD`) from its keeper; empty for none."""
    node, request = Rpc(stage.url), _request(stage, weights)
    try:
        node.call(stage.vault.address, request.call_data, sender=stage.deployment.plan.keeper)
    except CallRevertedError as error:
        return str(error.revert)
    return ""


def entry_refusal(stage: Stage, index: int, assets: int) -> str:
    """Return the error by which a strategy refuses a deposit of these base units by a depositor; empty for none."""
    who, strategy = stage.devnet.accounts[stage.depositors[0]], stage.deployment.strategies[index]
    try:
        strategy.functions.deposit(assets, who).call({"from": who})
    except ContractLogicError as error:
        return describe_revert(error, strategy.abi)
    return ""


def send(stage: Stage, weights: Sequence[int]) -> tuple[bool, str]:
    """Sign a rebalance with the keeper's key, and send it; return whether it reverted, and the error."""
    node, request, revert = Rpc(stage.url), _request(stage, weights), refusal(stage, weights) or "nothing"
    signer = open_keystore(stage.folder / "keeper.keystore.json", stage.password)
    rules = FeeRules(100 * GWEI)
    raw, digest = signer.sign(
        build(
            chain_id=stage.deployment.plan.chain_id,
            to=stage.vault.address,
            data=request.call_data,
            nonce=node.nonce(signer.address),
            gas=_GAS,
            fees=rules.fresh(rules.market(node)),
        )
    )
    deliver(node, raw)
    receipt = stage.w3.eth.wait_for_transaction_receipt(HexBytes(digest), poll_latency=0.01)
    return receipt["status"] == 0, revert


def _request(stage: Stage, weights: Sequence[int]) -> Rebalance:
    seen = stage.snapshot()
    return Rebalance(seen.epoch, int(stage.now()) + DAY, 0, tuple(weights), seen.policy_hash, "0x" + "00" * 32)
