"""The two tokens of the devnet: a USDC that anybody may mint, and the canonical WETH9.

USDC is Aave's own test token (`MintableERC20`, 6 decimals, with permit): plain ERC-20, no proxy, no blocklist.
"""

from web3.contract import Contract

from scripts.protocols.artifacts import load_artifact
from scripts.protocols.chain import Chain, Sender

USDC = load_artifact("@aave/core-v3", "artifacts/contracts/mocks/tokens/MintableERC20.sol/MintableERC20.json")
WETH = load_artifact("canonical-weth", "build/contracts/WETH9.json")
USDC_UNIT = 10**6
WETH_UNIT = 10**18


def deploy_usdc(chain: Chain) -> Contract:
    """Deploy the mintable USDC."""
    return chain.deploy(USDC, "USD Coin", "USDC", 6)


def deploy_weth(chain: Chain) -> Contract:
    """Deploy WETH9."""
    return chain.deploy(WETH)


def mint_usdc(chain: Chain, usdc: Contract, to: str, amount: int) -> None:
    """Mint `amount` base units of USDC to `to`."""
    # two functions are called `mint`
    chain.send(usdc.get_function_by_signature("mint(address,uint256)")(to, amount))


def approve(chain: Chain, token: Contract, spender: str, owner: Sender) -> None:
    """Let `spender` take any amount of `owner`'s `token`."""
    chain.send(token.functions.approve(spender, 2**256 - 1), sender=owner)
