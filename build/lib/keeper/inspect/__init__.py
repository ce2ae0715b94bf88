"""`keeper inspect`: a vault's limits, books, roles and announced changes, from any node, in plain words."""
