"""What the keeper's tests stand on: Anvil, a deployed vault, and the means to run, disturb and kill its keeper."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from eth_account import Account
from web3 import HTTPProvider, Web3
from web3.contract import Contract

from agent.policies.rules import EqualWeight
from keeper.chain.rpc import Rpc
from keeper.cli import main
from keeper.config import KeeperConfig, build_config
from keeper.cycle import Keeper
from keeper.snapshot import Snapshot, read_snapshot

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
CHAIN_ID = 31337
UNIT = 10**6
WAD = 10**18
PASSWORD = "correct horse"
SECRETS = ("BULKHEAD_KEYSTORE_PASSWORD", "BULKHEAD_RPC_URL", "BULKHEAD_JOURNAL")
KEEPER = Account.from_key("0x" + "a1" * 32)
THIEF = Account.from_key("0x" + "b2" * 32)
LIMITS = (
    2 * WAD // 100,  # idle floor
    WAD // 10,  # drawdown
    WAD // 4,  # growth of the mark
    0,  # cooldown; `World.limit` sets what a test is about
    365 * 86_400,  # silence
    WAD,  # loss budget: capacity, refill per second
    WAD,
    10 * WAD,  # turnover budget: capacity, refill per second
    10 * WAD,
    0,  # performance fee
)
NEEDED = ("Vault", "VaultLens", "MockStrategy", "PlainStrategy", "Token", "AccessManager")


def read_artifacts() -> dict[str, dict[str, Any]]:
    """Forge's output for the contracts that the tests deploy, by name."""
    folder = ROOT / ".forge" / "out"
    paths = {name: folder / f"{name}.sol" / f"{name}.json" for name in NEEDED}
    if not all(path.exists() for path in paths.values()):
        subprocess.run([BIN / "forge", "build", "--silent"], cwd=ROOT, check=True)
    return {name: json.loads(path.read_text()) for name, path in paths.items()}


