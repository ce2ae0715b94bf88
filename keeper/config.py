"""The keeper's configuration: one TOML file, every key checked, unknown keys refused.

Environment variables override secrets only:

=============================  ==========================================================
`BULKHEAD_RPC_URL`             `rpc_url` (provider URLs often contain an access token)
`BULKHEAD_JOURNAL`             `journal` (database URLs often contain a password)
`BULKHEAD_KEYSTORE_PASSWORD`   the keystore's password; comes before `password_file`
=============================  ==========================================================

Relative paths are relative to the configuration file.
"""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from agent.observation.quotes import QUOTES
from agent.vault.decision import DecisionRules
from keeper.chain.address import Address
from keeper.chain.rpc import Rpc
from keeper.chain.signer import check_private
from keeper.chain.transaction import MAX_TRANSACTION_GAS
from keeper.errors import ConfigError
from keeper.feeds.config import PriceConfig, QuoteConfig
from keeper.feeds.price import Agreement
from keeper.feeds.quotes import QuoteFeed

PASSWORD_VARIABLE = "BULKHEAD_KEYSTORE_PASSWORD"  # noqa: S105  the name of a variable, not a password
ENVIRONMENT = {"rpc_url": "BULKHEAD_RPC_URL", "journal": "BULKHEAD_JOURNAL"}
DEFAULT_URL = "http://127.0.0.1:8545"  # where a local node listens
EXAMPLE = Path(__file__).with_name("keeper.example.toml")


Fraction = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class LegCosts(BaseModel):
    """Costs of moving a unit into a strategy and out of it, as shares of it; `impact` more for each unit of the leg."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    entry: Fraction = 0.0
    exit: Fraction = 0.0
    impact: Fraction = 0.0


class KeeperConfig(BaseModel):
    """A checked configuration. `keeper.example.toml` says what each key means."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    rpc_url: SecretStr
    chain_id: Annotated[int, Field(gt=0)]
    vault: Address
    lens: Address
    policy: Annotated[str, Field(min_length=1)]
    accept_other_limits: bool = False
    journal: Annotated[str, Field(min_length=1)] = "sqlite:///keeper.sqlite"

    keystore: Path | None = None
    password_file: Path | None = None

    native_price: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    prices: PriceConfig | None = None
    quotes: dict[str, QuoteConfig] = {}
    rates: dict[str, QuoteConfig] = {}
    min_trade: Fraction = DecisionRules.min_trade
    max_gas_share: Fraction = DecisionRules.max_gas_share
    max_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 2.0
    slippage: Fraction = 0.001
    costs: dict[str, LegCosts] = {}

    max_transaction_gas: Annotated[int, Field(ge=0)] | None = MAX_TRANSACTION_GAS
    max_fee_gwei: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 100.0
    bump_percent: Annotated[float, Field(ge=12.5, le=1000)] = 15.0
    deadline_seconds: Seconds = 600.0
    receipt_timeout_seconds: Seconds = 90.0
    max_block_age_seconds: Seconds = 120.0
    interval_seconds: Seconds = 3600.0
    finality: Literal["finalized", "safe"] | Annotated[int, Field(gt=0)] = "finalized"
    rpc_timeout_seconds: Seconds = 10.0
    cycle_timeout_seconds: Seconds = 600.0

    @field_validator("rpc_url")
    @classmethod
    def _http(cls, value: SecretStr) -> SecretStr:
        safe_url(value.get_secret_value())
        return value

    @field_validator("journal")
    @classmethod
    def _database(cls, value: str) -> str:
        try:
            make_url(value)
        except ArgumentError:
            raise ValueError("must be a path or an SQLAlchemy URL, like sqlite:///keeper.sqlite") from None
        return value

    @model_validator(mode="after")
    def _one_price(self) -> Self:
        if (self.native_price is None) == (self.prices is None):
            raise ValueError(
                "give the native coin's price either as `native_price`, a number, or from sources in `[prices]` "
                "(`keeper init --stdout` shows both)"
            )
        return self

    @field_validator("quotes")
    @classmethod
    def _known_quotes(cls, value: dict[str, QuoteConfig]) -> dict[str, QuoteConfig]:
        known = sorted({name for names in QUOTES.values() for name in names})
        unknown = sorted(value.keys() - set(known))
        if unknown:
            raise ValueError(f"no policy sees {', '.join(unknown)}; quotes are {', '.join(known)}")
        return value

    def native_feed(self, rpc: Rpc) -> QuoteFeed:
        """Return the feed of the native coin's price."""
        about = Agreement.about
        return QuoteFeed(about, self.native_price, () if self.prices is None else (self.prices.part(about, rpc),))

    def quote_feeds(self, rpc: Rpc) -> dict[str, QuoteFeed]:
        """Return the feeds of what a policy is shown besides the vault, by name."""
        return {name: table.feed(name, rpc) for name, table in self.quotes.items()}

    def rate_feeds(self, rpc: Rpc) -> dict[str, QuoteFeed]:
        """Return the feeds of strategies' rates, by a strategy's name or address."""
        return {name: table.feed(f"the rate of {name}", rpc) for name, table in self.rates.items()}

    @property
    def gas_cap(self) -> int | None:
        """The most gas that one transaction may use on the chain; `None` where only the block bounds it."""
        return self.max_transaction_gas or None

    @property
    def safe_rpc_url(self) -> str:
        """The node's URL as messages show it."""
        return safe_url(self.rpc_url.get_secret_value())


