"""The keeper: one bounded cycle, and the loop that repeats it.

    recover -> Snapshot -> Observation -> weights -> Plan -> simulated -> journalled -> signed -> sent -> mined

`Keeper.cycle` is that line and `repeat` the loop. A cycle raises nothing but `KeeperError`, and then nothing was sent
that the journal does not know. Other programs may call it (the demo does, once per simulated day).
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

import structlog

from agent.errors import ObservationError
from agent.observation.memory import RateMemory
from agent.observation.quotes import QuoteMemory
from agent.policies.memory import Recall
from agent.vault.decision import DecisionRules
from keeper.chain.rpc import CallRevertedError, Rpc
from keeper.chain.signer import Signer, open_keystore
from keeper.chain.transaction import GWEI, FeeRules, check_funds, gas_limit
from keeper.config import KeeperConfig, read_password
from keeper.conversion import HOLD, Leg
from keeper.decide import NO_PRICE, NO_QUOTES, Plan, Rebalance, Settings, deadline, decide
from keeper.delivery import Courier, Settlement
from keeper.errors import (
    AttentionError,
    DoubtfulError,
    JournalError,
    JournalHeldError,
    KeeperError,
    NoPriceError,
    StoppedError,
    TransientError,
)
from keeper.feeds.price import Price
from keeper.feeds.quotes import Quotes, read_quotes
from keeper.journal import Intent, Journal, Kind, State, open_journal
from keeper.policy import load_served
from keeper.rates import PriceMarks
from keeper.snapshot import Snapshot, read_snapshot
from keeper.watch import Watch

FIRST_BACKOFF, LONGEST_BACKOFF = 5.0, 300.0  # seconds
BREAKER = 3  # transactions that revert in a row before nothing is sent for a while
FIRST_HOLD, LONGEST_HOLD = 3600, 86_400  # seconds; it doubles with each further one
CONFIRMATIONS = 4  # cycles in a row that must say the same before a doubtful error ends the loop

log = structlog.get_logger("keeper")


@dataclass(frozen=True)
class CycleResult:
    """The outcome of one cycle: for the terminal, for scripts and for the demo.

    Attributes
    ----------
    outcome
        `no-trade`, `refused`, `simulated` (a dry run would have sent it), `mined`, `heartbeat` (mined; nothing to
        trade), `reverted`, `pending` (sent, not yet mined), `expired` or `superseded`.
    reason
        Why.
    nav, strategies, weights, target
        NAV in base units, names of the strategies, and their shares of NAV, present and wanted; `None` or empty where
        the cycle ended before they were known.
    request
        The rebalance that was or would have been sent.
    gas_used, gas_price
        Of the receipt; wei.
    """

    outcome: str
    reason: str
    cycle: int
    live: bool
    block_number: int | None = None
    block_timestamp: int | None = None
    epoch: int | None = None
    nav: int | None = None
    strategies: tuple[str, ...] = ()
    weights: tuple[float, ...] | None = None
    target: tuple[float, ...] | None = None
    at_cap: tuple[bool, ...] | None = None
    request: Rebalance | None = None
    transaction_hash: str | None = None
    gas_used: int | None = None
    gas_price: int | None = None

    @property
    def succeeded(self) -> bool:
        """Whether the cycle did what it should; a refusal, a revert or a lost transaction is not that."""
        return self.outcome in ("no-trade", "simulated", "mined", "heartbeat", "pending")

    def to_json(self) -> dict[str, Any]:
        """Return plain data; integers that JSON readers would round are strings."""
        data = asdict(self)
        data["nav"] = None if self.nav is None else str(self.nav)
        if self.request is not None:
            data["request"] |= {
                "min_share_price": str(self.request.min_share_price),
                "weights": ["HOLD" if weight == HOLD else str(weight) for weight in self.request.weights],
            }
        return data


@dataclass(frozen=True)
class _Memory:
    """The memory that the journal keeps: of the rates, of a policy with memory, of share prices and of quotes."""

    rates: RateMemory | None = None
    recall: Recall | None = None
    marks: PriceMarks = field(default_factory=PriceMarks)
    past: QuoteMemory | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            **({} if self.rates is None else self.rates.to_json()),
            **({} if self.recall is None else {"policy": self.recall.to_json()}),
            "marks": self.marks.to_json(),
            **({} if self.past is None else {"quotes": self.past.to_json()}),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], count: int) -> Self:
        """Return the memory over `count` strategies that was stored; journals of before have less of it."""
        policy, marks, quotes = (data.get(key) for key in ("policy", "marks", "quotes"))
        return cls(
            RateMemory.from_json(data) if "fast" in data else None,
            None if policy is None else Recall.from_json(policy),
            PriceMarks() if marks is None else PriceMarks.from_json(marks, count),
            None if quotes is None else QuoteMemory.from_json(quotes),
        )


class Keeper:
    """A vault's keeper: configuration, policy, node and journal. Close it, or use it in a `with` statement.

    Parameters
    ----------
    config
        Checked configuration.
    clock
        Returns the present time in seconds; a simulation passes its chain's clock.
    watch
        Interrupts a cycle; by default nothing does but its own deadline.

    Raises
    ------
    PolicyError, JournalError
        When the policy cannot be verified or the journal cannot be opened.
    """

    def __init__(
        self,
        config: KeeperConfig,
        *,
        clock: Callable[[], float] = time.time,
        watch: Watch | None = None,
    ) -> None:
        self._config = config
        self._clock = clock
        self._watch = watch or Watch()
        self._served = load_served(config)
        url = config.rpc_url.get_secret_value()
        self._rpc = Rpc(url, config.rpc_timeout_seconds, config.safe_rpc_url, self._watch)
        self._fee_rules = FeeRules(int(config.max_fee_gwei * GWEI), config.bump_percent)
        self._signer: Signer | None = None
        self.settings = Settings(
            native_price=config.native_price,
            slippage=config.slippage,
            deadline_seconds=config.deadline_seconds,
            max_rate=config.max_rate,
            rules=DecisionRules(min_trade=config.min_trade, max_gas_share=config.max_gas_share),
            legs={name: Leg(cost.entry, cost.exit, cost.impact) for name, cost in config.costs.items()},
        )
        self._native = config.native_feed(self._rpc)
        self._quotes, self._rates = config.quote_feeds(self._rpc), config.rate_feeds(self._rpc)
        self.journal: Journal = open_journal(config.journal, config.chain_id, config.vault)

    def __enter__(self) -> Keeper:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the journal."""
        self.journal.close()

    # --- one cycle -----------------------------------------------------------------------------------------------

    def cycle(self, live: bool = False) -> CycleResult:
        """Settle what is under way, then read, decide, simulate and, when live, send and wait.

        Raises
        ------
        KeeperError
            Its kind says what to do about it; the journal has its message.
        """
        self._watch.start(self._config.cycle_timeout_seconds)
        cycle = self.journal.begin_cycle(live=live)
        try:
            result = self._recover(cycle, live) or self._trade(cycle, live)
        except JournalError:
            raise
        except KeeperError as error:
            outcome = "stopped" if isinstance(error, StoppedError) else "error"
            self.journal.note(cycle, outcome=outcome, reason=str(error))
            raise
        self.journal.note(cycle, outcome=result.outcome, reason=result.reason)
        log.info(result.outcome, cycle=cycle, block=result.block_number, reason=result.reason)
        return result

    def _recover(self, cycle: int, live: bool) -> CycleResult | None:
        """Settle the last intent by journal and chain; a result means that it is still under way."""
        self._rpc.check_chain(self._config.chain_id)
        before = self.journal.latest_intent()
        if before is None:
            return None
        intent = self._settlement.settle(before)
        if intent.state.is_open and live:
            log.info(
                "recovering", intent=intent.id, kind=intent.kind.value, state=intent.state.value, nonce=intent.nonce
            )
            intent = self._courier().carry(intent)
        if intent.state is not before.state:
            log.info("settled", intent=intent.id, was=before.state.value, now=intent.state.value, reason=intent.reason)
        if not intent.state.is_open and live:
            intent = self._courier().clear(intent) or intent
        if not intent.state.is_open:
            return None
        return CycleResult("pending", "an earlier transaction is still under way", cycle, live, epoch=intent.epoch)

    def _trade(self, cycle: int, live: bool) -> CycleResult:
        config, signer = self._config, self._open_signer() if live else None
        snapshot = read_snapshot(
            self._rpc,
            lens=config.lens,
            vault=config.vault,
            max_block_age=config.max_block_age_seconds,
            clock=self._clock,
        )
        if live and 2 * config.interval_seconds > snapshot.limits.max_silence:
            log.warning(
                "interval_seconds is more than half of the vault's max_silence: anyone may unwind between two cycles",
                interval_seconds=config.interval_seconds,
                max_silence=snapshot.limits.max_silence,
            )
        if live and snapshot.epoch and self.journal.latest_intent() is None:
            log.warning(
                "the journal knows of no transaction, but the vault has had rebalances: if it took the place of one "
                "that was lost, stop and restore that",
                epoch=snapshot.epoch,
            )
        policy = self._served.at(snapshot)
        memory = self._memory(snapshot)
        price, quotes = self.native_price(), self.quotes()
        settings = replace(
            self.settings,
            native_price=price.value if isinstance(price, Price) else None,
            tip=self._fee_rules.market(self._rpc).tip,
        )
        plan = decide(
            snapshot,
            memory.rates,
            policy,
            settings,
            signer.address if signer else None,
            memory.recall,
            memory.marks,
            quotes if isinstance(quotes, Quotes) else None,
            memory.past,
        )
        for known, blank in ((price, NO_PRICE), (quotes, NO_QUOTES)):
            if isinstance(known, NoPriceError) and plan.reason == blank:
                plan = replace(plan, reason=str(known))
        self._note_plan(cycle, snapshot, policy.digest, plan, price, quotes)
        result = _result_of(cycle, live, snapshot, plan)
        sender, data = snapshot.keeper, plan.call_data
        if data is None:
            return result

        try:
            most = min(snapshot.block.gas_limit, config.gas_cap or snapshot.block.gas_limit)
            self._rpc.call(config.vault, data, snapshot.block, sender, gas=most)
            gas = gas_limit(self._rpc, to=config.vault, data=data, sender=sender, most=most)
        except CallRevertedError as error:
            return replace(result, outcome="refused", reason=f"the simulation reverted: {error.revert}")
        if not live:
            return replace(result, outcome="simulated", reason=f"{plan.reason}; a dry run sends nothing")

        held = self._held()
        if held is not None:
            return replace(result, outcome="refused", reason=held)
        courier = self._courier()
        nonce = self._rpc.nonce(sender, snapshot.block)
        check_funds(self._rpc, sender, gas, courier.fees(nonce))
        intent = self.journal.plan(
            cycle,
            sender=sender,
            nonce=nonce,
            epoch=snapshot.epoch,
            deadline=plan.request.deadline if plan.request else deadline(snapshot, self.settings),
            gas=gas,
            call_data=data,
            reason=plan.reason,
            kind=Kind(plan.action.value),
        )
        intent = courier.carry(intent)
        outcome, reason = _outcome_of(intent, plan.reason)
        return replace(
            result,
            outcome=outcome,
            reason=reason,
            transaction_hash=intent.transaction_hash,
            gas_used=intent.gas_used,
            gas_price=intent.gas_price,
        )

    def native_price(self) -> Price | NoPriceError:
        """Return the native coin's price in the asset, or why there is none."""
        try:
            return self._native.read(self._clock())
        except NoPriceError as error:
            return error

    def quotes(self) -> Quotes | NoPriceError:
        """Return what the policy is shown besides the vault, or why it is not known."""
        try:
            return read_quotes(self._quotes, self._rates, self._clock())
        except NoPriceError as error:
            return error

    # --- parts ---------------------------------------------------------------------------------------------------

    def _open_signer(self) -> Signer:
        if self._signer is None:
            self._signer = open_keystore(self._config.keystore, read_password(self._config))
        return self._signer

    def _held(self) -> str | None:
        """Return why nothing is sent for a while although the simulation passed: what was sent has only reverted."""
        count, newest = self.journal.reverted_in_a_row()
        if count < BREAKER:
            return None
        left = newest + min(FIRST_HOLD * 2 ** (count - BREAKER), LONGEST_HOLD) - time.time()
        if left <= 0:
            return None
        return (
            f"the last {count} transactions reverted although their simulation passed; nothing is sent for another "
            f"{timedelta(seconds=round(left))}. `keeper status` shows why they did."
        )

    @property
    def _settlement(self) -> Settlement:
        config = self._config
        age, final = config.max_block_age_seconds, config.finality
        return Settlement(self._rpc, self.journal, config.vault, self._clock, age, final)

    def _courier(self) -> Courier:
        config = self._config
        return Courier(
            settlement=self._settlement,
            signer=self._open_signer(),
            chain_id=config.chain_id,
            fee_rules=self._fee_rules,
            receipt_timeout=config.receipt_timeout_seconds,
            watch=self._watch,
        )

    def _memory(self, snapshot: Snapshot) -> _Memory:
        """Read from the journal what was kept of the last cycle."""
        stored = self.journal.memory(snapshot.strategies_digest)
        if stored is None:
            return _Memory()
        try:
            return _Memory.from_json(json.loads(stored), len(snapshot.strategies))
        except (ObservationError, ValueError) as error:
            raise JournalError(f"The journal's rate memory is damaged ({error}). Start a new journal.") from error

    def _note_plan(
        self,
        cycle: int,
        snapshot: Snapshot,
        policy_digest: str,
        plan: Plan,
        price: Price | NoPriceError,
        quotes: Quotes | NoPriceError,
    ) -> None:
        decision = {
            "observation": plan.vector,
            "weights": plan.weights,
            "target": plan.target,
            "sent": [str(weight) for weight in plan.request.weights] if plan.request else None,
            "decision_hash": plan.request.decision_hash if plan.request else None,
            "native_price": price.to_json(self._clock()) if isinstance(price, Price) else None,
            "quotes": dict(quotes.told) if isinstance(quotes, Quotes) else None,
        }
        memory = _Memory(plan.memory, plan.recall, plan.marks, plan.past).to_json()
        self.journal.note(
            cycle,
            memory=(snapshot.strategies_digest, json.dumps(memory)),
            block_number=snapshot.block.number,
            block_timestamp=snapshot.block.timestamp,
            snapshot_digest=snapshot.digest,
            policy_digest=policy_digest,
            nav=str(snapshot.nav),
            decision=json.dumps(decision),
            outcome=plan.action.value,
            reason=plan.reason,
        )


