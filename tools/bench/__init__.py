"""The parts of `make bench`: each a function from a `Plan` to figures, measured side by side in one run."""
