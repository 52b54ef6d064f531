"""A declared Language project in its two regions: what each of them shows, and what exports of it hold."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from shared import language_content, regions
from shared.errors import PermanentError
from shared.regions import Ask, Content, Export, Places, Region, Served
from shared.replicas import Kept, Options, Wanted
from shared.rules.declared import LanguageProject

if TYPE_CHECKING:
    from shared.clients import Clients
    from shared.clients.language import Language
    from shared.replicas import Side


class Pair:
    """A declared project in its two regions."""

    def __init__(
        self,
        clients: Clients,
        name: str,
        declared: LanguageProject,
        language: Language | None = None,
        in_time: Callable[[], None] = lambda: None,
    ) -> None:
        """`in_time` is asked before each request, and raises where there is no time for it."""
        from shared.clients.language import Resource

        self._clients = clients
        self._given = language
        self._in_time = in_time
        self.at: dict[Side, Resource] = {
            "primary": Resource.of(declared.primary),
            "secondary": Resource.of(declared.secondary),
        }
        first, second = self.at["primary"].host, self.at["secondary"].host
        self.places = Places(name, declared.project, declared.source, first, second)
        self.wanted = Wanted(tuple(declared.deployments), declared.follow, Options.of(declared.training))
        self.lock = f"language:{second}/{declared.project}"
        """What a replication of it holds."""

    @property
    def _language(self) -> Language:
        """Give the client, for one request."""
        self._in_time()
        return self._given or self._clients.language

    def kept(self) -> Kept | None:
        """Read what is remembered of the last replication."""
        return self._clients.replicas.read(self.places.primary, self.places.project, self.places.secondary)[0]

    def is_imported(self, hash: str) -> bool:
        """Tell whether a replication left this in the secondary, maybe one that failed later: nobody edited it."""
        places = self.places
        return hash in self._clients.replicas.imported(places.primary, places.project, places.secondary)

    def shown(self, side: Side) -> Region | None:
        """Read what a region shows of the project: its details, deployments and models; None where it has none."""
        at, project = self.at[side], self.places.project
        about = self._language.projects.read(at, project)
        if about is None:
            return None
        deployments = self._language.deployments.list(at, project)
        models = {model.id: model for model in self._language.models.list(at, project)}
        served = {}
        for one in deployments:
            if one.name in self.wanted.deployments:
                model = models.get(one.model_id)
                served[one.name] = Served(
                    model=one.model_id,
                    label=model.label if model else one.model_id,
                    can_export=model is not None and model.has_snapshot,
                    since=one.deployed,
                    expires=one.expires,
                    model_expires=model.expires if model else None,
                )
        return Region(side, about.created, about.modified, served)

    def gone(self) -> PermanentError:
        """Say that the primary has no such project, and what it has."""
        at, project = self.at["primary"], self.places.project
        near = self._language.projects.near(at, project)
        has = f'; it has "{near}", and upper and lower case count' if near else ""
        return PermanentError(
            f'the primary, {at.host}, has no project "{project}"{has}',
            remedy=f'declare it as "{near}"' if near else "correct `project` or `primary` in the rules file",
        )

    def start(self, ask: Ask, now: datetime) -> Export:
        """Start an export, which changes nothing: one that is started twice does no harm."""
        at = self.at[ask.side]
        url = self._language.projects.export(at, self.places.project, model=ask.label)
        return Export(url=url, of=ask.of, started=now)

    def read(self, ask: Ask, export: Export, now: datetime) -> Content | Export:
        """Give what an export held; the export itself while it runs, and a new one where it is gone or takes too long.

        PermanentError where it failed.
        """
        at = self.at[ask.side]
        job = self._language.jobs.read(at, export.url)
        if job is None:
            return export if now < export.started + regions.NOT_THERE_YET else self.start(ask, now)
        if not job.is_over:
            return export if now < export.started + regions.TAKES else self.start(ask, now)
        if not job.is_good:
            raise PermanentError(
                f"its export from the {ask.side}, {at.host}, ended as {job.status}: {job.why}",
                remedy="it is begun again in an hour; an export by hand in Language Studio may tell more",
            )
        exported = self._language.projects.exported(at, export.url)
        return Content(of=export.of, hash=language_content.fingerprint(exported))
