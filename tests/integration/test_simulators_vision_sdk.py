"""Microsoft's own client goes through the whole of Custom Vision against the simulator.

The flow is that of the lab and of the quickstart:
https://learn.microsoft.com/azure/ai-services/custom-vision-service/quickstarts/image-classification
"""

import io
import json
import uuid
import zipfile

import pytest
import requests
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient
from msrest.exceptions import HttpOperationError

from dev.simulators.remote import Simulators
from tests.integration.vision_sdk import (
    COLOURS,
    draw,
    models,
    prediction_client,
    prediction_models,
    trained,
    training_client,
)

COMPACT = "0732100f-1a38-4e49-a514-c9b44c697ab5"
DETECTION = "da2e3a8a-40a5-4171-82f4-58522f70fbc1"
TARGET = "/subscriptions/s/resourceGroups/r/providers/Microsoft.CognitiveServices/accounts/fruit-Prediction"


@pytest.fixture
def connected(azurite: str) -> tuple[str, str]:
    """Give the URIs of a queue and of a container of our own."""
    name = f"vision-{uuid.uuid4().hex[:8]}"
    queue = QueueServiceClient.from_connection_string(azurite).create_queue(name)
    container = BlobServiceClient.from_connection_string(azurite).create_container(name)
    return str(queue.url).split("?", maxsplit=1)[0], str(container.url)


def test_the_classification_lab_from_project_to_prediction(
    simulators: Simulators, azurite: str, connected: tuple[str, str]
) -> None:
    """Create, tag, upload in batches, train, measure, publish, predict, export, delete: all of it by the client."""
    trainer, predictor = training_client(simulators.vision), prediction_client(simulators.vision)
    queue, container = connected
    general = next(one for one in trainer.get_domains() if one.name == "General (compact)" and one.exportable)
    assert trainer.get_domain(general.id).type == "Classification"
    project = trainer.create_project(
        "fruit",
        description="from the lab",
        domain_id=general.id,
        classification_type="Multiclass",
        target_export_platforms=["ONNX"],
        notification_queue_uri=queue,
        export_model_container_uri=container,
    )
    assert (project.settings.notification_queue_uri, project.settings.export_model_container_uri) == connected
    tags = {name: trainer.create_tag(project.id, name).id for name in COLOURS}
    for name, tag in tags.items():
        images = [
            models.ImageFileCreateEntry(name=f"{name}_{at}.png", contents=draw(name, at), tag_ids=[tag])
            for at in range(5)
        ]
        uploaded = trainer.create_images_from_files(project.id, models.ImageFileCreateBatch(images=images))
        assert uploaded.is_batch_successful
        assert [one.source_url for one in uploaded.images] == [f"{name}_{at}.png" for at in range(5)]
    assert [tag.image_count for tag in trainer.get_tags(project.id)] == [5, 5, 5]
    iteration = trainer.train_project(project.id)
    assert (iteration.status, iteration.name) == ("Training", "Iteration 1")
    iteration = trained(trainer, project.id, iteration)
    assert iteration.exportable
    measured = trainer.get_iteration_performance(project.id, iteration.id, threshold=0.5)
    assert (measured.precision, measured.recall, measured.average_precision) == (1.0, 1.0, 1.0)
    assert {one.name for one in measured.per_tag_performance} == set(COLOURS)
    quick = trainer.quick_test_image(project.id, draw("banana", 900), iteration_id=iteration.id)
    assert quick.predictions[0].tag_name == "banana"

    assert trainer.publish_iteration(project.id, iteration.id, "live", TARGET) is True
    guessed = predictor.classify_image(project.id, "live", draw("orange", 901, format="JPEG"))
    assert (guessed.predictions[0].tag_name, guessed.iteration) == ("orange", iteration.id)
    assert guessed.predictions[0].probability > 0.9
    [image, *_] = trainer.get_images(project.id, tag_ids=[tags["apple"]])
    quick_by_url = trainer.quick_test_image_url(project.id, image.original_image_uri, iteration_id=iteration.id)
    assert quick_by_url.predictions[0].tag_name == "apple"
    by_url = predictor.classify_image_url_with_no_store(project.id, "live", image.original_image_uri)
    assert by_url.predictions[0].tag_name == "apple"

    trainer.export_iteration(project.id, iteration.id, "ONNX", flavor="ONNX12")
    simulators.vision.until(lambda state: "Exporting" not in json.dumps(state))
    [export] = trainer.get_exports(project.id, iteration.id)
    content = requests.get(export.download_uri, timeout=5).content
    assert zipfile.ZipFile(io.BytesIO(content)).testzip() is None
    blob = BlobServiceClient.from_connection_string(azurite).get_blob_client(
        container.rsplit("/", 1)[1], f"{project.id} - {iteration.id}.ONNX"
    )
    assert blob.download_blob().readall() == content
    with pytest.raises(models.CustomVisionErrorException, match="is published"):
        trainer.delete_iteration(project.id, iteration.id)
    trainer.unpublish_iteration(project.id, iteration.id)
    trainer.delete_iteration(project.id, iteration.id)
    trainer.delete_project(project.id)
    assert trainer.get_projects() == []
    received = QueueServiceClient.from_connection_string(azurite).get_queue_client(queue.rsplit("/", 1)[1])
    kinds = [json.loads(message.content)["type"] for message in received.receive_messages()]
    assert sorted(kinds) == ["ConnectionTest", "Export", "Training"]


