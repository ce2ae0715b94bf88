"""The devnet and the vault for a test: each action of each person in one line."""

from collections.abc import Sequence
from typing import Any

from web3.contract.contract import ContractFunction
from web3.exceptions import ContractLogicError
from web3.logs import DISCARD
from web3.types import TxReceipt

from keeper.inspect.state import VaultState, inspect_vault
from scripts.deployment.execute import Deployment
from scripts.protocols.anvil import rpc
from scripts.protocols.artifacts import access_manager
from scripts.protocols.chain import Unlocked, describe_revert, node_of
from scripts.protocols.devnet import Devnet

WAD = 10**18
HOLD = ALL = 2**256 - 1
UNIT = 10**6
FOREVER = 2**63
_GAS = 8_000_000  # fixed: an estimate would double the time of every step


class House:
    """Actions on the vault by the devnet's people, and on the chain's clock. Amounts are base units of USDC."""

    def __init__(self, devnet: Devnet, deployment: Deployment) -> None:
        self.devnet = devnet
        self.w3 = devnet.w3
        self.chain = devnet.chain
        self.deployment = deployment
        self.vault = deployment.vault
        self.authority = deployment.authority
        self.strategies = deployment.strategies
        self.lens = deployment.lens
        self.usdc = devnet.usdc

    def send(self, role: str, call: ContractFunction) -> TxReceipt:
        """Send `call` as `role` and return the receipt; raises `TransactionFailedError` when it reverts."""
        return self.chain.send(call, sender=self.devnet.sender(role), gas=_GAS)

    def refusal(self, role: str, call: ContractFunction) -> str:
        """Return the custom error with which `call` by `role` would revert now, empty if it would pass."""
        try:
            call.call({"from": self.devnet.accounts[role]})
        except ContractLogicError as error:
            return describe_revert(error, [*call.contract_abi, *access_manager().abi])
        return ""

    def read(self, call: ContractFunction, block: int | None = None) -> Any:
        return call.call(block_identifier="latest" if block is None else block)

    def announce(self, call: ContractFunction) -> TxReceipt:
        """Schedule `call` as governance, to be carried out as soon as its delay allows."""
        return self.send("governance", self.authority.functions.schedule(call.address, data_of(call), 0))

    def carry_out(self, call: ContractFunction) -> TxReceipt:
        """Let governance make a call that was announced long enough ago."""
        return self.send("governance", self.authority.functions.execute(call.address, data_of(call)))

    def govern(self, call: ContractFunction) -> TxReceipt:
        """Announce `call`, let the delay pass, and carry it out."""
        self.announce(call)
        self.warp(self.deployment.plan.delay)
        return self.carry_out(call)

    def cancellation(self, call: ContractFunction) -> ContractFunction:
        """Return the call that cancels what governance announced."""
        who = self.devnet.accounts["governance"]
        return self.authority.functions.cancel(who, call.address, data_of(call))

    def inspect(self) -> VaultState:
        return inspect_vault(node_of(self.w3), self.vault.address)

    def deposit(self, role: str, assets: int) -> TxReceipt:
        self.send(role, self.usdc.functions.approve(self.vault.address, assets))
        return self.send(role, self.vault.functions.deposit(assets, self.devnet.accounts[role]))

    def withdraw(self, role: str, assets: int) -> TxReceipt:
        who = self.devnet.accounts[role]
        return self.send(role, self.vault.functions.withdraw(assets, who, who))

    def redeem_all(self, role: str) -> int:
        """Redeem every share of `role` and return the assets received."""
        who = self.devnet.accounts[role]
        before = self.usdc.functions.balanceOf(who).call()
        self.send(role, self.vault.functions.redeem(self.vault.functions.balanceOf(who).call(), who, who))
        return int(self.usdc.functions.balanceOf(who).call() - before)

    def request(self, weights: Sequence[int], **changes: Any) -> dict[str, Any]:
        """Return a `Rebalance` request that passes every check, but for `changes`."""
        return {
            "epoch": self.vault.functions.epoch().call(),
            "deadline": FOREVER,
            "minSharePrice": 0,
            "weights": list(weights),
            "policyHash": self.vault.functions.policyHash().call(),
            "decisionHash": b"\x01" * 32,
            **changes,
        }

    def rebalance(self, weights: Sequence[int], role: str = "keeper", **changes: Any) -> Any:
        """Rebalance to `weights` (WAD or HOLD) and return the arguments of the `Rebalanced` event, with its block."""
        receipt = self.send(role, self.vault.functions.rebalance(self.request(weights, **changes)))
        (event,) = self.vault.events.Rebalanced().process_receipt(receipt, errors=DISCARD)
        return event

    def warp(self, seconds: int) -> None:
        """Let time pass; one block is mined."""
        rpc(self.w3, "evm_increaseTime", seconds)
        rpc(self.w3, "evm_mine")

    def rob(self, index: int, share: float) -> int:
        """Take `share` of a strategy's aTokens away, as a theft would; returns the base units lost."""
        strategy = self.strategies[index]
        market = list(self.devnet.markets.values())[index]
        loot = int(market.a_token.functions.balanceOf(strategy.address).call() * share)
        rpc(self.w3, "anvil_impersonateAccount", strategy.address)
        rpc(self.w3, "anvil_setBalance", strategy.address, hex(WAD))
        thief = self.devnet.accounts["stranger"]
        self.chain.send(market.a_token.functions.transfer(thief, loot), sender=Unlocked(self.w3, strategy.address))
        rpc(self.w3, "anvil_stopImpersonatingAccount", strategy.address)
        return loot


def data_of(call: ContractFunction) -> bytes:
    """Return the call data of a bound call."""
    return bytes.fromhex(call._encode_transaction_data()[2:])
