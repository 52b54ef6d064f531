"""A webhook's receiver that verifies Standard Webhooks signatures.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md: HMAC-SHA256 of
`id.timestamp.body`, base64, after "v1,"; several signatures are separated by spaces; a timestamp is good for 5 minutes.
"""

import base64
import binascii
import hashlib
import hmac
import time

from dev.simulators.channels.chat import Receive
from dev.simulators.wire import Answer, Request

SECRET = "whsec_" + base64.b64encode(b"simulated webhook secret").decode()
TOLERANCE = 300
HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")


class Webhook:
    """Hooks by name, each with a secret."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.secrets: dict[str, str] = {}
        """Those that are not `SECRET`, by hook."""

    def post(self, request: Request) -> Answer:
        """Take a signed message: 204; 401 where the signature, or its time, is wrong."""
        secret = self.secrets.get(request.parts["name"], SECRET)
        if problem := signature_problem(request, secret):
            return Answer(401, {"error": problem})
        self._receive(
            "webhook",
            name=request.parts["name"],
            id=request.headers["webhook-id"],
            content_type=request.headers.get("content-type", ""),
            body=request.text,
        )
        return Answer(204)


def signature_problem(request: Request, secret: str) -> str:
    """Why a request is not signed as it must be; "" where it is."""
    absent = [name for name in HEADERS if not request.headers.get(name)]
    if absent:
        return f"missing: {', '.join(absent)}"
    identifier, stamp, signatures = (request.headers[name] for name in HEADERS)
    if not stamp.isdigit() or abs(int(stamp) - time.time()) > TOLERANCE:
        return f"webhook-timestamp is no Unix time within {TOLERANCE} s"
    signed = f"{identifier}.{stamp}.".encode() + request.body
    expected = hmac.digest(base64.b64decode(secret.removeprefix("whsec_")), signed, hashlib.sha256)
    for signature in signatures.split():
        version, _, encoded = signature.partition(",")
        try:
            given = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            continue
        if version == "v1" and hmac.compare_digest(given, expected):
            return ""
    return "no signature matches"
