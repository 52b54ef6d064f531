"""What happened, for people and programs: which events came, what became of them, and why not something else.

`history` reads the records and the timeline, `filters` what is asked for, `explaining` says why, and `views` is the
form that all of it is given in.
"""

from shared.history.history import History
from shared.history.views import (
    ActionDetail,
    ActionPage,
    ActionSummary,
    EventDetail,
    EventPage,
    EventSummary,
    RecordedEvent,
    RecordedPage,
)

__all__ = [
    "ActionDetail",
    "ActionPage",
    "ActionSummary",
    "EventDetail",
    "EventPage",
    "EventSummary",
    "History",
    "RecordedEvent",
    "RecordedPage",
]
