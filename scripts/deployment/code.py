"""Which code runs at an address, as one hash: a preset may pin it, and a deployment notes it."""

from eth_typing import ChecksumAddress
from web3 import Web3

# Where a proxy keeps the address of its implementation: EIP-1967, and OpenZeppelin's slot of before, as USDC's.
_SLOTS = (
    int(Web3.keccak(text="eip1967.proxy.implementation").hex(), 16) - 1,
    int(Web3.keccak(text="org.zeppelinos.proxy.implementation").hex(), 16),
)


def implementation(w3: Web3, address: ChecksumAddress) -> ChecksumAddress:
    """Return the contract whose code runs at an address: behind a proxy its implementation, else itself.

    A beacon's proxy, or one that keeps its implementation elsewhere, counts as itself.
    """
    for slot in _SLOTS:
        found = bytes(w3.eth.get_storage_at(address, slot))[-20:]
        if any(found):
            return Web3.to_checksum_address(found)
    return address


def code_hash(w3: Web3, address: str) -> str:
    """Return the keccak-256 of the code that runs at an address, `0x` and 64 digits; of no code where there is none."""
    code = w3.eth.get_code(implementation(w3, Web3.to_checksum_address(address)))
    return Web3.keccak(code).to_0x_hex()
