"""The price of the native coin, and what else a policy is shown, from several sources that must agree.

A source reads one `Quote`: a price, its time and how old it may be. `agree` takes the median of those that are fresh
and near one another; too few of them is no price, and no price is no trade.
"""
