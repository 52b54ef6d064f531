"""The Event Grid trigger: the endpoint that Event Grid delivers to.

The answers are those of HttpRequestProcessor and EventGridExtensionConfigProvider:
https://github.com/Azure/azure-sdk-for-net/tree/main/sdk/eventgrid/Microsoft.Azure.WebJobs.Extensions.EventGrid
"""

import asyncio
import json
import logging
import re
from datetime import UTC, datetime
from typing import Any

from azure_functions_runtime.bindings.datumdef import Datum
from werkzeug.wrappers import Request, Response

from dev.host.worker import Function, Outcome, Worker

logger = logging.getLogger("host.webhook")

PATH = "/runtime/webhooks/EventGrid"
ORIGINS = (
    "eventgrid.azure.net",
    "eventgrid.azure.us",
    "eventgrid.azure.cn",
    "eventgrid.azure.eaglex.ic.gov",
    "eventgrid.azure.microsoft.scloud",
)
"""Those that may ask to deliver; the first is told to anybody else."""
DATE = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,7})?(Z|[+-]\d\d:\d\d)?")


async def answer(worker: Worker, request: Request) -> Response:
    """Answer one request to the endpoint."""
    name = request.args.get("functionName", "")
    function = worker.functions.get(name)
    if function is None or function.kind != "eventGridTrigger":
        return Response(f"cannot find function: '{name}'", 404)
    if request.method == "OPTIONS":
        asked = request.headers.get("WebHook-Request-Origin", "").lower()
        return Response(headers={"Webhook-Allowed-Origin": asked if asked in ORIGINS else ORIGINS[0]})
    type = request.headers.get("aeg-event-type", "")
    match type.lower():
        case "subscriptionvalidation":
            return validated(request)
        case "notification":
            return await notified(worker, function, request)
        case "unsubscribe":
            return Response(status=202)
    logger.warning("400, as Azure does: the header aeg-event-type is %r and must be Notification", type)
    return Response(status=400)


def validated(request: Request) -> Response:
    """Prove that we own the endpoint, by repeating the code in the event."""
    try:
        data = events(request)[0]["data"]
        code = (json.loads(data) if isinstance(data, str) else data)["validationCode"]
        return Response(json.dumps({"validationResponse": code}))
    except (ValueError, LookupError, TypeError) as error:
        return Response(repr(error), 500)


async def notified(worker: Worker, function: Function, request: Request) -> Response:
    """Invoke the function for every event, in parallel: 202 only if each succeeded, else Event Grid resends all."""
    try:
        received = events(request)
    except (ValueError, RecursionError) as error:
        return Response(str(error), 500)
    outcomes = await asyncio.gather(*(deliver(worker, function, event) for event in received))
    failed = [outcome.message for outcome in outcomes if not outcome.ok]
    return Response(failed[0], 500) if failed else Response(status=202)


async def deliver(worker: Worker, function: Function, event: Any) -> Outcome:
    """Invoke the function for one event."""
    about = f"event {event.get('id', '-')}" if isinstance(event, dict) else "event"
    text = json.dumps(rewritten(event), ensure_ascii=False)
    sound = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # gRPC carries no half characters
    return await worker.invoke(function, Datum(sound, "json"), about=about)


def rewritten(value: Any) -> Any:
    """Give a JSON value as it is after the real host has read and written it: texts that look like a date change.

    Newtonsoft.Json takes them for dates: it drops the zeros that end a fraction and turns offsets into the host's zone.
    """
    match value:
        case dict():
            return {name: rewritten(each) for name, each in value.items()}
        case list():
            return [rewritten(each) for each in value]
        case str() if found := DATE.fullmatch(value):
            return rewritten_date(*found.groups())
    return value


def rewritten_date(seconds: str, fraction: str | None, zone: str | None) -> str:
    """Rewrite a date, given in its parts, for a host whose clock is UTC."""
    try:
        moment = datetime.fromisoformat(seconds + (zone or "")).replace(microsecond=0)
    except ValueError:
        return seconds + (fraction or "") + (zone or "")
    if zone not in (None, "Z"):
        seconds, zone = moment.astimezone(UTC).isoformat()[:19], "+00:00"
    return seconds + (fraction or "").rstrip("0").rstrip(".") + (zone or "")


def events(request: Request) -> list[Any]:
    """Read the body: an array of events, or one."""
    body = json.loads(request.get_data().decode("utf-8", "replace"))
    return body if isinstance(body, list) else [body]
