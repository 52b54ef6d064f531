"""The client of Custom Vision against the simulated service: images up, images listed, images down."""

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from PIL import Image as Pillow

from dev.simulators.remote import Simulators
from dev.simulators.vision import KEY
from shared.clients.rest import Rest
from shared.clients.vision import Image, NewImage, Region, Resource, Uploaded, Vision
from shared.errors import PermanentError, TemporaryError
from tests.integration.canned import Canned, Reply, serve
from tests.integration.stages import clients_of

PROJECT, IMAGE, TAG = (f"00000000-0000-0000-0000-00000000000{letter}" for letter in "abc")


@pytest.fixture
def vision(simulators: Simulators, azurite: str) -> Vision:
    """Give the client."""
    return clients_of(simulators, azurite).vision


@pytest.fixture
def at(simulators: Simulators) -> Resource:
    """Give the training resource."""
    return Resource(simulators.vision.url, KEY)


@pytest.fixture
def project(simulators: Simulators) -> str:
    """Give the id of a project."""
    id = str(uuid4())
    simulators.vision.seed(projects=[{"id": id}])
    return id


@pytest.fixture
def canned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Canned]:
    """Give a service that says what a test wants."""
    with serve(tmp_path) as (server, ca):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", ca)
        yield server


def said(canned: Canned, *replies: tuple[int, Any]) -> Resource:
    """Let a service say these, one after the other; give where it is."""
    canned.replies = [Reply(status, body) for status, body in replies]
    return Resource(canned.url, "a-key")


def picture(colour: tuple[int, int, int]) -> bytes:
    """Make a small picture."""
    held = io.BytesIO()
    Pillow.new("RGB", (8, 8), colour).save(held, "PNG")
    return held.getvalue()


def image(url: str) -> Image:
    """Make an image with its bytes at a URL."""
    return Image(IMAGE, None, 8, 8, url, (), ())


# -- up and down ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("artifacts", [False, True])
def test_an_image_goes_up_and_comes_down(
    vision: Vision, at: Resource, simulators: Simulators, project: str, *, artifacts: bool
) -> None:
    """What was uploaded with tag and region is counted, listed and read again, by link or as an artifact."""
    domain = "da2e3a8a-40a5-4171-82f4-58522f70fbc1"
    simulators.vision.seed(
        projects=[{"id": project, "settings": {"domainId": domain}}], settings={"artifacts": artifacts}
    )
    tag = vision.tags.create(at, project, "apple")
    content, region = picture((200, 0, 0)), Region(tag.id, "apple", 0.25, 0.25, 0.5, 0.5)
    uploaded = vision.images.upload(at, project, [NewImage("a.png", content, (), (region,))])
    assert [(one.name, one.status, one.is_kept) for one in uploaded] == [("a.png", "OK", True)]
    assert vision.images.count(at, project) == vision.images.count(at, project, tagged=True) == 1
    assert vision.images.count(at, project, tagged=False) == 0
    (found,) = vision.images.page(at, project, skip=0)
    assert (found.id, found.regions) == (uploaded[0].id, (region,))
    assert found.created
    assert "sig=" not in repr(found)
    assert vision.images.read(at, project, found) == content
    assert vision.images.page(at, project, skip=1) == []
    vision.images.delete(at, project, [found.id])
    assert vision.images.count(at, project) == 0


def test_a_page_is_asked_for_as_it_is_wanted(vision: Vision, canned: Canned) -> None:
    """Order, tags, and whether images have any, go out."""
    there = said(canned, (200, []))
    vision.images.page(there, PROJECT, skip=256, tags=(TAG, IMAGE), order="Newest")
    vision.images.page(there, PROJECT, skip=0, take=1, tagged=None)
    first, second = canned.asked
    assert first.path.endswith(f"/images?taggingStatus=Tagged&tagIds={TAG}%2C{IMAGE}&orderBy=Newest&take=256&skip=256")
    assert second.path.endswith("/images?taggingStatus=All&orderBy=Oldest&take=1&skip=0")


# -- what came of each ------------------------------------------------------------------------------------------------


def result(name: str, status: str, id: str | None = IMAGE) -> dict[str, Any]:
    """Write what the service says of one image."""
    return {"sourceUrl": name, "status": status, "image": {"id": id} if id else None}


