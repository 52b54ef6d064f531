"""`reactor vision train`, before anything is sent: what images and labels are, batches, the journal, the table."""

import io
import json
import os
import threading
import time
from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bench.uploading import SIDE, noise
from cli.errors import UsageError
from cli.vision import train as vision_train
from cli.vision import upload as vision_upload
from cli.vision.bar import Bar
from cli.vision.coco import read_coco
from cli.vision.images import MIB, Head, Wrong, judge
from cli.vision.journal import Begun, Journal
from cli.vision.labelled import Bad, Box, Collected, Labelled, read_folder, shortages
from cli.vision.performance import share, table_of, worst_of
from cli.vision.there import Label, Other, There, replaceable
from cli.vision.upload import MOST_IMAGES, ROOM, Upload, batches, weight
from shared.clients.vision import Image as ProjectImage
from shared.clients.vision import NewImage, Performance, Region, Tagged, TagPerformance, Uploaded
from shared.errors import DeniedError, PermanentError, TemporaryError

IDS = {"apple": "id-of-apple", "banana": "id-of-banana"}


def picture(kind: str = "PNG", size: tuple[int, int] = (40, 30), colour: str = "red") -> bytes:
    """Draw an image."""
    held = io.BytesIO()
    Image.new("RGB", size, colour).save(held, kind)
    return held.getvalue()


def silent(_done: int, _of: int) -> None:
    """Show nothing."""


def write(folder: Path, *names: str) -> None:
    """Write images, each another one."""
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(picture() + name.encode())


def image(number: int = 0, size: int = 1000, *, tags: tuple[str, ...] = ("apple",), **more: Any) -> Labelled:
    """Make an image that no file is needed for."""
    given: dict[str, Any] = {"path": Path(f"{number}.png"), "name": f"{number}.png", "changed": 0}
    given |= {"content": f"{number:064}"} | more
    return Labelled(size=size, tags=tags, **given)


# -- images -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "format"), [("PNG", "png"), ("JPEG", "jpg"), ("BMP", "bmp"), ("GIF", "gif")])
def test_the_four_formats_are_read(kind: str, format: str) -> None:
    """What another library writes is read with its size, whatever the file is called."""
    assert judge(picture(kind)) == Head(format, 40, 30, is_whole=True)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF"])
@pytest.mark.parametrize("left", [0.02, 0.2, 0.6, 0.97])
def test_half_an_image_is_corrupt(kind: str, left: float) -> None:
    """Wherever a copy was cut off."""
    whole = picture(kind, (200, 200))
    found = judge(whole[: max(int(len(whole) * left), 10)])
    assert isinstance(found, Wrong)
    assert "corrupt" in found.why
    assert "copy it again" in found.remedy


def test_a_jpg_with_a_small_one_inside_has_its_own_size() -> None:
    """A camera's preview comes first, and is not what is asked about; fillings are stepped over."""
    outer, inner = picture("JPEG", (640, 480)), picture("JPEG", (16, 12))
    app1 = b"\xff\xe1" + (len(inner) + 2).to_bytes(2) + inner
    assert judge(outer[:2] + app1 + b"\xff" + outer[2:]) == Head("jpg", 640, 480, is_whole=True)
    cut = outer[:2] + app1 + outer[2:-40]
    assert isinstance(judge(cut), Wrong)


@pytest.mark.parametrize(
    ("content", "why", "remedy"),
    [
        (b"", "it is empty", "copy it again"),
        (b"hello", "it is no jpg, png, bmp or gif", "save it as"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "it is no jpg, png, bmp or gif but WebP", "save it as"),
        (b"\0\0\0\x18ftypheic", "it is no jpg, png, bmp or gif but HEIC", "save it as"),
        (picture() + bytes(6 * MIB), "it is too large: 6.0 MB, and 6 MB is the most", "scale it down"),
        (picture("GIF", (10_241, 1000)), "it is 10241 × 1000", "scale or cut it"),
        (picture("PNG", (261, 10)), "it is 261 × 10, and the most is 10240 pixels a side, and 25:1", "scale or cut it"),
    ],
    ids=["empty", "text", "webp", "heic", "large", "wide", "oblong"],
)
def test_what_custom_vision_refuses_is_said_before(content: bytes, why: str, remedy: str) -> None:
    """Each with what helps."""
    found = judge(content)
    assert isinstance(found, Wrong)
    assert found.why.startswith(why)
    assert found.remedy.startswith(remedy)


def test_an_image_at_the_limit_is_taken() -> None:
    """Six megabytes, and a shape of 25:1, are allowed."""
    content = picture("PNG", (250, 10))
    assert isinstance(judge(content + bytes(6 * MIB - len(content) - 8) + content[-8:]), Head)


# -- a folder ---------------------------------------------------------------------------------------------------------


def test_a_sub_folder_is_a_tag(tmp_path: Path) -> None:
    """What systems leave in folders is nobody's image; names are spelt as everybody but macOS spells them."""
    write(tmp_path, "apple/1.png", "apple/2.png", "cafe\u0301/1.png")
    (tmp_path / "apple/.DS_Store").write_bytes(b"x")
    (tmp_path / "apple/Thumbs.db").write_bytes(b"x")
    (tmp_path / "notes.txt").write_bytes(b"x")
    found = read_folder(tmp_path, silent)
    assert [(one.name, one.tags) for one in found.images] == [
        ("apple/1.png", ("apple",)),
        ("apple/2.png", ("apple",)),
        ("caf\xe9/1.png", ("caf\xe9",)),
    ]
    assert found.bad == []
    assert found.notes == ["in no sub-folder, and left aside: notes.txt"]


