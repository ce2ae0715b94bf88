from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from agent.digest import digest_of
from agent.errors import (
    PolicyDigestError,
    PolicyFileError,
    PolicyShapeError,
    PolicyVersionError,
    UnknownPolicyError,
)
from agent.observation.memory import RateMemory
from agent.observation.observe import CHAIN, RWA, Observation, observe, vector_size
from agent.policies.files import save_policy
from agent.policies.load import load_policy
from agent.policies.network import NumpyPolicy
from agent.policies.rules import BASELINES, fill_in_order
from agent.vault.limits import Limits
from agent.vault.portfolio import Costs, PortfolioState

NAMES = ["a", "b", "c"]


def _layers(rng: np.random.Generator, count: int = 3, version: str = CHAIN) -> list[tuple[np.ndarray, np.ndarray]]:
    sizes = [vector_size(count, version), 8, 8, count]
    return [(rng.normal(0, 0.3, (i, o)), rng.normal(0, 0.1, o)) for i, o in pairwise(sizes)]


@pytest.fixture
def saved(tmp_path: Path, rng: np.random.Generator) -> Path:
    save_policy(tmp_path / "policy.npz", _layers(rng), {"name": "test", "strategies": NAMES})
    return tmp_path / "policy.npz"


def _observation(rates: list[float], weights: list[float] | None = None) -> Observation:
    now = np.array([rates])
    made = observe(PortfolioState.open(1e7, len(rates)), now, RateMemory.start(now, 0), 3e-6, Costs())
    return made if weights is None else Observation(**{**vars(made), "weights": np.array([weights])})


def _rewrite(manifest: Path, **changes: object) -> None:
    """Change a manifest and give it the digest that fits, as a careless or a clever hand would."""
    content = {**json.loads(manifest.read_text()), **changes}
    content.pop("digest")
    manifest.write_text(json.dumps({**content, "digest": digest_of(content)}))


def test_load__what_was_saved__by_either_file(saved: Path, rng: np.random.Generator) -> None:
    first, second = load_policy(saved), load_policy(saved.with_suffix(".json"), strategies=3)
    seen = _observation([0.01, 0.02, 0.03])
    assert np.array_equal(first.act(seen), second.act(seen))
    assert first.digest == second.digest
    assert len(first.digest) == 66
    assert isinstance(first, NumpyPolicy)
    assert first.manifest["strategies"] == NAMES


def test_save__same_again__same_digest_other_parameters_other_digest(tmp_path: Path) -> None:
    digests = [
        save_policy(
            tmp_path / f"{i}.npz", _layers(np.random.default_rng(seed)), {"name": "x", "strategies": NAMES}
        ).digest
        for i, seed in enumerate((1, 1, 2))
    ]
    assert digests[0] == digests[1] != digests[2]


