"""ABIs of the contracts and the code of the lens, shipped as package data; calls, events and reverts by those ABIs.

The files under `contracts/` are the compiler's output and never edited. After a change to the contracts run::

    forge build && python -m keeper.chain.abi --write

A test fails while they differ from the compiler's output.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

FOLDER = Path(__file__).with_name("contracts")
NAMES = ("Vault", "VaultLens", "AccessManager", "IAggregator", "IUniswapV3Pool")
LENS_CODE = "VaultLens.runtime.json"
LENS_SOURCE = "contracts/lens/VaultLens.sol"

STANDARD_ERRORS = (
    {"type": "error", "name": "Error", "inputs": [{"name": "message", "type": "string"}]},
    {"type": "error", "name": "Panic", "inputs": [{"name": "code", "type": "uint256"}]},
)

Entry = dict[str, Any]


@cache
def load(name: str) -> list[Entry]:
    """Return the ABI of one of `NAMES`."""
    abi: list[Entry] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return abi


@cache
def lens_code() -> str:
    """Return the runtime code of VaultLens as 0x hex. It has no immutables, so it runs at any address."""
    return str(json.loads((FOLDER / LENS_CODE).read_text(encoding="utf-8")))


# --- calls, results, events --------------------------------------------------------------------------------------


def selector(name: str, function: str) -> bytes:
    """Return the four bytes that select a function."""
    return _hash(_find(name, "function", function))[:4]


def encode_call(name: str, function: str, arguments: Sequence[Any]) -> bytes:
    """Return the call data of a function; structs are given as tuples."""
    entry = _find(name, "function", function)
    return _hash(entry)[:4] + encode(_types(entry["inputs"]), list(arguments))


def decode_call(name: str, data: bytes) -> tuple[str, Entry] | None:
    """Return a call's function and arguments by name; `None` where the ABI has no such call."""
    for entry in load(name):
        if entry["type"] == "function" and _hash(entry)[:4] == data[:4]:
            try:
                return entry["name"], _arguments(entry["inputs"], data[4:])
            except DecodingError:
                return None
    return None


def decode_result(name: str, function: str, data: bytes) -> Any:
    """Return a function's result, a tuple where there are several; structs become dictionaries.

    Raises
    ------
    eth_abi.exceptions.DecodingError
        When the data is not what the function returns (another contract answered).
    """
    outputs = _find(name, "function", function)["outputs"]
    values = [_named(p, value) for p, value in zip(outputs, _decode(outputs, data), strict=True)]
    return values[0] if len(values) == 1 else tuple(values)


def decode_event(name: str, topics: Sequence[bytes], data: bytes) -> tuple[str, Entry] | None:
    """Return an event's name and arguments; `None` where the ABI has no such event."""
    for entry in load(name):
        if entry["type"] == "event" and topics and _hash(entry) == topics[0]:
            indexed = [p for p in entry["inputs"] if p["indexed"]]
            rest = [p for p in entry["inputs"] if not p["indexed"]]
            return entry["name"], _arguments(indexed, b"".join(topics[1:])) | _arguments(rest, data)
    return None


def _find(name: str, kind: str, member: str) -> Entry:
    return next(entry for entry in load(name) if entry["type"] == kind and entry["name"] == member)


def _types(parameters: Sequence[Entry]) -> list[str]:
    return [_type(parameter) for parameter in parameters]


def _type(parameter: Entry) -> str:
    kind: str = parameter["type"]
    if kind.startswith("tuple"):
        return "(" + ",".join(_types(parameter["components"])) + ")" + kind.removeprefix("tuple")
    return kind


def _hash(entry: Entry) -> bytes:
    return keccak(text=f"{entry['name']}({','.join(_types(entry['inputs']))})")


def _decode(parameters: Sequence[Entry], data: bytes) -> tuple[Any, ...]:
    try:
        return tuple(decode(_types(parameters), data))
    except (OverflowError, UnicodeDecodeError) as error:  # offsets or text out of another contract's answer
        raise DecodingError(str(error)) from error


def _arguments(parameters: Sequence[Entry], data: bytes) -> Entry:
    return {p["name"]: _named(p, value) for p, value in zip(parameters, _decode(parameters, data), strict=True)}


def _named(parameter: Entry, value: Any) -> Any:
    """Turn tuples into dictionaries with the struct's field names, and give addresses their checksum."""
    kind: str = parameter["type"]
    if kind.endswith("]"):
        return [_named({**parameter, "type": kind[: kind.rindex("[")]}, item) for item in value]
    if kind.startswith("tuple"):
        return {part["name"]: _named(part, item) for part, item in zip(parameter["components"], value, strict=True)}
    return to_checksum_address(value) if kind == "address" else value