@pytest.mark.parametrize(
    ("names", "why"),
    [
        ((), "is not there|No such file"),
        (("1.png", "2.png"), "has no sub-folders: put the images of each tag into a sub-folder"),
    ],
    ids=["none", "flat"],
)
def test_a_folder_that_is_none_is_refused(tmp_path: Path, names: tuple[str, ...], why: str) -> None:
    """The words say what a folder must be like."""
    folder = tmp_path / "images"
    write(folder, *names)
    with pytest.raises(UsageError, match=why):
        read_folder(folder if names else tmp_path / "nowhere", silent)


def test_folders_that_are_none_of_a_tag_are_findings_among_others(tmp_path: Path) -> None:
    """One that is empty, one within another: each is named, and hides no other mistake."""
    write(tmp_path, "apple/1.png", "apple/red/1.png")
    (tmp_path / "apple/2.png").write_bytes(b"not an image")
    (tmp_path / "banana").mkdir()
    found = read_folder(tmp_path, silent)
    assert [one.name for one in found.images] == ["apple/1.png"]
    assert [(one.name, one.remedy) for one in found.bad] == [
        ("apple/red/", "move its images up, or it away"),
        ("banana/", "fill or remove it"),
        ("apple/2.png", "save it as jpg, png, bmp or gif"),
    ]


def test_a_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    """And all others are looked at all the same."""
    write(tmp_path, "apple/1.png", "apple/2.png")
    (tmp_path / "apple/3.png").write_bytes(b"not an image")
    (tmp_path / "apple/4.png").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "apple/6.png")
    (tmp_path / "apple/5.png").write_bytes(picture() + bytes(7 * MIB))
    found = read_folder(tmp_path, silent)
    assert len(found.images) == 2
    assert [(one.name, one.why[:16]) for one in found.bad] == [
        ("apple/3.png", "it is no jpg, pn"),
        ("apple/4.png", "it is a link to "),
        ("apple/5.png", "it is too large:"),
        ("apple/6.png", "it is no file"),
    ]


def test_the_same_picture_twice_goes_out_once(tmp_path: Path) -> None:
    """Under two tags it has both, where an image may; else the folders contradict each other."""
    for name in ("apple/1.png", "apple/2.png", "fruit/3.png"):
        write(tmp_path, name)
        (tmp_path / name).write_bytes(picture())
    several = read_folder(tmp_path, silent)
    several.merge(one_tag=False)
    assert [(one.name, one.tags) for one in several.images] == [("apple/1.png", ("apple", "fruit"))]
    (note,) = several.notes
    assert note.endswith("which is uploaded once: apple/2.png (as apple/1.png), fruit/3.png (as apple/1.png)")
    one = read_folder(tmp_path, silent)
    one.merge(one_tag=True)
    assert one.images == []
    assert one.bad[0].why == "the same picture with the tags apple, fruit"
    assert "--classification-type multilabel" in one.bad[0].remedy


def test_too_few_images_are_counted_with_those_that_are_there() -> None:
    """Five for each tag, fifteen to detect; two tags to tell apart, one to detect."""
    four = [image(number) for number in range(4)]
    other = [image(number, tags=("banana",)) for number in range(10, 15)]
    assert list(shortages(four + other, {}, detects=False)) == ["apple has 4, and needs 5"]
    assert list(shortages(four + other, {"apple": 1}, detects=False)) == []
    assert list(shortages(other, {}, detects=False)) == [
        "there is only the tag banana: two at least are to be told apart"
    ]
    assert "pear has none, and needs 5" in list(shortages(other, {"pear": 0}, detects=False))
    assert list(shortages([], {}, detects=False)) == ["there is no tag"]
    seen = [image(tags=(), boxes=(Box("apple", 0, 0, 1, 1),))]
    assert list(shortages(seen, {"apple": 13}, detects=True)) == ["apple has 14, and needs 15"]
    assert list(shortages(seen, {"apple": 14}, detects=True)) == []
    assert list(shortages(four + other, {"pear": 9}, detects=False, only=["banana", "pear"])) == []


