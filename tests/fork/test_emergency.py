"""docs/EMERGENCY.md on a fork: bash and cast run its commands as written, on a vault in that emergency."""

from pathlib import Path

import ape
import pytest

from agent.vault.limits import Limit
from keeper.inspect.roles import ADMIN, GUARDIAN
from scripts.protocols.anvil import rpc
from tests.fork.document import GAS, NEW, WAD, Document, Scene
from tests.fork.upstream import Upstream, at

NEW_POLICY = "0x" + "5a" * 32
DOCUMENT = Document.read("EMERGENCY.md")


class Emergency(Scene):
    """The vault on the fork, and what befalls it."""

    def announce(self, target: str, call: str) -> None:
        """Announce a call as governance."""
        self.shell(f'cast send $AS_GOVERNANCE $MANAGER "schedule(address,bytes,uint48)" {target} {call} 0')

    def invest(self) -> None:
        """Deposit, and spread it over the strategies."""
        self.deposit()
        self.rebalance(0.9)

    def rob(self) -> None:
        """Take nine tenths of the first strategy's aTokens away."""
        strategy = at("AaveV3Strategy", self.variables["STRATEGY"])
        a_token = at("Vault", strategy.A_TOKEN())
        thief = ape.accounts[self.impersonate(strategy.address)]
        a_token.transfer(NEW, a_token.balanceOf(strategy) * 9 // 10, sender=thief, gas_limit=GAS)

    def lend_out(self) -> None:
        """Take the cash out of the first strategy's market, as borrowers would."""
        strategy = at("AaveV3Strategy", self.variables["STRATEGY"])
        asset = at("Vault", self.vault.asset())
        pool = ape.accounts[self.impersonate(strategy.A_TOKEN())]
        asset.transfer(NEW, asset.balanceOf(pool), sender=pool, gas_limit=GAS)

    def block_the_vault(self) -> None:
        """Make the asset refuse every transfer; its balances can still be read."""
        code = self.w3.eth.get_code(self.vault.asset()).hex()
        chosen = "8063a9059cbb14"  # the dispatcher's choice of transfer(address,uint256)
        assert code.count(chosen) == 1
        rpc(self.w3, "anvil_setCode", self.vault.asset(), "0x" + code.replace(chosen, "8063ffffffff14"))

    def break_strategy(self) -> None:
        rpc(self.w3, "anvil_setCode", self.variables["STRATEGY"], "0x60006000fd")


@pytest.fixture
def emergency(upstream: Upstream, tmp_path: Path) -> Emergency:
    made = Emergency.open(DOCUMENT, tmp_path, upstream)
    made.variables |= {"NEW_KEEPER": NEW, "NEW_GUARDIAN": NEW, "NEW_POLICY": NEW_POLICY}
    return made


def test_document__every_section_with_commands__has_a_test() -> None:
    assert DOCUMENT.untested(__file__) == []


def test_keeper_key_stolen(emergency: Emergency) -> None:
    emergency.follow("The keeper's key is stolen")
    assert emergency.vault.keeper() == NEW


def test_guardian_key_stolen(emergency: Emergency) -> None:
    guardian = emergency.variables["GUARDIAN"]
    emergency.send(guardian, "halt")
    emergency.follow("The guardian's key is stolen")
    state = emergency.inspect()
    assert [(member.account, member.delay) for member in state.authority.who(GUARDIAN)] == [(NEW, 0)]
    assert not state.snapshot.halted


def test_governance_key_stolen(emergency: Emergency) -> None:
    manager, guardian = emergency.variables["MANAGER"], emergency.variables["GUARDIAN"]
    evil = emergency.shell(f'cast calldata "grantRole(uint64,address,uint32)" {ADMIN} {NEW} 0').strip()
    dismiss = emergency.shell(f'cast calldata "revokeRole(uint64,address)" {GUARDIAN} {guardian}').strip()
    emergency.announce(manager, evil)
    emergency.announce(manager, dismiss)
    pending = {operation.data.hex(): operation for operation in emergency.inspect().authority.pending}
    assert pending.keys() == {evil[2:], dismiss[2:]}
    emergency.variables |= {"TARGET": pending[evil[2:]].target, "DATA": evil}
    emergency.follow("Governance's key is stolen")
    state = emergency.inspect()
    assert state.authority.pending == ()
    assert state.snapshot.halted


def test_strategy_robbed(emergency: Emergency) -> None:
    emergency.invest()
    emergency.rob()
    nav = emergency.inspect().snapshot.nav
    emergency.follow("A strategy is robbed, or you fear for it")
    state = emergency.inspect()
    assert emergency.variables["STRATEGY"] not in [entry.target for entry in state.snapshot.strategies]
    assert len(state.snapshot.strategies) == len(emergency.state.snapshot.strategies) - 1
    assert not state.snapshot.halted
    assert state.snapshot.nav == pytest.approx(nav, rel=1e-3)


def test_strategy_illiquid(emergency: Emergency) -> None:
    emergency.invest()
    emergency.lend_out()
    strategy = at("AaveV3Strategy", emergency.variables["STRATEGY"])
    emergency.follow("A strategy cannot pay")
    assert emergency.vault.balanceOf(emergency.me) == 0
    assert strategy.balanceOf(emergency.me) > 0
    assert emergency.inspect().snapshot.strategies[0].relative_cap == 0


def test_valuation_reverts(emergency: Emergency) -> None:
    emergency.invest()
    emergency.break_strategy()
    emergency.follow("A strategy's valuation reverts")
    assert emergency.vault.balanceOf(emergency.me) == 0
    assert emergency.inspect().snapshot.valued


def test_keeper_silent(emergency: Emergency) -> None:
    emergency.invest()
    emergency.follow("The keeper is silent")
    state = emergency.inspect()
    assert state.snapshot.is_silent
    assert state.snapshot.strategies[0].assets == 0


def test_drawdown(emergency: Emergency) -> None:
    emergency.invest()
    emergency.rob()
    emergency.follow("The share price is past the drawdown limit")
    state = emergency.inspect()
    assert not state.snapshot.halted
    assert state.snapshot.drawdown < 1e-6
    assert state.snapshot.strategies[0].assets == 0


def test_policy_misbehaves(emergency: Emergency) -> None:
    emergency.follow("The policy misbehaves")
    state = emergency.inspect()
    assert state.snapshot.policy_hash == NEW_POLICY
    assert state.snapshot.limits.turnover_capacity == 2 * WAD


def test_wrong_limit(emergency: Emergency) -> None:
    emergency.follow("A wrong limit was set")
    state = emergency.inspect()
    assert state.snapshot.limits.of(Limit.MAX_DRAWDOWN) == WAD // 10
    assert state.authority.pending == ()


def test_issuer_blocks(emergency: Emergency) -> None:
    emergency.invest()
    strategy = at("AaveV3Strategy", emergency.variables["STRATEGY"])
    emergency.block_the_vault()
    emergency.follow("The asset's issuer blocks the vault")
    assert emergency.vault.balanceOf(emergency.me) == 0
    assert strategy.balanceOf(emergency.me) > 0


def test_everybody_out(emergency: Emergency) -> None:
    emergency.invest()
    asset = at("Vault", emergency.vault.asset())
    before = asset.balanceOf(emergency.me)
    emergency.follow("Everybody wants out")
    assert emergency.vault.balanceOf(emergency.me) == 0
    assert asset.balanceOf(emergency.me) - before == pytest.approx(emergency.amount, rel=1e-5)
    assert emergency.inspect().snapshot.strategies[0].assets == 0
