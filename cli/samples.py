"""Messages made of the samples in `sample_data`: with a source, an id and a time, in the envelope that is asked for."""

from __future__ import annotations

import copy
import json
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from cli.sample_data import EXPORTED, ID, PROJECT, SAMPLES, TIME, WORKSPACE, Fields, Sample
from shared import endings, events, tagging
from shared.endings import Ending
from shared.events import Event
from shared.rules.declared import LANGUAGE_SOURCE, Declared

__all__ = ["ID", "PROJECT", "SAMPLES", "TIME", "WORKSPACE", "Message", "body", "message", "read"]

Schema = Literal["eventgrid", "cloudevents"]


@dataclass(slots=True)
class Message:
    """A message of a kind, to be changed and then written in an envelope."""

    kind: str
    sample: Sample
    data: Fields
    source: str = ""
    """A workspace's ARM id; of Custom Vision the project is in the data, and most of our own have none."""
    subject: str = ""
    """"" for what follows from the data."""
    id: str = ID
    time: datetime = TIME

    def refresh(self, now: datetime) -> None:
        """Make it a new one: its id, its time, and what would otherwise make it a duplicate."""
        self.id, self.time = str(uuid.uuid4()), now
        name = self.sample.fresh
        if name == "iterationId":
            self.data[name] = self.id
        elif name:
            self.data[name] = f"{self.data[name].rpartition('_')[0]}_{self.id[:8]}"

    def wire(self, schema: Schema = "eventgrid") -> Any:
        """Write it as it is delivered: an array of one in Event Grid's schema, else an object."""
        data = {name: _filled(value, self.data) for name, value in self.data.items()}
        subject = self.subject or self.sample.subject.format_map(data)
        match self.sample.door:
            case "vision_notification":
                return {"version": "1.0", "type": self.sample.type, "Content": data}
            case "own":
                if self.sample.data:
                    made = self._tagged() if self.kind == tagging.KIND else self._missed()
                    return {**made.payload, "subject": subject or made.subject}
                facts = self.sample.facts
                announced = events.announce(
                    self.kind,
                    id=self.id,
                    time=self.time,
                    source=self.source or self.sample.source or events.OWN_SOURCE,
                    subject=subject,
                    facts=facts,
                    depth=0 if self.sample.source else 1,
                )
                return dict(announced.payload)
        if schema == "cloudevents":
            return {
                "specversion": "1.0",
                "id": self.id,
                "source": self.source,
                "subject": subject,
                "type": self.sample.type,
                "time": self.time.isoformat(),
                "data": data,
            }
        event = {
            "id": self.id,
            "topic": self.source,
            "subject": subject,
            "eventType": self.sample.type,
            "eventTime": f"{self.time:%Y-%m-%dT%H:%M:%S.%f}0Z",  # seven digits, as the service writes them
            "data": data,
            "dataVersion": "2",
            "metadataVersion": "1",
        }
        return [event]

    def _missed(self) -> Event:
        """Make the event that nothing told of an export, or of a training where the data says so."""
        what: endings.What = "training" if "trainingStatus" in self.data else "export"
        status = str(self.data[f"{what}Status"]).removeprefix(what.title())
        facts: Fields = self.sample.facts["vision"] if what == "export" else {}
        ending = Ending(what, self.data["iterationId"], status, facts.get("platform", ""), facts.get("flavor") or "")
        return endings.missed(self.data["projectId"], ending, self.time)

    def _tagged(self) -> Event:
        """Make the event that tags were set."""
        return tagging.tagged(
            self.source,
            self.data["modelName"],
            self.data["modelVersion"],
            tags=self.data["modelTags"],
            before=self.sample.facts["tagging"]["before"],
            properties=self.data["modelProperties"],
            id=self.id,
            time=self.time,
        )


def message(kind: str, source: str = WORKSPACE, project: str = PROJECT) -> Message:
    """Take a kind's sample, of a workspace or of a project; KeyError where there is none."""
    sample = SAMPLES[kind]
    data = copy.deepcopy(sample.data)
    if "projectId" in data:
        data["projectId"] = project
    elif sample.source:
        source = source if source.startswith(LANGUAGE_SOURCE) else ""
    return Message(kind, sample, data, source if (data or sample.source) and "projectId" not in data else "")


def sources_of(declared: Declared, family: str) -> dict[str, str]:
    """Give the sources that are declared in a section, by name; a Custom Vision project is known by its id."""
    if family == "workspaces":
        return dict(declared.workspaces)
    if family == "language":
        return {name: project.source for name, project in declared.language.items()}
    return {name: project.project for name, project in declared.vision.items()}


def unknown(kind: str, part: str, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Say what is wrong with the names of fields that a kind's `data`, or its `facts`, does not have."""
    from shared.rules.problems import did_you_mean

    sample = SAMPLES[kind]
    known = sample.data if part == "data" else sample.facts
    for name in names:
        if name in known:
            continue
        first, dot, rest = name.partition(".")
        if part == "facts" and dot and first in known:
            yield name, f"write facts: {{{first}: {{{rest}: …}}}}"
            continue
        has = f"it has {', '.join(known)}" if known else "it has none"
        yield name, f"a {kind} has no {part}.{name}{did_you_mean(name, known)}; {has}"


def read(message: Message) -> Event:
    """Read a message as the app will."""
    from shared.parse import PARSERS

    return PARSERS[message.sample.door](body(message))


def body(message: Message, schema: Schema = "eventgrid") -> str:
    """Write a message as JSON, compact as the services send it."""
    return json.dumps(message.wire(schema), separators=(",", ":"), ensure_ascii=False)


def _filled(value: Any, data: Fields) -> Any:
    return EXPORTED.format_map(data) if value == EXPORTED else value
