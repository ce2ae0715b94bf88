"""What there is to demonstrate: a module per preset, and the table of them by name."""
