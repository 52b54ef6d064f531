"""A folder of images and the project that is to learn from it: what is looked at, announced and uploaded."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cli.errors import RefusedError, UsageError
from cli.vision import arrived
from cli.vision.arrived import AGAIN, stoppable, summary
from cli.vision.asked import refuse_wrong
from cli.vision.before import announced, refuse_strangers, refuse_too_few, refuse_unknown
from cli.vision.project import Here, find

if TYPE_CHECKING:
    from cli.vision.journal import Journal
    from cli.vision.labelled import Collected, Labelled
    from cli.vision.there import There
    from cli.vision.upload import Outcome, Upload
    from shared.clients.vision import Image, Project, Tag


@dataclass
class Lesson:
    """One project, and a folder that it is to learn from."""

    options: Namespace
    here: Here
    project: Project
    detects: bool
    told: dict[str, Any] = field(default_factory=dict)
    """For programs."""
    journal: Journal = field(init=False)
    """What the project has of the folder; once it is uploaded."""
    images: list[Labelled] = field(default_factory=list)
    """Those of the folder; once they are uploaded."""

    @classmethod
    def of(cls, options: Namespace) -> Lesson:
        """Find the project; RefusedError where it is not there, or the folder does not suit it."""
        here = find(options)
        refuse_wrong(options, here)
        project = here.vision.projects.read(here.at, here.project)
        if project is None:
            raise RefusedError(
                f"project {here.project} is not on {here.at.endpoint}: check its id, and that this is the endpoint of "
                "its own training resource"
            )
        detects = project.classification is None
        if detects and not options.coco:
            raise UsageError(
                f"{project.name} detects objects: give --coco FILE, which says where on the images they are"
            )
        return cls(options, here, project, detects, {"project": here.project})

    def say(self, text: str) -> None:
        """Tell a person."""
        if not self.options.json:
            print(text)

    # -- the images ---------------------------------------------------------------------------------------------------

    def collect(self) -> Collected:
        """Look at every file before anything is sent."""
        from cli.vision.coco import read_coco
        from cli.vision.labelled import read_folder

        folder, bar = self.options.folder, self._bar("looked at")
        try:
            if self.options.coco:
                one_tag = self.project.name if self._one_tag else ""
                found = read_coco(folder, self.options.coco, bar.show, detects=self.detects, one_tag=one_tag)
            else:
                found = read_folder(folder, bar.show)
        finally:
            bar.close()
        found.merge(one_tag=self._one_tag)
        for note in found.notes:
            print(f"reactor: {note}", file=sys.stderr)
        if not found.images and not found.bad:
            raise UsageError(f"there are no images in {folder} to learn from")
        return found

    def upload(self, images: list[Labelled]) -> Outcome:
        """Upload what the project does not have yet, or has with another label."""
        from cli.vision.labelled import tags_of
        from cli.vision.there import There
        from cli.vision.upload import Upload

        there, self.images = There(self._page), images
        journal = self.journal = self._journal(images, there)
        tags = {tag.name: tag for tag in self.here.vision.tags.list(self.here.at, self.here.project)}
        new = [image for image in images if not journal.has(image)]
        relabelled = [kept.id for image in new if (kept := journal.find(image))]
        wanted = tags_of(images)
        self._announce(tags.values(), wanted)
        refuse_unknown(self.options.tags, {*tags, *wanted})
        if not self.options.no_train:
            gone = Counter(tag for label in there.labels(relabelled).values() for tag in label.tags)
            left = {tag.name: max(tag.images - gone[tag.name], 0) for tag in tags.values() if tag.type != "Negative"}
            refuse_too_few(new, left, wanted, detects=self.detects, only=self.options.tags)
        self._refuse_strangers([image for image in new if not journal.find(image)], tags, there)
        ids = {name: tag.id for name, tag in self._with_missing(tags, wanted).items()}
        if relabelled:
            self.here.vision.images.delete(self.here.at, self.here.project, relabelled)
        bar = self._bar("uploaded")
        uploading = Upload(
            lambda some: self.here.vision.images.upload(self.here.at, self.here.project, some),
            ids,
            journal,
            lambda number: bar.show(number, len(new)),
            there=there,
        )
        try:
            with stoppable(lambda: sum(journal.has(image) for image in images), len(images)):
                outcome = uploading.run(new)
                relabelled += self._label_anew(uploading, images)
        finally:
            bar.close()
            self.told["images"] = {
                "uploaded": uploading.outcome.taken,
                "duplicates": uploading.outcome.duplicates,
                "there": len(images) - len(new),
            }
        self.say(f"{self.project.name}: {summary(images, len(new), outcome, len(relabelled))}")
        if more := {id: name for id, name in journal.besides(images).items() if id not in relabelled}:
            print(f"reactor: {arrived.besides(more)}", file=sys.stderr)
        return outcome

    @property
    def _one_tag(self) -> bool:
        """Whether each image has one tag there."""
        return self.project.classification == "Multiclass"

    def _announce(self, tags: Iterable[Tag], wanted: Iterable[str]) -> None:
        """Say what it is about to teach which project: nothing has been sent by now."""
        from cli.vision.upload import patiently

        here = self.here
        if not self.options.json:
            number = patiently(lambda: here.vision.images.count(here.at, here.project))
            print(announced(self.project.name, number, tags, wanted), file=sys.stderr)

    def _refuse_strangers(self, new: Sequence[Labelled], tags: Mapping[str, Tag], there: There) -> None:
        """Refuse a folder whose pictures the project has under other tags, before a tag is made for them."""
        from cli.vision.labelled import tags_of
        from cli.vision.upload import patiently

        missing, here = set(tags_of(new)) - set(tags), self.here
        if missing and not self.options.relabel and any(tag.images for tag in tags.values()):
            refuse_strangers(
                new,
                missing,
                lambda some: patiently(lambda: here.vision.images.upload(here.at, here.project, some)),
                lambda ids: here.vision.images.delete(here.at, here.project, ids),
                there,
            )

    def _page(self, skip: int) -> list[Image]:
        """List the project's images after so many, newest first."""
        from cli.vision.upload import patiently

        here = self.here
        return patiently(lambda: here.vision.images.page(here.at, here.project, skip=skip, tagged=None, order="Newest"))

    def _label_anew(self, uploading: Upload, images: list[Labelled]) -> list[str]:
        """Replace what the project had with another label before, and the journal knew nothing of."""
        from cli.vision.labelled import Bad
        from cli.vision.there import replaceable

        outcome = uploading.outcome
        wrong, bad = replaceable(outcome.others, images, self.journal, one_tag=self._one_tag)
        outcome.bad += bad
        if not wrong or outcome.is_full:
            return []
        ids = sorted({*wrong.values()})
        self.here.vision.images.delete(self.here.at, self.here.project, ids)
        outcome.others = {}
        uploading.run(wrong)
        outcome.bad += [Bad(one.name, "the project has it with another label again", AGAIN) for one in outcome.others]
        return ids

    def _journal(self, images: Iterable[Labelled], there: There) -> Journal:
        """Open the journal, and drop what the project has lost since."""
        from cli.vision.journal import Journal

        journal = Journal.of(self.options.folder, self.here.at.endpoint, self.here.project, self.options.journal)
        lost = journal.ids - there.labels(journal.ids).keys()
        again = [image for image in images if (kept := journal.find(image)) and kept.id in lost]
        journal.forget(lost)
        if again:
            print(f"reactor: {arrived.lost(len(again))}", file=sys.stderr)
        return journal

    def _with_missing(self, tags: Mapping[str, Tag], wanted: Iterable[str]) -> Mapping[str, Tag]:
        """Create the tags that are missing."""
        from cli.vision.upload import patiently

        here = self.here
        missing = sorted(set(wanted) - set(tags))
        return dict(tags) | {
            name: patiently(lambda name=name: here.vision.tags.create(here.at, here.project, name))  # type: ignore[misc]
            for name in missing
        }

    def _bar(self, done: str) -> Any:
        from cli.vision.bar import Bar

        return Bar(f"images {done}", is_shown=not self.options.json)
