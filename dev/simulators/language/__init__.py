"""Azure AI Language: conversational language understanding (CLU), authoring and runtime, 2023-04-01 and 2025-11-01.

https://learn.microsoft.com/rest/api/language/conversational-analysis-authoring and
https://learn.microsoft.com/azure/ai-services/language-service/conversational-language-understanding/how-to/fail-over
Everything is real that can be: an import is checked to the last offset, models learn the words of their utterances
(classifier.py), their evaluation is measured on the test set, and the runtime answers with what is deployed. What the
service's pages do not settle is said at the top of each module, and is a setting where it matters.
There are two resources, `language` and `language_replica`; the key that is good at both is `KEY`.

`POST /_seed` takes any of:

    {"projects": [{"name": "EmailApp", "language": "en-us", "multilingual": false, "description": "", "threshold": 0.0,
        "intents": ["Read", {"category": "Send"}], "entities": ["Contact", {"category": "Folder", "list": {…}}],
        "utterances": [{"text": "read mail from Kim", "intent": "Read", "dataset": "Train", "language": "en-us",
                        "entities": [{"category": "Contact", "offset": 15, "length": 3}]}],
        "models": ["v1", {"label": "v2", "expires": "2027-01-31", "evaluationOptions": {…},
                          "trained": "2026-01-01T00:00:00Z", "snapshot": true, "evaluation": {…}, "id": "…"}],
        "deployments": {"production": "v1"}, "created": "…", "modified": "…"}],
     "edits": [{"project": "EmailApp", "utterances": [one more, …], "forget": ["text of one", …], "intents": […],
                "entities": […], "description": "…"}],
     "deployments": [{"project": "EmailApp", "name": "production", "model": "v1", "expires": "2026-12-31"}],
     "delete": ["EmailApp"], "keys": ["another-key"], "revoked_keys": ["…"], "settings": {…}}

A seeded project replaces the one of its name; instead of its parts it may have `"exported"`: an exported project, as
`samples.exported()` gives one (English and Korean, with an emoji). Seeded offsets are UTF-16 code units, and intents
and entities that utterances name are made. Seeded models are trained with what is seeded of the project. `edits` are
what somebody does by hand in the portal: the working copy is another, and its time; models stay. `"deployments"` is a
deployment by hand, at once.

The settings, and what they are at first:

    authoring (true)            false: a region for predictions only
    rate_limited (false)        429 with Retry-After beyond 10 POST (PUT, PATCH, DELETE) and 100 GET in a minute
    token_role ("owner")        the role of who comes with a token: "none", "reader", "writer" or "owner"
    key_role ("owner")          the same of a key, which in Azure is always an owner
    denied_status (401)         how a role is refused: 401 with PermissionDenied, or 403 with Forbidden
    job_seconds (0.2)           how long a job takes; train_seconds (0.5) for a training with its evaluation
    outcomes ({})               by kind of job (export, import, train, deploy, swap, delete_deployment, delete_project,
                                load_snapshot): "failed", "partiallyCompleted", "cancelled", "expired" (succeeded, then
                                gone at once), or another status, which it then has for ever; or {"status": "failed",
                                "errors": [{"code": "InvalidArgument", "message": "…"}], "warnings": […], "seconds": 3};
                                or a list of these, one for each such job to come; then jobs succeed again
    job_days (7)                until a job is gone, and what it exported
    job_hidden_seconds (0)      404 for a job that began less than this ago
    retry_after (null)          seconds: the Retry-After of a 202, and of a job that is not over
    busy_status (400)           how a second training is refused: 400 with InvalidRequest, or 409 with Conflict
    clock_seconds (0)           how far this resource's clock is ahead: {"clock_seconds": 8 * 86400} makes jobs expire
    config_versions ([])        instead of 2022-09-01: [{"trainingConfigVersion": "2027-01-01",
                                "modelExpirationDate": "2028-01-01"}], the newest last; one that expired trains nothing
    model_days (365)            until a model expires, and deployment_days (730) a deployment, from when it is made
    evaluation (null)           what trainings to come are said to reach: {"intents": {"macroF1": 0.5}, "entities": {…}}
                                over what is measured
    predictions (null)          what the runtime answers to any text: [{"category": "Read", "confidenceScore": 0.9}]
    cut_off ("")                "unavailable": 503; "refused": the connection is closed without an answer
    cut_off_of ("runtime")      what is cut off: "runtime", "authoring" or "all"
    page_size (100)             how many a listing gives at a time
    shuffled (false)            exports list things in another order than they came in

`GET /_state` shows `projects` (each as its details, with `exported`, its working copy, `models` and `deployments` by
name as their GETs show them) and `jobs` as their GETs show them, with `kind` and `project`.
"""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from dev.simulators.faults import DroppedError
from dev.simulators.language.access import denied
from dev.simulators.language.assets import LANGUAGES
from dev.simulators.language.deployments import Deployments
from dev.simulators.language.evaluations import Evaluations
from dev.simulators.language.projects import PREBUILT, Projects, languages
from dev.simulators.language.rates import Rates
from dev.simulators.language.refusals import answered
from dev.simulators.language.resource import AUTHORING, RUNTIME, Resource
from dev.simulators.language.runtime import Runtime
from dev.simulators.language.seeds import deploy, edit, project_of, state_of
from dev.simulators.language.settings import KINDS, SETTINGS, VERSIONS
from dev.simulators.language.training import Trainings
from dev.simulators.tokens import COGNITIVE, Tokens
from dev.simulators.wire import Answer, Request, Route

