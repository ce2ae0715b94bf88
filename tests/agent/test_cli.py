from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from agent.cli import main
from agent.commands.common import extra_missing
from agent.market.lending import sample_rates, shipped_market


@pytest.fixture
def history(tmp_path: Path) -> Path:
    rates = sample_rates(shipped_market().model, np.random.default_rng(0), 1, 220)[0]
    lines = ["date,one,two,three"]
    lines += [f"{date(2021, 1, 1) + timedelta(i)},{','.join(f'{r:.6f}' for r in row)}" for i, row in enumerate(rates)]
    file = tmp_path / "history.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


Agent = Callable[..., tuple[int, str, str]]


@pytest.fixture
def agent(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Agent:
    """Runs the command, and returns its exit code, output and errors."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["agent", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        output = capsys.readouterr()
        return int(stop.value.code or 0), output.out, output.err

    return run


def test_data_check__good_file__says_what_is_in_it(history: Path, agent: Agent) -> None:
    code, out, _ = agent("data", "check", history)
    assert code == 0
    assert "220 days without gaps, 2021-01-01 to 2021-08-08" in out
    code, out, _ = agent("data", "check", history, "--json", "--start", "2021-02-01", "--days", 30)
    assert code == 0
    assert json.loads(out)["days"] == 30


def test_data_check__bad_file__one_line_and_exit_1(history: Path, agent: Agent) -> None:
    lines = history.read_text().splitlines()
    history.write_text("\n".join(lines[:10] + lines[12:]))
    code, out, err = agent("data", "check", history)
    assert (code, out) == (1, "")
    assert err.startswith("error: history.csv line 11 (2021-01-12, one): 2 days are missing")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["data", "check", "none.csv"],
        ["evaluate", "nobody"],
        ["evaluate", "none.npz"],
        ["evaluate", "greedy", "--limits", "none.toml"],
        ["train", "--preset", "none", "--quiet"],
        ["train", "--data", "none.csv", "--quiet"],
        ["train", "--out", "/dev/null/policy.npz", "--quiet"],
    ],
)
def test_mistakes_of_a_user__one_line_and_exit_1(
    arguments: list[str], tmp_path: Path, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = agent(*arguments)
    assert (code, out) == (1, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["evaluate"],
        ["trian"],
        ["train", "--seconds", "0"],
        ["train", "--until", "2022-01-01"],
        ["evaluate", "greedy", "--start", "2022-01-01"],
        ["evaluate", "greedy", "--days", "x"],
    ],
)
def test_wrong_usage__exit_2(arguments: list[str], agent: Agent) -> None:
    code, _, err = agent(*arguments)
    assert code == 2
    assert "Traceback" not in err


def test_evaluate__baselines_on_a_file__table_and_json(history: Path, agent: Agent) -> None:
    arguments = ["evaluate", "greedy", "--data", history, "--start", "2021-03-01", "--days", 60]
    code, out, _ = agent(*arguments)
    assert code == 0
    assert "60 days from 2021-03-01: one, two, three" in out
    code, out, _ = agent(*arguments, "--json")
    results = {entry["policy"]: entry for entry in json.loads(out)["policies"]}
    assert set(results) == {"greedy", "equal-weight", "hold", "greedy-band"}
    assert results["greedy"]["annual_return"] > results["equal-weight"]["annual_return"]


def test_evaluate__other_environment_and_costs__are_what_was_asked_for(history: Path, agent: Agent) -> None:
    code, out, _ = agent("evaluate", "hold", "--env", "rwa", "--paths", 2, "--json")
    assert code == 0
    assert "720 rows drawn for RwaYield-v0" in json.loads(out)["market"]
    code, _, err = agent("evaluate", "hold", "--env", "rwa", "--data", history)
    assert code == 2
    assert "lending environment" in err
    returns = []
    for cost in (0, 5):
        arguments = ["evaluate", "greedy", "--data", history, "--days", 60, "--cost-bp", cost, "--json"]
        code, out, _ = agent(*arguments)
        returns.append(json.loads(out)["policies"][0]["annual_return"])
    assert returns[1] < returns[0] - 0.001


def test_train_then_evaluate__on_history_that_ends_before(history: Path, tmp_path: Path, agent: Agent) -> None:
    preset = tmp_path / "tiny.toml"
    preset.write_text("name='tiny'\nseconds=60\nsteps=4000\n[ppo]\nenvs=64\nn_steps=16\nbatch_size=1024\n"
                      "[market]\nbank_paths=8\n[evaluation]\npaths=4\ntest_paths=4\ntest_rows=60\n")  # fmt: skip
    policy = tmp_path / "new" / "policy.npz"
    common = ["train", "--preset", preset, "--data", history, "--out", policy, "--quiet", "--json"]
    code, out, err = agent(*common, "--until", "2021-07-10")
    assert code == 0, err
    manifest = json.loads(policy.with_suffix(".json").read_text())
    assert manifest["training"]["market"]["fitted_to"]["last_day"] == "2021-07-09"
    assert json.loads(out)["digest"] == manifest["digest"]
    code, out, err = agent("evaluate", policy, "--data", history, "--start", "2021-07-10", "--json")
    assert code == 0
    assert json.loads(out)["policies"][0]["digest"] == manifest["digest"]
    assert "not out of sample" not in err
    _, _, err = agent("evaluate", policy, "--data", history, "--start", "2021-07-09")
    assert "up to 2021-07-09: these days are not out of sample" in err
    code, _, err = agent(*common, "--until", "2021-02-01")
    assert code == 0
    assert "31 days are too few to fit a market: using the shipped parameters" in err


_EXTRAS = ("ape", "arch", "gymnasium", "jinja2", "matplotlib", "optuna", "pandas", "plotly", "pyarrow", "ray",
           "sb3_contrib", "scipy", "sqlalchemy", "stable_baselines3", "statsmodels", "tensorboard", "torch", "tqdm",
           "web3")  # fmt: skip


def _without_extras(*arguments: object) -> tuple[int, str, str]:
    """Run a command where the packages of the extras cannot be imported."""
    code = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({_EXTRAS}))\n"
        "from agent.cli import main\n"
        f"sys.argv = {['agent', *map(str, arguments)]}\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def test_base_install__evaluate_data_check_and_help__work(history: Path) -> None:
    code, out, err = _without_extras("evaluate", "greedy", "--paths", 1, "--days", 5)
    assert (code, err) == (0, "")
    assert "greedy-band" in out
    code, out, err = _without_extras("evaluate", "greedy", "--data", history, "--days", 30)
    assert (code, err) == (0, "")
    assert "30 days from 2021-01-01" in out
    assert _without_extras("data", "check", history)[0] == 0
    for arguments in (["--help"], ["train", "--help"], ["sweep", "--help"], ["walk-forward", "--help"]):
        code, out, err = _without_extras(*arguments)
        assert (code, err) == (0, "")
        assert "Usage: agent" in out


@pytest.mark.parametrize("arguments", [["train"], ["sweep"], ["evaluate", "greedy", "--env", "rwa"]])
def test_base_install__what_needs_an_extra__says_which(arguments: list[str]) -> None:
    code, out, err = _without_extras(*arguments)
    assert (code, out) == (1, "")
    assert re.fullmatch(
        r"error: (torch|gymnasium) is not installed: this command needs the extra `train`: "
        r"pip install 'bulkhead\[train\]'\n",
        err,
    )


def test_extra_missing__a_module_of_our_own__is_raised() -> None:
    assert "`postgres`" in str(extra_missing(ModuleNotFoundError(name="psycopg")))
    with pytest.raises(ModuleNotFoundError):
        extra_missing(ModuleNotFoundError(name="agent.nothing"))
