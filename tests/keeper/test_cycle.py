"""One cycle of the keeper on a real chain: which transactions are sent, which are not, and why."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs
from web3 import HTTPProvider, Web3

from agent.observation.memory import RateMemory
from agent.observation.observe import vector_size
from agent.policies.files import save_integer, save_policy
from agent.policies.quantise import quantise
from agent.policies.rules import Greedy
from keeper.chain.transaction import GWEI
from keeper.errors import (
    ConfigError,
    FeeTooHighError,
    InsufficientFundsError,
    KeystoreError,
    PolicyError,
    RpcUnavailableError,
    StaleBlockError,
    WrongChainError,
    WrongContractError,
)
from keeper.journal import State
from tests.keeper.harness import KEEPER, THIEF, UNIT, WAD, World, write_keystore
from tests.keeper.proxy import Answer, Proxy

pytestmark = pytest.mark.chain


def test_live__new_vault__is_rebalanced_to_the_policy(world: World) -> None:
    result = world.keeper().cycle(live=True)
    assert result.outcome == "mined"
    assert world.weights == pytest.approx([0.98 / 3] * 3, abs=1e-4)
    assert (world.epoch, world.nonce()) == (1, 1)
    event = world.rebalances()[0]
    assert "0x" + event["transactionHash"].hex() == result.transaction_hash
    assert "0x" + event["args"]["decisionHash"].hex() == result.request.decision_hash
    assert event["args"]["weights"] == list(result.request.weights)
    transaction = world.w3.eth.get_transaction(result.transaction_hash)
    assert transaction["type"] == 2
    assert (
        result.gas_used < transaction["gas"] < 3 * result.gas_used
    )  # each look at a strategy wants its gas in reserve
    assert result.nav == 1_000_000 * UNIT


def test_live__nothing_to_do__says_why_and_sends_nothing(world: World) -> None:
    keeper = world.keeper()
    keeper.cycle(live=True)
    again = keeper.cycle(live=True)
    assert again.outcome == "no-trade"
    assert "smaller than the smallest trade" in again.reason
    assert world.nonce() == 1


def test_live__after_losses_and_gains__follows(world: World) -> None:
    keeper = world.keeper()
    keeper.cycle(live=True)
    world.do(world.strategies[0].functions.gain(60_000 * UNIT))
    world.do(world.strategies[1].functions.lose(20_000 * UNIT))
    assert keeper.cycle(live=True).outcome == "mined"
    assert world.weights == pytest.approx([0.98 / 3] * 3, abs=1e-4)
    assert world.epoch == 2


def test_costs__are_what_the_decision_reckons_with(world: World) -> None:
    address = world.strategies[2].address
    keeper = world.keeper(costs={address: {"entry": 0.001, "exit": 0.002, "impact": 1e-9}})
    costs = keeper.settings.costs_at(world.snapshot())
    assert np.asarray(costs.entry).tolist() == [0.0, 0.0, 0.001]
    assert np.asarray(costs.exit).tolist() == [0.0, 0.0, 0.002]
    assert np.asarray(costs.impact).tolist() == [0.0, 0.0, 1e-9]
    with pytest.raises(ConfigError, match="`costs` names pol, but the vault's strategies are: "):
        world.keeper(costs={"pol": {"entry": 0.001}}).cycle()


def test_dry_run__simulates_but_sends_nothing_and_needs_no_key(world: World) -> None:
    result = world.keeper(keystore=None, password_file=None).cycle()
    assert result.outcome == "simulated"
    assert result.request is not None
    assert (world.epoch, world.nonce()) == (0, 0)
    assert world.keepers[0].journal.latest_intent() is None
    assert world.rpc("txpool_status") == {"pending": "0x0", "queued": "0x0"}


def test_dry_run__whose_transaction_would_revert__says_so(world: World) -> None:
    world.do(world.strategies[2].functions.setSlippage(5_000 * UNIT))
    result = world.keeper().cycle()
    assert result.outcome == "refused"
    assert "SharePriceBelowMinimum" in result.reason


def test_simulation_reverts__nothing_is_sent_and_the_error_is_named(world: World) -> None:
    world.do(world.strategies[1].functions.setFault(0, 1))  # its deposit reverts
    result = world.keeper().cycle(live=True)
    assert result.outcome == "refused"
    assert "the simulation reverted" in result.reason
    world.do(world.strategies[1].functions.setFault(0, 0))
    world.do(world.strategies[2].functions.setSlippage(5_000 * UNIT))  # NAV would fall too far
    result = world.keeper().cycle(live=True)
    assert "SharePriceBelowMinimum(sharePrice=" in result.reason
    assert (world.epoch, world.nonce()) == (0, 0)
    assert world.keepers[0].journal.latest_intent() is None


def test_halted_vault__is_refused(world: World) -> None:
    keeper = world.keeper()
    keeper.cycle(live=True)
    world.halt()
    result = keeper.cycle(live=True)
    assert result.outcome == "refused"
    assert "halted" in result.reason
    assert world.nonce() == 1


def test_wrong_policy__is_refused(world: World) -> None:
    world.commit(Greedy().digest)
    result = world.keeper().cycle(live=True)
    assert result.outcome == "refused"
    assert Greedy().digest in result.reason
    assert world.keeper(policy="greedy").cycle(live=True).outcome == "mined"


def test_wrong_key__is_refused(world: World) -> None:
    write_keystore(world.folder / "keystore.json", THIEF.key)
    result = world.keeper().cycle(live=True)
    assert result.outcome == "refused"
    assert THIEF.address in result.reason
    assert KEEPER.address in result.reason


def test_strategy_that_reverts__vault_cannot_be_valued__is_refused(world: World) -> None:
    keeper = world.keeper()
    keeper.cycle(live=True)
    world.do(world.strategies[1].functions.setFault(2, 1))  # previewRedeem reverts
    result = keeper.cycle(live=True)
    assert result.outcome == "refused"
    assert "cannot be valued" in result.reason


def test_dead_strategy__is_left_alone_and_named(world: World) -> None:
    world.do(world.strategies[1].functions.setFault(3, 1))  # convertToAssets reverts; nothing is invested there
    result = world.keeper().cycle(live=True)
    assert result.outcome == "mined"
    assert world.strategies[1].address in result.reason
    assert world.weights == pytest.approx([1 / 3, 0, 1 / 3], abs=1e-4)


def test_dead_strategy_that_holds_funds__their_share_is_not_spent_twice(world: World) -> None:
    keeper = world.keeper()
    keeper.cycle(live=True)
    world.do(world.strategies[1].functions.setFault(5, 1))  # maxWithdraw reverts; valuation does not
    world.do(world.strategies[0].functions.gain(60_000 * UNIT))
    result = keeper.cycle(live=True)
    assert result.outcome == "mined", result.reason
    assert result.request.weights[1] == 2**256 - 1


def test_plain_vault__its_rate_is_what_its_share_price_grew_by(world: World) -> None:
    world.do(world.strategies[1].functions.setFault(6, 1))  # no supplyRate()
    keeper = world.keeper(max_block_age_seconds=1e9)
    assert keeper.cycle(live=True).outcome == "no-trade"
    world.rpc("evm_increaseTime", 3600)
    world.rpc("evm_mine")
    result = keeper.cycle(live=True)
    assert result.outcome == "mined", result.reason
    held = world.strategies[1].functions.totalAssets().call()
    world.do(world.strategies[1].functions.gain(held // 87_600))  # an hour at 10 % a year
    world.rpc("evm_increaseTime", 7200)
    world.rpc("evm_mine")
    again = world.keeper(max_block_age_seconds=1e9)  # restarted: the journal has the prices
    again.cycle()
    stored = again.journal.memory(world.snapshot().strategies_digest)
    assert stored is not None
    elapsed = world.snapshot().block.timestamp - json.loads(stored)["marks"]["times"][0]
    rate = 1 / 87_600 * 31_536_000 / elapsed
    decay = np.exp(-(elapsed - 3600) / (3 * 86_400))
    assert RateMemory.from_json(json.loads(stored)).fast[0][1] == pytest.approx(rate * (1 - decay), rel=1e-3)


def test_closed_strategy__cap_zero__is_emptied(world: World) -> None:
    keeper = world.keeper()
    keeper.cycle(live=True)
    world.do(world.vault.functions.loosenCaps(world.strategies[0].address, 0, 0))
    assert keeper.cycle(live=True).outcome == "mined"
    assert world.weights == pytest.approx([0, 0.98 / 3, 0.98 / 3], abs=1e-4)


def test_caps_and_floor__policy_wants_more__is_mined_at_the_limits(world: World) -> None:
    world.commit(Greedy().digest)
    world.do(world.vault.functions.loosenCaps(world.strategies[1].address, 6 * WAD // 10, 123_456_789_012))
    result = world.keeper(policy="greedy").cycle(live=True)
    assert result.outcome == "mined", result.reason
    assert world.weights == pytest.approx([0.98 - 0.6 - 0.123457, 0.123457, 0.6], abs=1e-4)
    assert result.at_cap == (False, True, True)


def test_wrong_chain__is_refused(world: World) -> None:
    with pytest.raises(WrongChainError, match=r"serves chain 31337.*chain_id = 1\b"):
        world.keeper(chain_id=1).cycle(live=True)


@pytest.mark.parametrize("key", ["vault", "lens"])
def test_address_without_code__is_named(world: World, key: str) -> None:
    with pytest.raises(WrongContractError, match=f"no contract at the {key}'s address"):
        world.keeper(**{key: THIEF.address}).cycle()


def test_address_of_another_contract__is_named(world: World) -> None:
    with pytest.raises(WrongContractError, match="is not a Bulkhead vault"):
        world.keeper(vault=world.token.address).cycle()
    with pytest.raises(WrongContractError, match="cannot read"):
        world.keeper(lens=world.token.address, journal=str(world.folder / "other.sqlite")).cycle()


def test_stale_block__is_refused(world: World) -> None:
    keeper = world.keeper(max_block_age_seconds=30.0)
    world.rpc("evm_mine")
    timestamp = world.w3.eth.get_block("latest")["timestamp"]
    keeper._clock = lambda: timestamp + 31.0
    with pytest.raises(StaleBlockError, match="31 s old"):
        keeper.cycle(live=True)
    keeper._clock = lambda: timestamp - 31.0
    with pytest.raises(StaleBlockError, match="31 s ahead"):
        keeper.cycle(live=True)
    keeper._clock = lambda: timestamp + 29.0
    assert keeper.cycle(live=True).outcome == "mined"


def test_block_older_than_the_journal__is_refused(world: World) -> None:
    keeper = world.keeper()
    before = world.rpc("evm_snapshot")
    world.rpc("evm_increaseTime", 3600)
    world.rpc("evm_mine")
    keeper.cycle()
    world.rpc("evm_revert", before)
    with pytest.raises(StaleBlockError, match="older than the last one"):
        keeper.cycle()


def test_rpc_dead__is_reported_and_journalled(world: World) -> None:
    keeper = world.keeper(rpc_url="http://127.0.0.1:9/secret-token")
    with pytest.raises(RpcUnavailableError, match="does not answer") as caught:
        keeper.cycle(live=True)
    assert "secret-token" not in str(caught.value)
    assert keeper.journal.recent_cycles(1)[0]["outcome"] == "error"


def test_fee_above_the_ceiling__waits(world: World) -> None:
    with pytest.raises(FeeTooHighError, match=r"max_fee_gwei = 0\.001"):
        world.keeper(max_fee_gwei=0.001).cycle(live=True)
    assert world.keepers[0].journal.latest_intent() is None
    assert world.nonce() == 0


def test_tips__count_in_the_price_of_gas(world: World, proxy: Proxy) -> None:
    def with_tips(question: dict[str, Any], ask: Callable[[], Answer]) -> Answer:
        answer = ask()
        return {"result": {**answer["result"], "reward": [[hex(10**6 * GWEI)]] * 10}}

    proxy.rules["eth_feeHistory"] = with_tips
    result = world.keeper(rpc_url=proxy.url).cycle()
    assert result.outcome == "no-trade"
    assert "gas" in result.reason


def test_journal_that_knows_nothing__of_a_vault_that_was_rebalanced__warns(world: World) -> None:
    with capture_logs() as first:
        world.keeper().cycle(live=True)
    assert not any("knows of no transaction" in entry["event"] for entry in first)
    keeper = world.keeper(journal=str(world.folder / "emptied.sqlite"))
    with capture_logs() as then:
        assert keeper.cycle(live=True).outcome == "no-trade"
    assert any("knows of no transaction" in entry["event"] for entry in then)


def test_keeper_without_money__is_told_so(world: World) -> None:
    world.rpc("anvil_setBalance", KEEPER.address, hex(10**9))
    with pytest.raises(InsufficientFundsError, match="Top it up"):
        world.keeper().cycle(live=True)
    assert world.keepers[0].journal.latest_intent() is None


def test_keystore_password__wrong__is_refused_before_anything(world: World) -> None:
    (world.folder / "password").write_text("wrong")
    with pytest.raises(KeystoreError, match="Wrong password"):
        world.keeper().cycle(live=True)


def test_policy_file_missing__no_keeper_at_all(world: World) -> None:
    with pytest.raises(PolicyError, match="policy"):
        world.keeper(policy="missing.npz")


def test_policy_that_the_gate_refused__no_keeper_at_all(world: World) -> None:
    layers = [(np.zeros((vector_size(3), 3)), np.zeros(3))]
    verdict = {"promoted": False, "best": "forecast-var1", "serve": "forecast-var1"}
    manifest = {"name": "x", "strategies": ["a", "b", "c"]}
    save_policy(world.folder / "refused.npz", layers, {**manifest, "promotion": verdict})
    with pytest.raises(
        PolicyError, match=r"not promoted: .*forecast-var1 did better.*`forecast-var1` \(its file, .*agent export"
    ):
        world.keeper(policy=str(world.folder / "refused.npz"))
    save_policy(world.folder / "refused.npz", layers, {**manifest, "promotion": {**verdict, "serve": "greedy-band"}})
    with pytest.raises(PolicyError, match="`greedy-band`, or train anew"):
        world.keeper(policy=str(world.folder / "refused.npz"))
    save_policy(world.folder / "promoted.npz", layers, {**manifest, "promotion": {**verdict, "promoted": True}})
    world.keeper(policy=str(world.folder / "promoted.npz"))


def test_integer_policy_that_the_gate_refused__no_keeper_at_all(world: World) -> None:
    rng = np.random.default_rng(0)
    layers = [(rng.normal(0, 0.1, (vector_size(3), 3)), np.zeros(3))]
    floats = save_policy(world.folder / "x.npz", layers, {"name": "x", "strategies": ["a", "b", "c"]})
    integer = quantise(floats, rng.uniform(-1, 1, (50, vector_size(3))))
    save_integer(world.folder / "integer.npz", integer)
    world.keeper(policy=str(world.folder / "integer.npz"))
    verdict = {"promoted": False, "best": "greedy", "serve": "greedy"}
    judged = replace(integer, manifest={**integer.manifest, "promotion": verdict})
    save_integer(world.folder / "refused.npz", judged)
    with pytest.raises(PolicyError, match="not promoted: out of sample greedy did better"):
        world.keeper(policy=str(world.folder / "refused.npz"))


def test_snapshot_and_simulation__are_one_call_each_at_one_block(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper, calls = world.keeper(), []
    real = keeper._rpc._request

    def spy(method: str, *parameters: Any) -> Any:
        if method == "eth_call":
            calls.append((parameters[0]["to"], parameters[1]))
            world.do(world.token.functions.mint(world.vault.address, UNIT))  # a block comes in between
        return real(method, *parameters)

    monkeypatch.setattr(keeper._rpc, "_request", spy)
    block = Web3(HTTPProvider(world.url)).eth.get_block("latest")
    result = keeper.cycle()
    pinned = {"blockHash": "0x" + block["hash"].hex(), "requireCanonical": True}
    assert calls == [(world.lens.address, pinned), (world.vault.address, pinned)]
    assert (result.block_number, result.nav) == (block["number"], 1_000_000 * UNIT)


def test_journal__remembers_every_wake(world: World) -> None:
    keeper = world.keeper()
    keeper.cycle()
    keeper.cycle(live=True)
    world.halt()
    keeper.cycle(live=True)
    rows = keeper.journal.recent_cycles()
    assert [row["outcome"] for row in rows] == ["refused", "mined", "simulated"]
    assert all(len(row["snapshot_digest"]) == 66 and row["reason"] for row in rows)
    intent = keeper.journal.latest_intent()
    assert intent is not None
    assert intent.state is State.MINED


def test_rate_memory__survives_a_restart(world: World) -> None:
    world.keeper().cycle()
    world.do(world.strategies[0].functions.setRate(WAD // 2))
    world.rpc("evm_increaseTime", 3 * 86_400)
    world.rpc("evm_mine")
    keeper = world.keeper(max_block_age_seconds=1e9)
    keeper.cycle()
    stored = keeper.journal.memory(world.snapshot().strategies_digest)
    assert stored is not None
    # One time constant of the fast mean (3 days): 1/e of the way is still to go from 3 % to 50 %.
    assert RateMemory.from_json(json.loads(stored)).fast[0][0] == pytest.approx(0.5 - 0.47 / np.e, abs=1e-4)
