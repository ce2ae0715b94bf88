"""The bad day: a strategy is robbed, a stranger trips the kill-switch, and everybody leaves."""

from dataclasses import dataclass

from eth_account import Account
from web3.exceptions import ContractCustomError, ContractLogicError

from keeper.cycle import Keeper
from keeper.decide import HOLD
from scripts.demonstration.replay import DAY
from scripts.demonstration.stage import DEPOSITS, Stage
from scripts.protocols.anvil import rpc
from scripts.protocols.chain import Unlocked, decode_custom_error

WAD = 10**18
SEVERITY = 1.5  # the loss, in units of the drawdown limit
_GAS = 2_000_000


@dataclass(frozen=True)
class BadDay:
    """What happened; money in base units.

    Parameters
    ----------
    drawdown
        Fall of the share price under the high-water mark after the loss, as a fraction.
    reverted
        The chain refused a rebalance that the keeper's key signed and sent after the trip; `revert` says with what.
    refused
        So did the keeper itself; `refusal` says why.
    unwound
        Share of NAV that was idle after a stranger had unwound every strategy.
    repaid
        What the depositors got out, all together, over what the loss had left.
    """

    timestamp: int
    strategy: str
    nav_before: int
    nav_after: int
    drawdown: float
    tripped: bool
    reverted: bool
    revert: str
    refused: bool
    refusal: str
    unwound: float
    repaid: float

    @property
    def loss(self) -> int:
        """What was stolen from the depositors, base units."""
        return self.nav_before - self.nav_after


def happen(stage: Stage, keeper: Keeper) -> BadDay:
    """Let the bad day happen, a day after the replay's last."""
    vault, chain = stage.vault.functions, stage.devnet.chain
    stranger = stage.devnet.sender("stranger")
    stage.wake(int(stage.now()) + DAY)
    before = stage.snapshot()

    strategy = _rob_the_largest(stage)
    after = stage.snapshot()
    drawdown = 1 - after.share_price / after.high_water_mark

    chain.send(vault.trip(), sender=stranger)
    tripped = bool(vault.halted().call())
    reverted, revert = _send_rebalance(stage)
    result = keeper.cycle(live=True)

    for contract in stage.deployment.strategies:
        chain.send(vault.unwind(contract.address), sender=stranger)
    unwound = stage.snapshot()
    return BadDay(
        timestamp=before.block.timestamp,
        strategy=strategy,
        nav_before=before.total_assets,
        nav_after=after.total_assets,
        drawdown=drawdown,
        tripped=tripped,
        reverted=reverted,
        revert=revert,
        refused=result.outcome == "refused",
        refusal=result.reason,
        unwound=unwound.idle / unwound.total_assets,
        repaid=_everybody_leaves(stage) / unwound.total_assets,
    )


def _rob_the_largest(stage: Stage) -> str:
    """Take aTokens out of the largest position, as an exploit of its contract would: Aave's code moves them."""
    snapshot = stage.snapshot()
    index = max(range(len(stage.names)), key=lambda i: snapshot.strategies[i].assets)
    wanted = int(SEVERITY * snapshot.limits.max_drawdown * snapshot.total_assets) // WAD
    loot = min(wanted, snapshot.strategies[index].assets)
    victim = stage.deployment.strategies[index].address
    rpc(stage.w3, "anvil_impersonateAccount", victim)
    rpc(stage.w3, "anvil_setBalance", victim, hex(10**18))
    thief = stage.devnet.accounts["market_maker"]
    transfer = stage.markets[index].a_token.functions.transfer(thief, loot)
    stage.devnet.chain.send(transfer, sender=Unlocked(stage.w3, victim))
    rpc(stage.w3, "anvil_stopImpersonatingAccount", victim)
    return stage.names[index]


def _send_rebalance(stage: Stage) -> tuple[bool, str]:
    """Sign a rebalance with the keeper's key and send it past the keeper; return whether it reverted, and with what."""
    w3, vault = stage.w3, stage.vault
    key = Account.decrypt((stage.folder / "keeper.keystore.json").read_text(), stage.password)
    keeper = Account.from_key(key)
    functions = vault.functions
    request = (
        functions.epoch().call(),
        int(stage.now()) + DAY,
        0,
        [HOLD] * len(stage.names),
        functions.policyHash().call(),
        b"\0" * 32,
    )
    call = functions.rebalance(request)
    try:
        call.call({"from": keeper.address})
        revert = "nothing"
    except (ContractCustomError, ContractLogicError) as error:
        revert = decode_custom_error(str(error.data), vault.abi) or str(error)
    block = w3.eth.get_block("latest")
    signed = keeper.sign_transaction(
        {
            "type": 2,
            "chainId": w3.eth.chain_id,
            "nonce": w3.eth.get_transaction_count(keeper.address),
            "to": vault.address,
            "data": call._encode_transaction_data(),
            "gas": _GAS,
            "maxPriorityFeePerGas": 10**9,
            "maxFeePerGas": 10**9 + 2 * block["baseFeePerGas"],
        }
    )
    receipt = w3.eth.wait_for_transaction_receipt(w3.eth.send_raw_transaction(signed.raw_transaction))
    return receipt["status"] == 0, revert


def _everybody_leaves(stage: Stage) -> int:
    """Let every depositor redeem all shares; return what they got, base units."""
    vault, usdc = stage.vault, stage.devnet.usdc.functions
    got = 0
    for role in DEPOSITS:
        owner = stage.devnet.sender(role)
        before = usdc.balanceOf(owner.address).call()
        shares = vault.functions.balanceOf(owner.address).call()
        redeem = vault.get_function_by_signature("redeem(uint256,address,address)")
        stage.devnet.chain.send(redeem(shares, owner.address, owner.address), sender=owner)
        got += usdc.balanceOf(owner.address).call() - before
    return got
