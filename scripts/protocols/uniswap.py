"""Uniswap V3 from the bytecode of its npm packages, with one USDC/WETH 0.05 % pool that is liquid at every price."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isqrt
from typing import Any, Self

from web3.contract import Contract

from scripts.protocols.artifacts import USDC_UNIT, WETH_UNIT, Artifact, load_artifact
from scripts.protocols.chain import Chain, Sender

FEE = 500  # hundredths of a basis point: 0.05 %
STABLE_FEE = 100  # of pools of two stable coins, whose tick spacing is 1
MAX_TICK = 887_270  # the last multiple of the 0.05 % tier's tick spacing (10) below Uniswap's own limit
DESCRIPTOR = "0x" + "00" * 20  # the position NFT's picture: not needed


def _periphery(path: str) -> Artifact:
    return load_artifact("@uniswap/v3-periphery", f"artifacts/contracts/{path}.sol/{path.rsplit('/', 1)[-1]}.json")


FACTORY = load_artifact("@uniswap/v3-core", "artifacts/contracts/UniswapV3Factory.sol/UniswapV3Factory.json")
POOL = load_artifact("@uniswap/v3-core", "artifacts/contracts/UniswapV3Pool.sol/UniswapV3Pool.json")
POSITION_MANAGER = _periphery("NonfungiblePositionManager")
ROUTER = _periphery("SwapRouter")
QUOTER = _periphery("lens/QuoterV2")
_CONTRACTS = {
    "factory": FACTORY,
    "position_manager": POSITION_MANAGER,
    "router": ROUTER,
    "quoter": QUOTER,
    "pool": POOL,
}


@dataclass(frozen=True)
class Uniswap:
    """The Uniswap V3 contracts and the USDC/WETH pool."""

    factory: Contract
    position_manager: Contract
    router: Contract
    quoter: Contract
    pool: Contract

    def to_book(self) -> dict[str, Any]:
        """Return the entry in the address book."""
        return {**{field: getattr(self, field).address for field in _CONTRACTS}, "fee": FEE}

    @classmethod
    def from_book(cls, chain: Chain, entry: Mapping[str, Any]) -> Self:
        """Rebuild from the entry in the address book."""
        return cls(**{field: chain.at(entry[field], artifact) for field, artifact in _CONTRACTS.items()})


def deploy_uniswap(chain: Chain, usdc: Contract, weth: Contract, price: int, provider: Sender, depth: int) -> Uniswap:
    """Deploy Uniswap V3 and a full-range position of `depth` WETH and `depth * price` USDC.

    Parameters
    ----------
    price
        USDC per WETH at which the pool opens, whole units.
    provider
        Owns the position; must hold both tokens.
    depth
        Whole WETH on one side.
    """
    factory = chain.deploy(FACTORY)
    manager = chain.deploy(POSITION_MANAGER, factory.address, weth.address, DESCRIPTOR)
    router = chain.deploy(ROUTER, factory.address, weth.address)
    quoter = chain.deploy(QUOTER, factory.address, weth.address)

    sides = ((usdc, depth * price * USDC_UNIT), (weth, depth * WETH_UNIT))
    pool = create_pool(chain, factory, sides)
    provide(chain, manager, sides, provider)
    return Uniswap(factory, manager, router, quoter, pool)


def create_pool(chain: Chain, factory: Contract, sides: Sequence[tuple[Contract, int]], fee: int = FEE) -> Contract:
    """Create a pool of two tokens, which opens at the price at which these amounts of them are worth the same."""
    (token0, amount0), (token1, amount1) = _sorted(sides)
    if fee == STABLE_FEE and factory.functions.feeAmountTickSpacing(fee).call() == 0:  # as on Ethereum since 2021
        chain.send(factory.functions.enableFeeAmount(fee, 1))
    chain.send(factory.functions.createPool(token0.address, token1.address, fee))
    pool = chain.at(factory.functions.getPool(token0.address, token1.address, fee).call(), POOL)
    chain.send(pool.functions.initialize(isqrt((amount1 << 192) // amount0)))  # Q64.96
    return pool


def provide(
    chain: Chain,
    manager: Contract,
    sides: Sequence[tuple[Contract, int]],
    provider: Sender,
    fee: int = FEE,
    ticks: tuple[int, int] = (-MAX_TICK, MAX_TICK),
) -> None:
    """Put these amounts into the pool of the two tokens, as a position of `provider`, who must hold them.

    The range is that of all prices unless `ticks` says otherwise.
    """
    (token0, amount0), (token1, amount1) = _sorted(sides)
    for token in (token0, token1):
        chain.approve(token, manager.address, provider)
    deadline = chain.w3.eth.get_block("latest")["timestamp"] + 86_400
    pair, minimum = (token0.address, token1.address, fee), (0, 0)
    position = (*pair, *ticks, amount0, amount1, *minimum, provider.address, deadline)
    chain.send(manager.functions.mint(position), sender=provider)


def _sorted(sides: Sequence[tuple[Contract, int]]) -> list[tuple[Contract, int]]:
    return sorted(sides, key=lambda side: int(side[0].address, 16))