def test_what_is_alike_is_told_a_few_times(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever numbers are in it; what is different is not lost behind it."""
    away = [
        Bad(f"{number}.png", f"it is not there, and {number} of the annotations are", "mend") for number in range(20)
    ]
    vision_train._list([*away, Bad("x.png", "it is empty", "fill it")])
    said = capsys.readouterr().err.splitlines()
    assert said[2:] == [
        "reactor: 2.png: it is not there, and 2 of the annotations are; mend",
        "reactor: and 17 more like it",
        "reactor: x.png: it is empty; fill it",
    ]


def test_a_log_gets_a_line_every_so_often(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no terminal to draw on; what is quick says nothing."""
    Bar("images uploaded").show(1, 3)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(Bar, "LINE_EVERY", 0.0)
    Bar("images uploaded").show(1, 3000)
    assert capsys.readouterr().err.startswith("1 of 3,000 images uploaded, ")


# -- COCO -------------------------------------------------------------------------------------------------------------


def coco(folder: Path, *annotations: dict[str, Any], **more: Any) -> Path:
    """Write a COCO file of one image, 40 × 30."""
    write(folder, "1.png")
    whole = {
        "images": [{"id": 1, "file_name": "1.png", "width": 40, "height": 30}],
        "categories": [{"id": 7, "name": "apple"}, {"id": 8, "name": "banana"}],
        "annotations": [{"image_id": 1, "category_id": 7, "bbox": [10, 15, 20, 15]}, *annotations],
    }
    file = folder / "coco.json"
    file.write_text(json.dumps(whole | more), "utf-8")
    return file


def seen(folder: Path, file: Path, *, detects: bool = True) -> Collected:
    """Read it."""
    return read_coco(folder, file, silent, detects=detects)


def test_boxes_in_pixels_become_shares(tmp_path: Path) -> None:
    """What reaches over the edge is cut off there, and what is said twice counts once."""
    over = {"image_id": 1, "category_id": 8, "bbox": [-10, 0, 30, 300]}
    found = seen(tmp_path, coco(tmp_path, over, over))
    (one,) = found.images
    assert one.boxes == (Box("apple", 0.25, 0.5, 0.5, 0.5), Box("banana", 0.0, 0.0, 0.5, 1.0))
    assert (one.tags, found.bad) == ((), [])
    assert found.notes == ["boxes reach over the edge of the image, and are cut off there: 1.png"]


def test_a_box_that_is_rounded_over_the_edge_is_nothing_to_tell(tmp_path: Path) -> None:
    """A third of a pixel is no mistake of anybody."""
    found = seen(tmp_path, coco(tmp_path, {"image_id": 1, "category_id": 8, "bbox": [0, 0, 40.3, 30]}))
    assert (len(found.images), found.notes) == (1, [])


def test_every_mistake_of_an_image_is_told(tmp_path: Path) -> None:
    """Who mends a file does so once."""
    wrong = [
        {"image_id": 1, "category_id": 77, "bbox": [0, 0, 1, 1]},
        {"image_id": 1, "category_id": 7, "bbox": [41, 0, 5, 5]},
        {"image_id": 1, "category_id": 8, "bbox": [0, 0]},
    ]
    found = seen(tmp_path, coco(tmp_path, *wrong))
    assert found.images == []
    assert [one.why for one in found.bad] == [
        "an annotation has category 77, which is not there",
        "the bbox [41, 0, 5, 5] of apple is empty, or outside of the image",
        "an annotation of banana has no bbox of four numbers",
    ]


@pytest.mark.parametrize(
    ("detects", "boxes", "why"),
    [
        (
            False,
            True,
            "fruit tells images apart, one tag each, and coco.json has boxes, and several .*--type detection",
        ),
        (False, False, "coco.json has several tags an image: .*--classification-type multilabel"),
        (True, False, "coco.json has no boxes, and the project detects objects"),
    ],
)
def test_a_file_of_another_kind_is_told_in_one_line(tmp_path: Path, *, detects: bool, boxes: bool, why: str) -> None:
    """Instead of a line for each image; a single image with too many tags is named."""
    box = {"bbox": [0, 0, 5, 5]} if boxes else {}
    file = coco(tmp_path, annotations=[{"image_id": 1, "category_id": id} | box for id in (7, 8)])
    with pytest.raises(UsageError, match=why):
        read_coco(tmp_path, file, silent, detects=detects, one_tag="" if detects else "fruit")


def test_boxes_drawn_on_a_smaller_copy_fit(tmp_path: Path) -> None:
    """The file says in which size; where it says none, the image's own counts."""
    half = [{"id": 1, "file_name": "1.png", "width": 20, "height": 15}]
    (one,) = seen(tmp_path, coco(tmp_path, images=half, annotations=[
        {"image_id": 1, "category_id": 7, "bbox": [5, 0, 10, 15]}])).images  # fmt: skip
    assert one.boxes == (Box("apple", 0.25, 0.0, 0.5, 1.0),)
    (own,) = seen(tmp_path, coco(tmp_path, images=[{"id": "1", "file_name": "1.png"}])).images
    assert own.boxes == (Box("apple", 0.25, 0.5, 0.5, 0.5),)


def test_to_classify_only_the_tags_count(tmp_path: Path) -> None:
    """Whatever boxes say; a category may have none."""
    file = coco(tmp_path, {"image_id": 1, "category_id": 8}, {"image_id": 1, "category_id": 7})
    (one,) = seen(tmp_path, file, detects=False).images
    assert (one.tags, one.boxes) == (("apple", "banana"), ())


@pytest.mark.parametrize(
    ("annotation", "why"),
    [
        ({"image_id": 9, "category_id": 7, "bbox": [0, 0, 1, 1]}, "image 9: 1 of the annotations are of it, and"),
        ({"image_id": 1, "category_id": 9, "bbox": [0, 0, 1, 1]}, "1.png: an annotation has category 9, which is not"),
        ({"image_id": 1, "category_id": 7}, "1.png: an annotation of apple has no bbox of four numbers"),
        ({"image_id": 1, "category_id": 7, "bbox": [41, 0, 5, 5]}, "1.png: the bbox [41, 0, 5, 5] of apple is empty,"),
        ({"image_id": 1, "category_id": 7, "bbox": [0, 0, -5, 5]}, "1.png: the bbox [0, 0, -5, 5] of apple is empty,"),
        ({"image_id": 1, "category_id": 7, "bbox": [0, 0, float("nan"), 5]}, "1.png: the bbox [0, 0, nan, 5] of apple"),
    ],
)
def test_a_wrong_annotation_is_named(tmp_path: Path, annotation: dict[str, Any], why: str) -> None:
    """With its image, and what is wrong with it."""
    (bad,) = seen(tmp_path, coco(tmp_path, annotation)).bad
    assert f"{bad.name}: {bad.why}".startswith(why)
    assert bad.remedy


@pytest.mark.parametrize(
    ("about", "why"),
    [
        ({"file_name": "2.png"}, "it is not in .*, and 1 of the annotations are of it"),
        ({"file_name": "../1.png"}, "it is not in "),
        ({"file_name": "/etc/hostname"}, "it is not in "),
        ({"file_name": "..\\1.png"}, "it is not in "),
        (
            {"file_name": "1.png", "width": 30, "height": 40},
            "it is 40 × 30, and the COCO file says 30 × 40: is it turn",
        ),
    ],
)
def test_an_image_that_does_not_fit_its_description_is_named(tmp_path: Path, about: dict[str, Any], why: str) -> None:
    """A file outside of the folder is never sent, whatever a COCO file asks for."""
    folder = tmp_path / "images"
    file = coco(folder, images=[{"id": 1} | about])
    write(tmp_path, "1.png")
    found = seen(folder, file)
    assert found.images == []
    assert found.bad[0].why.startswith("it is")
    with pytest.raises(AssertionError, match=why):
        raise AssertionError(found.bad[0].why)


def test_an_image_has_300_regions_at_most(tmp_path: Path) -> None:
    """One more, and it is named."""
    many = [{"image_id": 1, "category_id": 7, "bbox": [0, 0, 1 + number / 10, 5]} for number in range(300)]
    assert seen(tmp_path, coco(tmp_path, *many)).bad[0].why == "it has 301 regions, and 300 are the most"
    assert seen(tmp_path, coco(tmp_path, *many[1:])).bad == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "it is not JSON"),
        ("[]", "is no COCO file"),
        ('{"images": []}', "categories"),
        ('{"images": [{"id": 1}], "categories": [], "annotations": []}', "images.0.file_name"),
    ],
)
def test_what_is_no_coco_file_is_refused(tmp_path: Path, text: str, why: str) -> None:
    """The words say where it is wrong."""
    (tmp_path / "coco.json").write_text(text, "utf-8")
    with pytest.raises(UsageError, match=why):
        seen(tmp_path, tmp_path / "coco.json")


