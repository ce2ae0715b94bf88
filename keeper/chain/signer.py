"""Signers and keystores. The keeper knows only the protocol; a remote signer (KMS, web3signer) can implement it too."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any, Protocol

from eth_account import Account
from eth_account.signers.local import LocalAccount

from keeper.errors import KeystoreError


class Signer(Protocol):
    """Signs transactions for one address."""

    @property
    def address(self) -> str:
        """Checksummed address of the key."""
        ...

    def sign(self, transaction: dict[str, Any]) -> tuple[bytes, str]:
        """Return the raw signed transaction and its hash."""
        ...


class LocalSigner:
    """A key in this process's memory. It is never shown, logged or written unencrypted."""

    def __init__(self, account: LocalAccount) -> None:
        self._account = account

    def __repr__(self) -> str:
        return f"LocalSigner({self.address})"

    @property
    def address(self) -> str:
        """Checksummed address of the key."""
        return str(self._account.address)

    def sign(self, transaction: dict[str, Any]) -> tuple[bytes, str]:
        """Return the raw signed transaction and its hash."""
        signed = self._account.sign_transaction(transaction)
        return bytes(signed.raw_transaction), "0x" + bytes(signed.hash).hex()


def open_keystore(path: Path | None, password: str) -> LocalSigner:
    """Decrypt a keystore file (Web3 Secret Storage, version 3).

    Raises
    ------
    KeystoreError
        When the file or the password is missing or wrong, the key is not that of the address in the file, or others may
        read it.
    """
    if path is None:
        raise KeystoreError("`keystore` is not configured. Make one with `keeper keystore new`, or run without --live.")
    if not password:
        raise KeystoreError(
            f"The password of {path} is empty. Set BULKHEAD_KEYSTORE_PASSWORD, or `password_file` to a file with it."
        )
    check_private(path)
    try:
        keystore = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise KeystoreError(f"{path}: no such keystore. Make one with: keeper keystore new --out {path}") from None
    except (OSError, ValueError) as error:
        raise KeystoreError(f"{path} is not a readable keystore ({error}). Restore it from a backup.") from None
    try:
        key = Account.decrypt(keystore, password)
    except (ValueError, TypeError, KeyError, AttributeError, NotImplementedError) as error:
        if "MAC mismatch" in str(error):
            raise KeystoreError(
                f"Wrong password for {path}. Check BULKHEAD_KEYSTORE_PASSWORD or `password_file`."
            ) from None
        raise KeystoreError(f"{path} is not an Ethereum keystore (version 3). Restore it from a backup.") from None
    signer = LocalSigner(Account.from_key(key))
    named = str(keystore.get("address", "")).lower().removeprefix("0x")
    if named and named != signer.address[2:].lower():
        raise KeystoreError(f"{path} says address 0x{named}, but its key is that of {signer.address}. Do not use it.")
    return signer


def check_private(path: Path) -> None:
    """Raise `KeystoreError` where others than the owner and the group may read or write a file."""
    if path.exists() and path.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
        raise KeystoreError(
            f"Everybody on this machine may read {path} or write it. Run: chmod o-rw {path} (a secret that is mounted: "
            "give it the mode 0400). Where others may have had it, make a new key."
        )


def write_keystore(path: Path, password: str, private_key: str | None = None) -> str:
    """Encrypt a key (a new random one by default) into a new file that only its owner may read; returns its address.

    Raises
    ------
    KeystoreError
        When the password is empty, the key is not one, or the file exists: nothing is ever overwritten.
    """
    if not password:
        raise KeystoreError("An empty password protects nothing. Choose one and try again.")
    if path.exists():
        raise KeystoreError(f"{path} exists and is never overwritten. Choose another --out.")
    try:
        account = Account.create() if private_key is None else Account.from_key(private_key.strip())
    except Exception:  # eth-account raises many kinds; none of their messages may be shown, they can hold the key
        raise KeystoreError(
            "That is not a private key: 64 hexadecimal digits are needed, with or without 0x."
        ) from None
    text = json.dumps(Account.encrypt(account.key, password))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise KeystoreError(f"{path} cannot be written ({error}). Choose another --out.") from None
    return str(account.address)
