"""backup.vision_dataset over images that are there already: what is as it was copied is taken, the rest is healed."""

import json

import pytest
from azure.storage.blob import BlobClient

from dev.azurite import Azurite
from dev.simulators.remote import Simulators
from shared.errors import PermanentError
from shared.handlers.backups import collecting
from tests.integration.keeping import second_container
from tests.integration.labelled import InTurn, Kept, service_blob
from tests.integration.test_handlers_dataset import Lab, Make, labs, last
from tests.integration.world import Wire


@pytest.fixture
def lab(simulators: Simulators, azurite: str, storage_emulator: Azurite) -> Make:
    """Make a project of a kind and the surroundings of its backup."""
    return labs(simulators, azurite, storage_emulator)


def image_of(place: Lab, kept: Kept, number: int = 0) -> BlobClient:
    """Give the stored image of that place."""
    name = kept.coco["images"][number]["file_name"]
    return place.store.get_blob_client(place.container, f"{place.labels.project}/images/{name}")


def damage(blob: BlobClient, how: str) -> None:
    """Write over a stored image."""
    content, noted = blob.download_blob().readall(), blob.get_blob_properties().metadata
    if how == "another size":
        blob.upload_blob(content[:-1], overwrite=True, metadata=noted)
    elif how == "another content":
        blob.upload_blob(content[:-1] + bytes([content[-1] ^ 1]), overwrite=True, metadata=noted)
    else:
        blob.upload_blob(b"broken", overwrite=True)


@pytest.mark.parametrize("how", ["another size", "another content", "nothing noted"])
def test_a_damaged_image_is_copied_again(lab: Make, how: str) -> None:
    """What is not what was copied is replaced, the others are not touched, and the note tells of it."""
    place = lab()
    place.labels.add(3, "apple")
    first, _ = place.back_up()
    blob = image_of(place, first)
    good, others = blob.download_blob().readall(), [image_of(place, first, at) for at in (1, 2)]
    etags = [one.get_blob_properties().etag for one in others]
    damage(blob, how)
    kept, told = place.back_up()
    kept.check()
    assert blob.download_blob().readall() == good
    assert [one.get_blob_properties().etag for one in others] == etags
    assert last(told) == "3 images are kept (0 new, 2 kept already, 1 damaged, copied again)"
    _, told = place.back_up()
    assert last(told) == "3 images are kept (0 new, 3 kept already)"


def test_a_damaged_image_that_is_gone_from_the_service_is_missing(lab: Make, storage_emulator: Azurite) -> None:
    """It is not counted as kept: nobody has it any more."""
    place = lab()
    ids = place.labels.add(2, "apple")
    first, _ = place.back_up()
    damage(image_of(place, first), "another size")
    service_blob(storage_emulator, place.labels.project, ids[0]).delete_blob()
    kept, told = place.back_up()
    assert [one["id"] for one in kept.manifest["missing"]] == ids[:1]
    assert last(told).startswith("1 images are kept (0 new, 1 kept already), 1 are missing: ")


def test_an_image_that_is_healed_meanwhile_is_not_written_over(
    lab: Make, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the damaged one is replaced, by its ETag: what somebody put there meanwhile is looked at again."""
    monkeypatch.setattr(collecting, "ThreadPoolExecutor", InTurn)
    place = lab()
    place.labels.add(1, "apple")
    first, _ = place.back_up()
    blob = image_of(place, first)
    good, noted = blob.download_blob().readall(), blob.get_blob_properties().metadata
    damage(blob, "another size")
    puts: list[str] = []
    etags: list[str] = []

    def meanwhile(where: str) -> None:
        if where.startswith("before PUT") and f"/{place.container}/" in where and "/images/" in where:
            puts.append(where)
            if len(puts) == 2:  # the first finds that there is one
                wire.boundary = lambda _where: None
                blob.upload_blob(good, overwrite=True, metadata=noted)
                etags.append(blob.get_blob_properties().etag)

    wire.boundary = meanwhile
    with wire.watched():
        kept, told = place.back_up()
    kept.check()
    assert blob.get_blob_properties().etag == etags[0]
    assert "somebody else writes" in told.troubles[0]


def test_an_image_of_before_sizes_were_noted_is_taken(lab: Make) -> None:
    """What was kept by an older version has no size noted, and is not copied again for that."""
    place = lab()
    place.labels.add(1, "apple")
    first, _ = place.back_up()
    blob = image_of(place, first)
    noted = blob.get_blob_properties().metadata
    assert int(noted["size"]) == blob.get_blob_properties().size
    blob.set_blob_metadata({name: noted[name] for name in ("width", "height")})
    etag = blob.get_blob_properties().etag
    _, told = place.back_up()
    assert blob.get_blob_properties().etag == etag
    assert last(told) == "1 images are kept (0 new, 1 kept already)"


def test_what_is_new_is_counted_where_the_project_is_listed_anew(lab: Make) -> None:
    """An image that came in the first of two turns is new, and one that a version had before is not."""
    place = lab()
    place.labels.add(2, "apple")
    place.back_up()
    place.labels.add(1, "apple")
    place.before("compare", lambda: place.labels.add(1, "banana"), times=1)
    _, told = place.back_up()
    assert last(told) == "4 images are kept (2 new, 2 kept already)"
    assert json.dumps(told.result["reached"])


def test_a_second_container_that_is_not_there_is_told_at_once(lab: Make, storage_emulator: Azurite) -> None:
    """It is told before anything is copied; the first copy is made all the same, and the step fails at its end."""
    container, url = second_container(storage_emulator)
    place = lab()
    place.labels.add(1, "apple")
    container.delete_container()
    seen: list[list[str]] = []
    own = place.store.get_container_client(place.container)
    place.before("copy", lambda: seen.append(list(own.list_blob_names())), times=1)
    with pytest.raises(PermanentError, match="the first copy is whole"):
        place.back_up(second=url)
    assert seen == [[]]
    assert [name for name in own.list_blob_names() if name.endswith("/manifest.json")]