def safe_url(url: str) -> str:
    """Return a node's URL without the path or query that may hold an access token; `ValueError` where it is none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https"):
        raise ValueError('must be an http(s) URL, like "http://127.0.0.1:8545"')
    return f"{parts.scheme}://{host}" + (f":{port}" if port else "")


def load_config(path: Path | str) -> KeeperConfig:
    """Read and check a configuration file.

    Raises
    ------
    ConfigError
        With one line for each thing that is wrong: the key, and what to do.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file. Write one with: keeper init {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}). Check the path and its permissions.") from None
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}. Compare with: keeper init --stdout") from None
    return build_config(raw, base=path.parent, source=str(path))


def build_config(raw: dict[str, Any], base: Path, source: str = "configuration") -> KeeperConfig:
    """Check configuration values that are already parsed; `base` anchors relative paths."""
    values = dict(raw)
    for key, variable in ENVIRONMENT.items():
        if os.environ.get(variable):
            values[key] = os.environ[variable]
    deployment = values.pop("deployment", None)
    if deployment is not None:
        values = {**_address_book(base, deployment, values, source), **values}
    for key in ("keystore", "password_file"):
        if isinstance(values.get(key), str):
            values[key] = base / Path(values[key]).expanduser()
    for key, anchor in (("policy", _anchor_policy), ("journal", _anchor_journal)):
        if isinstance(values.get(key), str):
            values[key] = anchor(base, values[key])
    try:
        return KeeperConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(problem, source) for problem in error.errors())) from None


def read_password(config: KeeperConfig) -> str:
    """Return the keystore's password from the environment or `password_file`; empty if there is none."""
    if PASSWORD_VARIABLE in os.environ:
        return os.environ[PASSWORD_VARIABLE]
    return "" if config.password_file is None else read_secret(config.password_file)


def read_secret(path: Path) -> str:
    """Return a file's text without its final newline; raises `KeystoreError` where others may read it."""
    check_private(path)
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"password_file: {path} cannot be read ({error}). Check the path.") from None


def _address_book(base: Path, deployment: object, values: dict[str, Any], source: str) -> dict[str, Any]:
    """Return the `vault` and `lens` of a deployment's address book, which must be of the configured chain."""
    if not isinstance(deployment, str):
        raise ConfigError(f"{source}: `deployment` must be the path of an address book (JSON).")
    path = base / Path(deployment).expanduser()
    try:
        book = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            f"{source}: `deployment`: {path} does not exist. Deploy first (ape run deploy), or give `vault` and `lens`."
        ) from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{source}: `deployment`: {path} is not a readable JSON file ({error}).") from None
    missing = [key for key in ("vault", "lens") if not isinstance(book, dict) or not isinstance(book.get(key), str)]
    if missing:
        raise ConfigError(f"{source}: `deployment`: {path} names no {' and no '.join(missing)}. Is it an address book?")
    if "chain_id" in book and "chain_id" in values and book["chain_id"] != values["chain_id"]:
        raise ConfigError(
            f"{source}: `deployment`: {path} is of chain {book['chain_id']}, but `chain_id` is {values['chain_id']}. "
            "Use the address book of that chain."
        )
    return {key: book[key] for key in ("vault", "lens")}


def _anchor_policy(base: Path, policy: str) -> str:
    path = base / Path(policy).expanduser()
    looks_like_path = "/" in policy or Path(policy).suffix in (".npz", ".json")
    return str(path) if looks_like_path or path.is_file() else policy


def _anchor_journal(base: Path, journal: str) -> str:
    prefix = "sqlite:///"
    if "://" in journal and not journal.startswith(prefix):
        return journal
    name = journal.removeprefix(prefix)
    return journal if name in ("", ":memory:") else prefix + str(base / Path(name).expanduser())


def _explain(problem: Any, source: str) -> str:
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = [*KeeperConfig.model_fields, "deployment"]
        near = difflib.get_close_matches(key, known, n=1)
        advice = f"did you mean `{near[0]}`?" if near else "remove it; `keeper init --stdout` shows all keys."
        return f"{source}: unknown key `{key}`: {advice}"
    if problem["type"] == "missing":
        advice = "add it, or `deployment = ...`" if key in ("vault", "lens") else "add it"
        return f"{source}: `{key}` is missing: {advice} (`keeper init --stdout` shows an example)."
    message = problem["msg"].removeprefix("Value error, ")
    if not key:
        return f"{source}: {message}."
    shown = "" if key in ENVIRONMENT else f" (is {problem['input']!r})"
    return f"{source}: `{key}`: {message[0].lower()}{message[1:]}{shown}."
