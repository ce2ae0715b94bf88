"""`ape run deploy`: a vault with chosen limits on any network, verified on chain afterwards."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from ape.cli import account_option

from keeper.inspect.words import parse_span
from scripts.deployment.network import ApeSender, NetworkCommand

if TYPE_CHECKING:
    from eth_typing import ChecksumAddress
    from web3 import Web3

    from scripts.deployment.plan import DeploymentPlan
    from scripts.protocols.devnet import Devnet

FILE = click.Path(dir_okay=False, path_type=Path)
EXISTING_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


class Parsed(click.ParamType):
    """A click type from a parsing function; the hint tells what to write."""

    def __init__(self, name: str, parse: Callable[[str], Any], hint: str) -> None:
        self.name, self._parse, self._hint = name, parse, hint

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value."""
        try:
            return self._parse(str(value))
        except (ValueError, ArithmeticError):
            self.fail(f"{value!r}: {self._hint}", param, ctx)


@click.command(cls=NetworkCommand, short_help="Deploy a vault with chosen limits, and verify it")
@account_option()
@click.option(
    "--limits", type=EXISTING_FILE, default=Path("scripts/limits.toml"), show_default=True, help="Limits file."
)
@click.option("--devnet", "book", type=EXISTING_FILE, help="Address book of `ape run devnet`: names the Aave markets.")
@click.option(
    "--aave-pool",
    "pools",
    multiple=True,
    metavar="NAME=ADDRESS",
    help="Aave V3 pool that a strategy of the limits file names; repeatable.",
)
@click.option(
    "--preset",
    metavar="NAME|FILE",
    help="Network whose assets and venues the limits file names: one of scripts/networks/, or a file of your own.",
)
@click.option(
    "--asset", metavar="ADDRESS", help="Asset of the vault; with --preset also by name.  [with --devnet: its USDC]"
)
@click.option("--name", help="Name of the vault's shares.  [default: \"Bulkhead \" and the asset's symbol]")
@click.option("--symbol", help='Their symbol.  [default: "bh" and the asset\'s symbol]')
@click.option("--keeper", metavar="ADDRESS", help="The one address that may rebalance.  [with --devnet: account 4]")
@click.option(
    "--governance",
    metavar="ADDRESS",
    help="May loosen limits and appoint people, after the delay.  [with --devnet: account 8]",
)
@click.option(
    "--guardian",
    metavar="ADDRESS",
    help="May tighten limits, halt, cut the keeper off and cancel what is announced; at once.  "
    "[with --devnet: account 10]",
)
@click.option(
    "--delay",
    type=Parsed("SPAN", parse_span, "write seconds, or 2d, 36h, 90m"),
    default="2d",
    show_default=True,
    help="Of governance: 2d, 36h or seconds.",
)
@click.option("--no-delay", "allow_no_delay", is_flag=True, help="Let --delay be 0, on a local chain.")
@click.option("--fee-recipient", metavar="ADDRESS", help="Gets the performance fee, where the limits file has one.")
@click.option(
    "--seed",
    type=Parsed("AMOUNT", Decimal, "write an amount as 100 or 0.5"),
    default="100",
    show_default=True,
    metavar="AMOUNT",
    help="First deposit by the deployer, in the asset, for good: it keeps the vault from ever being empty. "
    "0 deploys it empty.",
)
@click.option("--policy", metavar="FILE|NAME", help="Policy to commit: its file (.npz or .json), or a baseline's name.")
@click.option("--policy-hash", metavar="0x...", help="Digest of the policy to commit, instead of --policy.")
@click.option(
    "--out", type=FILE, help="Address book to write.  [default: deployments/<chain id>.json, or none: --rehearse]"
)
@click.option("--rehearse", is_flag=True, help="Put a devnet on the (Anvil) network first, and deploy onto that.")
@click.option("--dry-run", is_flag=True, help="Check everything and show the plan; send nothing.")
@click.option("--yes", is_flag=True, help="Do not ask before sending to a chain that is not an Anvil.")
def cli(
    provider: Any,
    account: Any,
    limits: Path,
    book: Path | None,
    pools: tuple[str, ...],
    preset: str | None,
    policy: str | None,
    policy_hash: str | None,
    out: Path | None,
    delay: int,
    allow_no_delay: bool,
    seed: Decimal,
    rehearse: bool,
    dry_run: bool,
    yes: bool,
    **wanted: str | None,
) -> None:
    """Deploy an AccessManager, the vault, its lens and one strategy per entry of the limits file.

    Dangerous or inconsistent limits are refused before anything is sent. Afterwards every limit, cap, role and delay is
    read back from the chain, compared, printed as a depositor would read it, and written to an address book that the
    keeper uses. `keeper inspect ADDRESS` prints the same at any later time.

    \b
    A devnet that runs (`ape run devnet`):
      ape run deploy --network http://127.0.0.1:8545 --account TEST::0 \\
        --devnet out/devnet.json --policy greedy
    A rehearsal that leaves nothing behind:
      ape run deploy --network ethereum:local:foundry --account TEST::0 \\
        --rehearse --policy equal-weight
    A testnet, with an account of `ape accounts import deployer`:
      ape run deploy --network https://... --account deployer \\
        --limits my-limits.toml --preset sepolia \\
        --keeper 0x... --governance 0x... --guardian 0x... --policy out/policy.npz
    """
    from ape import project

    from scripts.protocols.anvil import connect

    project.load_contracts()  # compiles what has changed
    w3 = connect(str(provider.uri))  # our own connection: without Ape's caches
    devnet = _devnet(w3, book, rehearse)
    digest = _digest(policy, policy_hash)
    plan = _plan(w3, account, limits, devnet, preset, pools, digest, delay, allow_no_delay, seed, wanted)
    book_path = out or (None if rehearse else Path("deployments") / f"{plan.chain_id}.json")
    _deploy(w3, lambda: ApeSender(provider, account), plan, book_path, dry_run, yes)


