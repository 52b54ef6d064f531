"""`reactor vision train` where something is there before: images with other labels, other trainings, other models."""

import json
import shutil
from pathlib import Path

import pytest

from dev.simulators.vision import KEY
from shared.clients.vision import Iteration, NewImage, Resource, Training
from tests.integration.test_cli_vision_train import FRUIT, Lab, clients, counts, drawn, fruit, kept, lab, train

__all__ = ["clients", "drawn", "fruit", "lab"]


def at(lab: Lab) -> Resource:
    """Give the training resource."""
    return Resource(lab.simulators.vision.url, KEY)


def iterations(lab: Lab) -> list[Iteration]:
    """Give the iterations, oldest first."""
    return sorted(lab.clients.vision.iterations.list(at(lab), FRUIT), key=lambda one: one.name)


def lose_journal(folder: Path) -> None:
    """Have no journal: it is on another machine, or a crash came before its line was written."""
    folder.with_name(f"{folder.name}.uploaded.jsonl").unlink()


# -- images with other labels -----------------------------------------------------------------------------------------


def test_an_image_has_the_label_of_the_folder_though_nobody_noted_the_one_before(lab: Lab) -> None:
    """The service leaves a duplicate as it is, so one with another tag is replaced."""
    folder = lab.fruit / "training"
    assert train(folder, "--no-train") == 0
    lose_journal(folder)
    (folder / "apple/15.png").rename(folder / "banana/16.png")
    lab.capsys.readouterr()
    assert train(folder, "--no-train") == 0
    assert "44 uploaded, 44 of them there before, 1 labelled anew\n" in lab.capsys.readouterr().out
    assert counts(lab.clients, lab.simulators) == {"apple": 14, "banana": 16, "orange": 15}
    assert train(folder, "--no-train") == 0
    assert lab.capsys.readouterr().out.endswith(": 45 uploaded before\n")


def test_what_somebody_labelled_besides_is_not_taken_away(lab: Lab) -> None:
    """Where an image may have several tags, one that lacks some gets them, one that has more is told and left."""
    settings = {"classificationType": "Multilabel"}
    lab.simulators.vision.seed(projects=[{"id": FRUIT, "name": "Classify Fruit", "settings": settings}])
    folder = lab.fruit / "training"
    shutil.copy(folder / "apple/01.png", folder / "banana/fruit bowl.png")
    assert train(folder, "--no-train") == 0
    lose_journal(folder)
    (folder / "banana/fruit bowl.png").unlink()
    shutil.copy(folder / "apple/02.png", folder / "orange/fruit salad.png")
    lab.capsys.readouterr()
    assert train(folder) == 1
    said = lab.capsys.readouterr()
    assert "45 images with 3 tags: 43 uploaded, 43 of them there before, 1 labelled anew, 1 not taken" in said.out
    assert (
        "apple/01.png: the project has it already, with what the folder does not say of it (apple, banana)" in said.err
    )
    assert "label it so here, too, or delete it there (image " in said.err
    assert counts(lab.clients, lab.simulators) == {"apple": 15, "banana": 16, "orange": 16}
    assert iterations(lab) == []


def test_boxes_of_images_that_are_there_are_compared(lab: Lab) -> None:
    """Those that are as the file says are fine; where one is elsewhere nothing is taken away."""
    folder, coco = lab.fruit / "shelf", lab.fruit / "shelf.json"
    options = ("--coco", str(coco), "--no-train")
    assert train(folder, *options, project="shelves") == 0
    lose_journal(folder)
    told = json.loads(coco.read_text("utf-8"))
    told["annotations"][0]["bbox"][0] += 0.2 * told["images"][0]["width"]
    coco.write_text(json.dumps(told), "utf-8")
    lab.capsys.readouterr()
    assert train(folder, *options, project="shelves") == 1
    said = lab.capsys.readouterr()
    assert "19 uploaded, 19 of them there before, 1 not taken" in said.out
    assert "in 3 regions)" in said.err


