"""The world of the keeper's tests: a deployed vault, and the means to run, disturb and kill its keeper."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from eth_account import Account
from web3 import Web3
from web3.contract import Contract
from web3.contract.contract import ContractFunction
from web3.types import TxReceipt

from agent.policies.rules import EqualWeight
from keeper.chain.rpc import Rpc
from keeper.cli import main
from keeper.config import KeeperConfig, build_config
from keeper.cycle import Keeper
from keeper.snapshot import Snapshot, read_snapshot
from keeper.watch import Watch
from scripts.protocols.anvil import rpc
from scripts.protocols.artifacts import Artifact
from scripts.protocols.chain import Chain, Unlocked

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
CHAIN_ID = 31337
GAS = 8_000_000  # fixed: it saves an estimate
UNIT = 10**6
PATIENCE = 120.0  # seconds for what takes a few: the machine may have other work
WAD = 10**18
PASSWORD = "correct horse"
SECRETS = ("BULKHEAD_KEYSTORE_PASSWORD", "BULKHEAD_RPC_URL", "BULKHEAD_JOURNAL")
KEEPER = Account.from_key("0x" + "a1" * 32)
THIEF = Account.from_key("0x" + "b2" * 32)
LIMITS = (
    2 * WAD // 100,  # idle floor
    WAD // 10,  # drawdown
    1000 * WAD,  # growth of the bid
    0,  # cooldown; `World.limit` sets what a test is about
    365 * 86_400,  # silence
    WAD,  # loss budget: capacity, refill per second
    WAD,
    10 * WAD,  # turnover budget: capacity, refill per second
    10 * WAD,
    0,  # performance fee
    WAD // 200,  # loss of an unwind
    2**128 - 1,  # deposit cap
)
NEEDED = ("VaultLens", "MockStrategy", "PlainStrategy", "Token", "AccessManager")


def read_artifacts() -> dict[str, dict[str, Any]]:
    """Forge's output for the contracts that the tests deploy, by name.

    The vault is compiled as it is deployed: Forge's quicker profile makes more code of it than a chain takes.
    """
    folder = ROOT / ".forge"
    paths = {name: folder / "out" / f"{name}.sol" / f"{name}.json" for name in NEEDED}
    if not all(path.exists() for path in paths.values()):
        subprocess.run([BIN / "forge", "build", "--silent"], cwd=ROOT, check=True)
    deployed = {**os.environ, "FOUNDRY_PROFILE": "deployed"}
    subprocess.run([BIN / "forge", "build", "--silent", "contracts/Vault.sol"], cwd=ROOT, env=deployed, check=True)
    paths["Vault"] = folder / "deployed" / "out" / "Vault.sol" / "Vault.json"
    return {name: json.loads(path.read_text()) for name, path in paths.items()}


@dataclass
class World:
    """A vault with a million in it, a policy committed, and the means to run and to disturb its keeper."""

    chain: Chain
    url: str
    authority: Contract
    vault: Contract
    lens: Contract
    token: Contract
    strategies: list[Contract]
    depositor: str
    folder: Path = Path()
    keepers: list[Keeper] = field(default_factory=list)

    # --- the chain -----------------------------------------------------------------------------------------------

    @property
    def w3(self) -> Web3:
        return self.chain.w3

    @property
    def governance(self) -> str:
        """Admin of the authority, without a delay."""
        return self.chain.sender.address

    def rpc(self, method: str, *parameters: Any) -> Any:
        return rpc(self.w3, method, *parameters)

    @property
    def epoch(self) -> int:
        return int(self.vault.functions.epoch().call())

    @property
    def weights(self) -> list[float]:
        nav = self.vault.functions.valuation().call().nav
        positions = self.vault.functions.strategies().call()
        return [
            strategy.functions.previewRedeem(position.shares).call() / nav
            for strategy, position in zip(self.strategies, positions, strict=True)
        ]

    def nonce(self, address: str = KEEPER.address) -> int:
        return int(self.w3.eth.get_transaction_count(Web3.to_checksum_address(address)))

    def do(self, call: ContractFunction, sender: str | None = None) -> TxReceipt:
        """Send a contract call from an unlocked account and wait for it."""
        return self.chain.send(call, sender=Unlocked(self.w3, sender) if sender else None, gas=GAS)

    def commit(self, policy_hash: str) -> None:
        self.do(self.vault.functions.commitPolicy(policy_hash))

    def limit(self, name: str, value: int) -> None:
        """Set one of the vault's limits, in the chain's units."""
        names = [
            "IdleFloor",
            "MaxDrawdown",
            "MaxGrowthRate",
            "Cooldown",
            "MaxSilence",
            "LossCapacity",
            "LossRefill",
            "TurnoverCapacity",
            "TurnoverRefill",
            "PerformanceFee",
            "UnwindLoss",
            "DepositCap",
        ]
        self.do(self.vault.functions.loosen(names.index(name), value))

    def pass_time(self, seconds: int) -> None:
        """Mine a block this much later."""
        self.rpc("evm_increaseTime", seconds)
        self.mine()

    def group(self, index: int, *members: int, cap: int = WAD, absolute: int = 2**128 - 1) -> None:
        """Set a group of strategies, by their positions, without a named risk."""
        risk, mask = "0x" + "00" * 20, sum(1 << member for member in members)
        self.do(self.vault.functions.setGroup(index, (risk, cap, absolute, mask)))

    def halt(self) -> None:
        """Invest, lose more than the drawdown limit in one strategy, and trip."""
        lost = self.token.functions.balanceOf(self.strategies[0].address).call()
        self.do(self.strategies[0].functions.lose(lost))
        self.do(self.vault.functions.trip())

    def rebalances(self) -> list[Any]:
        """All rebalances that the vault ever applied."""
        return list(self.vault.events.Rebalanced().get_logs(from_block=0))

    def snapshot(self) -> Snapshot:
        """Read the vault as the keeper does."""
        return read_snapshot(
            Rpc(self.url),
            lens=self.lens.address,
            vault=self.vault.address,
            max_block_age=1e12,
            clock=time.time,
        )

    # --- the keeper ----------------------------------------------------------------------------------------------

    def raw_config(self, **changes: Any) -> dict[str, Any]:
        values: dict[str, Any] = {
            "rpc_url": self.url,
            "chain_id": CHAIN_ID,
            "vault": self.vault.address,
            "lens": self.lens.address,
            "policy": "equal-weight",
            "journal": str(self.folder / "journal.sqlite"),
            "keystore": str(self.folder / "keystore.json"),
            "password_file": str(self.folder / "password"),
            "native_price": 3000.0,
            "max_block_age_seconds": 86_400.0,
            "receipt_timeout_seconds": 0.2,
        }
        return {key: value for key, value in {**values, **changes}.items() if value is not None}

    def config(self, **changes: Any) -> KeeperConfig:
        return build_config(self.raw_config(**changes), self.folder)

    def config_file(self, **changes: Any) -> Path:
        path = self.folder / "keeper.toml"
        lines = [f"{key} = {json.dumps(value)}" for key, value in self.raw_config(**changes).items()]
        path.write_text("\n".join(lines))
        return path

    def keeper(self, sleep: Callable[[float], object] = time.sleep, **changes: Any) -> Keeper:
        """A keeper on this world's journal; whichever was open before is closed, as after a restart."""
        self.close()
        self.keepers.append(Keeper(self.config(**changes), watch=Watch(sleep=sleep)))
        return self.keepers[-1]

    def mine(self, _seconds: float = 0.0) -> None:
        """Mine a block; as a keeper's `sleep`, the chain goes on while it waits."""
        self.rpc("evm_mine")

    def set_base_fee(self, gwei: int) -> None:
        """Set the next block's base fee."""
        self.rpc("anvil_setNextBlockBaseFeePerGas", hex(gwei * 10**9))

    def stop_mining(self) -> None:
        self.rpc("evm_setAutomine", False)

    def start_mining(self) -> None:
        self.rpc("evm_setAutomine", True)

    def close(self) -> None:
        while self.keepers:
            self.keepers.pop().close()


