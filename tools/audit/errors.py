"""Errors of the audit. A missed target is none: it is a figure, and the exit code."""


class AuditError(Exception):
    """Base of everything that keeps a part from giving its figures."""


class ToolFailedError(AuditError):
    """A tool ended without a result; the message holds the last lines of what it said."""


class ToolTimeoutError(ToolFailedError):
    """A tool was not done in time."""


class ReviewError(AuditError):
    """A list of reviewed findings or survivors cannot be read, or gives no reason."""
