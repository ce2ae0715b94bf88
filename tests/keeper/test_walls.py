"""The vault's limits as the keeper meets them on a real chain: cooldown, budgets, quarantine, dead man's switch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs

from agent.policies.rules import EqualWeight, Greedy
from agent.units import DAY
from agent.vault.bucket import Budget
from keeper.chain.abi import encode_call
from keeper.chain.rpc import CallRevertedError, Rpc
from keeper.conversion import HOLD
from keeper.journal import Kind, State
from keeper.status import gather, show
from tests.keeper.harness import KEEPER, UNIT, WAD, Killed, Shell, World
from tests.keeper.test_recovery import CRASHES

pytestmark = pytest.mark.chain

SILENCE = 7200


def heartbeats(world: World) -> list[Any]:
    return list(world.vault.events.Heartbeat().get_logs(from_block=0))


@pytest.fixture
def quiet(world: World) -> World:
    """A vault that was just rebalanced, and that anyone may unwind after two hours of silence."""
    world.limit("MaxSilence", SILENCE)
    assert world.keeper().cycle(live=True).outcome == "mined"
    return world


# --- cooldown ----------------------------------------------------------------------------------------------------


def test_cooldown__no_trade_with_the_reason__then_the_trade(world: World) -> None:
    world.limit("Cooldown", 3600)
    keeper = world.keeper()
    keeper.cycle(live=True)
    world.do(world.strategies[0].functions.gain(60_000 * UNIT))
    early = keeper.cycle(live=True)
    assert early.outcome == "no-trade"
    assert "cooldown" in early.reason
    assert early.request is None
    assert world.nonce() == 1
    world.pass_time(3600)
    assert keeper.cycle(live=True).outcome == "mined"
    assert world.epoch == 2


# --- budgets -----------------------------------------------------------------------------------------------------


def test_turnover_budget__deploys_in_steps_and_never_reverts(world: World) -> None:
    world.limit("TurnoverRefill", WAD // 4 // 3600)
    world.limit("TurnoverCapacity", WAD // 2)
    keeper = world.keeper()
    first = keeper.cycle(live=True)
    assert first.outcome == "mined"
    assert "cut down" in first.reason
    assert sum(world.weights) == pytest.approx(0.5, abs=1e-4)
    again = keeper.cycle(live=True)
    assert again.outcome == "no-trade"
    assert "turnover budget" in again.reason
    world.pass_time(3600)
    assert keeper.cycle(live=True).outcome == "mined"
    assert sum(world.weights) == pytest.approx(0.75, abs=1e-3)
    world.pass_time(7200)
    assert keeper.cycle(live=True).outcome == "mined"
    assert world.weights == pytest.approx([0.98 / 3] * 3, abs=1e-3)
    assert keeper.journal.count_intents() == {"mined": 3}


@pytest.mark.parametrize("seed", range(3))
def test_turnover_budget__any_history__is_the_agents_bucket_and_never_reverts(world: World, seed: int) -> None:
    rng = np.random.default_rng(seed)
    capacity, refill = int(rng.uniform(0.3, 1.0) * WAD), int(rng.uniform(0.05, 0.5) * WAD) // DAY
    world.limit("TurnoverRefill", refill)
    world.limit("TurnoverCapacity", capacity)
    budget, used = Budget(capacity / WAD, refill / WAD * DAY), np.zeros(1)
    timestamp, seen = 0, set()
    for _ in range(8):
        policy = "greedy" if rng.random() < 0.5 else "equal-weight"
        world.commit(Greedy().digest if policy == "greedy" else EqualWeight().digest)
        world.do(world.strategies[int(rng.integers(3))].functions.setRate(int(rng.integers(WAD // 10))))
        world.pass_time(int(rng.integers(1, DAY // 2)))
        result = world.keeper(policy=policy, max_block_age_seconds=1e9).cycle(live=True)
        assert result.outcome in ("mined", "no-trade"), result.reason
        seen.add(result.reason.split(":")[0])
        if result.outcome == "mined":
            block = world.w3.eth.get_block("latest")
            if timestamp:
                used = budget.refill(used, block["timestamp"] - timestamp)
            timestamp = block["timestamp"]
            moved = np.subtract(result.target, result.weights)
            turnover = max(np.maximum(moved, 0).sum(), np.maximum(-moved, 0).sum())
            used, fits = budget.spend(used, np.array([turnover]))
            assert fits[0]
            left = world.vault.functions.turnoverBudget().call() / WAD
            assert left == pytest.approx(budget.available(used)[0], abs=1e-6)
    assert any("cut down" in reason for reason in seen)


def test_loss_budget__too_small_for_what_a_strategy_takes__is_refused_by_name(world: World) -> None:
    world.limit("LossCapacity", WAD // 10_000)  # 100 of a million
    world.do(world.strategies[2].functions.setSlippage(200 * UNIT))
    result = world.keeper().cycle(live=True)
    assert result.outcome == "refused"
    assert "LossBudgetExceeded(loss=" in result.reason
    assert world.nonce() == 0


def test_loss_budget__nothing_left__no_trade_with_the_reason(world: World) -> None:
    world.limit("LossCapacity", 0)
    result = world.keeper().cycle(live=True)
    assert result.outcome == "no-trade"
    assert "loss budget" in result.reason


@pytest.mark.parametrize(
    ("limits", "name"),
    [
        ({"Cooldown": 3600}, "CooldownRunning"),
        ({"TurnoverCapacity": WAD // 100}, "TurnoverBudgetExceeded"),
        ({"LossCapacity": 0}, "LossBudgetExceeded"),
    ],
)
def test_walls__met_on_chain__are_named(world: World, limits: dict[str, int], name: str) -> None:
    world.keeper().cycle(live=True)
    world.do(world.strategies[0].functions.setSlippage(UNIT))
    for limit, value in limits.items():
        world.limit(limit, value)
    policy = world.vault.functions.policyHash().call()
    request = (world.epoch, 2**40, 0, [4 * WAD // 10, WAD // 10, WAD // 10], policy, policy)
    with pytest.raises(CallRevertedError) as caught:
        Rpc(world.url).call(world.vault.address, encode_call("Vault", "rebalance", [request]), sender=KEEPER.address)
    assert caught.value.revert.name == name


# --- what a strategy says of itself -----------------------------------------------------------------------------------


def test_gain_that_is_not_believed__budgets_are_the_bids__and_nothing_reverts(world: World) -> None:
    world.limit("MaxGrowthRate", WAD // 4)
    world.limit("TurnoverRefill", 0)
    world.limit("TurnoverCapacity", 110 * WAD // 100)
    keeper = world.keeper()
    keeper.cycle(live=True)
    world.do(world.strategies[0].functions.gain(500_000 * UNIT))
    before = world.snapshot()
    assert before.bid == pytest.approx(before.nav / 1.5, rel=1e-3)
    result = keeper.cycle(live=True)
    assert result.outcome == "mined", result.reason
    assert "cut down" in result.reason
    assert world.snapshot().turnover_budget < WAD // 100
    assert np.subtract(result.weights, result.target).max() == pytest.approx(0.12 / 1.5, rel=0.05)


def test_strategy_that_could_not_pay_back__takes_no_inflow__others_do(world: World) -> None:
    world.limit("TurnoverCapacity", WAD // 2)
    world.limit("TurnoverRefill", 0)
    keeper = world.keeper()
    keeper.cycle(live=True)
    held = world.weights
    world.limit("TurnoverCapacity", 2 * WAD)
    world.do(world.strategies[1].functions.setLiquidity(1000 * UNIT))
    result = keeper.cycle(live=True)
    assert result.outcome == "mined", result.reason
    assert result.request is not None
    assert result.request.weights[1] == HOLD
    assert world.weights[1] == pytest.approx(held[1], abs=1e-4)
    assert min(world.weights[0], world.weights[2]) > held[0] + 0.1


def test_strategy_that_says_nothing_of_what_it_can_pay__is_tried(world: World) -> None:
    world.do(world.strategies[1].functions.setLiquidity(0))
    result = world.keeper().cycle(live=True)
    assert result.outcome == "refused"
    assert "Illiquid(strategy=" in result.reason
    assert world.nonce() == 0


def test_group__its_members_stay_under_the_cap_together(world: World) -> None:
    world.group(0, 0, 1, cap=WAD // 2)
    result = world.keeper().cycle(live=True)
    assert result.outcome == "mined", result.reason
    first, second, third = world.weights
    assert first + second == pytest.approx(0.5, abs=1e-4)
    assert first + second <= 0.5
    assert third == pytest.approx(1 / 3, abs=1e-4)
    world.group(0, 0, 1, absolute=300_000 * UNIT)
    world.do(world.strategies[2].functions.gain(100_000 * UNIT))
    assert world.keeper().cycle(live=True).outcome == "mined"
    assert sum(world.weights[:2]) * world.snapshot().nav <= 300_000 * UNIT


# --- quarantine --------------------------------------------------------------------------------------------------


def test_quarantine__nothing_is_sent_not_even_a_heartbeat__until_it_is_over(quiet: World) -> None:
    keeper = quiet.keepers[0]
    quiet.do(quiet.strategies[1].functions.setFault(2, 1))  # previewRedeem reverts
    quiet.pass_time(SILENCE)
    assert not quiet.snapshot().valued
    result = keeper.cycle(live=True)
    assert result.outcome == "refused"
    assert "cannot be valued" in result.reason
    assert quiet.nonce() == 1
    quiet.do(quiet.strategies[1].functions.setFault(2, 0))
    assert keeper.cycle(live=True).outcome == "heartbeat"


# --- signs of life -----------------------------------------------------------------------------------------------


def test_heartbeat__after_half_the_silence__once(quiet: World) -> None:
    keeper = quiet.keepers[0]
    quiet.pass_time(SILENCE // 2 - 60)
    assert keeper.cycle(live=True).outcome == "no-trade"
    quiet.pass_time(60)
    result = keeper.cycle(live=True)
    assert result.outcome == "heartbeat"
    assert result.succeeded
    assert "a sign of life is due" in result.reason
    (event,) = heartbeats(quiet)
    assert "0x" + event["transactionHash"].hex() == result.transaction_hash
    assert quiet.vault.functions.lastSeen().call() == quiet.w3.eth.get_block("latest")["timestamp"]
    intent = keeper.journal.latest_intent()
    assert intent is not None
    assert (intent.kind, intent.state) == (Kind.HEARTBEAT, State.MINED)
    assert keeper.cycle(live=True).outcome == "no-trade"
    assert (quiet.epoch, quiet.nonce(), len(heartbeats(quiet))) == (1, 2, 1)
    quiet.pass_time(SILENCE // 2)
    assert keeper.cycle(live=True).outcome == "heartbeat"


def test_heartbeat__dry_run__says_it_would(quiet: World) -> None:
    quiet.pass_time(SILENCE // 2)
    result = quiet.keeper(keystore=None, password_file=None).cycle()
    assert result.outcome == "simulated"
    assert "a sign of life is due" in result.reason
    assert "a dry run sends nothing" in result.reason
    assert quiet.nonce() == 1
    assert quiet.rpc("txpool_status") == {"pending": "0x0", "queued": "0x0"}


def test_heartbeat__not_mined_yet__is_carried_on_and_not_doubled(quiet: World) -> None:
    quiet.pass_time(SILENCE // 2)
    quiet.stop_mining()
    keeper = quiet.keeper()
    assert keeper.cycle(live=True).outcome == "pending"
    assert keeper.cycle(live=True).outcome == "pending"
    assert quiet.rpc("txpool_status")["pending"] == "0x1"
    quiet.mine()
    assert keeper.cycle(live=True).outcome == "no-trade"
    assert (quiet.nonce(), len(heartbeats(quiet))) == (2, 1)
    assert keeper.journal.count_intents() == {"mined": 2}


@pytest.mark.parametrize(("owner", "method", "before"), CRASHES)
def test_heartbeat__crash_and_restart__is_sent_once(
    quiet: World, crash: Callable[..., None], owner: type, method: str, before: bool
) -> None:
    quiet.pass_time(SILENCE // 2)
    with pytest.MonkeyPatch.context() as patch:
        crash(patch, owner, method, before=before)
        with pytest.raises(Killed):
            quiet.keeper().cycle(live=True)
    restarted = quiet.keeper()
    restarted.cycle(live=True)
    assert (quiet.epoch, quiet.nonce(), len(heartbeats(quiet))) == (1, 2, 1)
    assert restarted.cycle(live=True).outcome == "no-trade"
    assert quiet.nonce() == 2


def test_heartbeat__under_way_when_somebody_else_rebalanced__is_given_up(quiet: World) -> None:
    quiet.pass_time(SILENCE // 2)
    quiet.stop_mining()
    keeper = quiet.keeper()
    keeper.cycle(live=True)
    quiet.rpc("anvil_dropAllTransactions")
    quiet.start_mining()
    policy = quiet.vault.functions.policyHash().call()
    quiet.rpc("anvil_impersonateAccount", KEEPER.address)
    quiet.do(quiet.vault.functions.rebalance((quiet.epoch, 2**40, 0, [2**256 - 1] * 3, policy, policy)), KEEPER.address)
    quiet.rpc("anvil_stopImpersonatingAccount", KEEPER.address)
    assert keeper.cycle(live=True).outcome == "no-trade"
    assert keeper.journal.count_intents() == {"mined": 1, "superseded": 1}


def test_heartbeat__reorged_away__is_sent_again(quiet: World) -> None:
    quiet.pass_time(SILENCE // 2)
    keeper = quiet.keepers[0]
    assert keeper.cycle(live=True).outcome == "heartbeat"
    quiet.rpc("anvil_reorg", 1, [])
    assert not heartbeats(quiet)
    quiet.pass_time(5)
    keeper.cycle(live=True)
    assert (quiet.nonce(), len(heartbeats(quiet))) == (2, 1)


@pytest.mark.parametrize(("interval", "warned"), [(SILENCE / 2, False), (SILENCE / 2 + 1, True)])
def test_interval_longer_than_half_the_silence__is_warned_of(quiet: World, interval: float, warned: bool) -> None:
    keeper = quiet.keeper(interval_seconds=interval)
    with capture_logs() as logs:
        keeper.cycle(live=True)
    assert any("anyone may unwind" in entry["event"] for entry in logs) == warned


def test_keeper_cut_off__is_refused(quiet: World) -> None:
    quiet.do(quiet.vault.functions.cutKeeper())
    quiet.pass_time(SILENCE)
    for live in (False, True):
        result = quiet.keeper().cycle(live=live)
        assert result.outcome == "refused"
        assert "no keeper" in result.reason


# --- status ------------------------------------------------------------------------------------------------------


def test_status__shows_what_every_wall_leaves(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.limit("Cooldown", 3600)
    world.limit("MaxSilence", SILENCE)
    world.limit("TurnoverRefill", 0)
    world.limit("TurnoverCapacity", 2 * WAD)
    world.keeper().cycle(live=True)
    world.do(world.strategies[0].functions.lose(50_000 * UNIT))
    world.pass_time(600)
    found = gather(world.config(), 1)
    walls = found["vault"]["walls"]
    assert walls["turnover_left"] == pytest.approx(2 - 0.98, abs=1e-4)
    assert walls["turnover_capacity"] == 2.0
    assert walls["drawdown"] == pytest.approx(0.05, abs=1e-4)
    assert walls["max_drawdown"] == 0.1
    assert walls["loss_left"] == walls["loss_capacity"] == 1.0
    assert 2900 < walls["cooldown_left_seconds"] <= 3000
    assert SILENCE - 700 < walls["silence_left_seconds"] <= SILENCE - 600
    show(found)
    shown = capsys.readouterr().out.replace("\n", " ")
    for part in ("drawdown 5.00% of at most 10.00%", "turnover 102.", "of 200.00%", "cooldown 0:", "silence 1:"):
        assert part in shown, shown


def test_status__quarantine_and_silence__cannot_be_overlooked(quiet: World, capsys: pytest.CaptureFixture[str]) -> None:
    quiet.do(quiet.strategies[1].functions.setFault(2, 1))
    quiet.pass_time(SILENCE + 1)
    found = gather(quiet.config(), 1)
    assert (found["vault"]["valued"], found["vault"]["walls"]["silence_left_seconds"]) == (False, 0)
    show(found)
    shown = capsys.readouterr().out
    assert "QUARANTINE" in shown
    assert "anyone may unwind" in shown


def test_status__heartbeat_under_way__is_named(quiet: World, shell: Shell) -> None:
    quiet.pass_time(SILENCE // 2)
    quiet.stop_mining()
    quiet.keeper().cycle(live=True)
    assert gather(quiet.config(), 1)["under_way"]["kind"] == "heartbeat"
    done = shell("status", "--config", str(quiet.config_file()))
    assert "Under way: heartbeat" in done.stdout