class Anvil:
    """A local chain on a free port."""

    def __init__(self, *options: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._process = subprocess.Popen(
            [BIN / "anvil", "--port", str(self.port), "--silent", "--chain-id", str(CHAIN_ID), *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.web3 = Web3(HTTPProvider(self.url))
        deadline = time.monotonic() + 20
        while not self.web3.is_connected():
            if time.monotonic() > deadline or self._process.poll() is not None:
                self.stop()
                raise RuntimeError("Anvil did not start")
            time.sleep(0.05)

    def rpc(self, method: str, *parameters: Any) -> Any:
        response = self.web3.provider.make_request(method, list(parameters))
        assert "error" not in response, response
        return response["result"]

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


@dataclass
class World:
    """A vault with a million in it, a policy committed, and the means to run and to disturb its keeper."""

    anvil: Anvil
    vault: Contract
    lens: Contract
    token: Contract
    strategies: list[Contract]
    governance: str
    depositor: str
    folder: Path = Path()
    keepers: list[Keeper] = field(default_factory=list)

    # --- the chain -----------------------------------------------------------------------------------------------

    @property
    def epoch(self) -> int:
        return int(self.vault.functions.epoch().call())

    @property
    def weights(self) -> list[float]:
        nav = self.vault.functions.totalAssets().call()
        positions = self.vault.functions.strategies().call()
        return [
            strategy.functions.previewRedeem(position[2]).call() / nav
            for strategy, position in zip(self.strategies, positions, strict=True)
        ]

    def nonce(self, address: str = KEEPER.address) -> int:
        return int(self.anvil.web3.eth.get_transaction_count(address))

    def do(self, function: Any, sender: str | None = None) -> Any:
        """Send a contract call from an unlocked account and wait for it."""
        hash_ = function.transact({"from": sender or self.governance})
        receipt = self.anvil.web3.eth.wait_for_transaction_receipt(hash_, poll_latency=0.01)
        assert receipt["status"] == 1
        return receipt

    def commit(self, policy_hash: str) -> None:
        self.do(self.vault.functions.commitPolicy(policy_hash))

    def limit(self, name: str, value: int) -> None:
        """Set one of the vault's limits, in the chain's units."""
        names = [
            "IdleFloor",
            "MaxDrawdown",
            "MarkGrowthRate",
            "Cooldown",
            "MaxSilence",
            "LossCapacity",
            "LossRefill",
            "TurnoverCapacity",
            "TurnoverRefill",
        ]
        self.do(self.vault.functions.loosen(names.index(name), value))

    def pass_time(self, seconds: int) -> None:
        """Mine a block this much later."""
        self.anvil.rpc("evm_increaseTime", seconds)
        self.mine()

    def halt(self) -> None:
        """Invest, lose more than the drawdown limit in one strategy, and trip."""
        lost = self.token.functions.balanceOf(self.strategies[0].address).call()
        self.do(self.strategies[0].functions.lose(lost))
        self.do(self.vault.functions.trip())

    def rebalances(self) -> list[Any]:
        """All rebalances that the vault ever applied."""
        return list(self.vault.events.Rebalanced().get_logs(from_block=0))

    def snapshot(self) -> Snapshot:
        """What the keeper would read now."""
        return read_snapshot(
            Rpc(self.anvil.url),
            lens=self.lens.address,
            vault=self.vault.address,
            max_block_age=1e12,
            clock=time.time,
        )

    # --- the keeper ----------------------------------------------------------------------------------------------

    def raw_config(self, **changes: Any) -> dict[str, Any]:
        values: dict[str, Any] = {
            "rpc_url": self.anvil.url,
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

    def keeper(self, sleep: Callable[[float], None] = time.sleep, **changes: Any) -> Keeper:
        """A keeper on this world's journal; whichever was open before is closed, as after a restart."""
        self.close()
        self.keepers.append(Keeper(self.config(**changes), sleep=sleep))
        return self.keepers[-1]

    def mine(self, _seconds: float = 0.0) -> None:
        """Mine a block; as a keeper's `sleep`, the chain goes on while it waits."""
        self.anvil.rpc("evm_mine")

    def set_base_fee(self, gwei: int) -> None:
        """Set the next block's base fee."""
        self.anvil.rpc("anvil_setNextBlockBaseFeePerGas", hex(gwei * 10**9))

    def stop_mining(self) -> None:
        self.anvil.rpc("evm_setAutomine", False)

    def start_mining(self) -> None:
        self.anvil.rpc("evm_setAutomine", True)

    def close(self) -> None:
        while self.keepers:
            self.keepers.pop().close()


def _deploy(anvil: Anvil, artifacts: dict[str, dict[str, Any]], name: str, *arguments: Any) -> Contract:
    web3, artifact = anvil.web3, artifacts[name]
    factory = web3.eth.contract(abi=artifact["abi"], bytecode=artifact["bytecode"]["object"])
    hash_ = factory.constructor(*arguments).transact({"from": web3.eth.accounts[0]})
    receipt = web3.eth.wait_for_transaction_receipt(hash_, poll_latency=0.01)
    return web3.eth.contract(address=receipt["contractAddress"], abi=artifact["abi"])


def deploy_world(anvil: Anvil) -> World:
    """Deploy a vault with three strategies paying 3, 4 and 5 %, and deposit a million into it."""
    artifacts = read_artifacts()
    governance, depositor = anvil.web3.eth.accounts[:2]
    token = _deploy(anvil, artifacts, "Token", 6)
    authority = _deploy(anvil, artifacts, "AccessManager", governance)
    vault = _deploy(anvil, artifacts, "Vault", token.address, "Vault", "VLT", authority.address, KEEPER.address, LIMITS)
    world = World(
        anvil=anvil,
        vault=vault,
        lens=_deploy(anvil, artifacts, "VaultLens"),
        token=token,
        strategies=[_deploy(anvil, artifacts, "MockStrategy", token.address) for _ in range(3)],
        governance=governance,
        depositor=depositor,
    )
    for index, strategy in enumerate(world.strategies):
        world.do(vault.functions.addStrategy(strategy.address, 6 * WAD // 10, 2**128 - 1))
        world.do(strategy.functions.setRate((3 + index) * WAD // 100))
    world.commit(EqualWeight().digest)
    world.do(token.functions.mint(depositor, 1_000_000 * UNIT))
    world.do(token.functions.approve(vault.address, 2**256 - 1), depositor)
    world.do(vault.functions.deposit(1_000_000 * UNIT, depositor), depositor)
    anvil.rpc("anvil_setBalance", KEEPER.address, hex(WAD))
    anvil.rpc("anvil_setBalance", THIEF.address, hex(WAD))
    return world


def write_keystore(path: Path, key: bytes, password: str = PASSWORD) -> None:
    """A keystore with a cheap key derivation: the tests decrypt it often."""
    path.write_text(json.dumps(Account.encrypt(key, password, kdf="pbkdf2", iterations=2)))


class Killed(BaseException):
    """Stands for kill -9: no `except Exception` may stop it."""


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str


@dataclass
class Shell:
    """Runs the `keeper` command: quickly in this process, or (`process`, `start`) as a user's shell does."""

    folder: Path

    def __call__(self, *arguments: str, stdin: str = "", **environment: str) -> Done:
        runner = CliRunner(mix_stderr=False, env={**dict.fromkeys(SECRETS), **environment})
        with contextlib.chdir(self.folder):
            result = runner.invoke(main, arguments, input=stdin)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return self._checked(Done(result.exit_code, result.stdout, result.stderr))

    def process(self, *arguments: str) -> Done:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=60)
        return self._checked(Done(process.returncode, out, err))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [BIN / "keeper", *arguments],
            cwd=self.folder,
            env={key: value for key, value in os.environ.items() if key not in SECRETS},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    @staticmethod
    def _checked(done: Done) -> Done:
        assert "Traceback" not in done.stdout + done.stderr, done.stderr
        return done


def stop(process: subprocess.Popen[str], with_signal: signal.Signals = signal.SIGTERM) -> tuple[int, str, str]:
    """Signal a keeper and return its exit code and output."""
    process.send_signal(with_signal)
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err
