"""`reactor events send`: a realistic event of any kind, to the local stack or to the terminal.

In Azure nobody can publish to a system topic: there the services themselves send, and a person replays.
"""

from __future__ import annotations

import json
import re
import sys
from argparse import Namespace
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.app_storage import of_stack
from cli.documents import print_json
from cli.errors import UsageError
from cli.local_stack import READY, add_ready, read_ready

if TYPE_CHECKING:
    from cli.sample_data import Fields
    from cli.samples import Message
    from shared.rules import Declared

DOOR = "/runtime/webhooks/EventGrid?functionName=on_ml_event"
"""The Event Grid endpoint of a function app's host."""
SCHEMAS = ("eventgrid", "cloudevents")
CONTENT_TYPES = {"eventgrid": "application/json", "cloudevents": "application/cloudevents+json"}

WIRE: Mapping[str, str] = {
    "model.name": "data.modelName",
    "model.version": "data.modelVersion",
    "model.tags": "data.modelTags",
    "model.properties": "data.modelProperties",
    "deployment.service": "data.serviceName",
    "deployment.tags": "data.serviceTags",
    "run.id": "data.runId",
    "run.experiment": "data.experimentName",
    "run.type": "data.runType",
    "run.status": "data.runStatus",
    "drift.coefficient": "data.driftCoefficient",
    "vision.project": "data.projectId",
    "vision.iteration": "data.iterationId",
}
"""Where on the wire a derived field comes from."""
ID: Mapping[str, re.Pattern[str]] = {
    "workspaces": re.compile(r"/subscriptions/[^/\s]+(/[^/\s]+)*", re.IGNORECASE),
    "vision": re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE),
    "language": re.compile(r"language/[^/\s]+/[^/\s]+", re.IGNORECASE),
}
"""What the id of a source looks like, by its family."""
IDS: Mapping[str, str] = {
    "workspaces": "an ARM id (/subscriptions/…)",
    "vision": "a project's id, a GUID",
    "language": "language/<host of the primary>/<project>",
}
TEXTS = ("Tags", "Properties")
"""What ends the name of a dictionary whose values are texts, whatever they look like."""


def add_command(commands: Any) -> None:
    """Add the command to those of `reactor events`."""
    one = commands.add_parser(
        "send",
        help="send a sample event to the local stack, or print it",
        description="Send a realistic event of a kind to the local stack, with an id and a time of its own. "
        "Only there: in Azure nobody can publish to a service's own topic.",
    )
    one.add_argument("kind", metavar="KIND", help="such as RunFailed; docs/events.md shows them all")
    one.add_argument(
        "--set",
        action="append",
        default=[],
        dest="changes",
        metavar="PATH=VALUE",
        help="data.modelTags.stage=production",
    )
    one.add_argument("--source", metavar="NAME", help="a declared workspace or project, or an id (default: the first)")
    one.add_argument("--schema", choices=SCHEMAS, default="eventgrid", help="the envelope of Azure ML's events")
    one.add_argument("--queue", action="store_true", help="through the storage queue ml-events, not the webhook")
    one.add_argument("--print", action="store_true", dest="only_print", help="print it and send nothing")
    add_ready(one, str(READY))
    one.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Send the event, or print it; 1 where the stack does not take it."""
    from cli.samples import SAMPLES

    _check_kind(options.kind)
    own = SAMPLES[options.kind].door == "own"
    stack = _stack(options.ready, needed=not (options.only_print or own))
    message = make(options, stack)
    if options.only_print or own:
        print_json(message.wire(options.schema))
        if not options.only_print:
            print(f"reactor: {options.kind} is announced by the reactor itself: printed, not sent", file=sys.stderr)
        return 0
    return _send(message, options, stack)


def make(options: Namespace, stack: Mapping[str, Any]) -> Message:
    """Make the message that is asked for; UsageError where something in it cannot be."""
    from cli import samples
    from shared.rules.kinds import KINDS

    source = _source(options.source, KINDS[options.kind].family, stack)
    made = samples.message(options.kind)
    if made.sample.door == "vision_notification" and source:
        made.data["projectId"] = source
    elif source:
        made.source = source
    made.refresh(datetime.now(UTC))
    for change in options.changes:
        path, equals, value = change.partition("=")
        if not equals:
            raise UsageError(f"--set {change}: write PATH=VALUE, such as data.modelTags.stage=production")
        _set(made, path, value)
    return made


def _check_kind(kind: str) -> None:
    from cli.samples import SAMPLES
    from shared.rules.kinds import KINDS
    from shared.rules.problems import did_you_mean

    if kind not in KINDS:
        raise UsageError(f'unknown kind "{kind}"{did_you_mean(kind, KINDS)}; there are {", ".join(SAMPLES)}')


# -- what is changed --------------------------------------------------------------------------------------------------


def _set(message: Message, path: str, value: str) -> None:
    """Change one field: of the data, or of the envelope."""
    from shared.rules.paths import canonical, parse_path, show_path

    keys = parse_path(path)
    if keys is None:
        raise UsageError(f"--set {path}: not a path, such as data.modelTags['team.owner']")
    keys = canonical(keys)
    if keys in {("subject",), ("id",)}:
        setattr(message, keys[0], value)
        return
    if keys == ("source",):
        message.source = value
        return
    wire = WIRE.get(".".join(keys[:2]))
    keys = (*wire.split("."), *keys[2:]) if wire else keys
    if len(keys) < 2 or keys[0] != "data":
        raise UsageError(f"--set {path}: only what is on the wire can be set: data.…, subject, id and source")
    if not message.data:
        raise UsageError(f"--set {path}: our own events have no data")
    if keys[1] not in message.data:
        raise UsageError(f"--set {show_path(keys)}: {message.kind} has {', '.join(message.data)}")
    _put(message.data, keys[1:], value)


def _put(data: Fields, keys: tuple[str, ...], value: str) -> None:
    inner = data
    for key in keys[:-1]:
        found = inner.setdefault(key, {})
        if not isinstance(found, dict):
            raise UsageError(f"--set: {key} is {json.dumps(found)}, and has nothing inside")
        inner = found
    is_text = isinstance(inner.get(keys[-1]), str) or (len(keys) > 1 and keys[0].endswith(TEXTS))
    inner[keys[-1]] = value if is_text else _json(value)


def _json(text: str) -> Any:
    """Read a number, a list, an object, true, false or null; anything else is the text that it is."""
    try:
        return json.loads(text)
    except ValueError:
        return text


# -- where it is sent -------------------------------------------------------------------------------------------------


def _stack(ready: Path | None, *, needed: bool) -> Mapping[str, Any]:
    """Read the facts of the local stack; nothing where none runs and none is needed."""
    if not needed and not (ready or READY).exists():
        return {}
    return read_ready(ready, "--print needs none")


def _source(given: str | None, family: str, stack: Mapping[str, Any]) -> str:
    """Find the id of the source: what is given, or the first that the stack's rules declare; "" for the sample's."""
    from cli.samples import sources_of
    from shared.rules.problems import did_you_mean

    if family == "own":
        return ""
    sources: dict[str, str] = {}
    declared = _declared(stack)
    if declared is not None:
        sources = sources_of(declared, family)
    if given is None:
        found = next((id for id in sources.values() if "${" not in id), "")
        if declared is not None and not found:
            print(f"reactor: the stack's rules declare nothing under {family}, so it will be refused", file=sys.stderr)
        return found
    if given in sources:
        return sources[given]
    if ID[family].fullmatch(given):
        return given
    if declared is None:
        raise UsageError(f"--source {given}: without the stack's rules, give {IDS[family]}, not a name")
    there = f"there are {', '.join(sources)}" if sources else "nothing is"
    meant = did_you_mean(given, sources)
    raise UsageError(f'--source: no "{given}" is declared under {family}{meant}; {there}; or give {IDS[family]}')


def _declared(stack: Mapping[str, Any]) -> Declared | None:
    """Read what the stack's rules declare, with its settings filled in; None where there are none to be read."""
    from shared.errors import ReactorError
    from shared.handlers import ACTIONS
    from shared.rules import load

    if not stack:
        return None
    app = of_stack(stack)
    try:
        text = app.rules()
        if text is not None:
            return load(text, ACTIONS, app.settings.rules).bind(app.settings.values).declared
        why = f"there is no {app.settings.rules}"
    except ReactorError as error:
        why = str(error)
    print(f"reactor: the stack's rules cannot be read, so the sample's own source is used: {why}", file=sys.stderr)
    return None


