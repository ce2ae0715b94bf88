"""What a policy is shown besides the vault: from the configuration to the observation, also after a restart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.observation.observe import DEFI, RWA, vector_names, vector_size
from agent.observation.quotes import QUOTES
from agent.policies.files import save_policy
from keeper.chain.rpc import Rpc
from keeper.config import build_config
from keeper.cycle import Keeper
from keeper.decide import Action, Settings, decide
from keeper.errors import ConfigError, PolicyError, SourceError
from keeper.feeds.chain import CallSource
from keeper.feeds.quotes import Quotes
from keeper.policy import load_served
from tests.keeper.by_hand import ADDRESS, snapshot, strategy
from tests.keeper.harness import World

NUMBERS = {
    **{"eth": 3000.0, "btc": 90_000.0, "btc_dominance": 0.55, "fed_funds": 0.0433, "usdy_peg": 1.002, "mnt": 0.7},
    **{"meth_peg": 0.995, "usdy_lending": 0.02, "meth_lending": 0.015},
}
FIXED = {name: {"value": value} for name, value in NUMBERS.items()}


def policy_of(folder: Path, version: str = RWA, count: int = 3) -> Any:
    """A network that sees everything and wants something else for every observation."""
    rng = np.random.default_rng(4)
    size = vector_size(count, version)
    layers = [(rng.normal(0, 0.3, (size, count)).astype(np.float32), np.zeros(count, dtype=np.float32))]
    return save_policy(folder / "p.npz", layers, {"name": "ppo", "strategies": list("abcde")[:count]}, version=version)


def observed(keeper: Keeper) -> dict[str, float]:
    """What the policy was shown in the last cycle."""
    vector = json.loads(keeper.journal.recent_cycles(1)[0]["decision"])["observation"]
    return dict(zip(vector_names(["a", "b", "c"], RWA), vector, strict=True))


def test_decide__policy_of_another_observation__is_shown_it(tmp_path: Path) -> None:
    policy = policy_of(tmp_path)
    state = snapshot(strategy(), strategy(), strategy(), policy_hash=policy.digest)
    plan = decide(state, None, policy, Settings(native_price=3000.0), quotes=Quotes(NUMBERS))
    assert plan.action is Action.REBALANCE, plan.reason
    seen = dict(zip(vector_names(["a", "b", "c"], RWA), plan.vector, strict=True))
    assert seen["eth_price"] == 0.0
    assert seen["btc_price"] == pytest.approx(np.log(1.5))
    assert seen["usdy_peg"] == pytest.approx(0.1)
    assert seen["gas_gwei"] == pytest.approx(3.0), "clipped: 1 gwei is fifty times the usual"
    assert plan.past is not None
    assert plan.past.timestamp == state.block.timestamp

    blind = decide(state, None, policy, Settings(native_price=3000.0), quotes=None)
    assert blind.action is Action.HOLD
    assert "not known" in blind.reason
    lacking = decide(state, None, policy, Settings(native_price=3000.0), quotes=Quotes({"eth": 3000.0}))
    assert lacking.action is Action.REFUSE
    assert "needs quotes of btc, " in lacking.reason


def test_decide__policy_of_five_venues__is_shown_the_hour_and_the_block(tmp_path: Path) -> None:
    policy = policy_of(tmp_path, DEFI, 5)
    state = snapshot(*(strategy(name=name) for name in "abcde"), policy_hash=policy.digest)
    coins = {"dai": 1.0, "usdc": 0.99, "usdt": 1.0}
    plan = decide(state, None, policy, Settings(native_price=3000.0), quotes=Quotes({"eth": 3e3, "btc": 9e4, **coins}))
    seen = dict(zip(vector_names(list("abcde"), DEFI), plan.vector, strict=True))
    day = state.block.timestamp % 86_400 / 86_400
    assert seen["progress"] == pytest.approx(day)
    assert seen["hour"] == pytest.approx(2 * day - 1)
    assert seen["usdc_peg"] == pytest.approx(-0.5)
    assert seen["congestion"] == pytest.approx(0.4)


def test_rates__told_by_the_operator__count_before_what_the_share_price_grew_by(tmp_path: Path) -> None:
    policy = policy_of(tmp_path)
    swap = strategy(name="meth", has_rate=False, supply_rate=0)
    state = snapshot(strategy(), swap, strategy(), policy_hash=policy.digest)
    settings = Settings(native_price=3000.0)
    unknown = decide(state, None, policy, settings, quotes=Quotes(NUMBERS))
    assert "meth: no rate is published" in unknown.reason
    plan = decide(state, None, policy, settings, quotes=Quotes(NUMBERS, {"meth": 0.031}))
    assert plan.vector[1] == pytest.approx(0.031 / 0.05)
    with pytest.raises(ConfigError, match="`rates` names mteh, but the vault's strategies are: "):
        decide(state, None, policy, settings, quotes=Quotes(NUMBERS, {"mteh": 0.031}))


# --- configuration -----------------------------------------------------------------------------------------------


def config_of(folder: Path, **changes: Any) -> Any:
    base = {"rpc_url": "http://127.0.0.1:1", "chain_id": 1, "vault": ADDRESS, "lens": ADDRESS, "native_price": 1.0}
    return build_config({**base, "policy": "p.npz", **changes}, folder)


def test_load_served__quotes_missing__said_before_anything_is_read(tmp_path: Path) -> None:
    policy_of(tmp_path)
    with pytest.raises(PolicyError, match=r"rwa-1.*needs the tables \[quotes.eth\], .*\[quotes.mnt\]"):
        load_served(config_of(tmp_path))
    assert load_served(config_of(tmp_path, quotes=FIXED)).policy.name == "ppo"
    assert FIXED.keys() == set(QUOTES[RWA])


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"quotes": {"etherium": {"value": 1.0}}}, "no policy sees etherium; quotes are btc, btc_dominance, "),
        ({"quotes": {"eth": {}}}, "give either `value`, a number, or `price`"),
        ({"quotes": {"eth": {"value": 1.0, "price": {"sources": []}}}}, "quotes.eth"),
        ({"rates": {"meth": {"value": 0.03, "divided_by": {"sources": []}}}}, "rates.meth"),
        ({"quotes": {"eth": {"value": float("nan")}}}, "quotes.eth.value"),
        ({"quotes": {"eth": {"value": 1.0, "colour": "red"}}}, "unknown key `quotes.eth.colour`"),
        (
            {"quotes": {"eth": {"price": {"sources": [{"kind": "call", "address": ADDRESS, "signature": "price"}]}}}},
            "signature",
        ),
    ],
)
def test_config__wrong_quotes__are_named(tmp_path: Path, table: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        config_of(tmp_path, **table)
    assert told in str(refused.value)


# --- the keeper --------------------------------------------------------------------------------------------------


def rate_of(world: World, index: int) -> dict[str, Any]:
    """A quote that is the rate of one of the world's strategies: 3, 4 and 5 %."""
    source = {"kind": "call", "address": world.strategies[index].address, "signature": "supplyRate()"}
    return {"sources": [source]}


