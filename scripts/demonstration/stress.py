"""The bad day: a strategy is robbed, a stranger trips the kill-switch, and everybody leaves."""

from dataclasses import dataclass

from hexbytes import HexBytes

from agent.units import DAY, WAD
from keeper.chain.rpc import CallRevertedError, Rpc
from keeper.chain.signer import open_keystore
from keeper.chain.transaction import GWEI, FeeRules, build, deliver
from keeper.conversion import HOLD
from keeper.cycle import Keeper
from keeper.decide import Rebalance
from scripts.demonstration.stage import DEPOSITS, Stage
from scripts.protocols.anvil import rpc
from scripts.protocols.chain import Unlocked

SEVERITY = 1.5  # the loss, in units of the drawdown limit
ALL = 2**256 - 1
_GAS = 2_000_000


@dataclass(frozen=True)
class BadDay:
    """The events of the bad day; money in base units.

    Parameters
    ----------
    drawdown
        Fall of the share price under the high-water mark after the loss, as a fraction.
    reverted
        The chain refused a rebalance that the keeper's key signed and sent after the trip; `revert` names the error.
    refused
        So did the keeper itself; `refusal` is its reason.
    unwound
        Share of NAV that was idle after a stranger had unwound every strategy.
    repaid
        Sum of all withdrawals over what the loss had left.
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
        """Base units stolen from the depositors."""
        return self.nav_before - self.nav_after


def happen(stage: Stage, keeper: Keeper) -> BadDay:
    """Let the bad day happen, a day after the replay's last."""
    vault, chain = stage.vault.functions, stage.devnet.chain
    stranger = stage.devnet.sender("stranger")
    stage.wake(int(stage.now()) + DAY)
    before = stage.snapshot()

    strategy = _rob_the_largest(stage)
    after = stage.snapshot()
    chain.send(vault.trip(), sender=stranger)
    tripped = bool(vault.halted().call())
    reverted, revert = _send_rebalance(stage)
    result = keeper.cycle(live=True)

    for entry in stage.snapshot().strategies:
        if entry.shares:
            chain.send(vault.unwind(entry.target, ALL), sender=stranger)
    unwound = stage.snapshot()
    return BadDay(
        timestamp=before.block.timestamp,
        strategy=strategy,
        nav_before=before.nav,
        nav_after=after.nav,
        drawdown=after.drawdown,
        tripped=tripped,
        reverted=reverted,
        revert=revert,
        refused=result.outcome == "refused",
        refusal=result.reason,
        unwound=unwound.idle / unwound.nav,
        repaid=_everybody_leaves(stage) / unwound.nav,
    )


def _rob_the_largest(stage: Stage) -> str:
    """Take aTokens out of the largest position, as an exploit of its contract would: Aave's code moves them."""
    snapshot = stage.snapshot()
    index = max(range(len(stage.names)), key=lambda i: snapshot.strategies[i].assets)
    wanted = int(SEVERITY * snapshot.limits.max_drawdown * snapshot.nav) // WAD
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
    """Sign a rebalance with the keeper's key and send it past the keeper; return whether it reverted, and the error."""
    node, seen, now = Rpc(stage.url), stage.snapshot(), int(stage.now())
    signer = open_keystore(stage.folder / "keeper.keystore.json", stage.password)
    request = Rebalance(seen.epoch, now + DAY, 0, (HOLD,) * len(stage.names), seen.policy_hash, "0x" + "00" * 32)
    revert = "nothing"
    try:
        node.call(seen.vault, request.call_data, sender=signer.address)
    except CallRevertedError as error:
        revert = str(error.revert)
    rules = FeeRules(100 * GWEI)
    raw, digest = signer.sign(
        build(
            chain_id=seen.chain_id,
            to=seen.vault,
            data=request.call_data,
            nonce=node.nonce(signer.address),
            gas=_GAS,
            fees=rules.fresh(rules.market(node)),
        )
    )
    deliver(node, raw)
    receipt = stage.w3.eth.wait_for_transaction_receipt(HexBytes(digest), poll_latency=0.01)
    return receipt["status"] == 0, revert


def _everybody_leaves(stage: Stage) -> int:
    """Let every depositor redeem all shares; return the base units paid out."""
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
