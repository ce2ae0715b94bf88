"""Everything that talks to a chain: reads, revert decoding, signing, transactions."""
