"""Errors that a user of the demo can meet. Every message tells the next step."""


class DemoError(Exception):
    """Base of everything that can go wrong with the demo itself."""
