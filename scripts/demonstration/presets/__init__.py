"""The presets of the demo: a module for each, and the table of them by name."""