def test_load__truncated_or_changed_parameters__refused(saved: Path) -> None:
    whole = saved.read_bytes()
    for damaged in (whole[:-1], whole[: len(whole) // 2], b"", whole[:-30] + b"\x00" + whole[-29:]):
        saved.write_bytes(damaged)
        with pytest.raises(PolicyDigestError, match="truncated"):
            load_policy(saved)


def test_load__changed_manifest__refused(saved: Path) -> None:
    manifest = saved.with_suffix(".json")
    manifest.write_text(manifest.read_text().replace('"test"', '"best"'))
    with pytest.raises(PolicyDigestError, match="changed"):
        load_policy(saved)


def test_load__committed_digest_is_another__refused(saved: Path) -> None:
    with pytest.raises(PolicyDigestError, match="committed"):
        load_policy(saved, digest="0x" + "00" * 32)
    with pytest.raises(PolicyDigestError, match="committed"):
        load_policy("greedy", digest="0x" + "00" * 32)
    assert load_policy(saved, digest=load_policy(saved).digest.upper().replace("0X", "0x")).name == "test"


def test_load__other_observation_version__refused(saved: Path) -> None:
    _rewrite(saved.with_suffix(".json"), observation="chain-1")
    with pytest.raises(PolicyVersionError, match="chain-1"):
        load_policy(saved)


def test_load_and_act__version_that_is_not_observed__refused(tmp_path: Path, rng: np.random.Generator) -> None:
    policy = save_policy(tmp_path / "rwa.npz", _layers(rng, version=RWA), {"name": "x", "strategies": NAMES}, RWA)
    assert policy.version == RWA
    assert load_policy(tmp_path / "rwa.npz", version=RWA).digest == policy.digest
    with pytest.raises(PolicyVersionError, match="'rwa-1' but 'chain-2' is observed"):
        load_policy(tmp_path / "rwa.npz", version=CHAIN)
    with pytest.raises(PolicyVersionError, match="shown 'chain-2'"):
        policy.act(_observation([0.01, 0.02, 0.03]))
    with pytest.raises(PolicyShapeError, match="3 strategies, not 4"):
        save_policy(tmp_path / "x.npz", _layers(rng, 4), {"name": "x", "strategies": [*NAMES, "d"]}, RWA)


def test_load__other_number_of_strategies__refused(saved: Path) -> None:
    with pytest.raises(PolicyShapeError, match="3 strategies but the vault has 4"):
        load_policy(saved, strategies=4)
    with pytest.raises(PolicyShapeError):
        load_policy(saved).act(_observation([0.01, 0.02]))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_save__diverged_weights__refused(tmp_path: Path, rng: np.random.Generator, value: float) -> None:
    layers = _layers(rng)
    layers[1][0][0, 0] = value
    with pytest.raises(PolicyFileError, match="diverged"):
        save_policy(tmp_path / "policy.npz", layers, {"name": "x", "strategies": NAMES})
    assert not list(tmp_path.iterdir())


def test_load__layers_that_do_not_fit__refused(tmp_path: Path, rng: np.random.Generator) -> None:
    layers = _layers(rng)
    for wrong in (layers[:-1], layers[1:], [*layers[:-1], (layers[-1][0], np.zeros(4))]):
        with pytest.raises(PolicyShapeError):
            save_policy(tmp_path / "policy.npz", wrong, {"name": "x", "strategies": NAMES})


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": 1}', "\x00\x01"])
def test_load__no_manifest__refused(saved: Path, text: str) -> None:
    saved.with_suffix(".json").write_text(text)
    with pytest.raises(PolicyFileError):
        load_policy(saved)


def test_load__no_such_thing__names_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(UnknownPolicyError, match="equal-weight"):
        load_policy("gredy")
    with pytest.raises(PolicyFileError, match="cannot read"):
        load_policy(tmp_path / "none.npz")


def test_load__pickle_inside__never_run(saved: Path) -> None:
    np.savez(saved, matrix_0=np.array([{"a": 1}], dtype=object))
    from agent.digest import sha256_hex

    _rewrite(saved.with_suffix(".json"), parameters_sha256=sha256_hex(saved.read_bytes()))
    with pytest.raises(PolicyFileError):
        load_policy(saved)


BEFORE_VERSIONS = {
    "equal-weight": ("1 / n in every strategy, always", {}),
    "hold": (
        "1 / n in every strategy while less than least_deployed is deployed, else as it is",
        {"least_deployed": 0.01},
    ),
    "greedy": ("strategies in the order of their present rate, each filled to its cap; ties share", {}),
    "greedy-band": (
        "as it is, unless the best portfolio under these rates, all caps taken for as large as the largest position, "
        "earns more by (band x amount moved) x horizon + move cost x amount moved + gas share over the horizon; "
        "then its strategies in the order of their sizes, each filled to its cap",
        {"band": 0.0025, "horizon_days": 14.0, "source": "rates"},
    ),
}
"""Descriptions and parameters that the digests of the baselines were of before rules had versions."""


@pytest.mark.parametrize("name", BASELINES)
def test_baseline__digest_from_before_versions__still_loads_and_is_reported(name: str) -> None:
    words, parameters = BEFORE_VERSIONS[name]
    old = digest_of({"kind": "baseline", "name": name, "rule": words, "parameters": parameters})
    now, served = load_policy(name), load_policy(name, digest=old.upper().replace("0X", "0x"))
    assert (served.name, served.digest) == (name, old)
    assert now.digest != old
    assert load_policy(name, digest=now.digest).digest == now.digest
    seen = _observation([0.01, 0.03, 0.02], [0.5, 0.1, 0.0])
    assert np.array_equal(served.act(seen), now.act(seen))
    for other in set(BASELINES) - {name}:
        with pytest.raises(PolicyDigestError, match="committed"):
            load_policy(other, digest=old)


def test_baselines__digests__distinct_and_of_name_version_and_parameters() -> None:
    digests = {name: load_policy(name).digest for name in BASELINES}
    assert len(set(digests.values())) == len(BASELINES)
    assert digests["hold"] == digest_of(
        {"kind": "rule", "name": "hold", "version": 1, "parameters": {"least_deployed": 0.01}}
    )


def test_greedy__fills_in_order_of_rates(limits: Limits) -> None:
    wanted = load_policy("greedy").act(_observation([0.01, 0.03, 0.02]))
    assert limits.project(wanted, 1.0)[0].tolist() == pytest.approx([0.0, 0.6, 0.38])
    tied = limits.project(fill_in_order(np.array([[0.02, 0.02, 0.01]])), 1.0)
    assert tied[0].tolist() == pytest.approx([0.49, 0.49, 0.0])


def test_hold__deploys_once_then_keeps_what_it_has() -> None:
    hold = load_policy("hold")
    assert hold.act(_observation([0.01, 0.03, 0.02]))[0].tolist() == pytest.approx([1 / 3] * 3)
    assert hold.act(_observation([0.01, 0.03, 0.02], [0.5, 0.1, 0.0]))[0].tolist() == [0.5, 0.1, 0.0]


def test_greedy_band__small_advantage__keeps_its_place(limits: Limits) -> None:
    band = load_policy("greedy-band")
    near, far = [0.020, 0.021, 0.001], [0.020, 0.030, 0.001]
    assert limits.project(band.act(_observation(near, [0.6, 0.38, 0.0])), 1.0)[0, 0] == pytest.approx(0.6)
    assert limits.project(band.act(_observation(far, [0.6, 0.38, 0.0])), 1.0)[0, 1] == pytest.approx(0.6)