@pytest.mark.chain
def test_call__number_of_a_view__or_a_clear_error(world: World) -> None:
    rpc, address = Rpc(world.url), world.strategies[0].address
    quote = CallSource(rpc, address, "supplyRate()").read(0.0)
    assert quote.price == 0.03
    assert quote.source == f"{address} supplyRate()"
    for where, signature in ((address, "noSuchThing()"), (world.depositor, "supplyRate()")):
        with pytest.raises(SourceError, match="is it the right address"):
            CallSource(rpc, where, signature).read(0.0)


@pytest.mark.chain
def test_keeper__quotes_from_the_chain__trades_on_them_and_notes_them(world: World) -> None:
    policy = policy_of(world.folder)
    world.commit(policy.digest)
    quotes = {**FIXED, "usdy_peg": {"price": rate_of(world, 2), "divided_by": rate_of(world, 1)}}
    keeper = world.keeper(policy="p.npz", quotes=quotes, rates={world.strategies[1].address: {"value": 0.07}})
    result = keeper.cycle(live=True)
    assert result.outcome == "mined", result.reason
    seen = observed(keeper)
    assert seen["usdy_peg"] == 3.0, "5 over 4 %: clipped"
    assert seen["rate b"] == pytest.approx(0.07 / 0.05)
    noted = json.loads(keeper.journal.recent_cycles(1)[0]["decision"])["quotes"]
    assert noted["usdy_peg"]["price"] == 1.25
    assert len(noted["usdy_peg"]["quotes"]) == 2


@pytest.mark.chain
def test_keeper__source_that_fails__does_not_trade(world: World) -> None:
    policy = policy_of(world.folder)
    world.commit(policy.digest)
    dead = {"price": {"sources": [{"kind": "call", "address": world.depositor, "signature": "getPrice()"}]}}
    result = world.keeper(policy="p.npz", quotes={**FIXED, "eth": dead}).cycle(live=True)
    assert result.outcome == "no-trade"
    assert "0 of the sources of eth agree" in result.reason
    assert world.nonce() == 0


@pytest.mark.chain
def test_keeper__restarted_in_the_middle__sees_what_one_sees_that_ran_on(world: World) -> None:
    """ETH's trailing volatility is in the journal, and not only the last price."""
    policy = policy_of(world.folder)
    world.commit(policy.digest)
    # The price is a rate, so that it can be moved: 0.03 is 3,000.
    source = {"kind": "call", "address": world.strategies[0].address, "signature": "supplyRate()", "decimals": 13}
    quotes = {**FIXED, "eth": {"price": {"sources": [source]}}}
    changes = {"policy": "p.npz", "quotes": quotes, "keystore": None, "password_file": None}
    rpc = Rpc(world.url)

    def keeper(journal: str) -> Keeper:
        config = world.config(**changes, journal=str(world.folder / journal))
        return Keeper(config, clock=lambda: float(rpc.block().timestamp))

    with keeper("running.sqlite") as running:
        for price in (3000, 3100, 2900, 3050):
            world.do(world.strategies[0].functions.setRate(price * 10**13))
            world.pass_time(3600)
            with keeper("restarted.sqlite") as restarted:
                for one in (running, restarted):
                    result = one.cycle()
                    assert result.outcome in ("simulated", "no-trade"), result.reason
                assert observed(running) == observed(restarted)
        assert observed(running)["eth_volatility"] > 1.0, "the price jumped by 3 % an hour"
