"""The parts of `make audit`, one module each."""
