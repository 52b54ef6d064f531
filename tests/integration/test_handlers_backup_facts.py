"""What is kept of an iteration beside its models, and what becomes of that where it cannot be read."""

from datetime import timedelta
from uuid import uuid4

import pytest

from dev.simulators.remote import Simulators
from shared.errors import PermanentError, TemporaryError
from shared.handlers.backups import iteration_facts
from shared.storage.backups import About, Manifest
from tests.integration.keeping import Make, maker
from tests.integration.stages import Bench

APPLE = str(uuid4())
PERFORMANCE = {
    "precision": 0.9,
    "recall": 0.8,
    "averagePrecision": 0.85,
    "perTagPerformance": [
        {"id": APPLE, "name": "apple", "precision": 1.0, "recall": 0.7, "averagePrecision": 0.9},
    ],
}


@pytest.fixture
def make(simulators: Simulators, azurite: str) -> Make:
    """Make the surroundings of a backup: the project is declared, its key a setting."""
    return maker(simulators, azurite)


@pytest.fixture
def project(simulators: Simulators) -> str:
    """Give the id of a project with tags, images, and an iteration of the same id that is published and exported."""
    project = str(uuid4())
    iteration = {
        "id": project,
        "name": "Iteration 7",
        "trainingType": "Advanced",
        "trainedAt": "2026-11-20T10:00:00.0000000Z",
        "publishName": "live",
        "performance": PERFORMANCE,
        "exports": [{"platform": "ONNX", "bytes": 100}],
    }
    told = {
        "id": project,
        "name": "Fruit basket",
        "settings": {"classificationType": "Multilabel"},
        "tags": [{"name": "apple", "id": APPLE}, {"name": "nothing", "type": "Negative"}],
        "images": {"count": 10, "tags": ["apple", "nothing"]},
        "iterations": [iteration],
    }
    simulators.vision.seed(projects=[told])
    return project


def kept(bench: Bench) -> Manifest:
    """Back up, and read the manifest."""
    (folder,) = bench.run("backup.vision_export").result["stored"]
    manifest = bench.clients.backups.manifest(folder)
    assert manifest
    return manifest


def about(bench: Bench) -> About:
    """Back up, and give what is kept of the iteration."""
    found = kept(bench).about
    assert found
    return found


def test_what_is_known_of_an_iteration_is_kept(make: Make, project: str) -> None:
    """The manifest names project, domain, training and tags, with the measures of each at 0.5."""
    found = about(make(project))
    assert (found.project_name, found.iteration_name) == ("Fruit basket", "Iteration 7")
    assert (found.classification, found.training_type, found.publish_name) == ("Multilabel", "Advanced", "live")
    assert found.trained_at
    assert found.trained_at.isoformat() == "2026-11-20T10:00:00+00:00"
    assert found.domain
    assert (found.domain.name, found.domain.type) == ("General (compact)", "Classification")
    assert (found.threshold, found.precision, found.recall, found.average_precision) == (0.5, 0.9, 0.8, 0.85)
    tags = {tag.name: tag for tag in found.tags}
    assert set(tags) == {"apple", "nothing"}
    assert (tags["apple"].precision, tags["apple"].recall, tags["apple"].average_precision) == (1.0, 0.7, 0.9)
    assert (tags["apple"].images, tags["nothing"].type) == (5, "Negative")
    assert found.unread == ()


def test_a_performance_that_is_gone_is_noted(make: Make, project: str, simulators: Simulators) -> None:
    """The backup is whole without its measures, and says that they could not be read."""
    gone = {"code": "NotFoundIterationPerformance", "message": "The iteration has no performance."}
    simulators.vision.fault("error", path="/performance", status=404, body=gone)
    bench = make(project)
    found = about(bench)
    assert found.precision is None
    assert {tag.precision for tag in found.tags} == {None}
    assert {tag.name for tag in found.tags} == {"apple", "nothing"}
    assert [one.partition(":")[0] for one in found.unread] == ["performance"]
    assert bench.told.notes[-2] == "1 stored, 0 kept already; without performance"


def test_an_iteration_that_was_deleted_is_noted(make: Make, project: str, simulators: Simulators) -> None:
    """Where the iteration is gone once its model is copied, the model is kept with what is known of the project."""
    bench = make(project)

    def delete(stage: str) -> None:
        if stage == "manifest":
            simulators.vision.seed(projects=[{"id": project, "name": "Fruit basket", "tags": ["apple"]}])

    bench.before_stage = delete
    found = about(bench)
    assert (found.project_name, found.iteration_name) == ("Fruit basket", None)
    assert "iteration: it is gone" in found.unread
    assert found.domain


def test_facts_are_asked_for_again(make: Make, project: str, simulators: Simulators) -> None:
    """A service that is busy for a moment loses nothing."""
    simulators.vision.fault("unavailable", path="/tags", n=3)
    bench = make(project)
    assert about(bench).unread == ()
    assert any("503" in trouble for trouble in bench.told.troubles)


def test_facts_are_not_asked_for_for_ever(
    make: Make, project: str, simulators: Simulators, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a while the backup is whole without what a service in trouble does not say."""
    monkeypatch.setattr(iteration_facts, "PATIENCE", timedelta(0))
    simulators.vision.fault("unavailable", path="/tags", n=10)
    found = about(make(project))
    assert [one.partition(":")[0] for one in found.unread] == ["tags"]
    assert {tag.images for tag in found.tags if tag.name == "apple"} == {None}


def test_a_manifest_of_before_is_read(make: Make, project: str) -> None:
    """One without what is known of its iteration is as whole as it was."""
    manifest = kept(make(project))
    old = manifest.model_dump(mode="json", exclude={"about"})
    assert Manifest.model_validate(old).about is None
    assert Manifest.model_validate(old) == manifest.model_copy(update={"about": None})


def test_an_export_in_a_virtual_network_needs_a_container(make: Make, project: str, simulators: Simulators) -> None:
    """Where Custom Vision gives a path instead of a link, the step says what helps."""
    simulators.vision.seed(settings={"artifacts": True})
    with pytest.raises(PermanentError, match="in a virtual network and gives no link to ONNX") as caught:
        make(project).run("backup.vision_export")
    assert "reactor vision connect" in caught.value.remedy


def test_a_key_that_was_rotated_is_named(make: Make, project: str, simulators: Simulators) -> None:
    """The step fails with the remedy, and without the key."""
    bench = make(project)
    bench.values = {"VISION_KEY": "another-key-altogether"}
    with pytest.raises((PermanentError, TemporaryError)) as caught:
        bench.run("backup.vision_export")
    assert "401" in caught.value.reason
    assert "another-key" not in repr(caught.value)
