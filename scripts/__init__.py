"""Ape commands (`ape run ...`) and the code behind them. Only tests import from here."""
