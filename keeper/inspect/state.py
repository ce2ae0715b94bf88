"""A vault for its report: the keeper's snapshot, and what the lens does not show."""

import time
from dataclasses import dataclass
from math import inf
from typing import Any

from agent.vault.limits import Limit
from keeper.chain.address import checked_address
from keeper.chain.rpc import UNREADABLE, Rpc
from keeper.errors import WrongContractError
from keeper.inspect.authority import Authority, read_authority
from keeper.snapshot import Snapshot, read_snapshot


@dataclass(frozen=True)
class VaultState:
    """A snapshot with names, the fee's recipient, what was abdicated, and the authority at the same block."""

    snapshot: Snapshot
    name: str
    symbol: str
    asset_symbol: str
    fee_recipient: str | None
    abdicated: tuple[Limit, ...]
    caps_abdicated: bool
    authority: Authority

    def notice(self, *functions: str) -> int | None:
        """Return the least delay before anybody can call one of these functions, however they come by the role.

        None when nobody ever can. Must not be called where the authority has a `problem`.
        """
        table = self.authority.functions
        return self.authority.notice([table[self.snapshot.vault, name] for name in functions])


def inspect_vault(rpc: Rpc, vault: str, lens: str | None = None, since: int | None = None) -> VaultState:
    """Read a vault at the newest block.

    Parameters
    ----------
    lens
        A deployed `VaultLens`; None runs its code in a state override, which most nodes allow.
    since
        Block from which to read the authority's events; None finds the one it was created in.

    Raises
    ------
    WrongContractError
        When there is no vault at the address, or no lens.
    InspectionError
        When the node cannot give everything.
    """
    vault, lens = _address(vault), None if lens is None else _address(lens)
    snapshot = read_snapshot(rpc, lens=lens, vault=vault, max_block_age=inf, clock=time.time)

    def read(function: str, *arguments: int) -> Any:
        return rpc.read("Vault", vault, function, *arguments, block=snapshot.block)

    recipient = read("feeRecipient")
    return VaultState(
        snapshot=snapshot,
        name=read("name"),
        symbol=read("symbol"),
        asset_symbol=_symbol(rpc, snapshot),
        fee_recipient=recipient if int(recipient, 16) else None,
        abdicated=tuple(limit for limit in Limit if read("abdicated", int(limit))),
        caps_abdicated=read("capsAbdicated"),
        authority=read_authority(rpc, read("authority"), vault, snapshot.block, since),
    )


def _address(text: str) -> str:
    try:
        return checked_address(text)
    except ValueError as error:
        raise WrongContractError(f"{text!r} {error}.") from None


def _symbol(rpc: Rpc, snapshot: Snapshot) -> str:
    """Return the asset's symbol, "units" for the few tokens that give none or not as a string."""
    try:
        return str(rpc.read("Vault", snapshot.asset, "symbol", block=snapshot.block))
    except UNREADABLE:
        return "units"