@pytest.mark.parametrize("what", ["images", "categories"])
def test_an_id_is_that_of_one_thing(tmp_path: Path, what: str) -> None:
    """Else one of two would be labelled as the other."""
    file = coco(tmp_path)
    told = json.loads(file.read_text("utf-8"))
    told[what].append(told[what][0] | {"id": float(told[what][0]["id"]), "file_name": "2.png", "name": "pear"})
    file.write_text(json.dumps(told), "utf-8")
    with pytest.raises(UsageError, match=f"{what}: the id [17] is there twice; mend the COCO file"):
        seen(tmp_path, file)


def test_an_id_is_the_same_however_it_is_written(tmp_path: Path) -> None:
    """Tables turn whole numbers into such with a point."""
    found = seen(tmp_path, coco(tmp_path, images=[{"id": 1.0, "file_name": "1.png"}]))
    assert [(one.name, len(one.boxes)) for one in found.images] == [("1.png", 1)]
    assert found.bad == []


def test_a_name_that_no_file_can_have_is_told(tmp_path: Path) -> None:
    """Too long a one, or one that cannot be written."""
    for name, shown in (("x" * 300, "x" * 300), ("\ud800.png", "\\ud800.png")):
        (bad,) = seen(tmp_path, coco(tmp_path, images=[{"id": 1, "file_name": name}])).bad
        assert bad.name == shown
        assert "put it there" in bad.remedy


def test_a_category_has_a_name(tmp_path: Path) -> None:
    """A blank one is none; blanks around one are no part of it."""
    with pytest.raises(UsageError, match=r"categories\.0\.name: string should have at least 1 character"):
        seen(tmp_path, coco(tmp_path, categories=[{"id": 7, "name": "  "}]))
    (one,) = seen(tmp_path, coco(tmp_path, categories=[{"id": 7, "name": " apple "}])).images
    assert one.all_tags == {"apple"}


def test_images_without_annotations_are_left_aside(tmp_path: Path) -> None:
    """They teach nothing, and it is said how many they are."""
    found = seen(tmp_path, coco(tmp_path, annotations=[]))
    assert (found.images, found.bad) == ([], [])
    assert found.notes == ["without annotations, and left aside: 1.png"]


# -- batches ----------------------------------------------------------------------------------------------------------


def test_a_batch_has_64_images_and_16_megabytes_at_most() -> None:
    """Base64 counted; an image is never left out, and the order stays."""
    small = [image(number) for number in range(130)]
    assert [len(some) for some in batches(small)] == [64, 64, 2]
    large = [image(number, 5 * MIB) for number in range(5)]
    assert [len(some) for some in batches(large)] == [2, 2, 1]
    assert [one for some in batches(small + large) for one in some] == small + large
    assert all(sum(map(weight, some)) <= ROOM for some in batches(large * 9))
    assert [len(some) for some in batches([image(size=20 * MIB)])] == [1]