NAMES = ("a.png", "b.png")


@pytest.mark.parametrize("status", [200, 207])
def test_what_came_of_each_image_is_in_the_body(vision: Vision, canned: Canned, status: int) -> None:
    """A 200 may hold failures, and a 207 none; the order of the answer does not matter."""
    results = [result("b.png", "ErrorImageFormat", None), result("a.png", "OKDuplicate")]
    there = said(canned, (status, {"isBatchSuccessful": False, "images": results}))
    told = vision.images.upload(there, PROJECT, [NewImage(name, name.encode(), (TAG,)) for name in NAMES])
    assert told == [Uploaded("a.png", "OKDuplicate", IMAGE), Uploaded("b.png", "ErrorImageFormat", "")]
    assert [one.is_kept for one in told] == [True, False]
    sent = json.loads(canned.asked[0].body)["images"]
    assert [base64.b64decode(one["contents"]) for one in sent] == [b"a.png", b"b.png"]
    assert [one["tagIds"] for one in sent] == [[TAG], [TAG]]


@pytest.mark.parametrize(
    ("results", "statuses"),
    [
        ([result("", "OK"), result("", "ErrorStorage", None)], ["OK", "ErrorStorage"]),
        ([result("x", "OK"), result("x", "ErrorStorage", None)], ["OK", "ErrorStorage"]),
        ([result("b.png", "OK")], ["ErrorUnknown", "OK"]),
        ([], ["ErrorUnknown", "ErrorUnknown"]),
        (None, ["ErrorUnknown", "ErrorUnknown"]),
    ],
)
def test_an_image_that_nothing_is_said_of_is_not_taken_for_kept(
    vision: Vision, canned: Canned, results: Any, statuses: list[str]
) -> None:
    """Without names the order counts, and who is missing has failed."""
    there = said(canned, (200, {"isBatchSuccessful": False, "images": results}))
    told = vision.images.upload(there, PROJECT, [NewImage(name, b"x") for name in NAMES])
    assert [one.status for one in told] == statuses


def test_a_batch_has_its_limits(vision: Vision, at: Resource, simulators: Simulators, project: str) -> None:
    """More than 64 are not sent; an answer that takes too long is asked for again, as duplicates do no harm."""
    with pytest.raises(PermanentError, match="65 images are too many"):
        vision.images.upload(at, project, [NewImage("a", b"x")] * 65)
    assert simulators.vision.seen() == []
    simulators.vision.fault("error", status=408, body="RequestTimeout", method="POST")
    with pytest.raises(TemporaryError):
        vision.images.upload(at, project, [NewImage("a", b"x")])


def test_many_are_deleted_in_parts_and_those_that_are_gone_are_fine(
    vision: Vision, at: Resource, simulators: Simulators, project: str
) -> None:
    """A part in which one is gone is deleted one by one, for nobody says which."""
    gone = {"kind": "error", "status": 404, "body": {"code": "NotFoundImage", "message": "."}}
    done = {"kind": "error", "status": 204}
    simulators.vision.post("/_faults", [done, gone, done, gone])
    vision.images.delete(at, project, [str(uuid4()) for _ in range(66)])
    assert [one["url"].count("%2C") + 1 for one in simulators.vision.seen("DELETE")] == [64, 2, 1, 1]


# -- where bytes are read ---------------------------------------------------------------------------------------------


@pytest.mark.guarantee(7)
def test_bytes_are_read_from_allowed_hosts_only_and_without_our_key(
    vision: Vision, at: Resource, canned: Canned, simulators: Simulators, azurite: str
) -> None:
    """A link to a host that is not allowed is not followed, and one that is gets neither key nor token."""
    canned.replies = [Reply(200, "bytes")]
    assert vision.images.read(at, PROJECT, image(f"{canned.url}/a.png?sig=x")) == b"bytes"
    assert not {"training-key", "authorization"} & canned.asked[0].headers.keys()
    strict = clients_of(simulators, azurite, REACTOR_VISION_BLOB_HOSTS="*.blob.core.windows.net").vision
    for url in (
        f"{canned.url}/a.png?sig=a-secret",
        "https://a.blob.core.windows.net@127.0.0.1/a.png?sig=a-secret",
        "https://a.blob.core.windows.net.example/a.png?sig=a-secret",
        "//example.com/a.png?sig=a-secret",
        "https://[/a.png?sig=a-secret",
    ):
        with pytest.raises(PermanentError) as problem:
            strict.images.read(at, PROJECT, image(url))
        assert "REACTOR_VISION_BLOB_HOSTS" in problem.value.remedy
        assert "a-secret" not in f"{problem.value.reason}{problem.value.remedy}"
    assert len(canned.asked) == 1


