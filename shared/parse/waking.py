"""What an event tells those who wait for a remote job."""

from collections.abc import Callable

from shared import endings
from shared.events import OWN_TYPE, Event
from shared.parse.machine_learning import AZURE_ML, WORTH_A_LOOK


def wake_tokens(event: Event) -> tuple[str, ...]:
    """Name the remote jobs that this event says may be over; an action that waits for one looks again at once."""
    tell = WAKES.get(event.type)
    return tell(event) if tell and event.kinds else ()


def begun_tokens(event: Event) -> tuple[str, ...]:
    """Name what this event is about that an action may have begun, and that carries no tag which says so."""
    vision = event.facts.get("vision", {})
    return (endings.answered_once(vision["project"], vision["iteration"]),) if vision.get("iteration") else ()


def _run_token(event: Event) -> tuple[str, ...]:
    run = event.facts["run"]
    return (f"run:{event.source.lower()}/{run['id']}",) if run["status"] in WORTH_A_LOOK else ()


def _deployed_token(event: Event) -> tuple[str, ...]:
    return (f"deployed:{event.source.lower()}/{event.facts['deployment']['service'].lower()}",)


def _vision_token(event: Event) -> tuple[str, ...]:
    vision = event.facts["vision"]
    what = "training" if str(vision["status"]).startswith("Training") else "export"
    return (f"{what}:{vision['project']}/{vision['iteration']}",)


WAKES: dict[str, Callable[[Event], tuple[str, ...]]] = {
    f"{AZURE_ML}RunCompleted": _run_token,
    f"{AZURE_ML}RunStatusChanged": _run_token,
    f"{AZURE_ML}ModelDeployed": _deployed_token,
    "CustomVision.Training": _vision_token,
    "CustomVision.Export": _vision_token,
    f"{OWN_TYPE}NotificationMissed": _vision_token,
}
