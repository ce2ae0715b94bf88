"""Errors of the vault and of strategies, by the wall that raised them."""

import pytest

from scripts.demonstration.walls import wall_of


@pytest.mark.parametrize(
    ("revert", "wall"),
    [
        ("Illiquid(strategy=0x1, assets=2, payable_=0)", "liquidity"),
        ("the simulation reverted: TooDear(paid=1, bound=0)", "price"),
        ("ERC4626ExceededMaxDeposit(receiver=0x1, assets=1, max=0)", "price"),
        ("Depegged(price=850263794342194665)", "price"),
        ("NotIlliquid(1)", ""),
        ("VaultHalted()", ""),
        ("", ""),
    ],
)
def test_wall_of__an_error__its_wall(revert: str, wall: str) -> None:
    assert wall_of(revert) == wall
