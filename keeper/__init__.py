"""The hands: read, decide, simulate, sign, submit, remember. The agent decides; the vault's walls bind both."""
