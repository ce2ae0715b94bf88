"""A document of commands, and a vault on the fork on which bash and cast run them as they stand in it."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import ape
from ape.contracts import ContractInstance
from web3 import Web3

from keeper.inspect.roles import GOVERNOR, GUARDIAN
from keeper.inspect.state import VaultState, inspect_vault
from scripts.protocols.anvil import connect, rpc
from scripts.protocols.artifacts import ROOT
from scripts.protocols.chain import node_of
from tests.fork.upstream import Upstream, at

WAD = 10**18
NEW = "0x000000000000000000000000000000000000bEEF"
GAS = 8_000_000
DEPOSIT_UNITS = 1_000_000
WHO_SIGNS = ("AS_GUARDIAN", "AS_GOVERNANCE", "AS_KEEPER", "AS_ME")


def blocks(text: str) -> list[str]:
    """The blocks of bash commands in a piece of Markdown."""
    return re.findall(r"^```bash\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Document:
    """A Markdown file: `preamble` has the blocks above the first heading, `plan` those below each heading."""

    preamble: list[str]
    plan: dict[str, list[str]]

    @classmethod
    def read(cls, name: str) -> Self:
        """Read a document of `docs/`; its first block names the variables, its second one finds the manager."""
        first, *parts = re.split(r"^## ", (ROOT / "docs" / name).read_text(), flags=re.MULTILINE)
        return cls(blocks(first), {part.splitlines()[0]: blocks(part) for part in parts})

    def untested(self, tests: str) -> list[str]:
        """Headings with commands that the tests of this file do not follow."""
        text = Path(tests).read_text()
        return [heading for heading, commands in self.plan.items() if commands and f'follow("{heading}")' not in text]


@dataclass
class Scene:
    """The vault on the fork, its people, and a shell in which the document's commands run."""

    document: Document
    folder: Path
    w3: Web3
    vault: ContractInstance
    state: VaultState
    me: str
    amount: int
    variables: dict[str, str] = field(default_factory=dict)

    @classmethod
    def open(cls, document: Document, folder: Path, upstream: Upstream) -> Self:
        """Set the scene: everybody's account unlocked, the preamble's variables set, commands run in `folder`."""
        w3 = connect(ape.chain.provider.uri)
        vault = at("Vault", upstream.vault)
        state = inspect_vault(node_of(w3), upstream.vault)
        amount = DEPOSIT_UNITS * 10**state.snapshot.asset_decimals
        made = cls(document, folder, w3, vault, state, upstream.whale, amount)
        (guardian,) = state.authority.who(GUARDIAN)
        (governor,) = state.authority.who(GOVERNOR)
        people = {
            "GUARDIAN": guardian.account,
            "GOVERNANCE": governor.account,
            "KEEPER": state.snapshot.keeper,
            "ME": upstream.whale,
        }
        for name, address in people.items():
            made.variables[name] = made.impersonate(address)
            made.variables[f"AS_{name}"] = f"--unlocked --from {address}"
        made.variables |= {"VAULT": vault.address, "STRATEGY": state.snapshot.strategies[0].target}
        variables, manager = document.preamble
        assert all(f"{name}=" in variables for name in ("ETH_RPC_URL", "VAULT", "STRATEGY", *WHO_SIGNS))
        made.shell(manager)
        assert made.variables["MANAGER"] == state.authority.address
        return made

    def inspect(self) -> VaultState:
        return inspect_vault(node_of(self.w3), self.vault.address)

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

    def deposit(self) -> None:
        """Deposit as `me`."""
        asset = at("Vault", self.vault.asset())
        account = ape.accounts[self.impersonate(self.me)]
        asset.approve(self.vault, 2**256 - 1, sender=account, gas_limit=GAS)
        self.send(self.me, "deposit", self.amount, self.me)

    def rebalance(self, share: float) -> None:
        """Spread a share of NAV evenly over the strategies, as the keeper."""
        count = len(self.vault.strategies())
        request = {
            "epoch": self.vault.epoch(),
            "deadline": 2**63,
            "minSharePrice": 0,
            "weights": [int(share / count * WAD)] * count,
            "policyHash": self.vault.policyHash(),
            "decisionHash": b"\x03" * 32,
        }
        self.send(self.vault.keeper(), "rebalance", request)

    def follow(self, heading: str) -> None:
        """Run every block below a heading, waiting where it says so."""
        commands = self.document.plan[heading]
        assert commands, f"no commands under {heading!r}"
        for block in commands:
            first = block.splitlines()[0]
            if first == "# after the delay":
                self.warp(self.state.notice("loosen") or 0)
            elif first == "# after the silence":
                self.warp(self.state.snapshot.limits.max_silence + 60)
            self.shell(block)

    def shell(self, block: str) -> str:
        """Run commands; what they set is there for the next ones, as in the reader's shell."""
        bash = shutil.which("bash")
        assert bash is not None
        script = f"set -euo pipefail\n{block}\necho; echo =====; set -o posix; set"
        environment = {"PATH": os.environ["PATH"], "ETH_RPC_URL": ape.chain.provider.uri, **self.variables}
        done = subprocess.run(
            [bash, "-c", script], env=environment, cwd=self.folder, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        said, _, after = done.stdout.partition("=====\n")
        assert not re.search(r"^status +0", said, flags=re.MULTILINE), f"reverted: {block}\n{said}"
        for line in after.splitlines():
            name, separator, value = line.partition("=")
            if separator and re.fullmatch(r"[A-Z][A-Z_]+", name) and re.fullmatch(r"0x[0-9a-fA-F]+|\d+", value):
                self.variables[name] = value
        return said
