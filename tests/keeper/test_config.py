"""Configuration: every mistake is one clear line that names the key and the remedy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from keeper.config import EXAMPLE, KeeperConfig, build_config, load_config, read_password
from keeper.errors import ConfigError
from tests.keeper.harness import write_secret

ADDRESS = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
GOOD: dict[str, Any] = {
    "rpc_url": "http://127.0.0.1:8545/token",
    "chain_id": 1,
    "vault": ADDRESS,
    "lens": ADDRESS,
    "policy": "equal-weight",
    "native_price": 3000.0,
}


@pytest.fixture(autouse=True)
def _no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RPC_URL", "JOURNAL", "KEYSTORE_PASSWORD"):
        monkeypatch.delenv(f"BULKHEAD_{name}", raising=False)


def build(base: Path, **changes: Any) -> KeeperConfig:
    return build_config({key: value for key, value in {**GOOD, **changes}.items() if value is not None}, base)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"intervall_seconds": 1.0}, "unknown key `intervall_seconds`: did you mean `interval_seconds`?"),
        ({"foo": 1}, "unknown key `foo`: remove it"),
        ({"chain_id": None}, "`chain_id` is missing: add it"),
        ({"vault": None}, "`vault` is missing: add it, or `deployment = ...`"),
        ({"chain_id": "1"}, "`chain_id`: input should be a valid integer (is '1')"),
        ({"chain_id": True}, "`chain_id`"),
        ({"chain_id": 0}, "`chain_id`: input should be greater than 0"),
        ({"vault": "0x1234"}, "`vault`: must be an address"),
        ({"vault": ADDRESS[:-1] + "e"}, "`vault`: has a wrong checksum"),
        ({"rpc_url": "127.0.0.1:8545"}, "`rpc_url`: must be an http(s) URL"),
        ({"rpc_url": "ws://127.0.0.1:8545"}, "`rpc_url`: must be an http(s) URL"),
        ({"min_trade": 1.5}, "`min_trade`: input should be less than 1"),
        ({"slippage": -0.1}, "`slippage`: input should be greater than or equal to 0"),
        ({"slippage": float("nan")}, "`slippage`"),
        ({"costs": {"pool": {"entry": 1.0}}}, "`costs.pool.entry`: input should be less than 1"),
        ({"costs": {"pool": {"impact": -1e-9}}}, "`costs.pool.impact`: input should be greater than or equal to 0"),
        ({"costs": {"pool": {"fee": 0.1}}}, "unknown key `costs.pool.fee`"),
        ({"bump_percent": 10.0}, "`bump_percent`: input should be greater than or equal to 12.5"),
        ({"interval_seconds": 0}, "`interval_seconds`: input should be greater than 0"),
        ({"native_price": float("inf")}, "`native_price`"),
        ({"max_transaction_gas": -1}, "`max_transaction_gas`: input should be greater than or equal to 0"),
        ({"max_transaction_gas": 1e7}, "`max_transaction_gas`: input should be a valid integer"),
        ({"policy": ""}, "`policy`"),
        ({"journal": "://"}, "`journal`: must be a path or an SQLAlchemy URL"),
    ],
)
def test_config__bad_value__is_one_line(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(tmp_path, **changes)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_config__several_bad_values__a_line_each(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        build(tmp_path, chain_id=None, min_trade=2.0, foo=1)
    assert len(str(caught.value).splitlines()) == 3


def test_config__secrets__are_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "token" not in repr(build(tmp_path))
    assert build(tmp_path).safe_rpc_url == "http://127.0.0.1:8545"
    monkeypatch.setenv("BULKHEAD_RPC_URL", "gopher://secret")
    with pytest.raises(ConfigError) as caught:
        build(tmp_path)
    assert "secret" not in str(caught.value)


def test_config__environment__overrides_secrets_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BULKHEAD_RPC_URL", "https://node.example/key")
    monkeypatch.setenv("BULKHEAD_CHAIN_ID", "5")
    config = build(tmp_path, rpc_url=None)
    assert config.rpc_url.get_secret_value() == "https://node.example/key"
    assert config.chain_id == 1


def test_config__paths__are_relative_to_the_file(tmp_path: Path) -> None:
    config = build(tmp_path, keystore="k.json", journal="j.sqlite", policy="models/p.npz", password_file="p")
    assert config.keystore == tmp_path / "k.json"
    assert config.journal == f"sqlite:///{tmp_path / 'j.sqlite'}"
    assert config.policy == str(tmp_path / "models/p.npz")
    assert build(tmp_path, journal="postgresql://u@h/d").journal == "postgresql://u@h/d"
    assert build(tmp_path, policy="greedy").policy == "greedy"


def test_config__deployment__gives_vault_and_lens(tmp_path: Path) -> None:
    book = tmp_path / "book.json"
    book.write_text(json.dumps({"chain_id": 1, "vault": ADDRESS, "lens": ADDRESS, "more": {}}))
    assert build(tmp_path, vault=None, lens=None, deployment="book.json").vault == ADDRESS


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not exist. Deploy first"),
        ("{", "not a readable JSON file"),
        ('{"vault": 1}', "names no vault and no lens"),
        ("[]", "names no vault and no lens"),
        ('{"chain_id": 5, "vault": "", "lens": ""}', "is of chain 5, but `chain_id` is 1"),
    ],
)
def test_config__bad_deployment__is_one_line(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "book.json").write_text(content)
    with pytest.raises(ConfigError, match="deployment") as caught:
        build(tmp_path, vault=None, lens=None, deployment="book.json")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"), [(None, "no such file"), (b"a = ", "not valid TOML"), (b"\xff", "cannot be read")]
)
def test_load__bad_file__is_one_line(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "keeper.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        load_config(path)


def test_example__is_valid_and_names_every_key(tmp_path: Path) -> None:
    text = EXAMPLE.read_text()
    (tmp_path / "deployments").mkdir()
    (tmp_path / "deployments/31337.json").write_text(json.dumps({"vault": ADDRESS, "lens": ADDRESS}))
    (tmp_path / "keeper.toml").write_text(text)
    config = load_config(tmp_path / "keeper.toml")
    for key, value in config.model_dump().items():
        assert any(form in text for form in (f"{key} = ", f"[{key}]", f"[{key}.")), key
        default = KeeperConfig.model_fields[key].default
        if isinstance(default, float):
            assert value == default, f"the example's {key} is not the default"


def test_password__environment_before_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_secret(tmp_path / "p", "from file\n")
    config = build(tmp_path, password_file="p")
    assert read_password(config) == "from file"
    monkeypatch.setenv("BULKHEAD_KEYSTORE_PASSWORD", "from environment")
    assert read_password(config) == "from environment"
    monkeypatch.delenv("BULKHEAD_KEYSTORE_PASSWORD")
    assert read_password(build(tmp_path)) == ""
    with pytest.raises(ConfigError, match="password_file"):
        read_password(build(tmp_path, password_file="missing"))


@pytest.mark.parametrize(("given", "cap"), [({}, 2**24), ({"max_transaction_gas": 30_000_000}, 30_000_000)])
def test_gas_cap__a_number__is_the_cap(tmp_path: Path, given: dict[str, Any], cap: int) -> None:
    assert build(tmp_path, **given).gas_cap == cap


@pytest.mark.parametrize("none", [0, None])
def test_gas_cap__zero_or_nothing__is_no_cap(tmp_path: Path, none: int | None) -> None:
    assert build_config({**GOOD, "max_transaction_gas": none}, tmp_path).gas_cap is None
