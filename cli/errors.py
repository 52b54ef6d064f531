"""What a command says instead of doing what was asked."""


class UsageError(Exception):
    """What was asked for cannot be looked at: a file that is not there, an event that is none."""


class RefusedError(UsageError):
    """The app was asked, and does not do this to what was named: it is not there, or over, or not for this person."""
