"""What the chain says of the addresses and funds of a plan. A check that fails adds its reason to `reasons`."""

from decimal import Decimal

from eth_typing import ChecksumAddress
from web3 import Web3
from web3.exceptions import Web3Exception

from keeper.inspect.words import WAD
from scripts.deployment.contracts import load_contract
from scripts.protocols.aave import POOL
from scripts.protocols.chain import contract_at

DEPLOYMENT_GAS = 11_000_000  # AccessManager, vault, lens and the calls between them; measured, rounded up
STRATEGY_GAS = 2_500_000
_ZERO_ADDRESS = "0x" + "00" * 20


def is_local(w3: Web3) -> bool:
    """Whether the chain is one to play on: an Anvil, a fork by one included."""
    return "anvil" in w3.client_version.lower()


def checked_address(label: str, value: str, reasons: list[str]) -> ChecksumAddress | None:
    """Return the checksummed address; a wrong checksum (a mistyped digit) is a reason to refuse."""
    mixed = value[2:] not in (value[2:].lower(), value[2:].upper())
    if not Web3.is_address(value) or (mixed and not Web3.is_checksum_address(value)):
        reasons.append(f"{label}: {value!r} is no address, or its checksum is wrong (a mistyped digit?)")
        return None
    if int(value, 16) == 0:
        reasons.append(f"{label}: the zero address cannot be used")
        return None
    return Web3.to_checksum_address(value)


def read_asset(w3: Web3, asset: ChecksumAddress, reasons: list[str]) -> tuple[str, int]:
    """Return the symbol and the decimals of the asset."""
    token = contract_at(w3, asset, load_contract("Vault"))  # an ERC-20 like every asset
    try:
        return str(token.functions.symbol().call()), int(token.functions.decimals().call())
    except (Web3Exception, OverflowError, UnicodeDecodeError):
        reasons.append(f"asset: {asset} is no ERC-20 with symbol and decimals on chain {w3.eth.chain_id}")
        return "", 18


def check_pool(w3: Web3, label: str, pool: ChecksumAddress, asset: ChecksumAddress, reasons: list[str]) -> None:
    """Check that a pool is one of Aave V3 and lends the asset."""
    contract = contract_at(w3, pool, POOL)
    try:
        a_token = contract.functions.getReserveData(asset).call().aTokenAddress
    except Web3Exception:
        reasons.append(f"{label}: {pool} is no Aave V3 pool on chain {w3.eth.chain_id}")
        return
    if a_token == _ZERO_ADDRESS:
        reasons.append(f"{label}: the Aave V3 pool {pool} does not lend the asset {asset}")


def check_erc4626(w3: Web3, label: str, target: ChecksumAddress, asset: ChecksumAddress, reasons: list[str]) -> None:
    """Check that a target is an ERC-4626 vault of the asset."""
    vault = contract_at(w3, target, load_contract("Vault")).functions
    try:
        found = vault.asset().call()
        vault.previewRedeem(10**18).call()
        vault.maxWithdraw(target).call()
        vault.maxDeposit(target).call()
    except Web3Exception:
        reasons.append(f"{label}: {target} is no ERC-4626 vault on chain {w3.eth.chain_id}")
        return
    if found != asset:
        reasons.append(f"{label}: its asset is {found}, not {asset}")


def check_funds(w3: Web3, deployer: ChecksumAddress, strategies: int, reasons: list[str]) -> None:
    """Check that the deployer can pay for the gas."""
    gas = DEPLOYMENT_GAS + strategies * STRATEGY_GAS
    needed, owned = gas * w3.eth.gas_price, w3.eth.get_balance(deployer)
    if owned < needed:
        reasons.append(
            f"deployer: {deployer} has {owned / WAD:.4f} of the native coin, but about {needed / WAD:.4f} may be "
            f"needed ({gas:,} gas); send it some"
        )


def checked_seed(
    w3: Web3, asset: ChecksumAddress, deployer: ChecksumAddress, seed: Decimal, decimals: int, reasons: list[str]
) -> int:
    """Return the seed in base units, which the deployer must own."""
    if seed == 0 or reasons:
        return 0
    if not seed.is_finite() or seed < 0 or seed != seed.quantize(Decimal(1).scaleb(-decimals)):
        reasons.append(f"seed: {seed} is no amount of an asset with {decimals} decimals")
        return 0
    amount = int(seed.scaleb(decimals))
    owned = int(contract_at(w3, asset, load_contract("Vault")).functions.balanceOf(deployer).call())
    if owned < amount:
        reasons.append(f"seed: {deployer} has {owned / 10**decimals:,} of the asset, but {seed:,} are to be deposited")
    return amount
