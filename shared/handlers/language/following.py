"""Follows a job of the service by the URL that it gave: how it is doing, and when to look again.

https://learn.microsoft.com/rest/api/language/conversational-analysis-authoring/get-training-status/get-training-status
"""

from datetime import datetime, timedelta

from shared.clients.language import Job as ServiceJob
from shared.clients.language import Resource
from shared.errors import PermanentError
from shared.stages import Job, Pending

SHOWN_WITHIN = timedelta(minutes=1)
"""How long a job that was begun just now may not be shown."""
MOST_GONE = 3
SOONEST, LATEST = 5.0, 600.0
"""Seconds until the next look, by whatever the service expects."""


def begun(job: Job, url: str, note: str, **more: str) -> Pending:
    """Remember a job that was begun just now, and what else is to be known once it is over."""
    return Pending(memory={"url": url, "since": job.now.isoformat(), **more}, note=note)


def look(job: Job, at: Resource, what: str) -> ServiceJob | Pending | None:
    """Look how the remembered job is doing; None where it is gone.

    A job that is gone has not failed: the service forgets jobs after a week, and what they did stays done.
    """
    found = job.clients.language.jobs.read(at, job.memory["url"])
    if found is None:
        since = datetime.fromisoformat(job.memory["since"])
        return Pending(SOONEST, note=f"{what} is not shown yet") if job.now < since + SHOWN_WITHIN else None
    if found.is_over:
        return found
    done = f", {found.percent} % done" if found.percent else ""
    until = f", expected to end at {found.estimated_end:%H:%M}Z" if found.estimated_end else ""
    return Pending(wait(found, job.now), note=f"{what} is {found.status}{done}{until}")


def once_more(job: Job, what: str) -> dict[str, int]:
    """Count how often something was gone that only reads, and is made again; PermanentError where it always is."""
    gone = int(job.result.get("gone", 0)) + 1
    if gone >= MOST_GONE:
        raise PermanentError(f"{what} is gone again and again before it can be read", remedy="replay the event later")
    return {"gone": gone}


def wait(found: ServiceJob, now: datetime) -> float | None:
    """Say in how many seconds a job is to be looked at again, by when it expects to end; None for the usual interval.

    An estimate may be far off: it is never waited for in one piece for longer than ten minutes.
    """
    if found.estimated_end is not None and found.estimated_end > now:
        return _within_bounds((found.estimated_end - now).total_seconds())
    if found.percent and found.created is not None and now > found.created:
        passed = (now - found.created).total_seconds()
        return _within_bounds(passed / found.percent * (100 - found.percent))
    return None


def _within_bounds(seconds: float) -> float:
    return min(max(seconds, SOONEST), LATEST)