def test_the_detection_lab_finds_where_things_are(simulators: Simulators) -> None:
    """Regions are learnt from, and found again in a picture that nobody uploaded, about where they are."""
    trainer, predictor = training_client(simulators.vision), prediction_client(simulators.vision)
    project = trainer.create_project("shelf", domain_id=DETECTION)
    tags = {name: trainer.create_tag(project.id, name).id for name in ("apple", "banana")}
    for name, tag in tags.items():
        images = []
        for at in range(15):
            box = (0.1 + 0.02 * at, 0.2, 0.4, 0.5)
            region = models.Region(tag_id=tag, left=box[0], top=box[1], width=box[2], height=box[3])
            contents = draw(name, at, box=box)
            images.append(models.ImageFileCreateEntry(name=f"{name}{at}", contents=contents, regions=[region]))
        assert trainer.create_images_from_files(
            project.id, models.ImageFileCreateBatch(images=images)
        ).is_batch_successful
    iteration = trained(trainer, project.id, trainer.train_project(project.id))
    measured = trainer.get_iteration_performance(project.id, iteration.id, threshold=0.5, overlap_threshold=0.6)
    assert measured.precision == measured.recall == 1.0
    strict = trainer.get_iteration_performance(project.id, iteration.id, threshold=0.5, overlap_threshold=1.0)
    assert strict.recall < 1.0
    trainer.publish_iteration(project.id, iteration.id, "shelf-live", TARGET)
    there = (0.5, 0.25, 0.3, 0.5)
    found = predictor.detect_image(project.id, "shelf-live", draw("banana", 77, box=there)).predictions[0]
    box = found.bounding_box
    assert found.tag_name == "banana"
    assert (box.left, box.top, box.width, box.height) == pytest.approx(there, abs=0.05)
    with pytest.raises(prediction_models.CustomVisionErrorException, match="Invalid project type for operation"):
        predictor.classify_image(project.id, "shelf-live", draw("banana", 78))


