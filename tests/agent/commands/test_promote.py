"""`agent promote` and `agent export RULE`: the files that they leave for the keeper."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from agent.cli import cli
from agent.errors import NotPromotedError, PolicyError, ResultsError, UnknownPolicyError
from agent.evaluation.serving import judged_part
from agent.market.history import RateHistory
from agent.observation.observe import vector_size
from agent.policies.files import save_integer, save_policy
from agent.policies.integer import IntegerPolicy
from agent.policies.load import load_policy
from agent.policies.quantise import quantise
from agent.vault.limits import Limits
from tests.agent.made_up import history_of

NAMES = ["pool-0", "pool-1", "pool-2"]
START = "2021-07-01"


def _write(history: RateHistory, file: Path) -> Path:
    lines = ["date," + ",".join(history.names)]
    lines += [f"{day},{','.join(map(str, row))}" for day, row in zip(history.days, history.rates[0], strict=True)]
    file.write_text("\n".join(lines))
    return file


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """300 days on which one pool leads for weeks on end, by more than a move costs."""
    rates = np.random.default_rng(7).uniform(0.02, 0.021, (300, 3))
    for day in range(300):
        rates[day, day // 20 % 3] += 0.04
    return _write(history_of(rates), tmp_path / "rates.csv")


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    layers = [(np.random.default_rng(1).normal(0, 0.1, (vector_size(3), 3)), np.zeros(3))]
    manifest = {"name": "ppo", "strategies": NAMES, "training": {"market": {"last_day": "2021-06-01"}}}
    save_policy(tmp_path / "policy.npz", layers, manifest)
    return tmp_path / "policy.npz"


@pytest.fixture
def agent() -> Callable[..., Result]:
    return lambda *arguments: CliRunner(mix_stderr=False).invoke(cli, [str(argument) for argument in arguments])


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--results", "x", "--data", "y", "--start", START],
        ["--data", "y"],
        ["--start", START],
        ["--results", "x", "--serve-out", "y"],
        ["--results", "x", "--parts", "y"],
    ],
)
def test_promote__wrong_usage__said(policy: Path, agent: Callable[..., Result], arguments: list[str]) -> None:
    done = agent("promote", policy, *arguments)
    assert done.exit_code == 2
    assert "give" in done.stderr


def _serving_of(done: Result) -> dict[str, Any]:
    verdict = json.loads(done.stdout)
    assert not verdict["promoted"]
    assert verdict["serving"]["digest"] in str(done.exception)
    serving: dict[str, Any] = verdict["serving"]
    return {"rule": verdict["serve"], **serving}


@pytest.mark.slow
def test_promote__refused__leaves_the_verdict_and_what_serves(
    policy: Path, data: Path, agent: Callable[..., Result]
) -> None:
    done = agent("promote", policy, "--data", data, "--start", START, "--json")
    assert isinstance(done.exception, NotPromotedError)
    assert load_policy(policy.with_suffix(".refused.npz")).digest == json.loads(done.stdout)["digest"]
    serving = _serving_of(done)
    assert load_policy(serving["policy"], strategies=3, digest=serving["digest"]).name == serving["rule"]
    fitted_rule = serving["policy"].endswith(".npz")
    assert fitted_rule, "this market is for a rule with fitted numbers"

    other = data.parent / "rule.npz"  # whoever has the history makes the same file
    made = agent("export", serving["rule"], "--data", data, "--until", START, "--out", other, "--json")
    assert made.exit_code == 0, made.stderr
    assert json.loads(made.stdout)["digest"] == serving["digest"]
    assert Path(serving["policy"]).read_bytes() == other.read_bytes()
    elsewhere = data.parent / "elsewhere.npz"
    done = agent("promote", policy, "--data", data, "--start", START, "--serve-out", elsewhere)
    assert elsewhere.read_bytes() == other.read_bytes()
    assert f"the rule is in {elsewhere}" in str(done.exception)


@pytest.mark.slow
def test_promote__a_rule_without_fitted_numbers_serves__by_its_name(
    policy: Path, tmp_path: Path, agent: Callable[..., Result]
) -> None:
    lead = np.arange(300) // 10 % 3  # in the test it pays to follow the leader at once,
    lead[:181] = np.random.default_rng(0).integers(0, 3, 181)  # which is not what the days before it teach
    data = _write(history_of(0.02 + 0.05 * (lead[:, None] == np.arange(3))), tmp_path / "jumpy.csv")
    done = agent("promote", policy, "--data", data, "--start", START, "--cost-bp", 0, "--json")
    serving = _serving_of(done)
    assert serving["policy"] == serving["rule"]
    assert serving["rule"] in ("greedy", "greedy-band")
    assert load_policy(serving["rule"]).digest == serving["digest"]
    assert f'policy = "{serving["rule"]}"' in str(done.exception)


@pytest.mark.slow
def test_promote__integer_form__judged_into_a_new_integer_file(
    policy: Path, data: Path, agent: Callable[..., Result]
) -> None:
    shown = np.random.default_rng(0).uniform(-1, 1, (50, vector_size(3)))
    integer = save_integer(data.parent / "integer.npz", quantise(load_policy(policy), shown))  # type: ignore[arg-type]
    done = agent("promote", data.parent / "integer.npz", "--data", data, "--start", START)
    assert isinstance(done.exception, NotPromotedError)
    judged = load_policy(data.parent / "integer.refused.npz")
    assert isinstance(judged, IntegerPolicy)
    assert judged.manifest["promotion"]["judged"] == integer.digest


def test_promote__a_rule__refused(data: Path, agent: Callable[..., Result]) -> None:
    rule = data.parent / "rule.npz"
    assert agent("export", "best-trailing", "--data", data, "--out", rule).exit_code == 0
    done = agent("promote", rule, "--data", data, "--start", START)
    assert isinstance(done.exception, PolicyError)
    assert "rules serve without the gate" in str(done.exception)


def test_export_rule__evaluated_like_any_policy(data: Path, agent: Callable[..., Result]) -> None:
    rule = data.parent / "rule.npz"
    done = agent("export", "greedy-band-tuned", "--data", data, "--until", START, "--out", rule)
    assert done.exit_code == 0, done.stderr
    assert "greedy-band-tuned, fitted to 181 days of rates.csv, 2021-01-01 to 2021-06-30" in done.stdout
    assert load_policy(rule).digest in done.stdout
    done = agent("evaluate", rule, "--data", data, "--start", START, "--json")
    assert done.exit_code == 0, done.stderr
    first = json.loads(done.stdout)["policies"][0]
    assert (first["policy"], first["digest"]) == ("greedy-band-tuned", load_policy(rule).digest)
    assert "not out of sample" not in done.stderr
    done = agent("evaluate", rule, "--data", data)
    assert "trained on this file up to 2021-06-30" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["forecast-var1"],
        ["forecast-var1", "--integer", "--data", "rates.csv"],
        ["forecast-var1", "--data", "rates.csv", "--paths", "3"],
        ["policy.npz", "--integer", "--cost-bp", "3"],
        ["policy.npz", "--integer", "--parts", "a"],
    ],
)
def test_export__wrong_usage__said(agent: Callable[..., Result], arguments: list[str]) -> None:
    done = agent("export", *arguments, "--out", "x.npz")
    assert done.exit_code == 2
    assert "--integer" in done.stderr or "--data" in done.stderr


def test_export_rule__unknown__names_what_there_is(data: Path, agent: Callable[..., Result]) -> None:
    done = agent("export", "forecast", "--data", data, "--out", data.parent / "x.npz")
    assert isinstance(done.exception, UnknownPolicyError)
    assert "forecast-ar1, forecast-var1" in str(done.exception)
    assert not (data.parent / "x.npz").exists()


def test_judged_part__of_the_last_fold__and_another_history_is_refused(rng: np.random.Generator) -> None:
    history, limits = history_of(rng.uniform(0.02, 0.05, (300, 3))), Limits.uniform(3)
    about: dict[str, Any] = {
        "data": {
            "sha256": history.digest,
            "strategies": list(history.names),
            "first_day": history.start.isoformat(),
            "last_day": history.end.isoformat(),
            "gas": "1 gwei at 3000 per ETH",
        },
        "limits": limits.record(),
        "folds": [{"train": ["2021-01-01", "2021-03-01"]}, {"train": ["2021-01-01", "2021-06-01"]}],
    }
    part = judged_part(about, history, limits)
    assert (part.start, part.end) == (history.start, date(2021, 6, 1))
    others = {
        "file": replace(history, digest="11" * 32),
        "strategies": replace(history, names=("a", "b", "c")),
        "days": history.part(0, 299),
        "gas": replace(history, has_gas=True),
    }
    for what, other in others.items():
        with pytest.raises(ResultsError, match=f"another {what}"):
            judged_part(about, other, limits)
    with pytest.raises(ResultsError, match="the relative cap of pool-0: 60 % then, 50 % given"):
        judged_part(about, history, Limits.uniform(3, 0.5))
