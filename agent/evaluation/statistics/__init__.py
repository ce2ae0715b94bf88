"""Whether a difference is more than luck: intervals over seeds, paired tests over time, and the price of many trials.

- Over seeds: the interquartile mean and its stratified bootstrap interval (Agarwal et al., "Deep reinforcement
  learning at the edge of the statistical precipice", 2021).
- Over time: daily net log returns of two policies on the same days, their difference resampled in blocks of random
  length, so that autocorrelation is kept (Politis and Romano, "The stationary bootstrap", 1994; block length after
  Politis and White, 2004).
- Against many baselines: p-values by Romano and Wolf's stepdown (2005; the algorithm of their 2016 note). Baselines in
  one market are strongly correlated; resampling the same days for all of them uses that, while Holm's correction would
  pay for it as though they had nothing in common.
- After many trials: the deflated Sharpe ratio (Bailey and Lopez de Prado, 2014).
"""

from agent.evaluation.statistics.deflated import DeflatedSharpe, deflated_sharpe
from agent.evaluation.statistics.paired import Comparison, PairedTest, automatic_block, compare_paired
from agent.evaluation.statistics.seeds import Interval, interquartile_mean, iqm_interval

__all__ = [
    "Comparison",
    "DeflatedSharpe",
    "Interval",
    "PairedTest",
    "automatic_block",
    "compare_paired",
    "deflated_sharpe",
    "interquartile_mean",
    "iqm_interval",
]
