"""What COCO and AutoML's JSON lines say of images, against the schemas that their documentation gives."""

import json
from datetime import UTC, datetime

import pytest
import yaml
from jsonschema import Draft202012Validator

from shared.clients.vision.images import Image, Region, Tagged
from shared.handlers.backups import annotations
from shared.handlers.backups.annotations import Kind, Labelled
from shared.handlers.backups.pictures import Picture
from tests.unit.dataset_schemas import COCO, LINES

CREATED = datetime(2026, 11, 22, 8, 15, tzinfo=UTC)
STORE = "azureml://subscriptions/s/resourcegroups/g/workspaces/w/datastores/d/paths/p/images/a.png"
CAT, DOG = Tagged("1" * 32, "cat"), Tagged("2" * 32, 'dog "Rex"\n')
PNG = Picture("png", 200, 100)
BOX = Region(DOG.id, DOG.name, 0.25, 0.5, 0.5, 0.25)


def labelled(*tags: Tagged, regions: tuple[Region, ...] = (), picture: Picture = PNG) -> Labelled:
    """Give an image that is kept."""
    image = Image("a", CREATED, 1, 1, "", tags, regions)
    return Labelled(image, picture, f"p/images/a.{picture.extension}")


@pytest.mark.parametrize(
    ("kind", "image", "label"),
    [
        ("multiclass", labelled(CAT), "cat"),
        ("multilabel", labelled(CAT, DOG), ["cat", DOG.name]),
        ("multilabel", labelled(CAT), ["cat"]),
        (
            "detection",
            labelled(DOG, regions=(BOX,)),
            [{"label": DOG.name, "topX": 0.25, "topY": 0.5, "bottomX": 0.75, "bottomY": 0.75, "isCrowd": 0}],
        ),
    ],
)
def test_a_line_is_what_automl_wants(kind: Kind, image: Labelled, label: object) -> None:
    """Each kind of project has its own form of label, by names, and corners from 0 to 1."""
    line = annotations.line(image, kind, STORE)
    assert line is not None
    Draft202012Validator(LINES[kind]).validate(line)
    assert line["label"] == label
    assert line["image_url"] == STORE
    assert line["image_details"] == {"format": "png", "width": 200, "height": 100}


@pytest.mark.parametrize("kind", ["multiclass", "multilabel", "detection"])
def test_an_image_without_label_has_no_line(kind: Kind) -> None:
    """AutoML requires a label, so an image that has none is left out; one that is only tagged shows no thing."""
    assert annotations.line(labelled(), kind, STORE) is None
    assert annotations.line(labelled(CAT), "detection", STORE) is None


def test_a_format_that_automl_does_not_name_is_left_out() -> None:
    """The details of a GIF do not say its format, for only certain names may stand there."""
    line = annotations.line(labelled(CAT, picture=Picture("gif", 2, 3)), "multiclass", STORE)
    assert line is not None
    Draft202012Validator(LINES["multiclass"]).validate(line)
    assert line["image_details"] == {"width": 2, "height": 3}


def test_a_box_ends_where_the_image_ends() -> None:
    """What rounding puts outside the image is put on its edge, in both files."""
    over = Region(DOG.id, DOG.name, -1e-12, 0.9, 0.5, 0.1000001)
    image = labelled(DOG, regions=(over,))
    line = annotations.line(image, "detection", STORE)
    assert line is not None
    Draft202012Validator(LINES["detection"]).validate(line)
    assert (line["label"][0]["topX"], line["label"][0]["bottomY"]) == (0.0, 1.0)
    (told,) = annotations.coco_annotations(image, "detection", 1, 1, {DOG.id: 1})
    assert told["bbox"] == [0.0, 90.0, 100.0, 10.0]


def test_a_box_is_in_pixels_of_the_file() -> None:
    """COCO's box is left, top, width and height in pixels, with its area, of the tag's category."""
    (told,) = annotations.coco_annotations(labelled(DOG, regions=(BOX,)), "detection", 7, 31, {CAT.id: 1, DOG.id: 2})
    assert told == {
        "id": 31,
        "image_id": 7,
        "category_id": 2,
        "iscrowd": 0,
        "bbox": [50.0, 50.0, 100.0, 25.0],
        "area": 2500.0,
        "segmentation": [],
    }


def test_a_tag_is_an_annotation_without_a_box() -> None:
    """In classification each tag of an image is an annotation of the whole of it."""
    told = annotations.coco_annotations(labelled(CAT, DOG), "multilabel", 7, 31, {CAT.id: 1, DOG.id: 2})
    assert told == [
        {"id": 31, "image_id": 7, "iscrowd": 0, "category_id": 1},
        {"id": 32, "image_id": 7, "iscrowd": 0, "category_id": 2},
    ]


@pytest.mark.parametrize("pages", [[], [0], [2], [0, 2], [2, 0, 1], [1, 1, 1]])
def test_a_file_of_pieces_is_one_document(pages: list[int]) -> None:
    """However many images a piece has, also none, the pieces put together are COCO."""
    written, before = "", 0
    for size in pages:
        told = [annotations.coco_image(labelled(), before + at + 1, "https://x/a.png") for at in range(size)]
        written += annotations.members(told, before)
        before += size
    info = annotations.coco_info("fruit", "v", CREATED)
    whole = annotations.coco_head(info, ["cat", "dog"]) + written + annotations.COCO_MIDDLE + annotations.COCO_TAIL
    read = json.loads(whole)
    Draft202012Validator(COCO).validate(read)
    assert [image["id"] for image in read["images"]] == [*range(1, sum(pages) + 1)]
    assert [(one["id"], one["name"]) for one in read["categories"]] == [(1, "cat"), (2, "dog")]


def test_the_table_is_read_as_documented() -> None:
    """The table reads the lines beside it, and the images' URLs as what streams."""
    table = yaml.safe_load(annotations.ML_TABLE)
    assert table["paths"] == [{"file": "./train.jsonl"}]
    assert table["transformations"][0]["read_json_lines"]["encoding"] == "utf8"
    assert table["transformations"][1]["convert_column_types"] == [
        {"columns": "image_url", "column_type": "stream_info"}
    ]
