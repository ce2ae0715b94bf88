"""Evaluation of policies: fitted baselines, walk-forward, statistics, promotion, stress and reports."""
