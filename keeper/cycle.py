"""The keeper: one bounded cycle.

    recover -> Snapshot -> Observation -> weights -> Plan -> simulated -> journalled -> signed -> sent -> mined

`Keeper.cycle` is that line; `keeper.loop` repeats it. Whatever it raises is a `KeeperError`, and then nothing was sent
that the journal does not know. It can be called from another program (`scripts/demo.py` does, once per simulated day).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from types import TracebackType

import structlog

from agent.errors import ObservationError
from agent.observation import RateMemory
from agent.policies.memory import Recall
from agent.vault.decision import DecisionRules
from agent.vault.portfolio import Costs
from keeper.chain.rpc import CallRevertedError, Rpc
from keeper.chain.signer import Signer, open_keystore
from keeper.chain.transaction import GWEI, FeeRules, check_funds, gas_limit
from keeper.config import KeeperConfig, read_password
from keeper.decide import Plan, Settings, deadline, decide
from keeper.delivery import Courier, settle
from keeper.errors import JournalError, KeeperError
from keeper.journal import Journal, Kind, open_journal
from keeper.policy import load_served
from keeper.result import CycleResult, outcome_of, results_of
from keeper.snapshot import Snapshot, read_snapshot

log = structlog.get_logger("keeper")


class Keeper:
    """A vault's keeper: configuration, policy, node and journal together. Close it, or use it in a `with` statement.

    Parameters
    ----------
    config
        Checked configuration.
    clock
        Present time in seconds; a simulation passes its chain's.
    sleep
        How to wait for receipts.

    Raises
    ------
    PolicyError, JournalError
        When the policy cannot be verified or the journal cannot be had.
    """

    def __init__(
        self,
        config: KeeperConfig,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._config = config
        self._clock = clock
        self._sleep = sleep
        self._served = load_served(config)
        self._rpc = Rpc(config.rpc_url.get_secret_value(), config.rpc_timeout_seconds, config.safe_rpc_url)
        self._signer: Signer | None = None
        self.settings = Settings(
            native_price=config.native_price,
            slippage=config.slippage,
            deadline_seconds=config.deadline_seconds,
            rules=DecisionRules(min_trade=config.min_trade, max_gas_share=config.max_gas_share),
            costs=Costs(entry=config.leg_cost, exit=config.leg_cost),
        )
        self.journal: Journal = open_journal(config.journal, config.chain_id, config.vault)

    def __enter__(self) -> Keeper:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the journal."""
        self.journal.close()

    # --- one cycle -----------------------------------------------------------------------------------------------

    def cycle(self, live: bool = False) -> CycleResult:
        """Wake once: settle what is under way, then read, decide, simulate and, when live, send and wait.

        Raises
        ------
        KeeperError
            By its kind, what to do about it; the journal has its message.
        """
        cycle = self.journal.begin_cycle(live=live)
        try:
            result = self._recover(cycle, live) or self._trade(cycle, live)
        except JournalError:
            raise
        except KeeperError as error:
            self.journal.note(cycle, outcome="error", reason=str(error))
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
        intent = settle(self._rpc, self.journal, before, self._config.vault)
        if intent.state.is_open and live:
            log.info(
                "recovering", intent=intent.id, kind=intent.kind.value, state=intent.state.value, nonce=intent.nonce
            )
            intent = self._courier().carry(intent)
        if intent.state is not before.state:
            log.info("settled", intent=intent.id, was=before.state.value, now=intent.state.value, reason=intent.reason)
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
        policy = self._served.at(snapshot)
        memory, recall = self._memory(snapshot)
        plan = decide(snapshot, memory, policy, self.settings, signer.address if signer else None, recall)
        self._note_plan(cycle, snapshot, policy.digest, plan)
        result = results_of(cycle, live, snapshot, plan)
        sender, data = snapshot.keeper, plan.call_data
        if data is None:
            return result(plan.action.value, plan.reason)

        try:
            self._rpc.call(config.vault, data, snapshot.block, sender)
            gas = gas_limit(
                self._rpc, to=config.vault, data=data, sender=sender, block_gas_limit=snapshot.block.gas_limit
            )
        except CallRevertedError as error:
            return result("refused", f"the simulation reverted: {error.revert}")
        if not live:
            return result("simulated", f"{plan.reason}; a dry run sends nothing")

        courier = self._courier()
        nonce = self._rpc.nonce(sender)
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
        return result(*outcome_of(intent, plan.reason), intent)

    # --- parts ---------------------------------------------------------------------------------------------------

    def _open_signer(self) -> Signer:
        if self._signer is None:
            self._signer = open_keystore(self._config.keystore, read_password(self._config))
        return self._signer

    def _courier(self) -> Courier:
        config = self._config
        return Courier(
            rpc=self._rpc,
            journal=self.journal,
            signer=self._open_signer(),
            chain_id=config.chain_id,
            vault=config.vault,
            fee_rules=FeeRules(int(config.max_fee_gwei * GWEI), config.bump_percent),
            receipt_timeout=config.receipt_timeout_seconds,
            sleep=self._sleep,
        )

    def _memory(self, snapshot: Snapshot) -> tuple[RateMemory | None, Recall | None]:
        """Return what the journal keeps of rates and, for a policy that has a memory, of that."""
        stored = self.journal.memory(snapshot.strategies_digest)
        if stored is None:
            return None, None
        try:
            data = json.loads(stored)
            rates, recall = RateMemory.from_json(data), data.get("policy")
            return rates, None if recall is None else Recall.from_json(recall)
        except (ObservationError, ValueError) as error:
            raise JournalError(f"The journal's rate memory is damaged ({error}). Start a new journal.") from error

    def _note_plan(self, cycle: int, snapshot: Snapshot, policy_digest: str, plan: Plan) -> None:
        decision = {
            "observation": plan.vector,
            "weights": plan.weights,
            "target": plan.target,
            "sent": [str(weight) for weight in plan.request.weights] if plan.request else None,
            "decision_hash": plan.request.decision_hash if plan.request else None,
        }
        memory = plan.memory.to_json() | ({} if plan.recall is None else {"policy": plan.recall.to_json()})
        self.journal.note(
            cycle,
            memory=(snapshot.strategies_digest, json.dumps(memory)),
            block_number=snapshot.block.number,
            block_timestamp=snapshot.block.timestamp,
            snapshot_digest=snapshot.digest,
            policy_digest=policy_digest,
            nav=str(snapshot.total_assets),
            decision=json.dumps(decision),
            outcome=plan.action.value,
            reason=plan.reason,
        )
