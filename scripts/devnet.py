"""`ape run devnet`: a chain to play on, with three Aave V3 markets and Uniswap V3 from their real bytecode."""

import signal
import time
from pathlib import Path
from types import FrameType

import click
import requests
from rich import box
from rich.console import Console
from rich.table import Table

from scripts.errors import AnvilFailedError, ScriptError
from scripts.protocols.aave import CURVES
from scripts.protocols.anvil import Anvil, connect, require_anvil
from scripts.protocols.defi import YIELD_MARKET
from scripts.protocols.devnet import DEPOSITOR_USDC, DEPOSITORS, PRESETS, Devnet, deploy_devnet

DEFAULT_BOOK = Path("out/devnet.json")


@click.command(short_help="Start a devnet: Anvil with Aave V3 markets and Uniswap V3")
@click.option("--port", type=click.IntRange(1, 65535), default=8545, show_default=True, help="Port Anvil listens on.")
@click.option("--chain-id", type=click.IntRange(1), default=31337, show_default=True, help="Chain id of the devnet.")
@click.option(
    "--preset",
    type=click.Choice(PRESETS),
    default=PRESETS[0],
    show_default=True,
    help="lending: Aave V3 markets. defi: a feed of ETH, and the venues of DefiYield-v0 besides. rwa: that feed, USDY, "
    "mETH and an index token besides.",
)
@click.option("--rpc", metavar="URL", help="Deploy onto the Anvil that already runs there, and return.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=DEFAULT_BOOK,
    show_default=True,
    help="Where to write the address book.",
)
def cli(port: int, chain_id: int, preset: str, rpc: str | None, out: Path) -> None:
    """Start Anvil, deploy the real bytecode of Aave V3 (three markets) and Uniswap V3, and keep it running.

    Writes the addresses to a JSON file that `ape run deploy --devnet` reads. Ctrl-C stops everything.
    """
    try:
        if rpc is not None:
            w3 = connect(rpc)
            require_anvil(w3)
            _finish(deploy_devnet(w3, _say, preset), rpc, out)
        else:
            _serve(port, chain_id, preset, out)
    except ScriptError as error:
        raise click.ClickException(str(error)) from error
    except requests.ConnectionError as error:
        raise click.ClickException(
            "The node stopped answering while the devnet was deployed. Start it again."
        ) from error


def _serve(port: int, chain_id: int, preset: str, out: Path) -> None:
    """Run Anvil in the foreground until Ctrl-C or SIGTERM; raises `AnvilFailedError` when it ends by itself."""
    for number in (signal.SIGINT, signal.SIGTERM):  # SIGINT too: Ape's own handler exits at once with 130
        signal.signal(number, _interrupt)
    anvil = Anvil(port=port, chain_id=chain_id)
    try:
        anvil.start()
        _finish(deploy_devnet(connect(anvil.url), _say, preset), anvil.url, out)
        click.echo("Running. Ctrl-C stops it.")
        while anvil.alive:
            time.sleep(0.2)
        raise AnvilFailedError("Anvil has ended by itself; what was on the chain is lost. Start the devnet again.")
    except KeyboardInterrupt:
        click.echo("\nStopped.")
    finally:
        anvil.stop()


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _say(step: str) -> None:
    click.echo(f"deploying {step}", err=True)


def _finish(devnet: Devnet, url: str, out: Path) -> None:
    devnet.save(out)
    console = Console()
    markets = _table("Aave V3 markets: USDC to lend, WETH as collateral", "market", "pool", "supply APR", "kink")
    for name, market in devnet.markets.items():
        kink = f"{CURVES[name].optimal_utilisation:.0%}"
        markets.add_row(name, market.pool.address, f"{market.supply_rate():.2%}", kink)
    others = _table("Tokens, Uniswap V3, and accounts (unlocked in Anvil)", "what", "address")
    others.add_row("USDC, 6 decimals, free to mint", devnet.usdc.address)
    others.add_row("WETH", devnet.weth.address)
    others.add_row("Uniswap USDC/WETH 0.05 % pool", devnet.uniswap.pool.address)
    others.add_row("Uniswap swap router", devnet.uniswap.router.address)
    if devnet.compound is not None:
        rate = f"{devnet.compound.supply_rate():.2%}"
        others.add_row(f"Compound V2 of USDC, {rate}", devnet.compound.market.address)
    if devnet.eth_feed is not None:
        others.add_row("Feed of ETH, free to set", devnet.eth_feed.address)
    if devnet.defi is not None:
        defi = devnet.defi
        others.add_row("DAI, 18 decimals, free to mint", defi.dai.address)
        others.add_row("USDT, 6 decimals, free to mint", defi.usdt.address)
        for name, pool in defi.pools.items():
            others.add_row(f"Uniswap USDC/{name.upper()} 0.01 % pool", pool.address)
        rate = f"{defi.compound_dai.supply_rate():.2%}"
        others.add_row(f"Compound V2 of DAI, {rate}", defi.compound_dai.market.address)
        others.add_row(f"Aave V3 pool of USDT, {defi.aave_usdt.supply_rate():.2%}", defi.aave_usdt.pool.address)
        others.add_row("Balancer V2 pool of the three", defi.stable.pool.address)
        others.add_row(f"Yield vault of USDC, over {YIELD_MARKET}", defi.yield_vault.address)
        for name, feed in defi.feeds.items():
            others.add_row(f"Feed of {name.replace('_', ' ')}, free to set", feed.address)
    if devnet.rwa is not None:
        others.add_row("USDY, by a stand-in, for listed holders", devnet.rwa.usdy.address)
        others.add_row("mETH, by a stand-in", devnet.rwa.meth.address)
        others.add_row("MI4, by an index token of Set V2", devnet.rwa.mi4.address)
        for name, pool in devnet.rwa.pools.items():
            others.add_row(f"Uniswap pool of USDC and {name}", pool.address)
    for index, (role, address) in enumerate(devnet.accounts.items()):
        money = f", {DEPOSITOR_USDC:,} USDC" if role in DEPOSITORS else ""
        others.add_row(f"{index} {role}{money}", address)
    console.print(markets, others, f"RPC {url}, chain {devnet.w3.eth.chain_id}. Address book: {out}", sep="\n")


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table
