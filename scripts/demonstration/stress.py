"""The bad day: after a disaster a stranger trips the kill-switch, and everybody leaves."""

from collections.abc import Callable
from dataclasses import dataclass

from web3.contract import Contract

from keeper.conversion import HOLD
from keeper.cycle import Keeper
from scripts.demonstration import walls
from scripts.demonstration.stage import Stage
from scripts.errors import TransactionFailedError
from scripts.protocols.anvil import mine_at, rpc
from scripts.protocols.artifacts import load_contract
from scripts.protocols.chain import Unlocked
from scripts.protocols.devnet import Devnet

ALL = 2**256 - 1
BASE_FEE = 10**9


@dataclass(frozen=True)
class Disaster:
    """The course of a disaster.

    Attributes
    ----------
    lines
        What happened, in words, and what keeper and vault made of it.
    refusals
        Errors with which the vault refused a thief of the keeper's key meanwhile.
    """

    lines: tuple[str, ...]
    refusals: tuple[str, ...] = ()


@dataclass(frozen=True)
class BadDay:
    """The events of the bad day; money in base units.

    Attributes
    ----------
    drawdown
        Fall of the share price under the high-water mark after the loss, as a fraction.
    reverted
        The chain refused a rebalance that the keeper's key signed and sent after the trip; `revert` names the error.
    refused
        So did the keeper itself; `refusal` is its reason.
    unwound
        Share of NAV that was idle after a stranger had unwound every strategy that let him.
    stuck
        Strategies that could not be unwound within what that may lose, and why; they were handed out in kind.
    repaid
        Sum of all that was paid out over what the loss had left; strategy shares count as what leaving them pays.
    """

    timestamp: int
    disaster: Disaster
    nav_before: int
    nav_after: int
    drawdown: float
    tripped: bool
    reverted: bool
    revert: str
    refused: bool
    refusal: str
    unwound: float
    stuck: dict[str, str]
    repaid: float

    @property
    def loss(self) -> int:
        """Base units lost by the depositors."""
        return self.nav_before - self.nav_after


def happen(stage: Stage, keeper: Keeper, strike: Callable[[Stage, Keeper], Disaster], seconds: int) -> BadDay:
    """Let the bad day happen, some seconds after the replay's last step."""
    vault, chain = stage.vault.functions, stage.devnet.chain
    stranger = stage.devnet.sender("stranger")
    mine_at(stage.w3, int(stage.now()) + seconds, BASE_FEE)
    before = stage.snapshot()

    disaster = strike(stage, keeper)
    after = stage.snapshot()
    tripped = _trip(stage)
    reverted, revert = walls.send(stage, (HOLD,) * len(stage.names))
    result = keeper.cycle(live=True)

    stuck = {}
    if tripped:
        for name, entry in zip(stage.names, stage.snapshot().strategies, strict=True):
            if entry.shares:
                try:
                    chain.send(vault.unwind(entry.target, ALL), sender=stranger)
                except TransactionFailedError as error:
                    stuck[name] = str(error)
    unwound = stage.snapshot()
    return BadDay(
        timestamp=after.block.timestamp,
        disaster=disaster,
        nav_before=before.nav,
        nav_after=after.nav,
        drawdown=after.drawdown,
        tripped=tripped,
        reverted=reverted,
        revert=revert,
        refused=result.outcome == "refused",
        refusal=result.reason,
        unwound=unwound.idle / unwound.nav,
        stuck=stuck,
        repaid=_everybody_leaves(stage) / unwound.nav,
    )


def steal(devnet: Devnet, token: Contract, victim: str, amount: int) -> None:
    """Take base units of a token out of a contract, as an exploit of it would: the token's own code moves them."""
    rpc(devnet.w3, "anvil_impersonateAccount", victim)
    rpc(devnet.w3, "anvil_setBalance", victim, hex(10**18))
    transfer = token.functions.transfer(devnet.accounts["market_maker"], amount)
    devnet.chain.send(transfer, sender=Unlocked(devnet.w3, victim))
    rpc(devnet.w3, "anvil_stopImpersonatingAccount", victim)


def _trip(stage: Stage) -> bool:
    """Let a stranger trip the kill-switch; return whether the vault is halted then."""
    try:
        stage.devnet.chain.send(stage.vault.functions.trip(), sender=stage.devnet.sender("stranger"))
    except TransactionFailedError:
        return False
    return bool(stage.vault.functions.halted().call())


def _everybody_leaves(stage: Stage) -> int:
    """Let all depositors leave with all shares, in kind where not all can be paid; return what they got, base units."""
    vault, usdc = stage.vault, stage.devnet.usdc.functions
    got = 0
    for role in stage.depositors:
        owner = stage.devnet.sender(role)
        before = usdc.balanceOf(owner.address).call()
        shares = vault.functions.balanceOf(owner.address).call()
        if vault.functions.maxRedeem(owner.address).call() >= shares:
            redeem = vault.get_function_by_signature("redeem(uint256,address,address)")
            stage.devnet.chain.send(redeem(shares, owner.address, owner.address), sender=owner)
        else:
            leave = vault.functions.redeemInKind(shares, owner.address, owner.address, [])
            stage.devnet.chain.send(leave, sender=owner)
        got += usdc.balanceOf(owner.address).call() - before + _held(stage, owner.address)
    return got


def _held(stage: Stage, owner: str) -> int:
    """Return what leaving the strategies would pay for the shares of them that an owner holds, base units."""
    total = 0
    for contract in stage.deployment.strategies:
        strategy = stage.devnet.chain.at(contract.address, load_contract("IVault"))
        shares = strategy.functions.balanceOf(owner).call()
        total += strategy.functions.previewRedeem(shares).call() if shares else 0
    return int(total)
