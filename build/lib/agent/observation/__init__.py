"""Observations of vault and market for policies, and the rate means they remember."""
