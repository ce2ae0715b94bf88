"""Fitted rules in files: what is loaded is what was fitted, and anything else is refused."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from agent.backtest import Setting, run
from agent.digest import digest_of, sha256_hex
from agent.errors import (
    PolicyDigestError,
    PolicyError,
    PolicyFileError,
    PolicyShapeError,
    PolicyVersionError,
    UnknownPolicyError,
)
from agent.evaluation.fitted import fitted_baselines
from agent.evaluation.promotion import load_trained
from agent.evaluation.scoring import rules
from agent.evaluation.serving import write_rule
from agent.observation.memory import RateMemory
from agent.observation.observe import RWA, Observation, observe
from agent.policies.files import RulePolicy, load_rule, save_rule
from agent.policies.forecast import Forecast
from agent.policies.load import load_policy
from agent.policies.rules import Greedy, RandomFeasible, Rule
from agent.vault.limits import Limits
from agent.vault.portfolio import Costs, PortfolioState
from tests.agent.made_up import history_of, path_of

NAMES = ("pool-0", "pool-1", "pool-2")
SETTING = Setting(Limits.uniform(3), Costs(entry=1e-4, exit=1e-4))


def _rates(seed: int = 0) -> np.ndarray:
    walk = np.cumsum(np.random.default_rng(seed).normal(0, 0.003, (150, 3)), axis=0)
    return np.clip(0.04 + walk, 0.001, 0.2)


@pytest.fixture(scope="module")
def fitted() -> dict[str, Rule]:
    found = fitted_baselines(history_of(_rates()), SETTING)
    return {rule.name: rule for rule in found if isinstance(rule, Rule)}


@pytest.fixture
def saved(tmp_path: Path, fitted: dict[str, Rule]) -> Path:
    save_rule(tmp_path / "rule.npz", fitted["forecast-var1"], NAMES, {"training": {}})
    return tmp_path / "rule.npz"


def _seen(count: int = 3, version: str = "chain-2") -> Observation:
    rates = np.linspace(0.01, 0.05, count)[None]
    made = observe(PortfolioState.open(1e7, count), rates, RateMemory.start(rates, 0), 3e-6, Costs())
    return replace(made, version=version)


def _rewrite(file: Path, arrays: dict[str, np.ndarray] | None = None, **changes: object) -> None:
    """Change a pair and give it the digests that fit, as a clever hand would."""
    if arrays is not None:
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        file.write_bytes(buffer.getvalue())
    manifest = file.with_suffix(".json")
    content = {**json.loads(manifest.read_text()), **changes, "parameters_sha256": sha256_hex(file.read_bytes())}
    content.pop("digest")
    manifest.write_text(json.dumps({**content, "digest": digest_of(content)}))


@pytest.mark.slow
def test_every_rule_that_the_gate_can_name__is_loaded_as_it_was_fitted(tmp_path: Path) -> None:
    history, path = history_of(_rates()), path_of(_rates(1), gas=3e-6)
    for name, rule in rules(history, SETTING).items():
        if name == RandomFeasible.name:
            continue  # the gate never names it
        try:
            loaded = load_policy(name)  # by name
        except UnknownPolicyError:
            digest = write_rule(name, history, SETTING, tmp_path / f"{name}.npz").digest
            loaded = load_policy(tmp_path / f"{name}.npz", strategies=3, digest=digest, version="chain-2")
            assert isinstance(loaded, RulePolicy)
            assert loaded.rule == rule  # every number to the bit
            assert loaded.rule.digest == rule.digest
            assert load_policy(tmp_path / f"{name}.json").digest == digest
        assert loaded.name == name
        assert np.array_equal(run(loaded, path, SETTING).weights, run(rule, path, SETTING).weights), name


@pytest.mark.slow
def test_digest__same_fit_same_digest__another_history_or_setting_another(tmp_path: Path) -> None:
    history, file = history_of(_rates()), tmp_path / "rule.npz"
    first = write_rule("best-trailing", history, SETTING, file).digest
    assert write_rule("best-trailing", history, SETTING, tmp_path / "again.npz").digest == first
    others = (
        (history.part(0, 149), SETTING),
        (replace(history, digest="11" * 32), SETTING),
        (history, replace(SETTING, nav=1e5)),
        (history, replace(SETTING, costs=Costs(entry=2e-4, exit=1e-4))),
        (history, replace(SETTING, costs=replace(SETTING.costs, impact=1e-12))),
    )
    assert first not in {write_rule("best-trailing", known, setting, file).digest for known, setting in others}


def test_load__truncated_or_changed__refused(saved: Path) -> None:
    whole = saved.read_bytes()
    for damaged in (whole[:-1], whole[: len(whole) // 2], b"", whole[:-30] + b"\x00" + whole[-29:]):
        saved.write_bytes(damaged)
        with pytest.raises(PolicyDigestError, match="truncated"):
            load_policy(saved)
    saved.write_bytes(whole)
    manifest = saved.with_suffix(".json")
    text = manifest.read_text()
    manifest.write_text(text.replace('"var1"', '"ar1"'))
    with pytest.raises(PolicyDigestError, match="changed"):
        load_policy(saved)
    manifest.write_text("{}")
    with pytest.raises(PolicyFileError, match="missing"):
        load_rule(saved)
    manifest.write_text(text)
    load_policy(saved)


def test_load__for_another_vault_or_version__refused(saved: Path) -> None:
    with pytest.raises(PolicyShapeError, match="3 strategies but the vault has 4"):
        load_policy(saved, strategies=4)
    with pytest.raises(PolicyVersionError, match="'chain-2' but 'rwa-1' is observed"):
        load_policy(saved, version=RWA)
    with pytest.raises(PolicyDigestError, match="committed"):
        load_policy(saved, digest="0x" + "00" * 32)
    policy = load_policy(saved)
    with pytest.raises(PolicyShapeError, match="3 strategies but the vault has 4"):
        policy.act(_seen(4))
    with pytest.raises(PolicyVersionError, match="shown 'rwa-1'"):
        policy.act(_seen(3, RWA))
    _rewrite(saved, observation="chain-1")
    with pytest.raises(PolicyVersionError, match="chain-1"):
        load_policy(saved)


def test_load__a_version_that_decides_differently__refused(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Forecast, "version", 2)
    with pytest.raises(PolicyVersionError, match=r"version 1 of forecast-var1, but this is version 2.*agent export"):
        load_policy(saved)


def test_load__file_from_before_versions__is_of_the_first(
    saved: Path, fitted: dict[str, Rule], monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = saved.with_suffix(".json")
    content = json.loads(manifest.read_text())
    del content["rule_version"]
    manifest.write_text(json.dumps(content))
    _rewrite(saved, rule="maximise (mean + decay (rate - mean)) w", rule_digest="0x12")
    loaded = load_policy(saved)
    assert isinstance(loaded, RulePolicy)
    assert loaded.rule == fitted["forecast-var1"]
    assert loaded.digest == json.loads(manifest.read_text())["digest"]
    monkeypatch.setattr(Forecast, "version", 2)
    with pytest.raises(PolicyVersionError, match="holds version 1"):
        load_policy(saved)


def test_load__whatever_a_clever_hand_writes__refused(saved: Path) -> None:
    with np.load(saved) as stored:
        good = dict(stored)
    text = saved.with_suffix(".json").read_text()
    wrong: list[tuple[type[PolicyError], dict[str, np.ndarray], dict[str, object]]] = [
        (PolicyFileError, {key: good[key] for key in good if key != "mean"}, {}),
        (PolicyFileError, {**good, "more": np.zeros(3)}, {}),
        (PolicyShapeError, {**good, "mean": good["mean"][:2]}, {}),
        (PolicyShapeError, {**good, "decay": good["decay"][0]}, {}),
        (PolicyShapeError, {**good, "mean": good["mean"].astype(np.float32)}, {}),
        (PolicyFileError, {**good, "mean": good["mean"] * np.nan}, {}),
        (PolicyFileError, {**good, "mean": np.array([{"a": 1}], dtype=object)}, {}),
        (PolicyShapeError, good, {"strategies": list("abcd")}),
        (PolicyShapeError, good, {"strategies": []}),
        (PolicyFileError, good, {"strategies": 3}),
        (PolicyFileError, good, {"kind": "oracle"}),
        (PolicyFileError, good, {"kind": "best-trailing"}),
        (PolicyFileError, good, {"words": {"kind": "var2"}}),
        (PolicyFileError, good, {"words": {"kind": 1}}),
        (PolicyFileError, good, {"words": {"kind": "var1", "budget": "all"}}),
        (PolicyVersionError, good, {"rule_version": 2}),
        (PolicyFileError, good, {"format": "bulkhead-rule-2"}),
    ]
    for error, arrays, changes in wrong:
        saved.with_suffix(".json").write_text(text)
        _rewrite(saved, arrays, **changes)
        with pytest.raises(error):
            load_policy(saved)
    saved.with_suffix(".json").write_text(text)
    _rewrite(saved, good)
    load_policy(saved)


def test_save__what_cannot_serve__refused_and_nothing_written(tmp_path: Path, fitted: dict[str, Rule]) -> None:
    with pytest.raises(PolicyError, match="no file holds the rule greedy"):
        save_rule(tmp_path / "x.npz", Greedy(), NAMES, {})
    with pytest.raises(PolicyShapeError):
        save_rule(tmp_path / "x.npz", fitted["min-variance"], NAMES[:2], {})
    history = history_of(_rates())
    with pytest.raises(UnknownPolicyError, match="knows it by that name"):
        write_rule("greedy-band", history, SETTING, tmp_path / "x.npz")
    for name in ("random-feasible", "forecast-var2", "single-3"):
        with pytest.raises(UnknownPolicyError, match="single-2, hold-best-trailing"):
            write_rule(name, history, SETTING, tmp_path / "x.npz")
    assert not list(tmp_path.iterdir())


def test_gate__a_rule_file__is_not_judged(saved: Path) -> None:
    with pytest.raises(PolicyError, match="is a rule"):
        load_trained(saved)


def test_load_and_act__with_numpy_alone(saved: Path) -> None:
    code = f"""
import sys
for name in ("torch", "stable_baselines3", "gymnasium", "scipy", "arch", "statsmodels", "pandas", "ray", "plotly"):
    sys.modules[name] = None
from agent.policies.load import load_policy
print(load_policy({str(saved)!r}).name)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "forecast-var1\n"), done.stderr
