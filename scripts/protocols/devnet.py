"""The whole devnet in one call: tokens, three Aave V3 markets, Uniswap V3, funded accounts, and its address book.

The preset `defi` adds a price feed of ETH, so that a vault can hold ETH by a swap, a Compound V2 market of USDC, and
the venues of `DefiYield-v0`; `rwa` adds that feed and tokenised assets as on Mantle.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from eth_account import Account
from eth_typing import ChecksumAddress
from web3 import Web3
from web3.contract import Contract

from scripts.errors import AddressBookError
from scripts.protocols import aave, compound, uniswap
from scripts.protocols.aave import AaveMarket
from scripts.protocols.anvil import MNEMONIC, require_anvil, rpc
from scripts.protocols.artifacts import USDC, USDC_UNIT, WETH, WETH_UNIT, load_contract
from scripts.protocols.chain import Chain, Unlocked
from scripts.protocols.compound import CompoundMarket
from scripts.protocols.defi import FEEDS, Defi, deploy_defi
from scripts.protocols.rwa import BTC_PRICE, Rwa, deploy_rwa
from scripts.protocols.uniswap import Uniswap

DEPOSITORS = ("alice", "bob", "carol")
ROLES = ("deployer", "supplier", "borrower", "market_maker", "keeper", *DEPOSITORS, "governance", "stranger")
GUARDIAN_INDEX = 10  # of the mnemonic: Anvil has ten accounts, and each has its role
DEPLOYER_USDC = 1_000  # for the seeds of its vaults
DEPOSITOR_USDC = 10_000_000
OUTSIDE_SUPPLY = 100_000_000  # USDC in each market
OUTSIDE_BORROW = 50_000_000
COLLATERAL = 500_000  # WETH in each market; at the oracle's price it carries eight times the outside supply
PRINTING_PRESS = 10**12  # USDC for the borrower, who pays interest for years
MARKET_MAKER_WETH = 20_000
PRESETS = ("lending", "defi", "rwa")
BLOCKS_PER_YEAR = 365 * 24 * 60 * 5  # one in twelve seconds, as on Ethereum
FEED_DECIMALS = 8

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Devnet:
    """A chain with the protocols on it.

    Parameters
    ----------
    chain
        Sends as the deployer, who administrates every protocol.
    accounts
        Role -> address; all are unlocked in the Anvil: its accounts in the order of `ROLES`, and `guardian`.
    markets
        Name (`aave-a` ...) -> market.
    compound, defi, eth_feed, rwa
        A Compound V2 market of USDC, and what else the preset `defi` has; tokenised assets, with `rwa`; and with either
        a feed of ETH in dollars that anybody may set.
    """

    chain: Chain
    accounts: Mapping[str, ChecksumAddress]
    usdc: Contract
    weth: Contract
    markets: Mapping[str, AaveMarket]
    uniswap: Uniswap
    compound: CompoundMarket | None = None
    defi: Defi | None = None
    eth_feed: Contract | None = None
    rwa: Rwa | None = None

    @property
    def w3(self) -> Web3:
        """The connection."""
        return self.chain.w3

    def sender(self, role: str) -> Unlocked:
        """Return the account with this role as a sender."""
        return Unlocked(self.w3, self.accounts[role])

    def to_book(self) -> dict[str, Any]:
        """Return the address book: plain JSON, enough for `from_book`."""
        return {
            "chain_id": self.w3.eth.chain_id,
            "rpc_url": str(getattr(self.w3.provider, "endpoint_uri", "")),
            "tokens": {
                "USDC": {"address": self.usdc.address, "decimals": 6},
                "WETH": {"address": self.weth.address, "decimals": 18},
            },
            "markets": {name: market.to_book() for name, market in self.markets.items()},
            "uniswap": self.uniswap.to_book(),
            **({} if self.compound is None else {"compound": self.compound.to_book()}),
            **({} if self.defi is None else {"defi": self.defi.to_book()}),
            **({} if self.eth_feed is None else {"feeds": {"ETH/USD": self.eth_feed.address}}),
            **({} if self.rwa is None else {"rwa": self.rwa.to_book()}),
            "accounts": dict(self.accounts),
        }

    def save(self, path: Path) -> None:
        """Write the address book to `path`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.to_book(), indent=2) + "\n")

    @classmethod
    def from_book(cls, w3: Web3, book: Mapping[str, Any]) -> Self:
        """Attach to a devnet that already runs; raises `AddressBookError` when `book` is not of this chain."""
        if book["chain_id"] != w3.eth.chain_id:
            raise AddressBookError(
                f"The address book is of chain {book['chain_id']}, but the node is chain {w3.eth.chain_id}. "
                "Write a new one with `ape run devnet`."
            )
        if not w3.eth.get_code(book["tokens"]["USDC"]["address"]):
            raise AddressBookError("The node has no devnet: it was restarted. Run `ape run devnet` again.")
        chain = Chain(w3, Unlocked(w3, book["accounts"]["deployer"]))
        market, feeds, assets = book.get("compound"), book.get("feeds", {}), book.get("rwa")
        defi = book.get("defi")
        return cls(
            chain=chain,
            accounts=book["accounts"],
            usdc=chain.at(book["tokens"]["USDC"]["address"], USDC),
            weth=chain.at(book["tokens"]["WETH"]["address"], WETH),
            markets={name: AaveMarket.from_book(chain, name, entry) for name, entry in book["markets"].items()},
            uniswap=Uniswap.from_book(chain, book["uniswap"]),
            compound=CompoundMarket.from_book(chain, market) if market else None,
            defi=Defi.from_book(chain, defi) if defi else None,
            eth_feed=chain.at(feeds["ETH/USD"], load_contract("StandInFeed")) if "ETH/USD" in feeds else None,
            rwa=Rwa.from_book(chain, assets) if assets else None,
        )


