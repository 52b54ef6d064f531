"""The errors, all of them.

    ReactorError
    ├── TemporaryError      doing it again may help; `after` says when
    │   ├── UnansweredError nobody knows whether the request was carried out
    │   ├── CrowdedError    we have asked as much as we may for now: nothing was sent, and nothing is wrong
    │   └── DeniedError     we may not, or not yet: a role takes its time to reach the service
    └── PermanentError      doing it again cannot help; `remedy` says what would
        ├── MalformedError  a body that is not one of ours; `field` says where
        ├── SettingsError   the app's own settings are incomplete
        ├── SignInError     a token that proves nobody, or none at all
        └── RulesError      a rules file that cannot be used, with every problem in it (rules/problems.py)

Clients translate what a service answers into these words, once.
Nobody above them looks at a status code, and only `reactor.settle` decides what follows.
"""


class ReactorError(Exception):
    """Something did not work, and the message says what, in words an operator can use."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TemporaryError(ReactorError):
    """Doing it again may help, not before `after` seconds where the service said so."""

    def __init__(self, reason: str, *, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


class UnansweredError(TemporaryError):
    """The request left, and no usable answer came back: it may have been carried out."""


class CrowdedError(TemporaryError):
    """We have asked as much as we may for now, by our own count: there is room again after `after` seconds."""


class DeniedError(TemporaryError):
    """We may not; a role that was given just now takes up to an hour to count, so it is worth that long."""

    def __init__(self, reason: str, *, after: float | None = None, remedy: str = "") -> None:
        super().__init__(reason, after=after)
        self.remedy = remedy


class PermanentError(ReactorError):
    """Doing it again cannot help; `remedy` says what a person can do.

    `code` is the service's own word for it, "" where it has none: for clients, whose service answers so what is none.
    """

    def __init__(self, reason: str, *, remedy: str = "", code: str = "") -> None:
        super().__init__(reason)
        self.remedy = remedy
        self.code = code


class MalformedError(PermanentError):
    """A body that is none of the shapes we know; `field` is the path that is wrong, "" for the whole."""

    def __init__(self, reason: str, *, field: str = "") -> None:
        super().__init__(f"{field}: {reason}" if field else reason)
        self.field = field


class SettingsError(PermanentError):
    """Settings are missing or wrong; the message names all of them at once."""


class SignInError(PermanentError):
    """Somebody is not signed in: no token, or one that proves nothing. The message holds nothing of the token."""
