"""The versions of what a policy sees, and which features of a market each needs.

An observation version is a name for the numbers that a network is fed, in their order and with their scaling. A policy
file names the version it was trained with, and is refused with any other.

- `chain-2`, any number of strategies: only what a contract could read at that block or keep in storage.
- `defi-1`, five venues, 20 numbers: of `DefiYield-v0`.
- `rwa-1`, three assets, 18 numbers: of `RwaYield-v0`.

The last two need features of the market row besides its rates: a `MarketPath` for them has `feature_names` equal to
`DEFI_FEATURES` or `RWA_FEATURES`, and `features (B, T, k)` in that order and in the units written here. Scaling to
order one is this module's business, not the market's.
"""

from __future__ import annotations

CHAIN = "chain-2"
DEFI = "defi-1"
RWA = "rwa-1"

DEFI_VENUES = 5
RWA_ASSETS = 3

DEFI_FEATURES: tuple[str, ...] = (
    "eth_to_mean",  # price of ETH over its trailing mean; 1 is at the mean
    "btc_to_mean",  # price of BTC over its trailing mean
    "eth_volatility",  # of log returns, per square root of a year: 0.6 is 60 %
    "dai_peg",  # price of DAI, USD
    "usdc_peg",  # price of USDC, USD
    "usdt_peg",  # price of USDT, USD
    "gas_gwei",  # gas price, gwei
    "congestion",  # how full blocks are, 0 to 1
    "hour",  # hour of the day, UTC, 0 to 24
)
"""What a market supplies for `defi-1`, in this order. The progress through the episode is the engine's to add."""

RWA_FEATURES: tuple[str, ...] = (
    "eth_price",  # USD
    "btc_price",  # USD
    "btc_dominance",  # share of the market's capitalisation: 0.5 is 50 %
    "fed_funds",  # fraction per year: 0.0525 is 5.25 %
    "usdy_peg",  # price of USDY over what it stands for; 1 is at the peg
    "meth_peg",  # price of mETH over the ETH it can be redeemed for; 1 is at the peg
    "eth_volatility",  # of log returns, per square root of a year
    "usdy_volatility",  # likewise
    "usdy_lending",  # rate for lending out USDY, APR
    "meth_lending",  # rate for lending out mETH, APR
    "gas_gwei",  # gas price, gwei
    "mnt_price",  # USD
)
"""What a market supplies for `rwa-1`, in this order."""
