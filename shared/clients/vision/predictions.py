"""Published models at work.

https://learn.microsoft.com/rest/api/customvision/image-prediction
"""

from shared.clients.rest import segment
from shared.clients.vision.guesses import Guess, guesses
from shared.clients.vision.resource import Resource
from shared.clients.vision.service import Service


class Predictions:
    """What published iterations answer; nothing is stored by asking."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def guess(
        self, at: Resource, project: str, name: str, *, url: str = "", content: bytes = b"", detect: bool = False
    ) -> list[Guess]:
        """Ask what is in an image, the one at `url` or of these bytes (4 MB at most), the surest guess first.

        `at` is the prediction resource, `name` what the iteration is published under there, and `detect` whether the
        project detects objects.
        https://learn.microsoft.com/rest/api/customvision/image-prediction/classify-image-with-no-store
        """
        kind = "detect" if detect else "classify"
        path = f"{segment(project)}/{kind}/iterations/{segment(name)}/{'url' if url else 'image'}/nostore"
        headers = {} if url else {"Content-Type": "application/octet-stream"}
        return guesses(self._service.prediction(at, path, body={"url": url} if url else content, headers=headers))
