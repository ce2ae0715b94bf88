"""Facts of the chain stand once: the vault's model, the decoding of reverts, the launcher of Anvil."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from keeper.snapshot import Snapshot, StrategySnapshot

ROOT = Path(__file__).parents[2]


def trees(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    """Every source file with its syntax tree."""
    for folder in folders:
        for path in (ROOT / folder).rglob("*.py"):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())


@pytest.mark.parametrize("model", [Snapshot, StrategySnapshot])
def test_vault__modelled_once(model: type) -> None:
    names = {field.name for field in fields(model)}
    twice = {
        f"{place}: {node.name}"
        for place, tree in trees("agent", "keeper", "scripts", "tools")
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        and 2 * len(names & {f.target.id for f in node.body if isinstance(f, ast.AnnAssign) and _named(f)}) > len(names)
    }
    assert twice == {f"keeper/snapshot.py: {model.__name__}"}


def test_reverts__decoded_once() -> None:
    found = {
        f"{place}: {node.name}"
        for place, tree in trees("agent", "keeper", "scripts", "tools")
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and re.search("decode.*(revert|error)", node.name)
    }
    assert found == {"keeper/chain/abi.py: decode_revert"}
    # Whoever decodes an error by an ABI must look for the entries of this type.
    readers = {
        place
        for place, tree in trees("agent", "keeper", "scripts", "tools")
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare) and "'type'" in ast.unparse(node) and "'error'" in ast.unparse(node)
    }
    assert readers == {"keeper/chain/abi.py"}


def test_anvil__launched_by_one_class() -> None:
    launchers = {
        place
        for place, tree in trees("keeper", "scripts", "tools", "tests")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call | ast.BinOp)
        and any(isinstance(part, ast.Constant) and part.value == "anvil" for part in ast.iter_child_nodes(node))
    }
    assert launchers == {"scripts/protocols/anvil.py"}


def _named(field: ast.AnnAssign) -> bool:
    return isinstance(field.target, ast.Name)
