"""The Event Grid trigger: the endpoint that Event Grid delivers to.

The answers are those of HttpRequestProcessor and EventGridExtensionConfigProvider:
https://github.com/Azure/azure-sdk-for-net/tree/main/sdk/eventgrid/Microsoft.Azure.WebJobs.Extensions.EventGrid
"""

import asyncio
import json
from typing import Any

from azure_functions_runtime.bindings.datumdef import Datum
from werkzeug.wrappers import Request, Response

from dev.host.worker import Function, Outcome, Worker

PATH = "/runtime/webhooks/EventGrid"
ORIGINS = (
    "eventgrid.azure.net",
    "eventgrid.azure.us",
    "eventgrid.azure.cn",
    "eventgrid.azure.eaglex.ic.gov",
    "eventgrid.azure.microsoft.scloud",
)
"""Those that may ask to deliver; the first is told to anybody else."""


async def answer(worker: Worker, request: Request) -> Response:
    """Answer one request to the endpoint."""
    name = request.args.get("functionName", "")
    function = worker.functions.get(name)
    if function is None or function.kind != "eventGridTrigger":
        return Response(f"cannot find function: '{name}'", 404)
    if request.method == "OPTIONS":
        asked = request.headers.get("WebHook-Request-Origin", "").lower()
        return Response(headers={"Webhook-Allowed-Origin": asked if asked in ORIGINS else ORIGINS[0]})
    match request.headers.get("aeg-event-type", "").lower():
        case "subscriptionvalidation":
            return validated(request)
        case "notification":
            return await notified(worker, function, request)
        case "unsubscribe":
            return Response(status=202)
    return Response(status=400)


def validated(request: Request) -> Response:
    """Prove that we own the endpoint, by repeating the code in the event."""
    try:
        return Response(
            json.dumps({"validationResponse": events(request)[0]["data"]["validationCode"]}),
            mimetype="application/json",
        )
    except (ValueError, LookupError, TypeError) as error:
        return Response(repr(error), 500)


async def notified(worker: Worker, function: Function, request: Request) -> Response:
    """Invoke the function for every event, in parallel: 202 only if each succeeded, else Event Grid sends all again."""
    try:
        received = events(request)
    except (ValueError, RecursionError) as error:
        return Response(str(error), 500)
    outcomes = await asyncio.gather(*(deliver(worker, function, event) for event in received))
    failed = [outcome.error for outcome in outcomes if not outcome.ok]
    return Response(failed[0], 500) if failed else Response(status=202)


async def deliver(worker: Worker, function: Function, event: Any) -> Outcome:
    """Invoke the function for one event."""
    about = f"event {event.get('id', '-')}" if isinstance(event, dict) else "event"
    return await worker.invoke(function, Datum(json.dumps(event, ensure_ascii=False), "json"), about=about)


def events(request: Request) -> list[Any]:
    """Read the body: an array of events, or one."""
    body = json.loads(request.get_data().decode("utf-8", "replace"))
    return body if isinstance(body, list) else [body]