KEY = "simulated-language-key"
SEEDS = {"projects", "edits", "deployments", "delete", "keys", "revoked_keys", "settings"}
CUTS = {"", "unavailable", "refused"}
PARTS = {"runtime", "authoring", "all"}


class Language:
    """One Language resource."""

    def __init__(self, tokens: Tokens, name: str = "language") -> None:
        self.name = name
        self._tokens = tokens
        self.lock = threading.RLock()
        self._resource = Resource()
        self._rates = Rates()
        self._keys = {KEY}

    def routes(self) -> Sequence[Route]:
        """Give the operations; of two that a path fits, the later one answers."""
        projects, look = Projects(self._resource), self._resource.looked_at
        project = AUTHORING + "/projects/{project}"
        return [
            ("GET", AUTHORING + "/projects", projects.list),
            ("GET", project, projects.get),
            ("PATCH", project, projects.create),
            ("DELETE", project, projects.delete),
            ("GET", AUTHORING + "/projects/global/deletion-jobs/{job}", look),
            ("POST", project + "/:export", projects.export),
            ("GET", project + "/export/jobs/{job}", look),
            ("GET", project + "/export/jobs/{job}/result", projects.result),
            ("POST", project + "/:import", projects.import_),
            ("GET", project + "/import/jobs/{job}", look),
            ("POST", project + "/models/{label}/:load-snapshot", projects.load_snapshot),
            ("GET", project + "/models/{label}/load-snapshot/jobs/{job}", look),
            *self._training_routes(project),
            *self._deployment_routes(project),
            ("GET", AUTHORING + "/projects/global/languages", self._languages),
            ("GET", AUTHORING + "/projects/global/prebuilt-entities", self._prebuilt),
            ("POST", RUNTIME, Runtime(self._resource).analyze),
        ]

    def _training_routes(self, project: str) -> Sequence[Route]:
        trainings, evaluations = Trainings(self._resource), Evaluations(self._resource)
        model = project + "/models/{label}"
        return [
            ("POST", project + "/:train", trainings.start),
            ("GET", project + "/train/jobs", trainings.jobs),
            ("GET", project + "/train/jobs/{job}", trainings.job),
            ("POST", project + "/train/jobs/{job}/:cancel", trainings.cancel),
            ("GET", project + "/models", trainings.models),
            ("GET", model, trainings.model),
            ("DELETE", model, trainings.delete),
            ("GET", model + "/evaluation/summary-result", evaluations.summary),
            ("GET", model + "/evaluation/result", evaluations.results),
            ("GET", AUTHORING + "/projects/global/training-config-versions", trainings.config_versions),
        ]

    def _deployment_routes(self, project: str) -> Sequence[Route]:
        deployments, look = Deployments(self._resource), self._resource.looked_at
        deployment = project + "/deployments/{deployment}"
        return [
            ("GET", project + "/deployments", deployments.list),
            ("GET", deployment, deployments.get),
            ("PUT", deployment, deployments.put),
            ("DELETE", deployment, deployments.delete),
            ("GET", deployment + "/jobs/{job}", look),
            ("POST", project + "/deployments/:swap", deployments.swap),
            ("GET", project + "/deployments/swap/jobs/{job}", look),
        ]

    def refuse(self, request: Request) -> Answer | None:
        """Do what is due; then refuse who is cut off, not known, in the wrong region, without a role, or too fast."""
        self._resource.settle()
        runtime = request.path.lower().startswith(RUNTIME.lower())
        return (
            self._cut_off("runtime" if runtime else "authoring")
            or self._stranger(request)
            or self._wrong(request, runtime=runtime)
            or self._too_fast("predictions" if runtime else "reads" if request.method == "GET" else "writes")
        )

    def _cut_off(self, part: str) -> Answer | None:
        settings = self._resource.settings
        if not settings["cut_off"] or settings["cut_off_of"] not in {part, "all"}:
            return None
        if settings["cut_off"] == "refused":
            raise DroppedError("cut off")
        return self.error(503, "ServiceUnavailable", "The service is temporarily unavailable.")

    def _wrong(self, request: Request, *, runtime: bool) -> Answer | None:
        settings = self._resource.settings
        version = request.query.get("api-version")
        if version not in VERSIONS:
            missing = f"The api-version '{version}' is not supported." if version else "The api-version is missing."
            return self.error(404 if version else 400, "404" if version else "InvalidRequest", missing)
        if not runtime and not settings["authoring"]:
            message = "Authoring is not supported in this region; it is for predictions only."
            return self.error(400, "InvalidRequest", message)
        role = settings["key_role" if "ocp-apim-subscription-key" in request.headers else "token_role"]
        return denied(request, role, int(settings["denied_status"]))

    def _too_fast(self, kind: str) -> Answer | None:
        if not self._resource.settings["rate_limited"]:
            return None
        if not (after := self._rates.exceeded(kind, self._resource.clock().timestamp())):
            return None
        refused = self.throttled(None, after)
        return Answer(refused.status, refused.body, {"Retry-After": str(int(after) + 1)})

    def _stranger(self, request: Request) -> Answer | None:
        key = request.headers.get("ocp-apim-subscription-key")
        if key is not None and key not in self._keys:
            return self.error(
                401,
                "401",
                "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key "
                "for an active subscription and use a correct regional API endpoint for your resource.",
            )
        if key is None and self._tokens.problem(request.headers.get("authorization", ""), COGNITIVE):
            return self.error(
                401,
                "401",
                "Unauthorized. Access token is missing, invalid, audience is incorrect "
                "(https://cognitiveservices.azure.com), or have expired.",
            )
        return None

    def error(self, status: int, code: str, message: str) -> Answer:
        """Give the service's own nested error."""
        return answered(status, code, message)

    def throttled(self, request: Request | None, after: float | None) -> Answer:
        """Give the 429 of the service."""
        del request
        hint = "" if after is None else f" Try again in {after:.0f} seconds."
        return self.error(429, "TooManyRequests", f"Rate limit is exceeded.{hint}")

    def _languages(self, request: Request) -> Answer:
        return self._resource.listing(request, languages(LANGUAGES))

    def _prebuilt(self, request: Request) -> Answer:
        return self._resource.listing(request, PREBUILT)

    def seed(self, given: Mapping[str, Any]) -> None:
        """See the top of this package."""
        if unknown := set(given) - SEEDS:
            raise ValueError(f"{sorted(unknown)}: none of {sorted(SEEDS)}")
        self._resource.settle()
        self._set(given.get("settings", {}))
        self._keys.update(given.get("keys", ()))
        self._keys.difference_update(given.get("revoked_keys", ()))
        for name in given.get("delete", ()):
            del self._resource.projects[name]
        for one in given.get("projects", ()):
            project = project_of(self._resource, one)
            self._resource.projects[project.name] = project
        for one in given.get("edits", ()):
            edit(self._resource, one)
        for one in given.get("deployments", ()):
            deploy(self._resource, self._resource.projects[one["project"]], one)

    def _set(self, settings: Mapping[str, Any]) -> None:
        if unknown := set(settings) - set(SETTINGS):
            raise ValueError(f"settings {sorted(unknown)}: none of {sorted(SETTINGS)}")
        if unknown := set(settings.get("outcomes", {})) - set(KINDS):
            raise ValueError(f"outcomes of {sorted(unknown)}: none of {sorted(KINDS)}")
        if settings.get("cut_off", "") not in CUTS or settings.get("cut_off_of", "all") not in PARTS:
            raise ValueError(f"cut_off is one of {sorted(CUTS)}, and cut_off_of one of {sorted(PARTS)}")
        self._resource.settings.update(settings)

    def state(self) -> Any:
        """Give the projects with all they hold, and the jobs."""
        self._resource.settle()
        return state_of(self._resource)

    def reset(self) -> None:
        """Nothing is left."""
        self._resource.clear()
        self._rates.forget()
        self._keys = {KEY}