def test_images_of_one_name_go_out_apart() -> None:
    """Two folders whose names differ in their codes only are one tag, and answers are told apart by names."""
    alike = [image(number, name=f"caf\xe9/{number % 3}.png") for number in range(6)]
    assert [[one.name for one in some] for some in batches(alike)] == [[f"caf\xe9/{n}.png" for n in range(3)]] * 2


def test_a_batch_has_20_tags_at_most() -> None:
    """Those of regions too; one image with more goes alone."""
    each = [image(number, tags=(f"tag {number}",)) for number in range(45)]
    assert [len(some) for some in batches(each)] == [20, 20, 5]
    boxes = tuple(Box(f"tag {number}", 0, 0, 1, 1) for number in range(25))
    crowded = image(99, tags=(), boxes=boxes)
    assert [len(some) for some in batches([*each[:2], crowded, *each[2:4]])] == [2, 1, 2]


def test_what_is_measured_are_images() -> None:
    """The bench's noise is what a folder may hold, as large as it says."""
    content = noise()
    assert judge(content) == Head("png", SIDE, SIDE, is_whole=True)
    assert 70_000 < len(content) < 80_000


def test_the_weight_of_an_image_is_what_json_makes_of_it() -> None:
    """Hardly less than the real one, so that a batch is never larger than it may be."""
    one = image(size=3001, boxes=(Box("apple", 0.123456789, 0.2, 0.3, 0.4),) * 5)
    region = {"tagId": "0" * 36, "left": 0.12345678901234567, "top": 0.2, "width": 0.3333333333333333, "height": 0.4}
    told = {"name": one.name, "contents": "A" * 4004, "tagIds": ["0" * 36], "regions": [region] * 5}
    assert len(json.dumps(told)) <= weight(one) <= len(json.dumps(told)) * 1.2


# -- the journal ------------------------------------------------------------------------------------------------------


def test_a_journal_remembers_images_by_their_content(tmp_path: Path) -> None:
    """Each project has its own; a file that moves is the same image, one with another label is not done yet."""
    folder = tmp_path / "images"
    journal = Journal.of(folder, "https://x.example/", "p1")
    journal.keep({image(1): "id-1", image(2): "id-2"})
    again = Journal.of(folder, "https://X.example", "p1")
    assert again.path == tmp_path / "images.uploaded.jsonl"
    assert again.ids == {"id-1", "id-2"}
    assert len(again) == 2
    assert again.has(image(1, name="elsewhere.png"))
    other = image(1, tags=("banana",))
    assert not again.has(other)
    kept = again.find(other)
    assert kept is not None
    assert kept.id == "id-1"
    again.keep({other: "id-3"})
    assert Journal.of(folder, "https://x.example", "p1").has(other)
    assert len(Journal.of(folder, "https://x.example", "p2")) == 0
    assert len(Journal.of(folder, "https://y.example", "p1")) == 0


def test_a_journal_remembers_the_training_that_was_begun(tmp_path: Path) -> None:
    """Until another image is noted: that one is not in it."""
    folder = tmp_path / "images"
    journal = Journal.of(folder, "https://x.example", "p")
    journal.keep({image(1): "id-1"})
    journal.begin("it-1", "regular")
    again = Journal.of(folder, "https://x.example", "p")
    assert again.begun == journal.begun == Begun("it-1", "regular")
    assert again.ids == {"id-1"}
    assert Journal.of(folder, "https://x.example", "other").begun is None
    again.keep({image(2): "id-2"})
    assert again.begun is None
    assert Journal.of(folder, "https://x.example", "p").begun is None


