"""Baselines, backtest and comparison of policies."""
