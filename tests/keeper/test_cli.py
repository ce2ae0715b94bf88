"""The command as a user meets it: outputs, exit codes, and never a stack trace (`Shell` fails on one)."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from keeper.cli import main
from keeper.journal import read_journal
from tests.keeper.harness import (
    CHAIN_ID,
    KEEPER,
    PASSWORD,
    THIEF,
    Shell,
    World,
    stop,
    wait_for,
    write_keystore,
    write_secret,
)

# --- help, init, keystore ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["run"],
        ["once"],
        ["status"],
        ["inspect"],
        ["init"],
        ["keystore"],
        ["keystore", "new"],
        ["keystore", "import"],
    ],
)
def test_help__exists_everywhere(command: list[str]) -> None:
    done = CliRunner().invoke(main, [*command, "--help"])
    assert done.exit_code == 0
    assert "Usage:" in done.output


@pytest.mark.parametrize(
    "arguments", [["frobnicate"], ["run", "--fast"], ["status", "--cycles", "0"], ["keystore", "new"]]
)
def test_wrong_usage__exits_2(shell: Shell, arguments: list[str]) -> None:
    assert shell(*arguments).returncode == 2


def test_init__writes_once(shell: Shell) -> None:
    assert shell("init").returncode == 0
    text = (shell.folder / "keeper.toml").read_text()
    assert shell("init", "--stdout").stdout == text
    again = shell("init")
    assert again.returncode == 78
    assert "never overwritten" in again.stderr
    assert (shell.folder / "keeper.toml").read_text() == text


def test_keystore__new_and_import(shell: Shell) -> None:
    done = shell("keystore", "new", "--out", "a.json", "--json", BULKHEAD_KEYSTORE_PASSWORD=PASSWORD)
    made, written = json.loads(done.stdout), json.loads((shell.folder / "a.json").read_text())
    assert done.returncode == 0
    assert made["address"][2:].lower() == written["address"].lower()
    write_secret(shell.folder / "password", PASSWORD)
    key = KEEPER.key.hex()
    done = shell("keystore", "import", "--out", "b.json", "--password-file", "password", stdin=key + "\n")
    assert KEEPER.address in done.stdout
    assert key not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("environment", "message"),
    [({"BULKHEAD_KEYSTORE_PASSWORD": ""}, "empty password"), ({}, "No password: set BULKHEAD_KEYSTORE_PASSWORD")],
)
def test_keystore__without_password__is_refused(shell: Shell, environment: dict[str, str], message: str) -> None:
    done = shell("keystore", "new", "--out", "a.json", **environment)
    assert done.returncode == 78
    assert message in done.stderr
    assert not (shell.folder / "a.json").exists()


# --- errors ------------------------------------------------------------------------------------------------------


def test_no_configuration__says_how_to_get_one(shell: Shell) -> None:
    for command in ("run", "once", "status"):
        done = shell(command)
        assert done.returncode == 78
        assert "Write one with: keeper init" in done.stderr


def test_error__with_json__is_json_on_stdout(shell: Shell) -> None:
    done = shell("--json", "once")
    assert done.returncode == 78
    assert json.loads(done.stdout)["error"] == "ConfigError"


def test_unexpected_error__is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: Any, **_options: Any) -> None:
        raise ZeroDivisionError("surprise\nwith lines")

    monkeypatch.setattr("keeper.config.load_config", fail)
    monkeypatch.delenv("BULKHEAD_DEBUG", raising=False)
    done = CliRunner().invoke(main, ["once"])
    assert done.exit_code == 70
    assert "Unexpected ZeroDivisionError: surprise with lines. This is a bug" in done.output


@pytest.mark.chain
@pytest.mark.parametrize(
    ("changes", "message", "code"),
    [
        ({"chain_id": 1}, "serves chain 31337", 78),
        ({"rpc_url": "http://127.0.0.1:9"}, "does not answer", 75),
        ({"vault": THIEF.address}, "no contract at the vault's address", 78),
        ({"policy": "nonsense"}, "no policy 'nonsense'", 78),
        ({"intervall": 3}, "unknown key `intervall`", 78),
        ({"max_block_age_seconds": 1e-9}, "max_block_age_seconds", 75),
        ({"journal": "mysql://h/d"}, "journal", 78),
        ({"keystore": "missing.json"}, "no such keystore", 78),
        ({"keystore": None}, "`keystore` is not configured", 78),
        ({"password_file": None}, "is empty. Set BULKHEAD_KEYSTORE_PASSWORD", 78),
    ],
)
def test_once__what_can_be_wrong__is_one_clear_message(
    world: World, shell: Shell, changes: dict[str, Any], message: str, code: int
) -> None:
    done = shell("once", "--live", "--config", str(world.config_file(**changes)))
    assert done.returncode == code
    assert message in done.stderr
    assert done.stdout == ""
    assert world.nonce() == 0


@pytest.mark.chain
@pytest.mark.parametrize("name", ["keystore.json", "password"])
def test_once__secret_that_everybody_may_read__is_refused(world: World, shell: Shell, name: str) -> None:
    (world.folder / name).chmod(0o644)
    done = shell("once", "--live", "--config", str(world.config_file()))
    assert done.returncode == 78
    assert f"Everybody on this machine may read {world.folder / name}" in done.stderr
    assert world.nonce() == 0
    (world.folder / name).chmod(0o640)  # the group of a service may
    assert shell("once", "--live", "--config", str(world.config_file())).returncode == 0


@pytest.mark.chain
def test_once__journal_held_by_another__exits_75(world: World, shell: Shell) -> None:
    world.keeper()
    done = shell("once", "--live", "--config", str(world.config_file()))
    assert done.returncode == 75
    assert "Another keeper" in done.stderr


# --- once and status ---------------------------------------------------------------------------------------------


@pytest.mark.chain
def test_once__dry_run_then_live_then_nothing_to_do(world: World, shell: Shell) -> None:
    config = str(world.config_file())
    dry = shell("once", "--config", config)
    assert dry.returncode == 0
    assert "DRY RUN: nothing will be sent" in dry.stderr
    assert "simulated" in dry.stdout
    assert world.nonce() == 0
    live = shell.process("--config", config, "once", "--live", "--json")
    result = json.loads(live.stdout)
    assert live.returncode == 0
    assert "DRY RUN" not in live.stderr
    assert (result["outcome"], result["nav"], len(result["request"]["weights"])) == ("mined", "1000000000000", 3)
    assert world.epoch == 1
    assert json.loads(shell("once", "--live", "--json", "-c", config).stdout)["outcome"] == "no-trade"


@pytest.mark.chain
def test_once__refused__exits_1_with_the_reason(world: World, shell: Shell) -> None:
    world.commit("0x" + "12" * 32)
    done = shell("once", "--config", str(world.config_file()))
    assert done.returncode == 1
    assert "error: refused: Policy equal-weight has digest" in done.stderr


@pytest.mark.chain
def test_once__password_from_the_environment(world: World, shell: Shell) -> None:
    config = str(world.config_file(password_file=None))
    wrong = shell("once", "--live", "--config", config, BULKHEAD_KEYSTORE_PASSWORD="wrong")
    assert "Wrong password" in wrong.stderr
    right = shell("once", "--live", "--config", config, BULKHEAD_KEYSTORE_PASSWORD=PASSWORD)
    assert right.returncode == 0
    assert PASSWORD not in wrong.stderr + wrong.stdout + right.stderr + right.stdout


@pytest.mark.chain
def test_status__before_and_after(world: World, shell: Shell) -> None:
    config = str(world.config_file())
    before = shell("status", "--config", config)
    assert before.returncode == 0
    assert "no cycle yet" in before.stdout
    assert not list(world.folder.glob("journal*"))
    shell("once", "--live", "--config", config)
    found = json.loads(shell("status", "--config", config, "--json").stdout)
    assert (found["chain_id"], found["vault"]["epoch"], found["intents"]) == (CHAIN_ID, 1, {"mined": 1})
    assert found["cycles"][0]["outcome"] == "mined"
    world.halt()
    shown = shell("status", "--config", config).stdout
    assert "HALTED" in shown


@pytest.mark.chain
def test_status__beside_a_running_keeper_and_without_a_node(world: World, shell: Shell) -> None:
    world.keeper().cycle()
    assert shell("status", "--config", str(world.config_file())).returncode == 0
    done = shell("status", "--config", str(world.config_file(rpc_url="http://127.0.0.1:9")))
    assert done.returncode == 1
    assert "does not answer" in done.stderr
    assert "simulated" in done.stdout  # the journal is shown all the same
    found = json.loads(shell("status", "--json", "--config", str(world.folder / "keeper.toml")).stdout)
    assert "does not answer" in found["vault"]["error"]


# --- run ---------------------------------------------------------------------------------------------------------


def read_until(process: subprocess.Popen[str], text: str, times: int) -> None:
    """Read the log until it has said something so often; fails when the process ends before."""
    assert process.stderr is not None
    for line in process.stderr:
        times -= text in line
        if times == 0:
            return
    pytest.fail(f"ended before it said {text!r} often enough")


def _settled(world: World) -> int:
    """Count the transactions that the journal has as mined."""
    journal = read_journal(f"sqlite:///{world.folder / 'journal.sqlite'}", CHAIN_ID, world.vault.address)
    assert journal is not None
    try:
        return journal.count_intents().get("mined", 0)
    finally:
        journal.close()


@pytest.mark.chain
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_run__trades_until_told_to_stop__and_exits_0(world: World, shell: Shell, number: signal.Signals) -> None:
    config = str(world.config_file(interval_seconds=0.2))
    process = shell.start("run", "--live", "--json", "--config", config)
    wait_for(lambda: world.epoch == 1, "no rebalance")
    world.do(world.strategies[0].functions.gain(90_000 * 10**6))
    wait_for(lambda: _settled(world) == 2, "no second rebalance")
    code, out, err = stop(process, number)
    assert code == 0, err
    assert "Traceback" not in err
    outcomes = [json.loads(line)["outcome"] for line in out.splitlines()]
    assert outcomes.count("mined") == 2
    assert set(outcomes) <= {"mined", "no-trade"}


@pytest.mark.chain
def test_run__node_down__backs_off_and_goes_on(world: World, shell: Shell) -> None:
    process = shell.start("run", "--config", str(world.config_file(rpc_url="http://127.0.0.1:9", interval_seconds=0.1)))
    read_until(process, "does not answer", times=3)
    assert stop(process)[0] == 0


@pytest.mark.chain
def test_run__wrong_chain__exits_78(world: World, shell: Shell) -> None:
    done = shell.process("run", "--config", str(world.config_file(chain_id=1, interval_seconds=0.1)))
    assert done.returncode == 78
    assert "serves chain 31337" in done.stderr


@pytest.mark.chain
def test_run__refusals__go_on_and_say_so(world: World, shell: Shell) -> None:
    write_keystore(world.folder / "keystore.json", THIEF.key)
    process = shell.start("run", "--live", "--config", str(world.config_file(interval_seconds=0.1)))
    read_until(process, "the vault's keeper is", times=3)
    code, out, _ = stop(process)
    assert code == 0
    assert out.count("refused") > 1
