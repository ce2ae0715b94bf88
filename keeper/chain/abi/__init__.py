"""The contracts' ABIs, as package data, and the errors a revert can carry.

The JSON files are made from the compiler's output and never edited; after a change to the contracts run::

    forge build && python -m keeper.chain.abi --write

A test fails while they differ from what the compiler says.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_utils.crypto import keccak

FOLDER = Path(__file__).parent

# file here -> artifact under Forge's output folder
SOURCES = {
    "Vault.json": "Vault.sol/Vault.json",
    "VaultLens.json": "VaultLens.sol/VaultLens.json",
}

STANDARD_ERRORS = [
    {"type": "error", "name": "Error", "inputs": [{"name": "message", "type": "string"}]},
    {"type": "error", "name": "Panic", "inputs": [{"name": "code", "type": "uint256"}]},
]


@cache
def load(name: str) -> list[dict[str, Any]]:
    """Return the ABI with this name ("Vault", "VaultLens")."""
    abi: list[dict[str, Any]] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return abi


def extract(artifact: Path) -> str:
    """Return the text of the committed file for a compiler artifact: its ABI, one entry per line."""
    abi = json.loads(artifact.read_text(encoding="utf-8"))["abi"]
    entries = [json.dumps(_plain(entry), sort_keys=True) for entry in abi]
    return "[\n" + ",\n".join(entries) + "\n]\n"


def _plain(item: Any) -> Any:
    """Drop `internalType`: it names source types, so it changes where the interface does not."""
    if isinstance(item, dict):
        return {key: _plain(value) for key, value in item.items() if key != "internalType"}
    return [_plain(value) for value in item] if isinstance(item, list) else item


# --- calls -------------------------------------------------------------------------------------------------------


def _type(parameter: dict[str, Any]) -> str:
    kind: str = parameter["type"]
    if kind.startswith("tuple"):
        return "(" + ",".join(_type(part) for part in parameter["components"]) + ")" + kind[len("tuple") :]
    return kind


def _selector(entry: dict[str, Any]) -> bytes:
    return keccak(text=f"{entry['name']}({','.join(_type(p) for p in entry['inputs'])})")[:4]


def _named(parameter: dict[str, Any], value: Any) -> Any:
    """Turn decoded tuples into dictionaries with the struct's field names."""
    kind: str = parameter["type"]
    if not kind.startswith("tuple"):
        return value
    if kind.endswith("]"):
        return [_named({**parameter, "type": kind[: kind.rindex("[")]}, item) for item in value]
    return {part["name"]: _named(part, item) for part, item in zip(parameter["components"], value, strict=True)}


def _function(name: str, function: str) -> dict[str, Any]:
    return next(entry for entry in load(name) if entry["type"] == "function" and entry["name"] == function)


def encode_call(name: str, function: str, arguments: list[Any]) -> bytes:
    """Return the call data of a function; structs are given as tuples."""
    entry = _function(name, function)
    return _selector(entry) + encode([_type(p) for p in entry["inputs"]], arguments)


def decode_result(name: str, function: str, data: bytes) -> Any:
    """Return a function's single result; structs become dictionaries.

    Raises
    ------
    eth_abi.exceptions.DecodingError
        When the data is not what the function returns (another contract answered).
    """
    entry = _function(name, function)
    (value,) = decode([_type(p) for p in entry["outputs"]], data)
    return _named(entry["outputs"][0], value)


# --- reverts -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Revert:
    """A decoded revert: the error's name and its named arguments."""

    name: str
    arguments: dict[str, Any]

    def __str__(self) -> str:
        shown = ", ".join(f"{key}={_show(value)}" for key, value in self.arguments.items())
        return f"{self.name}({shown})"


def _show(value: Any) -> str:
    return "0x" + value.hex() if isinstance(value, bytes) else str(value)


@cache
def _errors() -> dict[bytes, dict[str, Any]]:
    entries = [*STANDARD_ERRORS, *(entry for name in ("Vault", "VaultLens") for entry in load(name))]
    return {_selector(entry): entry for entry in entries if entry["type"] == "error"}


def decode_revert(data: bytes) -> Revert:
    """Name a revert by the vault's custom errors; an unknown one keeps its raw data."""
    entry = _errors().get(bytes(data[:4]))
    if not data:
        return Revert("EmptyRevert", {})
    if entry is None:
        return Revert("UnknownError", {"data": bytes(data)})
    try:
        values = decode([_type(p) for p in entry["inputs"]], data[4:])
    except DecodingError:
        return Revert("UnknownError", {"data": bytes(data)})
    return Revert(entry["name"], {p["name"]: value for p, value in zip(entry["inputs"], values, strict=True)})
