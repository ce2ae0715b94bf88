"""The chain library: ABIs and reverts, JSON-RPC, signers, transactions."""