def read_book(path: Path) -> dict[str, Any]:
    """Read an address book; raises `AddressBookError` when it is missing or not one."""
    try:
        book = json.loads(path.read_text())
        for key in ("chain_id", "rpc_url", "tokens", "markets", "uniswap", "accounts"):
            book[key]
    except FileNotFoundError as error:
        raise AddressBookError(
            f"{path} does not exist. Start a devnet with `ape run devnet`, which writes it."
        ) from error
    except (json.JSONDecodeError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise AddressBookError(
            f"{path} is not a devnet's address book ({error!r}). Write it with `ape run devnet`."
        ) from error
    return dict(book)


def deploy_devnet(w3: Web3, say: Progress = lambda line: None, preset: str = PRESETS[0]) -> Devnet:
    """Deploy everything on the Anvil behind `w3` (automine on), with its ten unlocked accounts in the order of `ROLES`.

    Parameters
    ----------
    say
        Called with a line about each step.
    preset
        One of `PRESETS`.

    Raises
    ------
    NotAnvilError
        When the node is no Anvil: the devnet mints money and sets balances.
    """
    require_anvil(w3)
    unlocked = w3.eth.accounts
    if len(unlocked) < len(ROLES):
        raise AddressBookError(f"The node has {len(unlocked)} unlocked accounts; the devnet needs {len(ROLES)}.")
    accounts = dict(zip(ROLES, unlocked, strict=False))
    accounts["guardian"] = _unlock_guardian(w3)
    people = {role: Unlocked(w3, address) for role, address in accounts.items()}
    chain = Chain(w3, people["deployer"])

    say("tokens")
    usdc, weth = chain.deploy(USDC, "USD Coin", "USDC", 6), chain.deploy(WETH)
    say("Aave V3 libraries")
    libraries = aave.deploy_libraries(chain)
    markets = {}
    for name, curve in aave.CURVES.items():
        say(f"Aave V3 market {name}")
        markets[name] = aave.deploy_market(
            chain, name, curve, libraries, usdc, weth, people["supplier"], people["borrower"]
        )

    say("money")
    money = {
        "deployer": DEPLOYER_USDC,
        "supplier": len(markets) * OUTSIDE_SUPPLY,
        "borrower": PRINTING_PRESS,
        "market_maker": MARKET_MAKER_WETH * aave.ETH_PRICE,
        **dict.fromkeys(DEPOSITORS, DEPOSITOR_USDC),
    }
    for role, amount in money.items():
        chain.mint(usdc, accounts[role], amount * USDC_UNIT)
    for role, amount in {"borrower": len(markets) * COLLATERAL, "market_maker": MARKET_MAKER_WETH}.items():
        rpc(w3, "anvil_setBalance", accounts[role], hex((amount + 10_000) * WETH_UNIT))
        chain.send(weth.functions.deposit(), sender=people[role], value=amount * WETH_UNIT)

    say("outside suppliers and borrowers")
    for market in markets.values():
        aave.fill_market(market, OUTSIDE_SUPPLY, OUTSIDE_BORROW, COLLATERAL)
    say("Uniswap V3")
    exchange = uniswap.deploy_uniswap(chain, usdc, weth, aave.ETH_PRICE, people["market_maker"], MARKET_MAKER_WETH)
    devnet = Devnet(chain, accounts, usdc, weth, markets, exchange)
    if preset == "defi":
        return with_defi(devnet, say)
    return with_rwa(devnet, say) if preset == "rwa" else devnet


def with_defi(devnet: Devnet, say: Progress = lambda line: None) -> Devnet:
    """Add a Compound V2 market of USDC, and the venues of `DefiYield-v0` with feeds of their coins."""
    chain, usdc, weth = devnet.chain, devnet.usdc, devnet.weth
    supplier, borrower = devnet.sender("supplier"), devnet.sender("borrower")
    say("Compound V2")
    market = compound.deploy_market(chain, usdc, weth, aave.ETH_PRICE, BLOCKS_PER_YEAR, supplier, borrower)
    chain.mint(usdc, supplier.address, OUTSIDE_SUPPLY * USDC_UNIT)
    rpc(devnet.w3, "anvil_setBalance", borrower.address, hex((COLLATERAL + 10_000) * WETH_UNIT))
    chain.send(weth.functions.deposit(), sender=borrower, value=COLLATERAL * WETH_UNIT)
    compound.fill_market(market, usdc, weth, OUTSIDE_SUPPLY, OUTSIDE_BORROW, COLLATERAL)
    say("price feeds")
    eth_feed = _deploy_feed(chain, aave.ETH_PRICE)
    feeds = {name: _deploy_feed(chain, answer) for name, answer in FEEDS.items()}
    say("DAI and USDT, their pools and markets, a stable pool, and a yield vault")
    defi = deploy_defi(
        *(chain, usdc, weth, devnet.markets, devnet.uniswap, aave.ETH_PRICE, feeds), devnet.sender("market_maker")
    )
    return replace(devnet, compound=market, eth_feed=eth_feed, defi=defi)


def with_rwa(devnet: Devnet, say: Progress = lambda line: None) -> Devnet:
    """Add USDY, mETH and an index token, their pools, and feeds of ETH and bitcoin."""
    say("price feeds")
    chain, maker = devnet.chain, devnet.sender("market_maker")
    eth_feed, btc_feed = _deploy_feed(chain, aave.ETH_PRICE), _deploy_feed(chain, BTC_PRICE)
    say("USDY, mETH and an index token")
    assets = deploy_rwa(chain, devnet.usdc, devnet.weth, devnet.uniswap, aave.ETH_PRICE, btc_feed, maker)
    return replace(devnet, eth_feed=eth_feed, rwa=assets)


def _deploy_feed(chain: Chain, answer: float) -> Contract:
    feed = chain.deploy(load_contract("StandInFeed"), FEED_DECIMALS)
    now = chain.w3.eth.get_block("latest")["timestamp"]
    chain.send(feed.functions.set(round(answer * 10**FEED_DECIMALS), now))
    return feed


def _unlock_guardian(w3: Web3) -> ChecksumAddress:
    """Give the account after Anvil's ten some coin, let the node send for it, and return its address."""
    Account.enable_unaudited_hdwallet_features()
    guardian = Account.from_mnemonic(MNEMONIC, account_path=f"m/44'/60'/0'/0/{GUARDIAN_INDEX}").address
    rpc(w3, "anvil_setBalance", guardian, hex(10_000 * WETH_UNIT))
    rpc(w3, "anvil_impersonateAccount", guardian)
    return Web3.to_checksum_address(guardian)
