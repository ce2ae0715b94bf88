"""Fixtures: a real Anvil with a real Vault, VaultLens and three mock strategies; every test starts from one state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from scripts.protocols.anvil import Anvil, connect
from tests.keeper import postgres
from tests.keeper.harness import KEEPER, PASSWORD, Killed, Shell, World, deploy_world, write_keystore, write_secret
from tests.keeper.proxy import Proxy, in_front_of


@pytest.fixture(scope="session")
def deployed(anvil: Anvil) -> World:
    return deploy_world(connect(anvil.url), anvil.url)


@pytest.fixture
def world(deployed: World, tmp_path: Path) -> Iterator[World]:
    snapshot = deployed.rpc("evm_snapshot")
    deployed.folder = tmp_path
    write_keystore(tmp_path / "keystore.json", KEEPER.key)
    write_secret(tmp_path / "password", PASSWORD + "\n")
    deployed.set_base_fee(1)
    deployed.mine()
    yield deployed
    deployed.close()
    deployed.rpc("anvil_dropAllTransactions")
    deployed.rpc("evm_setAutomine", True)
    deployed.rpc("evm_revert", snapshot)


@pytest.fixture
def proxy(world: World) -> Iterator[Proxy]:
    with in_front_of(world.url) as made:
        yield made


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[postgres.Server]:
    tools = postgres.binaries()
    if tools is None:
        pytest.skip("PostgreSQL is not installed on this machine")
    with postgres.running(tools) as server:
        yield server


@pytest.fixture
def postgresql_url(postgresql_server: postgres.Server) -> str:
    return postgresql_server.new_database()


@pytest.fixture
def crash() -> Callable[..., None]:
    """`crash(patch, owner, "method", before=True)`: the process dies at the next call, before or after its work."""

    def install(patch: pytest.MonkeyPatch, owner: type, method: str, *, before: bool) -> None:
        real = getattr(owner, method)

        def dying(*arguments: Any, **options: Any) -> Any:
            if not before:
                real(*arguments, **options)
            raise Killed

        patch.setattr(owner, method, dying)

    return install


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    made = Shell(tmp_path)
    yield made
    made.kill()
    structlog.reset_defaults()  # the command sent the log to a stream that is closed now
