"""How an endpoint consents to get events, before a webhook subscription is made.

https://learn.microsoft.com/azure/event-grid/end-point-validation-event-grid-events-schema
The manual way (a `validationUrl` that somebody opens) is not simulated.
"""

import uuid
from typing import Any

import requests

from dev.simulators.wire import instant, now

ORIGIN = "eventgrid.azure.net"


class HandshakeError(Exception):
    """An endpoint did not consent."""


def ask(endpoint: str, subscription: str, schema: str, *, timeout: float) -> None:
    """Ask an endpoint in the way of its delivery schema; HandshakeError where it does not consent."""
    question = ask_by_options if schema == "CloudEventSchemaV1_0" else ask_by_event
    try:
        question(endpoint, subscription, timeout)
    except (requests.RequestException, ValueError) as problem:
        raise HandshakeError(
            f"The attempt to validate {endpoint.split('?', maxsplit=1)[0]} failed: {problem}"
        ) from problem


def ask_by_event(endpoint: str, subscription: str, timeout: float) -> None:
    """Send a validation event, to be answered with 200 and its code."""
    code = str(uuid.uuid4()).upper()
    event: dict[str, Any] = {
        "id": str(uuid.uuid4()),
        "topic": "/subscriptions/simulated",
        "subject": "",
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "eventTime": instant(now()),
        "metadataVersion": "1",
        "dataVersion": "1",
        "data": {"validationCode": code, "validationUrl": f"https://rp-westeurope.eventgrid.azure.net:553/{code}"},
    }
    headers = {"aeg-event-type": "SubscriptionValidation", "aeg-subscription-name": subscription.upper()}
    answer = requests.post(endpoint, json=[event], headers=headers, timeout=timeout)
    if answer.status_code != 200 or answer.json().get("validationResponse") != code:
        raise HandshakeError(
            f"{endpoint.split('?', maxsplit=1)[0]} answered {answer.status_code} without the validation code"
        )


def ask_by_options(endpoint: str, _subscription: str, timeout: float) -> None:
    """Send an OPTIONS request, to be answered with the origin that is allowed."""
    answer = requests.options(endpoint, headers={"WebHook-Request-Origin": ORIGIN}, timeout=timeout)
    if answer.headers.get("WebHook-Allowed-Origin") not in {ORIGIN, "*"}:
        raise HandshakeError(f"{endpoint.split('?', maxsplit=1)[0]} does not allow {ORIGIN}")
