"""Programming errors: told without secrets to the log, the record and the host.

They are never swallowed: the host delivers again, and after five times its poison door ends what they keep from ending.
"""

import logging
import traceback

from shared.redaction import redacted, tidy

log = logging.getLogger("reactor")


class DefectError(Exception):
    """A programming error; its text is the original's, without secrets and bounded."""


def told(error: Exception, where: str) -> DefectError:
    """Log a programming error with its trace, and return what to raise in its place, from None.

    The host logs what it is raised: neither may hold what the original's text and trace may.
    """
    trace = redacted("".join(traceback.format_exception(error)))
    log.error("%s outcome=programming_error\n%s", where, trace)
    return DefectError(tidy(f"{type(error).__name__}: {error}"))
