"""The vault in Python: its limits, its money math, and the decision that both allow. Numpy in, numpy out."""
