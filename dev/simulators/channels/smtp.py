"""A mail server that keeps what it gets in the channels' inbox.

Signing in is optional (any name with the password `PASSWORD`). Faults of the channels whose method is "SMTP" are meant
for it: "throttle" 451, "unavailable" 421, "error" its `status` and `body`; "drop" and "lost_reply" close the
connection, the latter after the mail was kept.
"""

import asyncio
import email
import email.policy
import threading
from typing import Any, cast

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from dev.simulators.app import App
from dev.simulators.channels import Channels
from dev.simulators.faults import Fault
from dev.simulators.wire import Request

PASSWORD = "simulated-smtp-password"
LARGEST = 10 * 1024 * 1024


class Smtp:
    """The server, with an event loop in a thread of its own."""

    def __init__(self, channels: Channels, app: App) -> None:
        inbox = Inbox(channels, app)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="simulator smtp", daemon=True)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(inbox), self._loop).result(timeout=10)
        host, port = self._server.sockets[0].getsockname()
        self.address = f"{host}:{port}"
        """"127.0.0.1:<port>"."""

    def stop(self) -> None:
        """Close the port and the connections, end the thread."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(timeout=10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)
        self._loop.close()

    async def _listen(self, inbox: "Inbox") -> asyncio.Server:
        def session() -> SMTP:
            # Built inside the loop, once per connection, as its constructor wants.
            return SMTP(
                inbox,
                hostname="localhost",
                authenticator=authenticate,
                auth_require_tls=False,
                data_size_limit=LARGEST,
                loop=self._loop,
            )

        return await self._loop.create_server(session, "127.0.0.1", 0)

    async def _close(self) -> None:
        self._server.close()
        self._server.close_clients()
        await asyncio.sleep(0)


class Inbox:
    """What is done with a mail."""

    def __init__(self, channels: Channels, app: App) -> None:
        self._channels = channels
        self._app = app

    async def handle_DATA(self, server: SMTP, _session: Any, envelope: Any) -> str:  # noqa: N802  # aiosmtpd's name
        """Keep a mail, or fail as told."""
        fault = self._app.faults.take("SMTP", "/smtp")
        status = REPLIES.get(fault.kind, 0) if fault else 250
        with self._channels.lock:
            if fault is None or fault.kind in {"lost_reply", "slow"}:
                self._keep(envelope)
            content = bytes(envelope.content)
            request = Request(method="SMTP", url="smtp:/smtp", path="/smtp", query={}, headers={}, body=content)
            self._app.record(request, status or None, fault)
        if fault and fault.kind in {"drop", "lost_reply"}:
            cast("asyncio.Transport", server.transport).abort()
        return reply(fault)

    def _keep(self, envelope: Any) -> None:
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        bodies = {kind: mail.get_body((kind,)) for kind in ("plain", "html")}
        self._channels.receive(
            "smtp",
            sender=envelope.mail_from,
            to=list(envelope.rcpt_tos),
            subject=str(mail["subject"]),
            text=bodies["plain"].get_content() if bodies["plain"] else "",
            html=bodies["html"].get_content() if bodies["html"] else "",
            headers={name: str(value) for name, value in mail.items()},
        )


REPLIES = {"throttle": 451, "unavailable": 421, "error": 550, "slow": 250}


def reply(fault: Fault | None) -> str:
    """Say what became of a mail."""
    if fault is None or fault.kind == "slow":
        return "250 OK"
    if fault.kind == "error":
        return f"{fault.status} {fault.body or 'Requested action not taken'}"
    return {"throttle": "451 4.7.1 Try again later", "unavailable": "421 4.3.2 Service not available"}.get(
        fault.kind, ""
    )


def authenticate(_server: SMTP, _session: Any, _envelope: Any, mechanism: str, data: Any) -> AuthResult:
    """Let anybody in who knows the password."""
    known = isinstance(data, LoginPassword) and data.password == PASSWORD.encode()
    return AuthResult(success=known and mechanism in {"LOGIN", "PLAIN"}, handled=False)