def deploy_world(w3: Web3, url: str) -> World:
    """Deploy a vault with three strategies paying 3, 4 and 5 %, and deposit a million into it."""
    governance, depositor = w3.eth.accounts[:2]
    chain, artifacts = Chain(w3, Unlocked(w3, governance)), read_artifacts()

    def deploy(name: str, *arguments: Any) -> Contract:
        compiled = artifacts[name]
        return chain.deploy(Artifact(name, compiled["abi"], compiled["bytecode"]["object"], {}), *arguments)

    token, authority = deploy("Token", 6), deploy("AccessManager", governance)
    vault = deploy("Vault", token.address, "Vault", "VLT", authority.address, KEEPER.address, LIMITS)
    world = World(
        chain=chain,
        url=url,
        authority=authority,
        vault=vault,
        lens=deploy("VaultLens"),
        token=token,
        strategies=[deploy("MockStrategy", token.address) for _ in range(3)],
        depositor=depositor,
    )
    for index, strategy in enumerate(world.strategies):
        world.do(vault.functions.addStrategy(strategy.address, 6 * WAD // 10, 2**128 - 1))
        world.do(strategy.functions.setRate((3 + index) * WAD // 100))
    world.commit(EqualWeight().digest)
    world.do(token.functions.mint(depositor, 1_000_000 * UNIT))
    world.do(token.functions.approve(vault.address, 2**256 - 1), depositor)
    world.do(vault.functions.deposit(1_000_000 * UNIT, depositor), depositor)
    world.rpc("anvil_setBalance", KEEPER.address, hex(WAD))
    world.rpc("anvil_setBalance", THIEF.address, hex(WAD))
    return world


def write_keystore(path: Path, key: bytes, password: str = PASSWORD) -> None:
    """A keystore with a cheap key derivation: the tests decrypt it often."""
    write_secret(path, json.dumps(Account.encrypt(key, password, kdf="pbkdf2", iterations=2)))


def write_secret(path: Path, text: str) -> None:
    """A file that its owner alone may read."""
    path.touch(mode=0o600)
    path.write_text(text)


class Killed(BaseException):
    """Stands for kill -9: no `except Exception` may stop it."""


@dataclass(frozen=True)
class Done:
    """The result of a command."""

    returncode: int
    stdout: str
    stderr: str


@dataclass
class Shell:
    """Runs the `keeper` command: quickly in this process, or (`process`, `start`) as a user's shell does."""

    folder: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def __call__(self, *arguments: str, stdin: str = "", **environment: str) -> Done:
        runner = CliRunner(mix_stderr=False, env={**dict.fromkeys(SECRETS), **environment})
        with contextlib.chdir(self.folder):
            result = runner.invoke(main, arguments, input=stdin)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return self._checked(Done(result.exit_code, result.stdout, result.stderr))

    def process(self, *arguments: str) -> Done:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=PATIENCE)
        return self._checked(Done(process.returncode, out, err))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [BIN / "keeper", *arguments],
            cwd=self.folder,
            env={key: value for key, value in os.environ.items() if key not in SECRETS},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.started.append(process)
        return process

    def kill(self) -> None:
        """Leave no keeper behind: it would go on with the next test's vault."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.communicate()

    @staticmethod
    def _checked(done: Done) -> Done:
        assert "Traceback" not in done.stdout + done.stderr, done.stderr
        return done


def stop(process: subprocess.Popen[str], with_signal: signal.Signals = signal.SIGTERM) -> tuple[int, str, str]:
    """Signal a keeper and return its exit code and output."""
    process.send_signal(with_signal)
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Poll until something holds; fails, and says what, when it does not."""
    give_up = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < give_up, what
        time.sleep(0.05)
