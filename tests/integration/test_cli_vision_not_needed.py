"""`reactor vision train` where Custom Vision says that no training is needed: which iteration is told and published."""

import shutil
from pathlib import Path

import pytest

from cli.main import main
from shared.clients.vision import NewImage, Training
from tests.integration.test_cli_vision_train import FRUIT, Lab, clients, drawn, fruit, lab, told, train
from tests.integration.test_cli_vision_train_again import at, iterations, lose_journal

__all__ = ["clients", "drawn", "fruit", "lab"]


def published(lab: Lab) -> dict[str, str]:
    """Give the names that iterations are published under."""
    return {one.name: one.publish_name for one in iterations(lab) if one.publish_name}


def begin(lab: Lab, wanted: Training) -> None:
    """Train, as somebody else does."""
    lab.clients.vision.iterations.train(at(lab), FRUIT, wanted)
    lab.simulators.vision.until(
        lambda state: all(
            one["status"] == "Completed"
            for project in state["projects"]
            if project["id"] == FRUIT
            for one in project["iterations"].values()
        )
    )


def test_what_is_published_came_of_the_tags_that_are_asked_for(lab: Lab) -> None:
    """A newer iteration has other tags."""
    folder = lab.fruit / "training"
    assert train(folder, "--tags", "apple,banana") == 0
    assert train(folder) == 0
    lab.capsys.readouterr()
    assert train(folder, "--tags", "apple,banana", "--publish", "live") == 0
    said = lab.capsys.readouterr().out.splitlines()
    assert said[1] == "Iteration 1 was trained with just this, so no training is needed; --force trains all the same"
    assert [line.split()[0] for line in said[3:5]] == ["apple", "banana"]
    assert published(lab) == {"Iteration 1": "live"}


def test_what_is_published_was_trained_as_is_asked_for(lab: Lab) -> None:
    """A newer iteration is of another type, one of another budget."""
    folder, advanced = lab.fruit / "training", ("--type", "advanced", "--budget")
    for options in ((*advanced, "2h"), (*advanced, "1h"), ()):
        assert train(folder, *options) == 0
    assert told(lab.capsys, "train", folder, *advanced, "2h", "--publish", "live")["iteration"]["name"] == "Iteration 1"
    assert published(lab) == {"Iteration 1": "live"}


def test_an_older_iteration_is_not_put_in_the_place_of_a_newer_one(lab: Lab) -> None:
    """Though it is what is asked for: that takes a person who says so."""
    folder = lab.fruit / "training"
    assert train(folder, "--tags", "apple,banana") == 0
    assert train(folder, "--publish", "live") == 0
    lab.capsys.readouterr()
    assert train(folder, "--tags", "apple,banana", "--publish", "live") == 1
    said = lab.capsys.readouterr().err
    assert "Iteration 2, which was trained later than Iteration 1, is published as live; `reactor vision pub" in said
    assert published(lab) == {"Iteration 2": "live"}
    assert main(said.split("`")[1].split()[1:]) == 0
    assert published(lab) == {"Iteration 1": "live"}


def test_without_a_journal_the_iteration_is_known_by_what_it_was_trained_with(lab: Lab) -> None:
    """Its tags, how many images each had, and that none came later."""
    folder = lab.fruit / "training"
    assert train(folder) == 0
    lose_journal(folder)
    assert train(folder, "--publish", "live") == 0
    assert "nothing has changed since Iteration 1 was trained" in lab.capsys.readouterr().out
    assert published(lab) == {"Iteration 1": "live"}


def test_what_was_begun_here_last_is_known_without_a_look(lab: Lab) -> None:
    """The journal says that nothing was added since."""
    folder = lab.fruit / "training"
    assert train(folder) == 0
    asked = len(lab.simulators.vision.seen("GET", "/performance"))
    assert train(folder, "--publish", "live") == 0
    assert len(lab.simulators.vision.seen("GET", "/performance")) == asked + 1  # for the table
    assert published(lab) == {"Iteration 1": "live"}


def test_a_training_with_more_images_of_others_is_what_is_asked_for_now(lab: Lab) -> None:
    """The project has them too, so the one that was begun here before is of too few."""
    folder = lab.fruit / "training"
    assert train(folder) == 0
    tag = next(one.id for one in lab.clients.vision.tags.list(at(lab), FRUIT) if one.name == "apple")
    more = [NewImage(one.name, one.read_bytes(), (tag,)) for one in sorted((lab.fruit / "more/apple").iterdir())]
    lab.clients.vision.images.upload(at(lab), FRUIT, more)
    begin(lab, Training())
    assert train(folder, "--publish", "live") == 0
    assert published(lab) == {"Iteration 2": "live"}


@pytest.fixture
def unknown(lab: Lab) -> Path:
    """Have the iteration deleted that came of what the project has, and one that did not."""
    folder = lab.fruit / "training"
    assert train(folder) == 0
    assert train(folder, "--tags", "apple,banana") == 0
    answer = {"status": 400, "body": {"code": "BadRequestTrainingNotNeeded", "message": "Nothing changed."}}
    lab.clients.vision.iterations.delete(at(lab), FRUIT, iterations(lab)[0].id)
    lab.simulators.vision.fault("error", method="POST", path="/train$", n=9, **answer)
    lab.capsys.readouterr()
    return folder


def test_what_cannot_be_told_is_not_published(lab: Lab, unknown: Path) -> None:
    """The command that publishes a stated iteration is named, and does so as it stands there."""
    assert train(unknown, "--publish", "live") == 1
    said = lab.capsys.readouterr()
    assert "TAG" not in said.out
    assert "which iteration came of just this cannot be told: nothing is published as live\n" in said.err
    assert published(lab) == {}
    hint = said.err.split("`")[1]
    assert hint.startswith("reactor vision publish fruit --name live --iteration ")
    assert main(hint.split()[1:]) == 0
    assert published(lab) == {"Iteration 2": "live"}


def test_what_cannot_be_told_is_no_failure_where_nothing_is_published(lab: Lab, unknown: Path) -> None:
    """No performance is shown, which would be of something else."""
    assert train(unknown) == 0
    said = lab.capsys.readouterr().out
    assert said.endswith("which iteration came of just this cannot be told; --force trains anew\n")
    result = told(lab.capsys, "train", unknown)
    assert (result["iteration"], result["performance"]) == (None, None)


def test_an_image_that_came_later_is_not_in_the_iteration(lab: Lab) -> None:
    """As many images of each tag are others where one was put in another's place."""
    folder = lab.fruit / "training"
    assert train(folder) == 0
    answer = {"status": 400, "body": {"code": "BadRequestTrainingNotNeeded", "message": "Nothing changed."}}
    lab.simulators.vision.fault("error", method="POST", path="/train$", n=9, **answer)
    tag = next(one.id for one in lab.clients.vision.tags.list(at(lab), FRUIT) if one.name == "apple")
    [gone] = lab.clients.vision.images.page(at(lab), FRUIT, skip=0, take=1, tags=(tag,))
    lab.clients.vision.images.delete(at(lab), FRUIT, [gone.id])
    other = min((lab.fruit / "more/apple").iterdir())
    lab.clients.vision.images.upload(at(lab), FRUIT, [NewImage(other.name, other.read_bytes(), (tag,))])
    (lab.fruit / "other/apple").mkdir(parents=True)
    shutil.copy(other, lab.fruit / "other/apple")
    assert train(lab.fruit / "other", "--publish", "live") == 1
    assert "cannot be told" in lab.capsys.readouterr().err
    assert published(lab) == {}
