"""Fork tests, without the internet: one Anvil plays mainnet, and Ape's `mainnet-fork` forks it.

    ape test tests/fork --network ethereum:mainnet-fork:foundry

With an upstream of your own (chain id 1) set `WEB3_PROVIDER_URI` to its URL, `BULKHEAD_DEPLOYMENT` to the address book
of the vault there (default deployments/1.json) and `BULKHEAD_WHALE` to an account that holds the vault's asset.
"""

from contextlib import ExitStack
from pathlib import Path

import pytest

from scripts.errors import ScriptError
from tests.fork.upstream import Upstream, open_upstream

NETWORK = "ethereum:mainnet-fork:foundry"
_opened = ExitStack()
_upstream: Upstream | None = None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Make the upstream ready: only when there is something to run, and now, because Ape connects right after."""
    global _upstream
    here = [item for item in items if item.path.parent == Path(__file__).parent]
    if not here:
        return
    if "mainnet-fork" not in (config.getoption("--network") or ""):
        for item in here:
            item.add_marker(pytest.mark.skip(reason=f"needs --network {NETWORK}"))
        return
    try:
        _upstream = _opened.enter_context(open_upstream())
    except ScriptError as error:
        pytest.exit(str(error), returncode=1)


def pytest_unconfigure() -> None:
    _opened.close()


@pytest.fixture(scope="session")
def upstream() -> Upstream:
    assert _upstream is not None
    return _upstream