def _result_of(cycle: int, live: bool, snapshot: Snapshot, plan: Plan) -> CycleResult:
    """Return the result of a cycle that ends with its plan."""
    return CycleResult(
        plan.action.value,
        plan.reason,
        cycle,
        live,
        block_number=snapshot.block.number,
        block_timestamp=snapshot.block.timestamp,
        epoch=snapshot.epoch,
        nav=snapshot.nav,
        strategies=tuple(strategy.label for strategy in snapshot.strategies),
        weights=plan.weights,
        target=plan.target,
        at_cap=plan.at_cap,
        request=plan.request,
    )


def _outcome_of(intent: Intent, reason: str) -> tuple[str, str]:
    """Return an intent's outcome and reason; `reason` is its plan's."""
    if intent.state is State.MINED:
        return "heartbeat" if intent.kind is Kind.HEARTBEAT else "mined", reason
    if intent.state.is_open:
        return "pending", "not mined yet; the next cycle goes on with it"
    return intent.state.value, intent.reason


# --- the loop --------------------------------------------------------------------------------------------------------


def repeat(
    cycle: Callable[[], CycleResult],
    interval: float,
    stop: threading.Event,
    report: Callable[[CycleResult], None] | None = None,
) -> None:
    """Repeat a bounded cycle until told to stop.

    Parameters
    ----------
    cycle
        `Keeper.cycle`, live or not.
    interval
        Seconds between two cycles; after a transient error the next comes sooner.
    stop
        Set it to end the loop; a cycle whose watch looks at it ends in the middle.
    report
        Called with every cycle's result.

    Raises
    ------
    FatalError
        When the set-up is wrong and must be changed first; a doubtful error only once it has been said
        `CONFIRMATIONS` times in a row.
    """
    backoff, said, times = FIRST_BACKOFF, "", 0
    while not stop.is_set():
        pause, before = interval, said
        said = ""
        try:
            result = cycle()
            backoff = FIRST_BACKOFF
            if report is not None:
                report(result)
            if not result.succeeded:
                log.error(result.reason, outcome=result.outcome)
            if result.outcome == "pending":
                pause = min(pause, FIRST_BACKOFF)
        except StoppedError as error:
            log.info(str(error))
        except JournalHeldError:
            raise
        except DoubtfulError as error:
            said = str(error)
            times = times + 1 if said == before else 1
            if times == CONFIRMATIONS:
                raise
            pause, backoff = min(pause, backoff), min(2 * backoff, LONGEST_BACKOFF)
            log.warning(
                said, kind=type(error).__name__, heard=f"{times} of {CONFIRMATIONS} times", retry_in_seconds=pause
            )
        except TransientError as error:
            pause, backoff = min(pause, backoff), min(2 * backoff, LONGEST_BACKOFF)
            log.warning(str(error), kind=type(error).__name__, retry_in_seconds=pause)
        except AttentionError as error:
            log.error(str(error), kind=type(error).__name__, next_try_in_seconds=pause)  # noqa: TRY400  no stack traces
        stop.wait(pause)