def test_what_the_project_lost_is_noticed_however_many_it_has(lab: Lab) -> None:
    """Somebody deleted images in the portal and added as many others."""
    folder = lab.fruit / "training"
    assert train(folder, "--no-train") == 0
    images = lab.clients.vision.images
    images.delete(at(lab), FRUIT, [one["id"] for one in kept(lab.simulators)["images"]][:3])
    others = sorted((lab.fruit / "more/apple").iterdir())[:3]
    tag = lab.clients.vision.tags.list(at(lab), FRUIT)[0].id
    images.upload(at(lab), FRUIT, [NewImage(one.name, one.read_bytes(), (tag,)) for one in others])
    assert kept(lab.simulators)["image_count"] == 45
    lab.capsys.readouterr()
    assert train(folder, "--no-train") == 0
    said = lab.capsys.readouterr()
    assert "3 images are not in the project any more, and go out again" in said.err
    assert "3 uploaded, 42 uploaded before" in said.out


def test_what_was_taken_out_of_the_folder_is_told_and_still_trained_with(lab: Lab) -> None:
    """One that moved is not gone; once it is deleted in the project nothing more is said."""
    folder = lab.fruit / "training"
    assert train(folder, "--no-train") == 0
    assert "no more" not in lab.capsys.readouterr().err
    [gone] = [one["id"] for one in journal_of(folder) if one["name"] == "apple/01.png"]
    (folder / "apple/01.png").unlink()
    (folder / "apple/02.png").rename(folder / "banana/16.png")
    assert train(folder, "--no-train") == 0
    told = "1 image more that came from here and is here no more, and it is trained with: apple/01.png"
    assert f"the project has {told} (image {gone}); delete in the portal" in lab.capsys.readouterr().err
    (folder / "apple/03.png").unlink()
    assert train(folder, "--no-train") == 0
    assert "apple/01.png (image " + gone + ") and 1 more;" in lab.capsys.readouterr().err
    others = [one["id"] for one in journal_of(folder) if one["name"] == "apple/03.png"]
    lab.clients.vision.images.delete(at(lab), FRUIT, [gone, *others])
    assert train(folder, "--no-train") == 0
    assert "no more" not in lab.capsys.readouterr().err


def journal_of(folder: Path) -> list[dict[str, str]]:
    """Read what was noted of the images."""
    lines = folder.with_name(f"{folder.name}.uploaded.jsonl").read_text("utf-8").splitlines()
    return [one for one in map(json.loads, lines) if "name" in one]


def test_an_image_that_is_labelled_anew_counts_once(lab: Lab) -> None:
    """What its old tag has left is too little: that is said before anything is sent."""
    folder = lab.fruit / "training"
    for file in sorted((folder / "apple").iterdir())[5:]:
        file.unlink()
    assert train(folder, "--no-train") == 0
    (folder / "apple/05.png").rename(folder / "banana/16.png")
    sent = len(lab.simulators.vision.seen("POST"))
    assert train(folder) == 1
    assert "apple has 4, and needs 5" in lab.capsys.readouterr().err
    assert len(lab.simulators.vision.seen("POST")) == sent


# -- the wrong project -------------------------------------------------------------------------------------------------


def other_folder(lab: Lab) -> Path:
    """Have a folder with the project's own apples and bananas under other names."""
    folder = lab.fruit.parent / "mine"
    shutil.copytree(lab.fruit / "training/apple", folder / "Red Apple")
    shutil.copytree(lab.fruit / "training/banana", folder / "gelb")
    return folder


def test_a_run_with_the_wrong_project_changes_nothing(lab: Lab) -> None:
    """What it has is told first; no tag is made that would stay empty, and the good folder is as good as before."""
    assert train(lab.fruit / "training") == 0
    said = lab.capsys.readouterr().err
    assert said.startswith("Classify Fruit has no images; new: apple, banana, orange\n")
    before = kept(lab.simulators)
    assert train(other_folder(lab)) == 1
    said = lab.capsys.readouterr().err
    assert said.startswith("Classify Fruit has 45 images of apple, banana, orange; new: Red Apple, gelb\n")
    assert "Red Apple would be a new tag, and Red Apple/01.png is in the project already, as apple" in said
    assert counts(lab.clients, lab.simulators) == {"apple": 15, "banana": 15, "orange": 15}
    assert kept(lab.simulators)["images"] == before["images"]
    assert train(lab.fruit / "training", "--force") == 0


