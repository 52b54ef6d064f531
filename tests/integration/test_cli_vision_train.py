"""`reactor vision train` and `predict` against the simulated service: the lab, and everything that goes wrong in it."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

import pytest

from cli import steps
from cli.main import main
from cli.vision import listening, upload
from dev.simulators.remote import Simulators
from dev.simulators.vision import KEY, PREDICTION_KEY
from shared import parse
from shared.clients import Clients
from shared.clients.identity import managed_identity
from shared.clients.vision import Resource
from shared.settings import Settings
from shared.storage import prepare
from shared.storage.records import EventRecord
from shared.storage.timeline import Timeline

REPOSITORY = Path(__file__).parents[2]
MAKE = REPOSITORY / "examples/classify-fruit/make_images.py"
FRUIT, SHELVES = "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "4f2504e0-4f89-41d3-9a0c-0305e82c3302"
PREDICTION = (
    "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/vision/providers/"
    "Microsoft.CognitiveServices/accounts/fruit-Prediction"
)
DETECTION = "da2e3a8a-40a5-4171-82f4-58522f70fbc1"
RULES = f"""
version: 1
vision:
  fruit:
    project: {FRUIT}
    training: {{endpoint: "${{SIMULATOR_VISION}}", key: "${{SIMULATOR_VISION_KEY}}"}}
    prediction:
      resource: {PREDICTION}
      endpoint: "${{SIMULATOR_VISION}}"
      key: "${{SIMULATOR_VISION_PREDICTION_KEY}}"
  shelves:
    project: {SHELVES}
    training: {{endpoint: "${{SIMULATOR_VISION}}", key: "${{SIMULATOR_VISION_KEY}}"}}
rules: []
"""
UPLOADS = "/images/files"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Draw the example's images once."""
    folder = tmp_path_factory.mktemp("drawn") / "fruit"
    subprocess.run([sys.executable, str(MAKE), str(folder)], check=True, stdout=subprocess.DEVNULL)
    return folder


@pytest.fixture
def fruit(drawn: Path, tmp_path: Path) -> Path:
    """Give images that a test may change."""
    return shutil.copytree(drawn, tmp_path / "fruit")