# --- reverts -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Revert:
    """A decoded revert: the error's name and its named arguments."""

    name: str
    arguments: Entry

    def __str__(self) -> str:
        shown = ", ".join(f"{key}={_show(value)}" for key, value in self.arguments.items())
        return f"{self.name}({shown})"


def _show(value: Any) -> str:
    return "0x" + value.hex() if isinstance(value, bytes) else str(value)


@cache
def _errors() -> dict[bytes, Entry]:
    entries = [*STANDARD_ERRORS, *(entry for name in NAMES for entry in load(name))]
    return {_hash(entry)[:4]: entry for entry in entries if entry["type"] == "error"}


def decode_revert(data: bytes, abi: Sequence[Any] = ()) -> Revert:
    """Name a revert by the errors of our contracts and of a further `abi`; an unknown one keeps its raw data."""
    if not data:
        return Revert("EmptyRevert", {})
    further = {_hash(entry)[:4]: entry for entry in abi if entry.get("type") == "error"}
    entry = (further | _errors()).get(bytes(data[:4]))
    if entry is not None:
        try:
            return Revert(entry["name"], _arguments(entry["inputs"], data[4:]))
        except DecodingError:
            pass
    return Revert("UnknownError", {"data": bytes(data)})


# --- the compiler's output ---------------------------------------------------------------------------------------


def compiled(root: Path) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of every file as the contracts under `root` compile; needs `forge build` before.

    The lens is compiled by itself, as Forge's profile `deployed` says: the same input gives the same code everywhere.
    """
    out = root / ".forge" / "out"
    for name in NAMES:
        entries = _artifact(out, name)["abi"]
        if name == "Vault":
            entries = _with_names(entries, _artifact(out, "IVault")["abi"])
        yield (
            f"{name}.json",
            "[\n" + ",\n".join(json.dumps(_plain(entry), sort_keys=True) for entry in entries) + "\n]\n",
        )
    folder = root / ".forge" / "lens"
    subprocess.run(
        ["forge", "build", "--silent", LENS_SOURCE, "--out", folder / "out", "--cache-path", folder / "cache"],
        cwd=root,
        env={**os.environ, "FOUNDRY_PROFILE": "deployed"},
        check=True,
    )
    code = _artifact(folder / "out", "VaultLens")["deployedBytecode"]["object"]
    yield LENS_CODE, json.dumps(_without_metadata(code)) + "\n"


def _without_metadata(code: str) -> str:
    """Return 0x hex without the digest that the compiler appends: it changes with the packages that are installed.

    Its length stands in the last two bytes. Source: the Solidity documentation, "Contract Metadata".
    """
    return code[: -2 * (int(code[-4:], 16) + 2)]


def _with_names(entries: list[Entry], interface: list[Entry]) -> list[Entry]:
    """Return the ABI with the interface's parameters where its own have no names: those of the calls it passes on."""
    named = {_hash(entry): entry["inputs"] for entry in interface if entry["type"] == "function"}
    complete = [all(parameter["name"] for parameter in entry.get("inputs", ())) for entry in entries]
    return [
        entry if done else {**entry, "inputs": named[_hash(entry)]}
        for entry, done in zip(entries, complete, strict=True)
    ]


def _artifact(folder: Path, name: str) -> Entry:
    artifact: Entry = json.loads((folder / f"{name}.sol" / f"{name}.json").read_text(encoding="utf-8"))
    return artifact


def _plain(item: Any) -> Any:
    """Drop `internalType`: it names source types, so it changes where the interface does not."""
    if isinstance(item, dict):
        return {key: _plain(value) for key, value in item.items() if key != "internalType"}
    return [_plain(value) for value in item] if isinstance(item, list) else item


def main() -> int:
    """Compare the files with the compiler's output, or write them; returns 0 when they are (now) the same."""
    parser = argparse.ArgumentParser(prog="python -m keeper.chain.abi", description=main.__doc__)
    parser.add_argument("--write", action="store_true", help="write the files instead of comparing them")
    write, stale = parser.parse_args().write, []
    try:
        for name, text in compiled(Path.cwd()):
            if write:
                (FOLDER / name).write_text(text, encoding="utf-8")
            elif not (FOLDER / name).exists() or (FOLDER / name).read_text(encoding="utf-8") != text:
                stale.append(name)
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        print(f"{error}: run `forge build` in the project's root first.", file=sys.stderr)
        return 1
    if stale:
        print(f"{', '.join(stale)}: not as compiled. Run: python -m keeper.chain.abi --write", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
