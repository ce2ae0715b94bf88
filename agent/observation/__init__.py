"""Observations: what a policy sees of vault and market, and the rate means it remembers."""