def test_a_journal_is_beside_its_folder_however_that_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never in it, where it would be taken for an image; beside / there is nothing."""
    (tmp_path / "images/apple").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "images/apple")
    beside = tmp_path / "images.uploaded.jsonl"
    assert Journal.of(Path(".."), "https://x.example", "p").path == beside
    assert Journal.of(tmp_path / "images/apple/..", "https://x.example", "p").path == beside
    with pytest.raises(UsageError, match=r"there is nothing beside /.*--journal FILE says where"):
        Journal.of(Path("/"), "https://x.example", "p")


def test_a_name_that_cannot_be_sent_is_told(tmp_path: Path) -> None:
    """A file or a folder from a system that wrote other letters is left out with what helps, before it is sent."""
    folder = os.fsencode(tmp_path / "images")
    for name in (b"/apple/caf\xe9.png", b"/apple/1.png", b"/p\xeache/1.png"):
        os.makedirs(os.path.dirname(folder + name), exist_ok=True)  # noqa: PTH103, PTH120 # bytes are no Path
        with open(folder + name, "wb") as file:  # noqa: PTH123
            file.write(picture())
    found = read_folder(tmp_path / "images", silent)
    assert [one.name for one in found.images] == ["apple/1.png"]
    assert [(one.name, one.remedy) for one in found.bad] == [
        ("apple/caf\\udce9.png", "rename it"),
        ("p\\udceache/1.png", "rename it"),
    ]


def test_a_line_that_a_crash_cut_short_does_no_harm(tmp_path: Path) -> None:
    """Wherever it was cut: what was whole before is kept, and what comes after is not glued to it."""
    folder = tmp_path / "images"
    journal = Journal.of(folder, "https://x.example", "p")
    journal.keep({image(1): "id-1"})
    first = journal.path.read_bytes()
    journal.keep({image(2): "id-2"})
    whole = journal.path.read_bytes()
    for cut in range(len(first), len(whole)):
        journal.path.write_bytes(whole[:cut])
        resumed = Journal.of(folder, "https://x.example", "p")
        assert resumed.has(image(1))
        assert resumed.has(image(2)) == (cut == len(whole) - 1)
        resumed.keep({image(3): "id-3"})
        assert Journal.of(folder, "https://x.example", "p").has(image(3))


def test_strange_lines_in_a_journal_are_passed_over(tmp_path: Path) -> None:
    """It may have been edited, or be of another kind."""
    (tmp_path / "images.uploaded.jsonl").write_bytes(b'\xff\n[]\n{"project": 1}\n"x"\n' + b"[" * 100_000 + b"\n")
    assert len(Journal.of(tmp_path / "images", "https://x.example", "p")) == 0


def test_a_journal_that_cannot_be_kept_is_said_at_once(tmp_path: Path) -> None:
    """Before anything is sent, with the option that helps."""
    with pytest.raises(UsageError, match="--journal FILE puts it elsewhere"):
        Journal.of(tmp_path / "nowhere/images", "https://x.example", "p")
    path = tmp_path / "elsewhere.jsonl"
    assert Journal.of(tmp_path / "nowhere/images", "https://x.example", "p", path).path == path


# -- uploading --------------------------------------------------------------------------------------------------------


class Wire:
    """Stands where requests leave: answers each image in turn, and remembers what it was sent."""

    def __init__(self, **statuses: Sequence[str | Exception]) -> None:
        self.sent: list[list[str]] = []
        self.most_at_once = self.under_way = 0
        self._statuses = {name: list(given) for name, given in statuses.items()}
        self._lock = threading.Lock()
        self.seconds = 0.0

    def __call__(self, images: Sequence[NewImage]) -> Sequence[Uploaded]:
        """Answer a batch."""
        with self._lock:
            self.under_way += 1
            self.most_at_once = max(self.most_at_once, self.under_way)
            self.sent.append([one.name for one in images])
            said = [self._statuses.get(f"n{one.name.removesuffix('.png')}") for one in images]
            now = [given.pop(0) if given else "OK" for given in said]
        time.sleep(self.seconds)
        with self._lock:
            self.under_way -= 1
        for one in now:
            if isinstance(one, Exception):
                raise one
        return [
            Uploaded(image.name, str(status), f"id-{image.name}" if status in {"OK", "OKDuplicate"} else "")
            for image, status in zip(images, now, strict=True)
        ]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait shortly between tries."""
    monkeypatch.setattr(vision_upload, "FIRST_PAUSE", 0.01)


@pytest.fixture
def files(tmp_path: Path) -> list[Labelled]:
    """Give ten images that are on the disk."""
    made = []
    for number in range(10):
        path = tmp_path / f"{number}.png"
        path.write_bytes(b"x")
        made.append(image(number, 1, path=path, changed=path.stat().st_mtime_ns))
    return made


def uploading(wire: Wire, tmp_path: Path, at_once: int = 4) -> Upload:
    """Make an upload to a wire."""
    return Upload(wire, IDS, Journal.of(tmp_path, "https://x.example", "p"), lambda _number: None, at_once)


@pytest.mark.usefixtures("quick")
def test_what_the_service_could_not_take_is_sent_again(files: list[Labelled], tmp_path: Path) -> None:
    """That image alone, so often and no oftener; what is wrong with an image stays wrong."""
    wire = Wire(
        n1=["ErrorUnknown", "ErrorStorage"], n2=["ErrorSource"] * 9, n3=["ErrorImageFormat"], n4=["OKDuplicate"]
    )
    outcome = uploading(wire, tmp_path).run(files)
    assert wire.sent == [[one.name for one in files], ["1.png", "2.png"], ["1.png", "2.png"], ["2.png"]]
    assert (outcome.taken, outcome.duplicates) == (8, 1)
    assert [(one.name, one.remedy) for one in outcome.bad] == [
        ("3.png", "save it anew as jpg, png, bmp or gif, or take it out"),
        ("2.png", "give the same command again"),
    ]
    assert outcome.unsure == 1
    assert len(Journal.of(tmp_path, "https://x.example", "p")) == 7  # how the duplicate is labelled nobody knows


def has(*labelled: tuple[str, str], boxes: tuple[Box, ...] = ()) -> There:
    """Give a project with images, each of a tag."""
    regions = tuple(Region("", *box) for box in boxes)
    images = [ProjectImage(id, None, 1, 1, "", (Tagged("", tag),), regions) for id, tag in labelled]
    return There(lambda skip: images[skip : skip + 2])


@pytest.mark.usefixtures("quick")
def test_a_duplicate_is_as_the_project_has_it(files: list[Labelled], tmp_path: Path) -> None:
    """One with the folder's label is noted, one with another is not, one that is not shown yet is sent again."""
    wire = Wire(n1=["OKDuplicate"], n2=["OKDuplicate"], n3=["OKDuplicate"] * 2, n4=["OKDuplicate"] * 9)
    there = has(("id-x", "pear"), ("id-1.png", "apple"), ("id-2.png", "banana"))
    journal = Journal.of(tmp_path, "https://x.example", "p")
    outcome = Upload(wire, IDS, journal, lambda _number: None, there=there).run(files)
    assert wire.sent[1:] == [["3.png", "4.png"], ["3.png", "4.png"], ["4.png"]]
    assert (outcome.taken, outcome.duplicates, outcome.unsure) == (8, 1, 0)
    assert {image.name: other.label.tags for image, other in outcome.others.items()} == {"2.png": {"banana"}}
    assert [(one.name, one.why) for one in outcome.bad] == [
        ("4.png", "the project has it, and does not show how it is labelled")
    ]
    assert [image.name for image in files if not journal.has(image)] == ["2.png", "4.png"]


