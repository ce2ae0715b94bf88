"""`make bench`: parts, each a function from a `Plan` to figures that are measured side by side in one run."""