def _devnet(w3: "Web3", book: Path | None, rehearse: bool) -> "Devnet | None":
    from scripts.protocols.devnet import Devnet, deploy_devnet, read_book

    if book is not None and rehearse:
        raise click.UsageError("--rehearse makes its own devnet: leave out --devnet.")
    if rehearse:
        return deploy_devnet(w3, lambda step: click.echo(f"rehearsal: {step}", err=True))
    return Devnet.from_book(w3, read_book(book)) if book is not None else None


def _digest(policy: str | None, policy_hash: str | None) -> str:
    from agent.policies.load import load_policy

    if (policy is None) == (policy_hash is None):
        raise click.UsageError("Give the policy to commit: either --policy or --policy-hash.")
    return policy_hash if policy_hash is not None else load_policy(str(policy)).digest


def _plan(
    w3: "Web3",
    account: Any,
    limits: Path,
    devnet: "Devnet | None",
    preset: str | None,
    pools: tuple[str, ...],
    policy_hash: str,
    delay: int,
    allow_no_delay: bool,
    seed: Decimal,
    wanted: dict[str, Any],
) -> "DeploymentPlan":
    from agent.vault.limits_file import load_limits
    from scripts.deployment.plan import make_plan, plan_on, venues_of
    from scripts.deployment.preset import load_preset
    from scripts.deployment.venues import AaveV3, Venue

    file = load_limits(limits)
    known: dict[str, Venue] = {name: AaveV3(address) for name, address in map(_named_pool, pools)}
    given = {key: value for key, value in wanted.items() if value} | {
        "deployer": str(account.address),
        "delay": delay,
        "allow_no_delay": allow_no_delay,
        "seed": seed,
    }
    if preset is not None:
        if devnet is not None:
            raise click.UsageError("--preset is for a real network: leave out --devnet and --rehearse.")
        network = load_preset(preset)
        given["asset"] = network.resolve(given.get("asset"))
        network.refuse(file.names)
        network.check(w3, given["asset"], file.names)
        known = network.venues_of(given["asset"]) | known
    if devnet is not None:
        return plan_on(devnet, file, policy_hash, venues=venues_of(devnet) | known, **given)
    missing = [f"--{key}" for key in ("asset", "keeper", "governance", "guardian") if key not in given]
    if missing:
        raise click.UsageError(f"Missing {', '.join(missing)} (--devnet has them all, --preset the asset).")
    return make_plan(w3, file, policy_hash=policy_hash, venues=known, **given)


def _named_pool(text: str) -> "tuple[str, ChecksumAddress]":
    from web3 import Web3

    from keeper.chain.address import checked_address

    name, separator, address = text.partition("=")
    if not separator:
        raise click.UsageError(f"--aave-pool {text}: write NAME=ADDRESS.")
    try:
        return name, Web3.to_checksum_address(checked_address(address))
    except ValueError as error:
        raise click.UsageError(f"--aave-pool {text}: {address!r} {error}.") from None


def _deploy(
    w3: "Web3", unlock: Callable[[], ApeSender], plan: "DeploymentPlan", out: Path | None, dry_run: bool, yes: bool
) -> None:
    from keeper.inspect.report import limit_lines, role_lines
    from scripts.deployment.execute import deploy_vault
    from scripts.deployment.plan import is_local
    from scripts.protocols.chain import Chain

    for line in plan.lines():
        click.echo(line)
    if dry_run:
        click.echo("Dry run: nothing was sent.")
        return
    if not is_local(w3) and not yes:
        click.confirm(f"Send this to chain {plan.chain_id} as {plan.deployer}?", abort=True)
    chain = Chain(w3, unlock())
    deployment = deploy_vault(chain, plan, lambda line: click.echo(f"  {line}"))

    state = deployment.state
    click.echo(f"\nVerified at block {state.snapshot.block.number}. What the vault enforces, as read from the chain:")
    for line in limit_lines(state):
        click.echo(f"  - {line}")
    click.echo("\nWho may do what:")
    for line in role_lines(state):
        click.echo(f"  - {line}")
    if out is not None:
        kept = deployment.save(out)
        click.echo(f"\nAddress book: {out}" + (f" (the older one is now {kept})" if kept else ""))