def test_pages_are_read_as_far_as_they_are_asked_for() -> None:
    """The newest are asked for most; what was read is not read again."""
    asked: list[int] = []
    whole = has(*((str(number), "apple") for number in range(9)))

    def page(skip: int) -> Sequence[ProjectImage]:
        asked.append(skip)
        return whole.page(skip)

    there = There(page)
    assert set(there.labels(["0", "3"])) == {"0", "3"}
    assert there.labels([]) == {}
    assert set(there.labels(["1"])) == {"1"}
    assert asked == [0, 2]
    assert there.labels(["nowhere"]) == {}
    assert asked == [0, 2, 0, 2, 4, 6, 8, 9]


def test_a_box_is_the_same_though_it_was_rounded() -> None:
    """A box that lies elsewhere, is of something else, or is missing makes another label."""
    first, second = Box("apple", 0.1, 0.1, 0.333333, 0.2), Box("apple", 0.5, 0.1, 0.2, 0.2)
    one = image(tags=(), boxes=(first, second))
    rounded = first._replace(width=0.333)
    label = Label(frozenset({"apple"}), (second, rounded))
    assert label.is_that_of(one)
    for boxes in ((second, rounded._replace(left=0.12)), (second, rounded._replace(tag="pear")), (second, second)):
        assert not label._replace(boxes=boxes).is_within(one)
    fewer = label._replace(boxes=(second,))
    assert (fewer.is_within(one), fewer.is_that_of(one)) == (True, False)
    assert not label._replace(tags=frozenset({"apple", "pear"})).is_within(one)


def test_only_one_of_two_files_with_one_picture_is_labelled_anew(tmp_path: Path) -> None:
    """What the service calls the same picture has one label: to change it to and fro would never end."""
    journal = Journal.of(tmp_path, "https://x.example", "p")
    mine = image(1)
    journal.keep({mine: "id-a"})
    theirs, third, fourth = (image(number, tags=("banana",)) for number in (2, 3, 4))
    pear = Label(frozenset({"pear"}), ())
    others = {theirs: Other("id-a", pear), third: Other("id-b", pear), fourth: Other("id-b", pear)}
    images = [mine, theirs, third, fourth]
    found, bad = replaceable(others, images, journal, one_tag=True)
    assert found == {third: "id-b", fourth: "id-b"}
    assert [(one.name, one.why, one.remedy) for one in bad] == [
        (
            "2.png",
            "it is the same picture to the service as 1.png, which is labelled otherwise",
            "take one of them out",
        )
    ]
    found, bad = replaceable(others, images, journal, one_tag=False)
    assert found == {}
    assert len(bad) == 3


def test_files_of_one_name_are_told_apart(files: list[Labelled], tmp_path: Path) -> None:
    """Two folders may differ in how a letter is coded alone; what is said of one file is not said of the other."""
    first, second = files[0], replace(files[1], name=files[0].name)
    outcome = uploading(Wire(n0=["ErrorImageFormat", "OK"]), tmp_path).run([first, second])
    assert (outcome.taken, len(outcome.bad)) == (1, 1)
    journal = Journal.of(tmp_path, "https://x.example", "p")
    assert (journal.has(first), journal.has(second)) == (False, True)


@pytest.mark.usefixtures("quick")
def test_a_batch_that_times_out_is_halved(files: list[Labelled], tmp_path: Path) -> None:
    """Down to the image that cannot be sent, and the others arrive."""
    wire = Wire(n6=[TemporaryError("Custom Vision did not answer: ReadTimeout")] * 99)
    outcome = uploading(wire, tmp_path, at_once=1).run(files)
    assert outcome.taken == 9
    assert [(one.name, one.why) for one in outcome.bad] == [("6.png", "Custom Vision did not answer: ReadTimeout")]
    assert max(len(some) for some in wire.sent[1:]) == 5


def test_an_image_that_spoils_its_batch_is_found(files: list[Labelled], tmp_path: Path) -> None:
    """A batch that is refused as a whole is halved too; alone it is refused once."""
    wire = Wire(n3=[PermanentError("too much", remedy="send less")] * 99)
    outcome = uploading(wire, tmp_path).run(files)
    assert outcome.taken == 9
    assert [(one.name, one.remedy) for one in outcome.bad] == [("3.png", "send less")]
    assert wire.sent.count(["3.png"]) == 1


def test_the_service_is_left_alone_for_as_long_as_it_asks(files: list[Labelled], tmp_path: Path) -> None:
    """Nothing at all goes out meanwhile, and no image counts it as a failure."""
    wire = Wire(n0=[TemporaryError("429", after=0.3)] * 6)
    began = time.monotonic()
    assert uploading(wire, tmp_path).run(files).taken == 10
    assert time.monotonic() - began > 1.7
    assert len(wire.sent) == 7


