"""The served policy: limits that are looser than judged stop it, tighter ones do not; old digests of rules serve on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs

from agent.errors import AgentError
from agent.observation.observe import vector_size
from agent.policies.files import save_policy
from agent.policies.rules import EqualWeight, Greedy
from agent.units import WAD
from agent.vault.limits import Limit, Limits, Tight
from keeper.config import build_config
from keeper.conversion import enforced_limits
from keeper.decide import Action, Settings, decide
from keeper.errors import OtherLimitsError, PolicyError
from keeper.policy import ServedPolicy, load_served
from keeper.snapshot import Snapshot
from tests.keeper.by_hand import ADDRESS, LIMITS, UNIT, snapshot, strategy
from tests.keeper.harness import World

OLD_EQUAL_WEIGHT = "0x1af9dcdb05344d1560d29859d707db172671130c3a76272a6fc4c26ebde09d63"


def _with(limit: Limit, value: int) -> Snapshot:
    return snapshot(limits=replace(LIMITS, **{limit.name.lower(): value}))


def _served(accept: bool = False, judged: Limits | None = None) -> ServedPolicy:
    return ServedPolicy(EqualWeight(), enforced_limits(snapshot()) if judged is None else judged, accept)


def _changed(limit: Limit, *, looser: bool) -> Snapshot:
    present = LIMITS.struct()[limit] or WAD // 10
    up = (limit.tight is Tight.DOWN) is looser
    return _with(limit, present * 11 // 10 if up else present * 9 // 10)


@pytest.mark.parametrize("limit", [limit for limit in Limit if limit.in_backtests])
def test_at__limit_looser_than_judged__refused_in_words(limit: Limit) -> None:
    state = _changed(limit, looser=True)
    before, now = (limit.show(limit.from_chain(each.limits.of(limit))) for each in (snapshot(), state))
    with pytest.raises(OtherLimitsError, match=f"{limit.words}: {before} judged, {now} in the vault.*`accept_other"):
        _served().at(state)


@pytest.mark.parametrize("limit", [limit for limit in Limit if limit.tight is not Tight.NEITHER])
def test_at__limit_tighter_than_judged__told_once_and_served(limit: Limit) -> None:
    state = _changed(limit, looser=False)
    judged = replace(enforced_limits(snapshot()), performance_fee=0.2)
    served = _served(judged=judged)
    with capture_logs() as logs:
        assert served.at(state).digest == EqualWeight().digest
        served.at(state)
        assert len(logs) == 1  # the same again is no news
        served.at(_changed(Limit.IDLE_FLOOR if limit is not Limit.IDLE_FLOOR else Limit.COOLDOWN, looser=False))
    assert len(logs) == 2
    assert limit.words in logs[0]["tighter"]
    assert logs[0]["looser"] == "none"


@pytest.mark.parametrize(("limit", "value"), [(Limit.MAX_SILENCE, 2 * 604_800), (Limit.PERFORMANCE_FEE, WAD // 10)])
def test_at__looser_limit_that_no_backtest_feels__told_and_served(limit: Limit, value: int) -> None:
    with capture_logs() as logs:
        _served().at(_with(limit, value))
    assert limit.words in logs[0]["looser"]


def test_at__bid_that_grows_at_another_rate__refused_in_both_directions() -> None:
    for value in (LIMITS.max_growth_rate // 2, LIMITS.max_growth_rate * 2):
        with pytest.raises(OtherLimitsError, match="growth of what leaving is paid from"):
            _served().at(_with(Limit.MAX_GROWTH_RATE, value))


def test_at__caps__looser_refused_tighter_or_closed_served() -> None:
    served = _served(judged=Limits(np.full(3, 0.6), np.array([5e6, np.inf, np.inf])))
    for first, refused in (
        (strategy(absolute=5_000_000 * UNIT), False),
        (strategy(absolute=4_000_000 * UNIT), False),
        (strategy(cap=5 * WAD // 10, absolute=5_000_000 * UNIT), False),
        (strategy(cap=0, absolute=5_000_000 * UNIT), False),
        (strategy(live=False, has_rate=False, absolute=5_000_000 * UNIT), False),
        (strategy(absolute=6_000_000 * UNIT), True),
        (strategy(), True),
        (strategy(cap=7 * WAD // 10, absolute=5_000_000 * UNIT), True),
    ):
        state = snapshot(first, strategy(), strategy())
        if refused:
            with pytest.raises(OtherLimitsError, match=r"the (relative|absolute) cap of pool: "):
                served.at(state)
        else:
            assert served.at(state).name == "equal-weight"


def test_at__other_limits_accepted__told_and_served() -> None:
    state = _changed(Limit.MAX_DRAWDOWN, looser=True)
    with capture_logs() as logs:
        _served(accept=True).at(state)
    assert "the drawdown at which the vault halts: 10 % judged, 11 % in the vault" in logs[0]["looser"]


def test_at__as_judged_or_nothing_to_compare__silent() -> None:
    loose = _changed(Limit.MAX_DRAWDOWN, looser=True)
    with capture_logs() as logs:
        _served().at(snapshot())
        ServedPolicy(EqualWeight()).at(loose)
        _served(judged=Limits.uniform(2)).at(loose)  # for another number of strategies: the decision refuses it
    assert logs == []


def test_at__limits_of_a_file_that_was_deployed__no_difference_by_rounding() -> None:
    refill = 0.001 / 3  # what comes back per second is rounded down
    limits = Limit.LOSS_REFILL
    state = _with(limits, limits.to_chain(refill))
    judged = enforced_limits(snapshot())
    judged = replace(judged, loss_budget=replace(judged.loss_budget, refill_per_day=refill))
    with capture_logs() as logs:
        _served(judged=judged).at(state)
    assert logs == []


# --- from its file -----------------------------------------------------------------------------------------------


def _config(folder: Path, verdict: dict[str, Any], **changes: Any) -> Any:
    layers = [(np.zeros((vector_size(3), 3)), np.zeros(3))]
    save_policy(folder / "p.npz", layers, {"name": "ppo", "strategies": ["a", "b", "c"], "promotion": verdict})
    raw = {"rpc_url": "http://127.0.0.1:1", "chain_id": 1, "vault": ADDRESS, "lens": ADDRESS, "native_price": 1.0}
    return build_config({**raw, "policy": "p.npz", **changes}, folder)


def test_load_served__limits_of_the_verdict__are_those_compared(tmp_path: Path) -> None:
    judged = enforced_limits(snapshot())
    state = _changed(Limit.COOLDOWN, looser=True)
    verdict = {"promoted": True, "limits": judged.record()}
    served = load_served(_config(tmp_path, verdict))
    assert served.at(snapshot()).name == "ppo"
    with pytest.raises(OtherLimitsError, match="the time between rebalances"):
        served.at(state)
    assert load_served(_config(tmp_path, verdict, accept_other_limits=True)).at(state).name == "ppo"
    assert load_served(_config(tmp_path, {"promoted": True})).at(state).name == "ppo"  # from before verdicts had them
    with pytest.raises(PolicyError, match="damaged"):
        load_served(_config(tmp_path, {"promoted": True, "limits": {**judged.record(), "idle_floor": 2.0}}))


# --- rules that vaults committed to before rules had versions -----------------------------------------------------


def test_at__digest_from_before_versions__served_under_it() -> None:
    served = ServedPolicy(EqualWeight())
    old, new = snapshot(policy_hash=OLD_EQUAL_WEIGHT), snapshot()
    plan = decide(old, None, served.at(old), Settings(native_price=3000.0))
    assert plan.action is Action.REBALANCE
    assert plan.request is not None
    assert plan.request.policy_hash == OLD_EQUAL_WEIGHT
    assert served.at(new).digest == new.policy_hash
    assert ServedPolicy(Greedy()).at(old).digest == Greedy().digest  # and the decision refuses it


@pytest.mark.chain
def test_keeper__digest_from_before_versions__trades_on_chain(world: World) -> None:
    world.commit(OLD_EQUAL_WEIGHT)
    assert world.keeper().cycle(live=True).outcome == "mined"
    assert "0x" + world.rebalances()[-1]["args"]["policyHash"].hex() == OLD_EQUAL_WEIGHT
    world.commit(EqualWeight().digest)
    assert world.keeper().cycle(live=True).outcome == "no-trade"


@pytest.mark.chain
def test_keeper__vault_loosened_after_the_verdict__nothing_sent(world: World) -> None:
    layers = [(np.zeros((vector_size(3), 3)), np.ones(3))]
    verdict = {"promoted": True, "limits": enforced_limits(world.snapshot()).record()}
    manifest = {"name": "ppo", "strategies": ["a", "b", "c"], "promotion": verdict}
    policy = save_policy(world.folder / "p.npz", layers, manifest)
    world.commit(policy.digest)
    assert world.keeper(policy="p.npz").cycle().outcome == "simulated"
    world.limit("MaxDrawdown", WAD // 5)
    keeper = world.keeper(policy="p.npz")
    with pytest.raises(OtherLimitsError, match="10 % judged, 20 % in the vault") as refused:
        keeper.cycle(live=True)
    assert not isinstance(refused.value, AgentError)
    assert keeper.journal.latest_intent() is None
    assert world.keeper(policy="p.npz", accept_other_limits=True).cycle().outcome == "simulated"
