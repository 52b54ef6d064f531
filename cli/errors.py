"""What a command says instead of doing what was asked."""


class UsageError(Exception):
    """What was asked for cannot be looked at: a file that is not there, an event that is none."""