def test_a_service_that_asks_for_hours_is_not_waited_for(files: list[Labelled], tmp_path: Path) -> None:
    """A quota is used up then: that is said, and what arrived is kept."""
    wire = Wire(n0=[TemporaryError("the quota is used up", after=86_400.0)])
    with pytest.raises(TemporaryError, match="the quota is used up"):
        uploading(wire, tmp_path).run(files)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("error", "most"),
    [(TemporaryError("away"), 24), (PermanentError("the key was rotated"), 12), (DeniedError("no role"), 4)],
)
def test_it_is_given_up_where_nothing_arrives_any_more(
    tmp_path: Path, files: list[Labelled], error: Exception, most: int
) -> None:
    """The service is away, or the key was rotated: not every image is tried before that is said."""
    many = [image(number, 1, path=files[0].path, changed=files[0].changed) for number in range(640)]
    wire = Wire(**{f"n{number}": [error] * 99 for number in range(640)})
    with pytest.raises(type(error), match=str(error)):
        uploading(wire, tmp_path).run(many)
    assert len(wire.sent) <= most


def test_a_full_project_ends_it(tmp_path: Path, files: list[Labelled]) -> None:
    """Nothing more is sent, and it is said what helps."""
    many = [image(number, 1, path=files[0].path, changed=files[0].changed) for number in range(640)]
    wire = Wire(n5=["ErrorLimitExceed"])
    outcome = uploading(wire, tmp_path, at_once=1).run(many)
    assert outcome.is_full
    assert len(wire.sent) == 1
    assert "S0" in outcome.bad[0].remedy


def test_no_more_is_under_way_than_the_pool_holds(tmp_path: Path, files: list[Labelled]) -> None:
    """A batch is read when it is sent, so memory does not grow with the folder."""
    many = [image(number, 1, path=files[0].path, changed=files[0].changed) for number in range(640)]
    wire = Wire()
    wire.seconds = 0.05
    left = iter(many)
    ahead: list[int] = []
    upload = Upload(
        wire,
        IDS,
        Journal.of(tmp_path, "https://x.example", "p"),
        lambda done: ahead.append(len(many) - len(rest()) - done),
        3,
    )

    def rest() -> list[Labelled]:
        return list(copy(left))

    assert (upload.run(left).taken, wire.most_at_once) == (640, 3)
    assert max(ahead) <= 4 * MOST_IMAGES


def test_a_file_that_changes_meanwhile_is_not_sent(files: list[Labelled], tmp_path: Path) -> None:
    """The journal would call it something that it is not."""
    os.utime(files[1].path, ns=(1, 1))
    files[2].path.unlink()
    wire = Wire()
    outcome = uploading(wire, tmp_path).run(files)
    assert outcome.taken == 8
    assert [one.name for one in outcome.bad] == ["1.png", "2.png"]
    assert "1.png" not in wire.sent[0]


def test_what_is_taken_when_somebody_interrupts_is_kept(files: list[Labelled], tmp_path: Path) -> None:
    """Batches that are on their way arrive, and the journal knows of them."""
    many = [image(number, 1, path=files[0].path, changed=files[0].changed) for number in range(640)]
    wire = Wire()
    wire.seconds = 0.1

    def interrupt(_number: int) -> None:
        raise KeyboardInterrupt

    upload = Upload(wire, IDS, Journal.of(tmp_path, "https://x.example", "p"), interrupt)
    with pytest.raises(KeyboardInterrupt):
        upload.run(many)
    assert len(Journal.of(tmp_path, "https://x.example", "p")) == sum(map(len, wire.sent)) == 4 * MOST_IMAGES


# -- the table --------------------------------------------------------------------------------------------------------


def performance(*tags: tuple[str, float, float, float | None]) -> Performance:
    """Make what an iteration achieves."""
    told = tuple(TagPerformance(f"id-{name}", name, precision, recall, ap) for name, precision, recall, ap in tags)
    return Performance(0.9512, 0.9, None, told)


def test_the_table_marks_the_worst_tag() -> None:
    """By its average precision, else by the lesser of precision and recall; then comes what holds for all."""
    found = performance(("apple", 1.0, 1.0, 1.0), ("banana", 1.0, 0.8, 0.931), ("orange", 0.7, 0.9, 0.95))
    lines = list(table_of(found, {"id-apple": 15, "id-banana": 1200}, 120, lambda _code, text: text))
    assert [line.split() for line in lines] == [
        ["TAG", "IMAGES", "PRECISION", "RECALL", "AP"],
        ["apple", "15", "100.0", "%", "100.0", "%", "100.0", "%"],
        ["banana", "1,200", "100.0", "%", "80.0", "%", "93.1", "%", "the", "worst"],
        ["orange", "-", "70.0", "%", "90.0", "%", "95.0", "%"],
        ["all", "of", "them", "95.1", "%", "90.0", "%", "-"],
    ]


def test_where_all_tags_do_as_well_none_is_the_worst() -> None:
    """There is nothing to point at."""
    assert worst_of(performance(("apple", 1.0, 1.0, None), ("banana", 1.0, 1.0, None))) is None
    assert worst_of(performance(("apple", 1.0, 0.5, None))) is None
    lesser = worst_of(performance(("apple", 1.0, 0.5, None), ("banana", 0.9, 0.6, None)))
    assert lesser is not None
    assert lesser.name == "apple"
    assert share(None) == "-"
