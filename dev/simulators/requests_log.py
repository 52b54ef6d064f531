"""What was asked of the simulators: one JSON line a request, without secrets."""

import json
import re
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Entry = dict[str, Any]
"""time, simulator, method, url, headers, body, status (null: no answer was sent), fault (null: none)."""

SECRET_HEADERS = frozenset({
    "authorization", "cookie", "training-key", "prediction-key", "ocp-apim-subscription-key", "aeg-sas-key",
    "aeg-sas-token", "x-identity-header", "x-azureml-token", "x-functions-key",
})  # fmt: skip
SECRET_QUERY = re.compile(r"""([?&](?:sig|code|token|key|access_token)=)[^&\s"'<>#]*""", re.IGNORECASE)
LONGEST_BODY = 64 * 1024


class RequestsLog:
    """A file that requests are appended to, by every simulator of this process."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")
        self._lock = threading.Lock()

    def write(
        self,
        *,
        simulator: str,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: str,
        status: int | None,
        fault: str | None,
    ) -> Entry:
        """Append a request; returns it as written."""
        entry: Entry = {
            "time": datetime.now(UTC).isoformat(),
            "simulator": simulator,
            "method": method,
            "url": without_secrets(url),
            "headers": {name: "(secret)" if name in SECRET_HEADERS else value for name, value in headers.items()},
            "body": without_secrets(body[:LONGEST_BODY]),
            "status": status,
            "fault": fault,
        }
        with self._lock:
            if not self._file.closed:
                self._file.write(json.dumps(entry) + "\n")
                self._file.flush()
        return entry

    def close(self) -> None:
        """Close the file; what is written afterwards is kept in memory only."""
        with self._lock:
            self._file.close()


def without_secrets(text: str) -> str:
    """Replace the values of secret query parameters, wherever a URL stands."""
    return SECRET_QUERY.sub(r"\1(secret)", text)