def test_new_pictures_of_new_tags_are_taken(lab: Lab) -> None:
    """That the project did not have them is found out without leaving any there that has no tag."""
    assert train(lab.fruit / "training", "--no-train") == 0
    shutil.copytree(lab.fruit / "more/apple", lab.fruit / "new/pear")
    assert train(lab.fruit / "new") == 0
    assert counts(lab.clients, lab.simulators) == {"apple": 15, "banana": 15, "orange": 15, "pear": 5}
    assert (kept(lab.simulators)["image_count"], kept(lab.simulators)["tagged_count"]) == (50, 50)


def test_a_picture_that_was_only_looked_up_gets_its_tag(lab: Lab) -> None:
    """Whoever was killed while new tags were looked up left one there without any."""
    assert train(lab.fruit / "training", "--no-train") == 0
    shutil.copytree(lab.fruit / "more/apple", lab.fruit / "new/pear")
    first = min((lab.fruit / "new/pear").iterdir())
    lab.clients.vision.images.upload(at(lab), FRUIT, [NewImage(first.name, first.read_bytes())])
    assert train(lab.fruit / "new", "--no-train") == 0
    assert counts(lab.clients, lab.simulators)["pear"] == 5
    assert (kept(lab.simulators)["image_count"], kept(lab.simulators)["tagged_count"]) == (50, 50)


def test_tags_without_images_block_no_training(lab: Lab) -> None:
    """Those of others are left out, and told; that they got there by --relabel is as asked for."""
    assert train(lab.fruit / "training", "--no-train") == 0
    lab.capsys.readouterr()
    assert train(other_folder(lab), "--relabel") == 0
    said = lab.capsys.readouterr()
    assert "without images, and left out of the training: apple, banana\n" in said.err
    assert {line.split("  ")[0] for line in said.out.splitlines()[3:6]} == {"Red Apple", "gelb", "orange"}


def test_some_tags_can_be_trained_alone(lab: Lab) -> None:
    """A tag of too few images blocks the others no longer than it takes to name them."""
    folder = lab.fruit / "training"
    for file in sorted((folder / "apple").iterdir())[4:]:
        file.unlink()
    assert train(folder) == 1
    assert "name the tags to train as --tags TAG,TAG" in lab.capsys.readouterr().err
    assert train(folder, "--tags", "banana,orange") == 0
    said = lab.capsys.readouterr()
    assert [line.split()[0] for line in said.out.splitlines()[3:5]] == ["banana", "orange"]
    assert counts(lab.clients, lab.simulators)["apple"] == 4
    assert [line for line in said.err.splitlines() if "trained" in line] == ["Iteration 1 is being trained"]


# -- other trainings --------------------------------------------------------------------------------------------------


def test_a_training_without_the_new_images_is_waited_for(lab: Lab) -> None:
    """What is told and published is a model of what was uploaded, and not of what somebody else began before."""
    folder, late = lab.fruit / "training", lab.fruit / "late.png"
    (folder / "apple/15.png").rename(late)
    assert train(folder, "--no-train") == 0
    lab.simulators.vision.seed(settings={"training_seconds": 2})
    lab.clients.vision.iterations.train(at(lab), FRUIT, Training())
    late.rename(folder / "apple/15.png")
    lab.capsys.readouterr()
    assert train(folder, "--publish", "live") == 0
    said = lab.capsys.readouterr()
    assert "Iteration 1 is being trained without all of this: waiting for its end" in said.err
    assert "Iteration 2 is trained\n" in said.out
    assert [one.publish_name for one in iterations(lab)] == ["", "live"]


def stop_looking(monkeypatch: pytest.MonkeyPatch, lab: Lab, at: str, *options: str) -> str:
    """Train, and press Ctrl-C after such a request was sent; gives what is said then."""
    before = len(lab.simulators.vision.seen("POST", at))

    def stop(_seconds: float) -> None:
        if len(lab.simulators.vision.seen("POST", at)) > before:
            raise KeyboardInterrupt

    lab.capsys.readouterr()
    with monkeypatch.context() as patch:
        patch.setattr("cli.steps.time.sleep", stop)
        assert train(lab.fruit / "training", *options) == 130
    said = lab.capsys.readouterr().err
    assert said.endswith("reactor: stopped\n")
    return said


