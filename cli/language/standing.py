"""Whether a secondary is what it should be, by what the app remembers, what its schedule saw, and what both show now.

Where only an export tells, what the schedule exported last counts; where a command looks closely, one of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cli.language.project import Here, Side
    from cli.language.state import State
    from cli.line import Line
    from shared.regions import Ask, Comparison, Region, Sighting
    from shared.replicas import Difference, Kept, Shown

    Hashes = dict[Side, Mapping[str, str]]
    Regions = Mapping[Side, Region | None]

WITHIN = 60.0
"""Seconds that an export may take that a look waits for."""


def compare(state: State, here: Here, primary: Region | None, secondary: Region | None, line: Line | None) -> None:
    """Say whether the secondary is what it should be, as far as that can be known here."""
    from cli.language.project import NO_STORAGE
    from shared.errors import ReactorError
    from shared.regions import Comparison, Sighting

    if here.account is None:
        state.why.append(NO_STORAGE)
        return
    try:
        kept, seen = here.pair.kept(), _seen(state, here)
    except ReactorError as problem:
        state.why.append(f"what was replicated is not known: {problem.reason}")
        return
    _proof(state, kept)
    if primary is None or (secondary is None and state.regions["secondary"].problem):
        state.why += _as_of(state, here, kept, {"primary": primary, "secondary": secondary}, seen)
        return
    about = Comparison(kept, primary, secondary, here.pair.wanted)
    hashes, doubts = _hashes(state, here, about, seen, line)
    differences = _differences(about, hashes)
    state.why = [one.details for one in differences or doubts]
    if not differences and not doubts:
        state.standing, state.lag_seconds = "in step", 0
        return
    now = datetime.now(UTC)
    state.standing = "behind" if differences else "maybe behind"
    state.reasons = [one.reason for one in differences]
    state.since = about.since(differences or doubts, seen or Sighting(), now)
    state.lag_seconds = _seconds(about.lagging(differences or doubts, seen or Sighting(), now), now)


def _seconds(since: datetime | None, now: datetime) -> int:
    return max(0, int((now - since).total_seconds())) if since else 0


def _seen(state: State, here: Here) -> Sighting | None:
    """Read what the app's schedule saw last, and who is replicating."""
    from shared.storage.locks import Locks
    from shared.storage.records import Records
    from shared.storage.sightings import Sightings

    assert here.account is not None
    account = here.account

    def is_over(key: str) -> bool:
        action = Records(account).read_action(key)
        return action is None or not action.is_open

    seen, _ = Sightings(account).read_regions(here.pair.places.pair)
    state.looked = seen.looked if seen else None
    state.busy = Locks(account).holder(here.pair.lock, datetime.now(UTC), is_over)
    return seen


def _proof(state: State, kept: Kept | None) -> None:
    if kept is not None:
        state.replicated, state.proven, state.backup = kept.replicated, kept.proven, kept.version
        state.asked, state.agreed = kept.proof.asked, kept.proof.agreed
        state.intents, state.primary_intents = kept.proof.intents, kept.proof.primary_intents


def _as_of(state: State, here: Here, kept: Kept | None, there: Regions, seen: Sighting | None) -> Iterator[str]:
    """Where a region cannot be read, say how the other one is, and how both were when the app compared last."""
    from shared import replicas

    now = datetime.now(UTC)
    if kept is not None:
        primary, secondary = (_as_known(state, kept, there, side, seen) for side in ("primary", "secondary"))
        assert primary is not None
        differences = replicas.standing(kept, primary, secondary, here.pair.wanted)
        yield from [one.details for one in differences]
        if there["secondary"] is not None and not differences:
            yield f"the secondary serves what was replicated on {kept.replicated:%Y-%m-%d %H:%M}Z"
    replicated = kept.proven if kept else None
    if seen is None or seen.looked is None:
        yield "a region cannot be read, and the app has not compared them yet"
    elif replicated is not None and replicated > seen.looked:
        yield "a region cannot be read, and the app has not compared them since they were replicated"
    elif seen.since is None or seen.replicated != replicated:
        yield f"a region cannot be read; when the app compared last, {seen.looked:%Y-%m-%d %H:%M}Z, it was in step"
    else:
        yield f"a region cannot be read; as far as the app knows it is behind since {seen.since:%Y-%m-%d %H:%M}Z"
        state.since, state.lag_seconds = seen.since, _seconds(seen.lagging, now)


def _as_known(state: State, kept: Kept, there: Regions, side: Side, seen: Sighting | None) -> Shown | None:
    """Give what a region shows, else what it showed when the app compared last; None where it has no such project."""
    from shared.regions import Region

    now = datetime.now(UTC)
    if (region := there[side]) is not None:
        return region.shown(None, now)
    if not state.regions[side].problem:
        return None
    last = seen.last.get(side) if seen else None
    if last is None or last.replicated != kept.proven:
        return Region.unread(side, kept).shown(None, now)
    return last.region.shown(last.hashes, now) if last.region else None


def _hashes(
    state: State, here: Here, about: Comparison, seen: Sighting | None, line: Line | None
) -> tuple[Hashes, list[Difference]]:
    """Give what the regions hold where only that tells, and say of which of them nobody knows."""
    from shared import replicas
    from shared.regions import WORKING_COPY
    from shared.replicas import Difference

    if about.kept is None or about.secondary is None:
        return {}, []
    doubtful = replicas.doubtful(about.kept, *_shown(about, {}), about.wanted)
    asks, known = about.asks(doubtful, seen.looked if seen else None)
    found: dict[Side, dict[str, str]] = {side: {} for side in doubtful}
    if "primary" in found:
        found["primary"] |= known
    doubts = []
    for ask in asks:
        hash = _hash(state, here, ask, seen, line)
        if hash:
            found[ask.side][ask.label] = hash
            continue
        if not ask.label:
            found.pop(ask.side, None)
        what = f"the {ask.side} serves {ask.label}" if ask.label else f"the project in the {ask.side} was changed"
        words = f"{what}, and whether that is another content only an export tells"
        doubts.append(Difference("changed" if ask.side == "primary" else "edited", words))
    if here.pair.is_imported(found.get("secondary", {}).get(WORKING_COPY, "")):
        del found["secondary"]
    return dict(found), doubts


def _hash(state: State, here: Here, ask: Ask, seen: Sighting | None, line: Line | None) -> str:
    """Give the hash of what a region holds, as the app exported it or by an export of our own; "" where neither."""
    from cli.language.waiting import exported
    from shared.errors import ReactorError
    from shared.language_content import fingerprint

    content = seen.contents.get(ask.key) if seen else None
    if content is not None and content.of == ask.of:
        return content.hash
    if line is None:
        return ""
    try:
        return fingerprint(exported(here, ask.side, line, model=ask.label, within=WITHIN))
    except ReactorError as problem:
        state.unread_parts.append(problem.reason)
        return ""


def _shown(about: Comparison, hashes: Hashes) -> tuple[Shown, Shown]:
    from shared.replicas import Shown

    assert about.secondary is not None
    primary, secondary = about.primary, about.secondary
    return (
        Shown(primary.modified, primary.models, hashes.get("primary"), primary.labels),
        secondary.shown(hashes.get("secondary"), datetime.now(UTC)),
    )


def _differences(about: Comparison, hashes: Hashes) -> tuple[Difference, ...]:
    from shared import replicas

    if about.secondary is None:
        primary = replicas.Shown(about.primary.modified, about.primary.models)
        return replicas.standing(about.kept, primary, None, about.wanted)
    return replicas.standing(about.kept, *_shown(about, hashes), about.wanted)
