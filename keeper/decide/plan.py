"""What the keeper means to do: a plan, its reason, and the request that goes to the vault."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from agent.observation.memory import RateMemory
from agent.policies.memory import Recall
from keeper.chain.abi import encode_call


class Action(StrEnum):
    """What a plan says to do. `HEARTBEAT` is a hold that the vault is told of, so that nobody may unwind it."""

    REBALANCE = "rebalance"
    HEARTBEAT = "heartbeat"
    HOLD = "no-trade"
    REFUSE = "refused"


@dataclass(frozen=True)
class Rebalance:
    """The vault's `Rebalance` request; weights in WAD or `HOLD`."""

    epoch: int
    deadline: int
    min_total_assets: int
    weights: tuple[int, ...]
    policy_hash: str
    decision_hash: str

    @property
    def call_data(self) -> bytes:
        """Call data of `rebalance`."""
        hashes = (bytes.fromhex(self.policy_hash[2:]), bytes.fromhex(self.decision_hash[2:]))
        request = (self.epoch, self.deadline, self.min_total_assets, list(self.weights), *hashes)
        return encode_call("Vault", "rebalance", [request])


@dataclass(frozen=True)
class Plan:
    """What to do and why.

    Attributes
    ----------
    request
        Set if and only if the action is `REBALANCE`.
    memory
        Rate memory that holds this block's rates; the journal keeps it.
    vector
        The observation as the policy was fed it.
    weights
        Present shares of NAV, one per strategy.
    target
        Shares of NAV after the rebalance; the present ones where nothing is traded.
    at_cap
        Strategies of which the policy wanted more than their cap.
    recall
        What a policy with memory remembers now; the journal keeps it.
    """

    action: Action
    reason: str
    memory: RateMemory
    request: Rebalance | None = None
    vector: tuple[float, ...] = ()
    weights: tuple[float, ...] = ()
    target: tuple[float, ...] = ()
    at_cap: tuple[bool, ...] = ()
    recall: Recall | None = None

    @property
    def call_data(self) -> bytes | None:
        """What to send to the vault; `None` where nothing is to be sent."""
        if self.action is Action.HEARTBEAT:
            return encode_call("Vault", "heartbeat", [])
        return None if self.request is None else self.request.call_data
