"""How well an iteration did on the images that were kept back from its training.

https://learn.microsoft.com/rest/api/customvision/iterations/get-performance
"""

from dataclasses import dataclass

from shared.clients.vision.service import Guid, Read, Share, Text


@dataclass(frozen=True, slots=True)
class TagPerformance:
    """How well a tag is recognised; shares from 0 to 1."""

    id: str
    name: str
    precision: float
    recall: float
    average_precision: float | None


@dataclass(frozen=True, slots=True)
class Performance:
    """How well an iteration recognises; shares from 0 to 1."""

    precision: float
    recall: float
    average_precision: float | None
    """The mean over the tags (mAP), where objects are detected."""
    tags: tuple[TagPerformance, ...]


class PerformanceRead(Read):
    """A performance on the wire."""

    class _Tag(Read):
        id: Guid
        name: Text
        precision: Share
        recall: Share
        average_precision: Share | None = None

    precision: Share
    recall: Share
    average_precision: Share | None = None
    per_tag_performance: tuple[_Tag, ...] | None = None

    def told(self) -> Performance:
        """Give what others are told of it."""
        tags = tuple(
            TagPerformance(one.id, one.name, one.precision, one.recall, one.average_precision)
            for one in self.per_tag_performance or ()
        )
        return Performance(self.precision, self.recall, self.average_precision, tags)