def _send(message: Message, options: Namespace, stack: Mapping[str, Any]) -> int:
    from cli.samples import body, read
    from shared.errors import MalformedError, ReactorError

    text = body(message, options.schema)
    try:
        event = read(message)
    except MalformedError as error:
        raise UsageError(f"that is no {message.kind}: {error}") from error
    if message.kind not in event.kinds:
        raise UsageError(f"that is no {message.kind} any more, but {', '.join(sorted(event.kinds)) or event.type}")
    try:
        if message.sample.door == "vision_notification" or options.queue:
            where = _to_queue(message, text, stack)
        else:
            where = _to_webhook(text, options.schema, stack)
    except ReactorError as error:
        print(f"reactor: the local stack did not take it: {error}", file=sys.stderr)
        return 1
    print(f"sent {message.kind}: {event.subject}")
    print(f"of   {event.source}")
    print(f"to   {where}")
    look = f"list --kind {message.kind}" if event.repeatable else f"show {event.key}"  # a repeatable one is keyed anew
    print(f"see  reactor events {look}")
    return 0


def _to_queue(message: Message, text: str, stack: Mapping[str, Any]) -> str:
    from shared.storage import ML_EVENTS_QUEUE, VISION_QUEUE
    from shared.storage.queues import Queues

    queue = VISION_QUEUE if message.sample.door == "vision_notification" else ML_EVENTS_QUEUE
    Queues(of_stack(stack).account).send(queue, text)
    return f"queue {queue}"


def _to_webhook(text: str, schema: str, stack: Mapping[str, Any]) -> str:
    """Deliver it as Event Grid does; TemporaryError where it is not accepted."""
    from cli.http import ask, is_here
    from shared.errors import TemporaryError

    functions = str(stack["functions"])
    if not is_here(functions):
        raise UsageError(f"{functions} is not on this machine; events are only sent to the local stack")
    headers = {"Content-Type": CONTENT_TYPES[schema], "aeg-event-type": "Notification"}
    answer = ask(f"{functions}{DOOR}", headers=headers, body=text.encode())
    if not 200 <= answer.status < 300:
        raise TemporaryError(f"it answered {answer.status}")
    return functions