def test_ones_own_training_is_followed_after_ctrl_c(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same command goes on, and does not train twice, which would be paid twice."""
    lab.simulators.vision.seed(settings={"training_seconds": 2})
    said = stop_looking(monkeypatch, lab, "/train?", "--force")
    assert "Custom Vision goes on training Iteration 1: `reactor vision status fruit` shows it, and the same" in said
    assert train(lab.fruit / "training", "--force") == 0
    told = lab.capsys.readouterr()
    assert "Iteration 1 is trained\n" in told.out
    assert "waiting" not in told.err
    assert len(iterations(lab)) == 1


def test_whoever_stops_waiting_for_another_training_is_told_that_none_was_begun(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that is under way is somebody else's."""
    assert train(lab.fruit / "training", "--no-train") == 0
    lab.simulators.vision.seed(settings={"training_seconds": 60})
    lab.clients.vision.iterations.train(at(lab), FRUIT, Training())

    def stop(seconds: float) -> None:
        if seconds:
            raise KeyboardInterrupt

    monkeypatch.setattr("cli.steps.time.sleep", stop)
    assert train(lab.fruit / "training") == 130
    assert "reactor: no training was begun; the same command does so\n" in lab.capsys.readouterr().err


def test_a_tag_whose_images_were_not_taken_is_not_left_out(lab: Lab) -> None:
    """The folder has some of it, so a model without it is not what was asked for."""
    refused = {"apple/": "ErrorImageFormat"}
    lab.simulators.vision.seed(settings={"image_status": refused})
    assert train(lab.fruit / "training", "--skip-bad") == 1
    assert '"apple" has 0' in lab.capsys.readouterr().err
    assert iterations(lab) == []


def test_ones_own_training_of_another_type_is_waited_for(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked for now is not what is under way."""
    lab.simulators.vision.seed(settings={"training_seconds": 2})
    stop_looking(monkeypatch, lab, "/train?")
    assert train(lab.fruit / "training", "--type", "advanced", "--budget", "1h", "--force") == 0
    assert "Iteration 1 is being trained without all of this" in lab.capsys.readouterr().err
    assert [one.type for one in iterations(lab)] == ["Regular", "Advanced"]


# -- other models -----------------------------------------------------------------------------------------------------


def test_a_publishing_that_nobody_answers_for_is_taken_back(lab: Lab) -> None:
    """The prediction resource does not answer for the new one: the former one has the name again."""
    folder = lab.fruit / "training"
    assert train(folder, "--publish", "live") == 0
    lab.simulators.vision.fault("unavailable", method="POST", path="/prediction/", n=99)
    lab.capsys.readouterr()
    assert train(folder, "--force", "--publish", "live") == 1
    said = lab.capsys.readouterr()
    assert "Iteration 2 is trained\n" in said.out
    assert "Iteration 1 is published as live as before" in said.err
    assert "`reactor vision predict" not in said.out
    assert [one.publish_name for one in iterations(lab)] == ["live", ""]


def test_a_publishing_that_cannot_be_taken_back_is_told(lab: Lab) -> None:
    """Why it failed, why that was not undone, and who had the name before."""
    folder = lab.fruit / "training"
    assert train(folder, "--publish", "live") == 0
    lab.simulators.vision.fault("unavailable", method="POST", path="/prediction/", n=99)
    refused = {"status": 400, "body": {"code": "BadRequestInvalid", "message": "not now"}}
    lab.simulators.vision.fault("error", method="POST", path="/publish", skip=1, n=99, **refused)
    lab.capsys.readouterr()
    assert train(folder, "--force", "--publish", "live") == 1
    said = lab.capsys.readouterr().err
    assert "503" in said
    assert "what was changed could not be undone: Custom Vision answered 400 BadRequestInvalid" in said
    assert "so far: Iteration 1 is published as live; " in said
    assert "Iteration 2 is published as live" in said


def test_whoever_stops_looking_is_told_who_had_the_name(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """After Ctrl-C nobody knows whether the new model answers."""
    folder = lab.fruit / "training"
    assert train(folder, "--publish", "live") == 0
    lab.simulators.vision.fault("unavailable", method="POST", path="/prediction/", n=99)
    said = stop_looking(monkeypatch, lab, "/nostore", "--force", "--publish", "live")
    assert "`reactor vision status fruit` shows what is published; the same command publishes it; so far: Iter" in said
    assert "so far: Iteration 1 is published as live; " in said
