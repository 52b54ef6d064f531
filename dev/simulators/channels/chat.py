"""Teams Workflows and Slack incoming webhooks.

Teams: https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook
The trigger itself only wants JSON and a signature, then answers 202; that a card is wrong shows later, in the flow's
run history. Here a wrong card is refused with a 400 that says why, so that nobody has to look there.
Slack: https://api.slack.com/messaging/webhooks
"""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from dev.simulators.wire import Answer, Request

Receive = Callable[..., None]

CARD = "application/vnd.microsoft.card.adaptive"
LARGEST_CARD = 28 * 1024
"""https://learn.microsoft.com/microsoftteams/limits-specifications-teams: the size of a message to a channel."""


def teams(request: Request, receive: Receive) -> Answer:
    """Take an Adaptive Card in its envelope; the answer is 202 without a body."""
    if not request.query.get("sig"):
        return teams_error(401, "DirectApiAuthorizationRequired", "The request must be authenticated.")
    try:
        body = request.json()
    except ValueError:
        return teams_error(400, "InvalidRequestContent", "The request content is not valid JSON.")
    if problem := card_problem(body):
        return teams_error(400, "TriggerInputSchemaMismatch", problem)
    if len(request.body) > LARGEST_CARD:
        return teams_error(413, "RequestEntityTooLarge", f"A message is at most {LARGEST_CARD} bytes.")
    receive("teams", name=request.parts["name"], cards=[one["content"] for one in body["attachments"]], body=body)
    return Answer(202)


def card_problem(body: Any) -> str:
    """Why a body is no message with Adaptive Cards; "" where it is one."""
    if not isinstance(body, dict) or body.get("type") != "message":
        return "'type' must be \"message\"."
    attachments = body.get("attachments")
    if not isinstance(attachments, list) or not attachments:
        return "'attachments' must be a list with a card."
    for one in attachments:
        if one.get("contentType") != CARD:
            return f"'contentType' must be \"{CARD}\"."
        card = one.get("content")
        if not isinstance(card, dict) or card.get("type") != "AdaptiveCard":
            return "'content.type' must be \"AdaptiveCard\"."
        if not isinstance(card.get("version"), str) or not isinstance(card.get("body"), list):
            return "a card has a 'version' and a 'body'."
    return ""


def teams_error(status: int, code: str, message: str) -> Answer:
    """Give the nested error of Logic Apps."""
    return Answer(status, {"error": {"code": code, "message": message}})


def slack(request: Request, receive: Receive) -> Answer:
    """Take a message as JSON, or as JSON in a form's `payload`; the answer is "ok" in plain text."""
    text = request.text
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        text = parse_qs(text).get("payload", [""])[0]
    try:
        body = json.loads(text)
    except ValueError:
        return Answer(400, "invalid_payload")
    if not isinstance(body, dict):
        return Answer(400, "invalid_payload")
    if not any(body.get(name) for name in ("text", "blocks", "attachments")):
        return Answer(400, "no_text")
    if not isinstance(body.get("blocks", []), list):
        return Answer(400, "invalid_blocks")
    receive("slack", name=request.parts["bot"], text=body.get("text", ""), body=body)
    return Answer(200, "ok")
