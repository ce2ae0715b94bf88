"""Measures what the devnets' venues cost to enter and to leave, beside what the environments charge.

    python -m tools.calibration.venues

puts 10,000, 100,000 and a million USDC into a strategy of each venue of `DefiYield-v0` and `RwaYield-v0` on a devnet of
that preset, and takes them out again; sizes are left out that the strategy refuses as too dear. Costs are against the
oracle's price (`convertToAssets`, which knows no haircut). Leaving follows at once, and so brings back by what
entering has moved the pool's price: a cost of entry that grows with the size is an impact, and both ways are fees.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from agent.envs.presets import env_preset
from agent.market.rwa import ASSETS
from agent.units import FloatArray
from scripts.deployment.plan import venues_of
from scripts.protocols.anvil import Anvil, connect, rpc
from scripts.protocols.artifacts import USDC_UNIT
from scripts.protocols.devnet import Devnet, deploy_devnet
from scripts.protocols.outsiders import VENUES

SIZES = (10_000, 100_000, 1_000_000)
"""Whole USDC."""
PRESETS = {"defi": VENUES, "rwa": ASSETS}


@dataclass(frozen=True)
class Cost:
    """Shares of a leg that are lost: on the devnet, and in the environment."""

    preset: str
    venue: str
    size: int
    entry: float
    exit: float
    charged_entry: float
    charged_exit: float


def measure(devnet: Devnet, preset: str) -> Iterator[Cost]:
    """Yield the costs of each venue of an environment, for each size; the devnet is left as it was."""
    costs = env_preset(preset).config(None).costs
    names, chain, alice = PRESETS[preset], devnet.chain, devnet.sender("alice")
    for index, name in enumerate(names):
        strategy = venues_of(devnet)[name].deploy(chain, devnet.usdc.address, name, name)
        chain.approve(devnet.usdc, strategy.address, alice)
        balance = devnet.usdc.functions.balanceOf(alice.address)
        for size in SIZES:
            before, amount = rpc(devnet.w3, "evm_snapshot"), size * USDC_UNIT
            if strategy.functions.maxDeposit(alice.address).call() < amount:
                continue
            chain.mint(devnet.usdc, alice.address, amount)
            held = strategy.functions.balanceOf(alice.address).call()
            chain.send(strategy.functions.deposit(amount, alice.address), sender=alice)
            shares = strategy.functions.balanceOf(alice.address).call() - held
            worth, had = strategy.functions.convertToAssets(shares).call(), balance.call()
            redeem = strategy.get_function_by_signature("redeem(uint256,address,address)")
            chain.send(redeem(shares, alice.address, alice.address), sender=alice)
            got = balance.call() - had
            yield Cost(
                preset,
                name,
                size,
                entry=1.0 - worth / amount,
                exit=1.0 - got / worth,
                charged_entry=_of(costs.of_leg(size).entry, index, len(names)),
                charged_exit=_of(costs.of_leg(size).exit, index, len(names)),
            )
            rpc(devnet.w3, "evm_revert", before)


def _of(costs: FloatArray | float, index: int, count: int) -> float:
    return float(np.broadcast_to(np.asarray(costs), count)[index])


@click.command()
@click.option("--preset", type=click.Choice(list(PRESETS)), multiple=True, help="Only this one.  [default: both]")
def cli(preset: tuple[str, ...]) -> None:
    """Print what entering and leaving costs, in basis points."""
    table = Table(
        "preset", "venue", "USDC", "entry", "charged", "exit", "charged", title="Costs, basis points of a leg"
    )
    for name in preset or PRESETS:
        with Anvil() as anvil:
            for cost in measure(deploy_devnet(connect(anvil.url), preset=name), name):
                points = (cost.entry, cost.charged_entry, cost.exit, cost.charged_exit)
                table.add_row(name, cost.venue, f"{cost.size:,}", *(f"{1e4 * share:.2f}" for share in points))
    Console().print(table)


if __name__ == "__main__":
    cli()
