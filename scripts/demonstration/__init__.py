"""The parts of `make demo`: series, stage, replay, bad day, results and picture."""
