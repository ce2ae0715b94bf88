"""File formats of market history: one module each, all read from the same checked table of cells."""
