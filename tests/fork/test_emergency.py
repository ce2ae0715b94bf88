"""docs/EMERGENCY.md on a fork: its commands are run as they stand, by bash and cast, on a vault in that trouble."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ape
import pytest
from ape.contracts import ContractInstance
from web3 import Web3

from agent.vault.limits import Limit
from keeper.inspect.roles import ADMIN, GOVERNOR, GUARDIAN
from scripts.deployment import VaultState, inspect_vault
from scripts.protocols.anvil import connect, rpc
from scripts.protocols.artifacts import ROOT
from tests.fork.upstream import Upstream, at

WAD = 10**18
ZERO = "0x" + "00" * 20
NEW = "0x000000000000000000000000000000000000bEEF"
NEW_POLICY = "0x" + "5a" * 32
GAS = 8_000_000
DEPOSIT_UNITS = 1_000_000


def blocks(text: str) -> list[str]:
    """Return the blocks of commands."""
    return re.findall(r"^```bash\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def sections(path: Path) -> dict[str, list[str]]:
    """Return the blocks of commands below each heading."""
    found: dict[str, list[str]] = {}
    for part in re.split(r"^## ", path.read_text(), flags=re.MULTILINE)[1:]:
        found[part.splitlines()[0]] = blocks(part)
    return found


DOCUMENT = ROOT / "docs" / "EMERGENCY.md"
PLAN = sections(DOCUMENT)
PREAMBLE = blocks(DOCUMENT.read_text().partition("\n## ")[0])


@dataclass
class Emergency:
    """The vault on the fork, its people, and a shell in which the document's commands run."""

    w3: Web3
    vault: ContractInstance
    state: VaultState
    me: str
    amount: int
    variables: dict[str, str] = field(default_factory=dict)

    def inspect(self) -> VaultState:
        return inspect_vault(self.w3, self.vault.address)

    def impersonate(self, address: str) -> str:
        rpc(self.w3, "anvil_setBalance", address, hex(10 * WAD))
        rpc(self.w3, "anvil_impersonateAccount", address)
        return address

    def warp(self, seconds: int) -> None:
        rpc(self.w3, "evm_increaseTime", seconds)
        rpc(self.w3, "evm_mine")

    def send(self, sender: str, name: str, *args: Any) -> None:
        """Send a call of the vault."""
        account = ape.accounts[self.impersonate(sender)]
        getattr(self.vault, name)(*args, sender=account, gas_limit=GAS)

    def announce(self, target: str, call: str) -> None:
        """Announce a call as governance."""
        self.shell(f'cast send $AS_GOVERNANCE $MANAGER "schedule(address,bytes,uint48)" {target} {call} 0')

    def invest(self, share: float = 0.9) -> None:
        """Deposit as `me`, and spread it over the strategies as the keeper."""
        asset = at("Vault", self.vault.asset())
        account = ape.accounts[self.impersonate(self.me)]
        asset.approve(self.vault, 2**256 - 1, sender=account, gas_limit=GAS)
        self.send(self.me, "deposit", self.amount, self.me)
        count = len(self.vault.strategies())
        request = {
            "epoch": self.vault.epoch(),
            "deadline": 2**63,
            "minTotalAssets": 0,
            "weights": [int(share / count * WAD)] * count,
            "policyHash": self.vault.policyHash(),
            "decisionHash": b"\x03" * 32,
        }
        self.send(self.vault.keeper(), "rebalance", request)

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

    def break_strategy(self) -> None:
        rpc(self.w3, "anvil_setCode", self.variables["STRATEGY"], "0x60006000fd")

    def follow(self, heading: str) -> None:
        """Run every block below a heading, waiting where it says so."""
        assert PLAN[heading], f"no commands under {heading!r}"
        for block in PLAN[heading]:
            first = block.splitlines()[0]
            if first == "# after the delay":
                self.warp(self.state.notice("loosen") or 0)
            elif first == "# after the silence":
                self.warp(self.state.limits.max_silence + 60)
            self.shell(block)

    def shell(self, block: str) -> str:
        """Run commands; what they set is there for the next ones, as in the reader's shell."""
        bash = shutil.which("bash")
        assert bash is not None
        script = f"set -euo pipefail\n{block}\necho; echo =====; set -o posix; set"
        environment = {"PATH": os.environ["PATH"], "ETH_RPC_URL": ape.chain.provider.uri, **self.variables}
        done = subprocess.run([bash, "-c", script], env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        said, _, after = done.stdout.partition("=====\n")
        assert not re.search(r"^status +0", said, flags=re.MULTILINE), f"reverted: {block}\n{said}"
        for line in after.splitlines():
            name, separator, value = line.partition("=")
            if separator and re.fullmatch(r"[A-Z][A-Z_]+", name) and re.fullmatch(r"0x[0-9a-fA-F]+|\d+", value):
                self.variables[name] = value
        return said


@pytest.fixture
def emergency(upstream: Upstream) -> Emergency:
    w3 = connect(ape.chain.provider.uri)
    vault = at("Vault", upstream.vault)
    state = inspect_vault(w3, upstream.vault)
    decimals = state.asset_decimals
    made = Emergency(w3, vault, state, upstream.whale, DEPOSIT_UNITS * 10**decimals)
    (guardian,) = state.authority.who(GUARDIAN)
    (governor,) = state.authority.who(GOVERNOR)
    people = {
        "GUARDIAN": guardian.account,
        "GOVERNANCE": governor.account,
        "KEEPER": state.keeper,
        "ME": upstream.whale,
    }
    for name, address in people.items():
        made.variables[name] = made.impersonate(address)
        made.variables[f"AS_{name}"] = f"--unlocked --from {address}"
    made.variables |= {"VAULT": vault.address, "STRATEGY": state.strategies[0].target}
    made.variables |= {"NEW_KEEPER": NEW, "NEW_GUARDIAN": NEW, "NEW_POLICY": NEW_POLICY}
    _, manager = PREAMBLE
    made.shell(manager)
    assert made.variables["MANAGER"] == state.authority.address
    return made


def test_document__every_section_with_commands__has_a_test() -> None:
    text = Path(__file__).read_text()
    for heading, commands in PLAN.items():
        assert not commands or f'emergency.follow("{heading}")' in text, heading
    for name in ("VAULT", "STRATEGY", "AS_GUARDIAN", "AS_GOVERNANCE", "AS_KEEPER", "AS_ME"):
        assert f"{name}=" in PREAMBLE[0]


def test_keeper_key_stolen(emergency: Emergency) -> None:
    emergency.follow("The keeper's key is stolen")
    assert emergency.vault.keeper() == NEW


def test_guardian_key_stolen(emergency: Emergency) -> None:
    guardian = emergency.variables["GUARDIAN"]
    emergency.send(guardian, "halt")
    emergency.follow("The guardian's key is stolen")
    state = emergency.inspect()
    assert [(member.account, member.delay) for member in state.authority.who(GUARDIAN)] == [(NEW, 0)]
    assert not state.halted


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
    assert state.halted


def test_strategy_robbed(emergency: Emergency) -> None:
    emergency.invest()
    emergency.rob()
    nav = emergency.inspect().total_assets
    emergency.follow("A strategy is robbed, or you fear for it")
    state = emergency.inspect()
    assert emergency.variables["STRATEGY"] not in [entry.target for entry in state.strategies]
    assert len(state.strategies) == len(emergency.state.strategies) - 1
    assert not state.halted
    assert state.total_assets == pytest.approx(nav, rel=1e-3)


def test_strategy_illiquid(emergency: Emergency) -> None:
    emergency.invest()
    emergency.lend_out()
    strategy = at("AaveV3Strategy", emergency.variables["STRATEGY"])
    emergency.follow("A strategy cannot pay")
    assert emergency.vault.balanceOf(emergency.me) == 0
    assert strategy.balanceOf(emergency.me) > 0
    assert emergency.inspect().strategies[0].relative_cap == 0


def test_valuation_reverts(emergency: Emergency) -> None:
    emergency.invest()
    emergency.break_strategy()
    emergency.follow("A strategy's valuation reverts")
    assert emergency.vault.balanceOf(emergency.me) == 0
    assert emergency.inspect().valued


def test_keeper_silent(emergency: Emergency) -> None:
    emergency.invest()
    emergency.follow("The keeper is silent")
    state = emergency.inspect()
    assert state.silent
    assert state.strategies[0].assets == 0


def test_drawdown(emergency: Emergency) -> None:
    emergency.invest()
    emergency.rob()
    emergency.follow("The share price is past the drawdown limit")
    state = emergency.inspect()
    assert not state.halted
    assert state.drawdown < WAD // 10**6
    assert state.strategies[0].assets == 0


def test_policy_misbehaves(emergency: Emergency) -> None:
    emergency.follow("The policy misbehaves")
    state = emergency.inspect()
    assert state.policy_hash == NEW_POLICY
    assert state.limits.turnover_capacity == 2 * WAD


def test_wrong_limit(emergency: Emergency) -> None:
    emergency.follow("A wrong limit was set")
    state = emergency.inspect()
    assert state.limits.of(Limit.MAX_DRAWDOWN) == WAD // 10
    assert state.authority.pending == ()


def test_everybody_out(emergency: Emergency) -> None:
    emergency.invest()
    asset = at("Vault", emergency.vault.asset())
    before = asset.balanceOf(emergency.me)
    emergency.follow("Everybody wants out")
    assert emergency.vault.balanceOf(emergency.me) == 0
    assert asset.balanceOf(emergency.me) - before == pytest.approx(emergency.amount, rel=1e-5)
    assert emergency.inspect().strategies[0].assets == 0
