"""The one Anvil of the tests that need a local chain. (Ape's suites use the node of Ape's network.)"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from scripts.protocols.anvil import Anvil


@pytest.fixture(scope="session")
def anvil() -> Iterator[Anvil]:
    from scripts.protocols.anvil import Anvil  # web3 takes half a second to import

    with Anvil() as node:
        yield node
