"""The deep checks of the contracts: each part measures figures, and `__main__` holds their targets in one table."""
