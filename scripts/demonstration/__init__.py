"""The stages of `make demo`: the series, the stage, the replay, the bad day, and what is shown of them."""
