"""Where rates come from: a calibrated synthetic market, and the replay of history."""