@pytest.mark.guarantee(7)
@pytest.mark.parametrize(
    ("hosts", "given"),
    [
        ("127.0.0.1", "https://somebody@{host}/a.png"),
        ("127.0.0.1", "https://somebody:a-secret@{host}/a.png"),
        ("*.blob.core.windows.net", "https://{host}\\.blob.core.windows.net/a.png"),
        ("*.blob.core.windows.net", "https://{host},a.blob.core.windows.net/a.png"),
    ],
)
def test_a_link_with_more_than_a_host_is_not_followed(
    simulators: Simulators, azurite: str, canned: Canned, hosts: str, given: str
) -> None:
    """A user in it, or what others may read as another host, though the rest of it fits what is allowed."""
    vision = clients_of(simulators, azurite, REACTOR_VISION_BLOB_HOSTS=hosts).vision
    url = given.format(host=canned.url.removeprefix("https://"))
    with pytest.raises(PermanentError, match="is not read from") as problem:
        vision.images.read(Resource(simulators.vision.url, KEY), PROJECT, image(url))
    assert "a-secret" not in f"{problem.value.reason}{problem.value.remedy}"
    assert canned.asked == []


@pytest.mark.guarantee(7)
def test_bytes_are_read_over_https_but_on_this_machine(
    vision: Vision, at: Resource, simulators: Simulators, azurite: str
) -> None:
    """Plain http is for the emulator's own host."""
    anywhere = clients_of(simulators, azurite, REACTOR_VISION_BLOB_HOSTS="*").vision
    with pytest.raises(PermanentError, match="must be https"):
        anywhere.images.read(at, PROJECT, image("http://a.blob.core.windows.net/a.png?sig=x"))


def test_bytes_at_the_resource_itself_are_read_with_its_key(vision: Vision, canned: Canned) -> None:
    """A path goes through GetArtifact, and a URL of the declared endpoint is asked as it is."""
    there = said(canned, (200, "bytes"))
    assert vision.images.read(there, PROJECT, image("images/a b.png")) == b"bytes"
    assert vision.images.read(there, PROJECT, image(f"{canned.url}/customvision/artifact?a=1")) == b"bytes"
    artifact, url = canned.asked
    assert artifact.path == f"/customvision/v3.3/training/projects/{PROJECT}/artifacts?path=images%2Fa%20b.png"
    assert url.path == "/customvision/artifact?a=1"
    assert artifact.headers["training-key"] == url.headers["training-key"] == "a-key"


def test_a_link_that_is_good_no_more_is_asked_for_again(vision: Vision, at: Resource, canned: Canned) -> None:
    """A SAS does not last: 403 means to list again, 404 that the image is gone."""
    canned.replies = [Reply(403, "<Error><Code>AuthenticationFailed</Code></Error>"), Reply(404, "")]
    with pytest.raises(TemporaryError, match="listed again"):
        vision.images.read(at, PROJECT, image(f"{canned.url}/a.png?sig=x"))
    with pytest.raises(PermanentError, match="404"):
        vision.images.read(at, PROJECT, image(f"{canned.url}/a.png?sig=x"))
    with pytest.raises(PermanentError, match="no link"):
        vision.images.read(at, PROJECT, image(""))


@pytest.mark.guarantee(7)
def test_a_token_never_goes_over_plain_http() -> None:
    """What may speak plain http to this machine does so without a credential only."""
    with pytest.raises(PermanentError, match="must be https"):
        Rest("A service", lambda: pytest.fail("no token is fetched"), "scope", emulated=True).get("http://127.0.0.1:1/")
