"""Make `docs/RESULTS.md`: the walk-forwards on real history, the gate, the reports and the document."""
