"""What the keeper is told: entries of its configuration come back from TOML as they were."""

import tomllib

from scripts.demonstration.told import peg, toml


def test_toml__tables_lists_and_odd_keys__come_back() -> None:
    worth = {"kind": "call", "address": "0xabc", "signature": "price()", "decimals": 24}
    entries = {
        "policy": 'a "quoted" name',
        "max_fee_gwei": 2000.0,
        "chain_id": 31337,
        "rates": {"0xAbC": {"price": {"sources": [worth]}}, "mETH on Agni": {"value": 0.03}},
        "quotes": {"usdy_peg": peg("0xpool", "0xtoken", worth)},
        "live": True,
    }
    assert tomllib.loads(toml(entries)) == entries
