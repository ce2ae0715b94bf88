"""The keeper: read, decide, simulate, sign, send, remember. The agent decides; the vault's limits bind both."""