def test_what_the_client_does_to_images_one_by_one(simulators: Simulators) -> None:
    """Upload as a form and by URL; tag, untag; draw and erase regions; describe; fetch by ids; delete."""
    trainer = training_client(simulators.vision)
    project = trainer.create_project("many", domain_id=DETECTION).id
    tag = trainer.create_tag(project, "apple", description="red")
    by_form = trainer.create_images_from_data(project, draw("apple", 1), tag_ids=[tag.id])
    assert by_form.is_batch_successful
    first = by_form.images[0].image
    urls = models.ImageUrlCreateBatch(images=[models.ImageUrlCreateEntry(url=first.original_image_uri)])
    again = trainer.create_images_from_urls(project, urls)
    assert (again.is_batch_successful, again.images[0].status) == (False, "OKDuplicate")
    assert again.images[0].image.id == first.id
    box = {"left": 0.1, "top": 0.1, "width": 0.5, "height": 0.5}
    drawn = trainer.create_image_regions(
        project, regions=[models.ImageRegionCreateEntry(image_id=first.id, tag_id=tag.id, **box)]
    )
    [held] = trainer.get_images_by_ids(project, image_ids=[first.id])
    assert [region.region_id for region in held.regions] == [drawn.created[0].region_id]
    assert trainer.update_image_metadata(project, [first.id], {"camera": "left"}).is_batch_successful
    trainer.delete_image_regions(project, [drawn.created[0].region_id])
    assert trainer.get_untagged_image_count(project) == 1
    trainer.create_image_tags(project, tags=[models.ImageTagCreateEntry(image_id=first.id, tag_id=tag.id)])
    assert trainer.get_tagged_image_count(project) == 1
    assert trainer.get_images(project, tagging_status="Tagged", order_by="Oldest")[0].metadata == {"camera": "left"}
    trainer.delete_image_tags(project, [first.id], [tag.id])
    assert [image.id for image in trainer.get_untagged_images(project)] == [first.id]
    trainer.delete_images(project, image_ids=[first.id])
    assert trainer.get_image_count(project) == 0
    renamed = trainer.update_tag(project, tag.id, trainer.get_tag(project, tag.id))
    assert renamed.description == "red"
    trainer.delete_tag(project, tag.id)
    assert trainer.get_tags(project) == []


def test_errors_reach_the_client_in_its_own_words(simulators: Simulators) -> None:
    """A code of the service's own list, for training and prediction; the gateway's is not one of these."""
    trainer, predictor = training_client(simulators.vision), prediction_client(simulators.vision)
    project = trainer.create_project("fruit", domain_id=COMPACT)
    with pytest.raises(models.CustomVisionErrorException) as refused:
        trainer.train_project(project.id)
    assert refused.value.error.code == "BadRequestMultiClassClassificationTrainingValidationFailed"
    with pytest.raises(prediction_models.CustomVisionErrorException, match="Invalid iteration"):
        predictor.classify_image(project.id, "live", draw("apple"))
    with pytest.raises(models.CustomVisionErrorException) as missing:
        trainer.get_project(str(uuid.uuid4()))
    assert missing.value.error.code == "NotFoundProject"
    with pytest.raises(HttpOperationError):
        training_client(simulators.vision, "wrong").get_projects()
    with pytest.raises(prediction_models.CustomVisionErrorException):
        prediction_client(simulators.vision, "simulated-training-key").classify_image(project.id, "live", b"")


def test_the_client_copies_a_project(simulators: Simulators) -> None:
    """ExportProject's token, sent to another resource, is a project there; the client encodes it."""
    first, second = training_client(simulators.vision), training_client(simulators.vision_replica)
    project = first.create_project("fruit", domain_id=COMPACT)
    tag = first.create_tag(project.id, "apple").id
    first.create_images_from_data(project.id, draw("apple", 1), tag_ids=[tag])
    exported = first.export_project(project.id)
    assert (exported.image_count, exported.tag_count, exported.iteration_count) == (1, 1, 0)
    imported = second.import_project(exported.token, name="copy of fruit")
    assert imported.status == "Importing"
    simulators.vision_replica.until(lambda state: state["projects"][0]["status"] == "Succeeded")
    assert [tag.name for tag in second.get_tags(imported.id)] == ["apple"]
    assert isinstance(second.update_project(imported.id, second.get_project(imported.id)), models.Project)
