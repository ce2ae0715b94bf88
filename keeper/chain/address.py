"""Addresses as people write them."""

from __future__ import annotations

from typing import Annotated

from eth_utils.address import is_address, is_checksum_address, to_checksum_address
from pydantic import AfterValidator


def checked_address(value: str) -> str:
    """Return an address with its checksum; raises `ValueError` where it is none or has a wrong one."""
    if not is_address(value) or not value.startswith("0x"):
        raise ValueError("must be an address: 0x and 40 hexadecimal digits")
    if value[2:] not in (value[2:].lower(), value[2:].upper()) and not is_checksum_address(value):
        raise ValueError(
            f"has a wrong checksum (a mistyped digit?); its checksummed form is {to_checksum_address(value)}"
        )
    return str(to_checksum_address(value))


Address = Annotated[str, AfterValidator(checked_address)]
"""A checked address, in a model."""