@pytest.fixture
def clients(simulators: Simulators, azurite: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Clients:
    """Run the commands in a folder where a local stack says that it runs; give who looks what became of it."""
    for name in ("REACTOR_URL", "REACTOR_VISION_PROJECT", "REACTOR_VISION_KEY", "AzureWebJobsStorage"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(steps, "FIRST_WAIT", 0.05)
    monkeypatch.setattr(upload, "FIRST_PAUSE", 0.01)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    settings = {
        "AzureWebJobsStorage": azurite,
        "REACTOR_RULES": "rules.yaml",
        "REACTOR_POLL_SECONDS": "0.1",
        "REACTOR_LEASE_SECONDS": "10",
        "REACTOR_VISION_BLOB_HOSTS": "127.0.0.1",
        "SIMULATOR_VISION": simulators.vision.url,
        "SIMULATOR_VISION_KEY": KEY,
        "SIMULATOR_VISION_PREDICTION_KEY": PREDICTION_KEY,
        **simulators.environment,
    }
    (tmp_path / "rules.yaml").write_text(RULES, "utf-8")
    (tmp_path / ".stack").mkdir()
    facts = {"functions": "http://127.0.0.1:1", "app": str(tmp_path), "settings": settings}
    (tmp_path / ".stack/ready.json").write_text(json.dumps(facts), "utf-8")
    simulators.vision.seed(
        projects=[
            {"id": FRUIT, "name": "Classify Fruit", "settings": {"classificationType": "Multiclass"}},
            {"id": SHELVES, "name": "Shelves", "settings": {"domainId": DETECTION, "classificationType": None}},
        ],
        settings={"training_seconds": 0.1},
    )
    made = Clients(Settings.read(settings), managed_identity)
    prepare(made.account, "backups")
    return made


class Lab(NamedTuple):
    """What most tests here are about."""

    clients: Clients
    fruit: Path
    simulators: Simulators
    capsys: pytest.CaptureFixture[str]


@pytest.fixture
def lab(clients: Clients, fruit: Path, simulators: Simulators, capsys: pytest.CaptureFixture[str]) -> Lab:
    """Give all of it, for who needs more besides."""
    return Lab(clients, fruit, simulators, capsys)


def run(*arguments: str | Path, project: str = "fruit") -> int:
    """Run a command of `reactor vision` and give how it ends."""
    try:
        return main(["vision", *map(str, arguments), "--project", project])
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0


def train(folder: Path, *more: str, project: str = "fruit") -> int:
    """Train with a folder."""
    return run("train", folder, *more, project=project)


def told(capsys: pytest.CaptureFixture[str], *arguments: str | Path, project: str = "fruit", code: int = 0) -> Any:
    """Run a command and give what it says to programs."""
    capsys.readouterr()
    assert run(*arguments, "--json", project=project) == code
    return json.loads(capsys.readouterr().out)


def kept(simulators: Simulators, project: str = FRUIT) -> Any:
    """Give what the service has of a project."""
    return next(one for one in simulators.vision.state()["projects"] if one["id"] == project)


def counts(clients: Clients, simulators: Simulators) -> dict[str, int]:
    """Count the images of each tag."""
    tags = clients.vision.tags.list(Resource(simulators.vision.url, KEY), FRUIT)
    return {tag.name: tag.images for tag in tags}


# -- the lab ----------------------------------------------------------------------------------------------------------


def test_the_lab_from_a_folder_to_a_prediction(
    clients: Clients, fruit: Path, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """Upload, tags, training, the table, publishing, predicting: two commands."""
    assert train(fruit / "training", "--publish", "fruit-classifier") == 0
    said = capsys.readouterr().out.splitlines()
    assert said[:2] == ["Classify Fruit: 45 images with 3 tags: 45 uploaded", "Iteration 1 is trained"]
    assert [line.split()[:2] for line in said[3:6]] == [["apple", "15"], ["banana", "15"], ["orange", "15"]]
    assert [line.split()[0] for line in said if line.endswith("the worst")] == ["apple"]
    assert said[6].startswith("all of them")
    assert "published as fruit-classifier, and answers" in said[7]
    assert counts(clients, simulators) == {"apple": 15, "banana": 15, "orange": 15}
    assert run("predict", fruit / "test", "--name", "fruit-classifier") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.rpartition("/")[2].split()[:2] for line in lines] == [
        ["apple.png:", "apple"],
        ["banana.png:", "banana"],
        ["orange.png:", "orange"],
    ]


def test_the_second_time_nothing_is_sent_and_nothing_trained(
    clients: Clients, fruit: Path, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says so, and goes on with the newest iteration; --force trains all the same."""
    assert train(fruit / "training") == 0
    sent = len(simulators.vision.seen("POST", UPLOADS))
    capsys.readouterr()
    assert train(fruit / "training", "--publish", "fruit-classifier") == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "Classify Fruit: 45 images with 3 tags: 45 uploaded before"
    assert said[1] == "nothing has changed since Iteration 1 was trained; --force trains all the same"
    assert said[2].startswith("TAG")
    assert len(simulators.vision.seen("POST", UPLOADS)) == sent
    assert train(fruit / "training", "--force") == 0
    assert "Iteration 2 is trained" in capsys.readouterr().out


def test_more_images_are_added_to_those_that_are_there(
    clients: Clients, fruit: Path, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only what is new goes out, however files were renamed; few are enough where the project has the others."""
    assert train(fruit / "training", "--publish", "live") == 0
    (fruit / "training/apple/01.png").rename(fruit / "training/apple/the first one.png")
    for name in ("apple", "banana", "orange"):
        for file in (fruit / "more" / name).iterdir():
            shutil.copy(file, fruit / "training" / name)
    result = told(capsys, "train", fruit / "training", "--publish", "live")
    assert result["images"] == {"uploaded": 15, "duplicates": 0, "there": 45}
    assert result["iteration"]["name"] == "Iteration 2"
    assert result["published"] == "live"
    assert result["bad"] == []
    assert {one["name"] for one in result["performance"]["tags"]} == {"apple", "banana", "orange"}
    (fruit / "few/apple").mkdir(parents=True)
    shutil.copy(fruit / "test/apple.png", fruit / "few/apple")
    assert train(fruit / "few", "--no-train") == 0
    assert kept(simulators)["image_count"] == 61


def test_objects_are_detected_with_a_coco_file(
    clients: Clients, fruit: Path, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """Boxes become regions; an iteration that nobody published says where it sees what."""
    assert train(fruit / "shelf", project="shelves") == 2
    assert "give --coco FILE" in capsys.readouterr().err
    assert train(fruit / "shelf", "--coco", str(fruit / "shelf.json"), project="shelves") == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "Shelves: 20 images with 3 tags: 20 uploaded"
    assert kept(simulators, SHELVES)["region_count"] == 60
    assert run("predict", fruit / "shelf/01.png", "--iteration", "newest", project="shelves") == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert all(f"{name} " in line for name in ("apple", "banana", "orange"))
    assert " at 0." in line


def test_what_was_kept_as_coco_can_be_classified_again(
    clients: Clients, fruit: Path, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """A COCO file without boxes is enough where whole images have tags, and those may be several."""
    settings = {"classificationType": "Multilabel"}
    simulators.vision.seed(projects=[{"id": FRUIT, "name": "Classify Fruit", "settings": settings}])
    coco = json.loads((fruit / "shelf.json").read_text("utf-8"))
    for one in coco["annotations"]:
        del one["bbox"]
    (fruit / "shelf.json").write_text(json.dumps(coco), "utf-8")
    assert train(fruit / "shelf", "--coco", str(fruit / "shelf.json"), "--no-train") == 0
    assert {len(one["tags"]) for one in kept(simulators)["images"]} == {3}


def test_the_options_of_a_training_arrive(clients: Clients, fruit: Path, simulators: Simulators) -> None:
    """An advanced one has a budget, in hours."""
    assert train(fruit / "training", "--type", "advanced", "--budget", "2h", "--force") == 0
    (asked,) = simulators.vision.seen("POST", "/train?")
    for part in ("trainingType=Advanced", "reservedBudgetInHours=2", "forceTrain=true"):
        assert part in asked["url"]


# -- what is refused before anything is sent --------------------------------------------------------------------------


def too_few(fruit: Path) -> None:
    """Leave four apples."""
    for file in sorted((fruit / "training/apple").iterdir())[4:]:
        file.unlink()


def one_tag(fruit: Path) -> None:
    """Leave apples alone."""
    shutil.rmtree(fruit / "training/banana")
    shutil.rmtree(fruit / "training/orange")


def broken(fruit: Path) -> None:
    """Cut one short, have one that is none, and one that is too large."""
    first, second, third, *_ = sorted((fruit / "training/apple").iterdir())
    first.write_bytes(first.read_bytes()[:-50])
    second.write_bytes(b"no image")
    third.write_bytes(third.read_bytes() + bytes(7 * 1024 * 1024))


def flat(fruit: Path) -> None:
    """Have no sub-folders."""
    shutil.copytree(fruit / "training/apple", fruit / "flat")
    shutil.rmtree(fruit / "training")
    (fruit / "flat").rename(fruit / "training")


def twice(fruit: Path) -> None:
    """Have one picture in two folders."""
    shutil.copy(fruit / "training/apple/01.png", fruit / "training/banana/1.png")


@pytest.mark.parametrize(
    ("spoil", "more", "code", "says"),
    [
        (too_few, (), 1, ("apple has 4, and needs 5", "--no-train")),
        (one_tag, (), 1, ("there is only the tag apple: two at least", "--no-train")),
        (broken, (), 1, ("apple/01.png: it is corrupt", "02.png: it is no jpg", "03.png: it is too large", "skip-bad")),
        (flat, (), 2, ("has no sub-folders: put the images of each tag",)),
        (twice, (), 1, ("the same picture with the tags apple, banana; leave it in one folder only",)),
        (None, ("--type", "advanced"), 2, ("reactor: --type advanced needs --budget TIME, such as 2h\n",)),
        (None, ("--budget", "2h"), 2, ("reactor: --budget needs --type advanced\n",)),
        (None, ("--type", "advanced", "--budget", "2x"), 2, ("reactor: --budget: ",)),
        (None, ("--publish", "a/b"), 2, ("--publish: must be a name that can stand in a URL", 'not "a/b"\n')),
        (None, ("--publish", "x", "--no-train"), 2, ("leave out --no-train",)),
        (None, ("--coco", "nowhere.json"), 2, ("cannot read nowhere.json",)),
        (
            None,
            ("--tags", "aple,banana"),
            2,
            ('neither the folder nor the project has "aple" (did you mean "apple"?)',),
        ),
        (None, ("--journal", "nowhere/x.jsonl"), 2, ("cannot keep what was uploaded in nowhere/x.jsonl",)),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_cannot_work_is_said_before_anything_is_sent(
    lab: Lab, spoil: Callable[[Path], None] | None, more: tuple[str, ...], code: int, says: tuple[str, ...]
) -> None:
    """With what helps, and the service is not written to at all."""
    if spoil:
        spoil(lab.fruit)
    assert train(lab.fruit / "training", *more) == code
    said = lab.capsys.readouterr().err
    assert all(part in said for part in says), said
    assert lab.simulators.vision.seen("POST") == []


def test_publishing_needs_a_prediction_resource(
    clients: Clients, fruit: Path, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """That is said before an hour of training, not after."""
    assert train(fruit / "training", "--publish", "x", project="shelves") == 2
    assert "shelves has no prediction resource" in capsys.readouterr().err
    assert simulators.vision.seen("POST") == []


def test_bad_files_can_be_left_out(
    clients: Clients, fruit: Path, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are listed, and the others are trained with."""
    broken(fruit)
    result = told(capsys, "train", fruit / "training", "--skip-bad")
    assert result["images"] == {"uploaded": 42, "duplicates": 0, "there": 0}
    assert [one["name"] for one in result["bad"]] == ["apple/01.png", "apple/02.png", "apple/03.png"]
    assert result["iteration"]["name"] == "Iteration 1"


@pytest.mark.parametrize(
    ("project", "seed", "says"),
    [
        ("5f2504e0-4f89-41d3-9a0c-0305e82c3303", {}, "check its id"),
        ("fruit", {"revoked_keys": [KEY]}, "put the current key into SIMULATOR_VISION_KEY"),
    ],
)
def test_a_project_that_cannot_be_reached_is_told_with_what_helps(
    lab: Lab, project: str, seed: dict[str, Any], says: str
) -> None:
    """One of another resource; a key that was rotated."""
    lab.simulators.vision.seed(**seed)
    assert train(lab.fruit / "training", project=project) == 1
    assert says in lab.capsys.readouterr().err


# -- what goes wrong on the way ---------------------------------------------------------------------------------------


def test_whoever_stops_an_upload_is_told_what_arrived(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on its way arrives, and the command ends as shells expect of Ctrl-C."""

    def stop(*_settled: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(upload, "MOST_IMAGES", 5)
    monkeypatch.setattr(upload.Upload, "_settle", stop)
    assert train(lab.fruit / "training") == 130
    said = lab.capsys.readouterr().err
    arrived = kept(lab.simulators)["image_count"]
    assert f"{arrived - 5} of 45 images have arrived; the same command goes on with the rest\n" in said
    assert said.endswith("reactor: stopped\n")


@pytest.mark.parametrize("code", [200, 207])
def test_each_image_is_judged_by_its_own_status(
    clients: Clients, fruit: Path, simulators: Simulators, capsys: pytest.CaptureFixture[str], code: int
) -> None:
    """What the service could not take is sent again, what it will not take is listed; whatever the answer's code."""
    simulators.vision.seed(
        settings={
            "status_code_of_partial": code,
            "image_status": {
                "apple/0[12]": ["ErrorUnknown", "ErrorStorage"],
                "banana/03": "ErrorImageFormat",
                "orange/04": "ErrorSource",
            },
        }
    )
    assert train(fruit / "training") == 1
    said = capsys.readouterr()
    assert said.out == "Classify Fruit: 45 images with 3 tags: 43 uploaded, 2 not taken\n"
    assert "banana/03.png: the service cannot read it; save it anew" in said.err
    assert "orange/04.png: the service could not take it, however often it was asked; give the same" in said.err
    assert "2 images not taken; nothing was trained; the same command goes on with the rest" in said.err
    assert kept(simulators)["image_count"] == 43
    simulators.vision.seed(settings={"image_status": {}})
    result = told(capsys, "train", fruit / "training")
    assert result["images"] == {"uploaded": 2, "duplicates": 0, "there": 43}


def test_a_service_that_asks_for_patience_gets_it(
    clients: Clients, fruit: Path, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """A 429 is no failure, wherever it comes."""
    simulators.vision.fault("throttle", retry_after=1, method="POST", path="images/files", n=2)
    simulators.vision.fault("throttle", method="POST", path="/tags", n=2)
    assert train(fruit / "training", "--no-train") == 0
    assert kept(simulators)["image_count"] == 45


@pytest.mark.parametrize("kind", ["drop", "lost_reply", "unavailable"])
def test_a_batch_without_an_answer_is_sent_again_in_halves(
    clients: Clients, fruit: Path, simulators: Simulators, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    """What arrived all the same is a duplicate then, and fine."""
    simulators.vision.fault(kind, method="POST", path="images/files", n=3)
    assert train(fruit / "training", "--no-train") == 0
    said = capsys.readouterr().out
    assert ("of them there before" in said) == (kind == "lost_reply")
    state = kept(simulators)
    assert (state["image_count"], state["tagged_count"]) == (45, 45)


def test_a_service_that_is_away_is_told_and_what_arrived_is_kept(
    clients: Clients, fruit: Path, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same command goes on."""
    simulators.vision.fault("unavailable", method="POST", path="images/files", n=500)
    assert train(fruit / "training", "--no-train") == 1
    assert "; 0 of 45 images have arrived; the same command goes on with the rest" in capsys.readouterr().err


def test_a_full_project_is_told(
    clients: Clients, fruit: Path, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is trained by accident with what is there."""
    simulators.vision.seed(settings={"image_status": {"orange": "ErrorLimitExceed"}})
    assert train(fruit / "training", "--skip-bad") == 1
    said = capsys.readouterr().err
    assert "the project is full" in said
    assert "nothing was trained" in said


@pytest.mark.parametrize(("dies", "duplicates"), [("before", 9), ("within", 9), ("after", 0)])
def test_a_command_that_was_killed_is_resumed(lab: Lab, dies: str, duplicates: int) -> None:
    """Before, while or after it was noted what had arrived: nothing is there twice or missing."""
    command = [sys.executable, "-c", VICTIM, str(lab.fruit / "training"), dies]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    assert subprocess.run(command, env=environment, check=False, capture_output=True).returncode == -signal.SIGKILL
    assert kept(lab.simulators)["image_count"] == 18
    there = 18 - duplicates
    result = told(lab.capsys, "train", lab.fruit / "training", "--no-train")
    assert result["images"] == {"uploaded": 45 - there, "duplicates": duplicates, "there": there}
    assert kept(lab.simulators)["image_count"] == 45
    assert counts(lab.clients, lab.simulators) == {"apple": 15, "banana": 15, "orange": 15}


VICTIM = """
import os, signal, sys
from cli.vision import journal as vision_journal, upload as upload
from cli.main import main

folder, dies = sys.argv[1:]
upload.MOST_IMAGES = 9
upload.Upload.__init__.__defaults__ = (1,)
really_keep = vision_journal.Journal.keep
number = 0

def keep(self, taken):
    global number
    number += 1
    size = self.path.stat().st_size
    if number < 2 or dies != "before":
        really_keep(self, taken)
    if number == 2:
        if dies == "within":
            os.truncate(self.path, size + 40)
        os.kill(os.getpid(), signal.SIGKILL)

vision_journal.Journal.keep = keep
sys.exit(main(["vision", "train", folder, "--project", "fruit", "--no-train"]))
"""
"""Dies around the second batch."""


def test_an_image_with_another_label_is_labelled_anew(
    clients: Clients, fruit: Path, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that moves to another folder has that tag, and not the old one too."""
    assert train(fruit / "training", "--no-train") == 0
    (fruit / "training/apple/15.png").rename(fruit / "training/orange/16.png")
    capsys.readouterr()
    assert train(fruit / "training", "--no-train") == 0
    assert ": 1 labelled anew, 44 uploaded before" in capsys.readouterr().out
    assert counts(clients, simulators) == {"apple": 14, "banana": 15, "orange": 16}


def test_what_the_project_lost_is_sent_again(
    clients: Clients, fruit: Path, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody deleted images in the portal; the journal is no reason to believe that they are there."""
    assert train(fruit / "training", "--no-train") == 0
    at = Resource(simulators.vision.url, KEY)
    gone = [one["id"] for one in kept(simulators)["images"]][:3]
    clients.vision.images.delete(at, FRUIT, gone)
    capsys.readouterr()
    assert train(fruit / "training", "--no-train") == 0
    said = capsys.readouterr()
    assert "3 images are not in the project any more, and go out again" in said.err
    assert "3 uploaded, 42 uploaded before" in said.out
    assert kept(simulators)["image_count"] == 45


def test_a_training_that_fails_says_why(
    clients: Clients, fruit: Path, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the service's own words, with what helps."""
    simulators.vision.seed(settings={"training_outcome": "Failed", "training_error": "The fruit was not ripe"})
    assert train(fruit / "training") == 1
    assert "the training of Iteration 1 failed: The fruit was not ripe" in capsys.readouterr().err


@pytest.mark.parametrize("connected", [True, False])
def test_an_app_that_hears_of_the_end_is_listened_to(
    lab: Lab,
    monkeypatch: pytest.MonkeyPatch,
    connected: bool,  # noqa: FBT001 # a table of cases
) -> None:
    """The service is asked once then; where nobody would hear of it, it is asked again and again."""
    monkeypatch.setattr(listening, "EVERY", 0.05)
    queue = lab.clients.account.queue("vision-notifications").url if connected else ""
    settings = {"classificationType": "Multiclass", "notificationQueueUri": queue}
    lab.simulators.vision.seed(
        projects=[{"id": FRUIT, "name": "Classify Fruit", "settings": settings}], settings={"training_seconds": 2.0}
    )

    def hear() -> None:
        state = lab.simulators.vision.until(lambda state: any(one["type"] == "Training" for one in state["sent"]))
        said = next(one for one in state["sent"] if one["type"] == "Training")
        event = parse.vision_notification(json.dumps(said))
        record = EventRecord(
            key=event.key,
            door="vision",
            status="planned",
            kinds=sorted(event.kinds),
            source=event.source,
            subject=event.subject,
            received=datetime.now(UTC),
        )
        Timeline(lab.clients.account).note_event(record)

    app = Thread(target=hear)
    if connected:
        app.start()
    assert train(lab.fruit / "training") == 0
    if connected:
        app.join()
    looks = [one for one in lab.simulators.vision.seen("GET", "/iterations/") if "performance" not in one["url"]]
    assert (len(looks) <= 3) == connected


# -- predict ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def published(lab: Lab) -> Lab:
    """Have something published."""
    assert train(lab.fruit / "training", "--publish", "fruit-classifier") == 0
    lab.capsys.readouterr()
    return lab


def test_what_is_not_sure_is_told_as_such(published: Lab) -> None:
    """Above the threshold each tag is told, below it the best one."""
    apple = published.fruit / "test/apple.png"
    assert run("predict", apple, "--name", "fruit-classifier", "--threshold", "0.99") == 0
    assert "nothing surely; most likely apple 8" in published.capsys.readouterr().out
    assert run("predict", apple, "--name", "fruit-classifier", "--threshold", "0.01") == 0
    assert "apple 8" in (said := published.capsys.readouterr().out)
    assert "orange 1" in said
    (one,) = told(published.capsys, "predict", apple, "--name", "fruit-classifier")
    assert [guess["tag"] for guess in one["guesses"] if guess["is_sure"]] == ["apple"]
    assert len(one["guesses"]) == 3


def test_an_image_at_a_url_is_looked_at_by_the_service(published: Lab) -> None:
    """By the published model and by an iteration alike."""
    url = published.clients.vision.images.page(Resource(published.simulators.vision.url, KEY), FRUIT, skip=0)[0].url
    assert "sig=" in url
    for which in (("--name", "fruit-classifier"), ("--iteration", "Iteration 1"), ("--iteration", "newest")):
        assert run("predict", url, *which) == 0
        said = published.capsys.readouterr().out
        assert ": apple " in said
        assert "sig=" not in said


def test_one_image_that_cannot_be_asked_about_is_no_end(published: Lab) -> None:
    """The others are told, each failure is named with what helps, and the command ends with 1."""
    (published.fruit / "test/large.png").write_bytes(
        (published.fruit / "test/apple.png").read_bytes() + bytes(5 * 1024 * 1024)
    )
    (published.fruit / "test/none.png").write_bytes(b"no image")
    nowhere = published.fruit / "nowhere.png"
    assert run("predict", published.fruit / "test", nowhere, "--name", "fruit-classifier") == 1
    said = published.capsys.readouterr()
    assert len(said.out.splitlines()) == 3
    assert "large.png: it is too large: 5.0 MB, and 4 MB is the most; scale it down" in said.err
    assert "none.png: it is no jpg, png, bmp or gif; save it as" in said.err
    assert "nowhere.png: it cannot be read: No such file or directory" in said.err
    assert [
        one["problem"][:9] for one in told(published.capsys, "predict", nowhere, "--name", "fruit-classifier", code=1)
    ]


@pytest.mark.parametrize(
    ("arguments", "project", "code", "says"),
    [
        (("--name", "fruit-clasifier"), "fruit", 1, 'nothing published as "fruit-clasifier" (did you mean'),
        (("--name", "x"), "shelves", 2, "the endpoint of the prediction resource is not known"),
        (("--iteration", "Iteration 9"), "fruit", 1, "trained are Iteration 1"),
        (("--iteration", "newest"), "shelves", 1, "none is trained yet"),
        (("--name", "x", "--threshold", "50"), "fruit", 2, "give a share from 0 to 1"),
        ((), "fruit", 2, "one of the arguments --name --iteration is required"),
    ],
)
def test_a_model_that_is_not_there_is_told(
    published: Lab, arguments: tuple[str, ...], project: str, code: int, says: str
) -> None:
    """With those that are."""
    assert run("predict", published.fruit / "test", *arguments, project=project) == code
    assert says in published.capsys.readouterr().err


def test_a_folder_without_images_is_told(published: Lab) -> None:
    """It is nothing that a model could look at."""
    (published.fruit / "empty").mkdir()
    assert run("predict", published.fruit / "empty", "--name", "fruit-classifier") == 2
    assert "no images are in" in published.capsys.readouterr().err
