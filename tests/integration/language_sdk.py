"""Microsoft's own client of conversational language understanding, pointed at the simulator.

    def test_the_flow(simulators: Simulators) -> None:
        author, analyst = authoring_client(simulators.language), runtime_client(simulators.language)
        author.begin_import_project("EmailApp", exported("EmailApp")).result()

It speaks 2023-04-01, with keys and tokens.
https://learn.microsoft.com/python/api/overview/azure/ai-language-conversations-readme
"""

from typing import Any

from azure.ai.language.conversations import ConversationAnalysisClient
from azure.ai.language.conversations.authoring import ConversationAuthoringClient
from azure.core.credentials import AzureKeyCredential

from dev.simulators.language import KEY
from dev.simulators.remote import Remote

__all__ = ["authoring_client", "question", "runtime_client"]


def authoring_client(at: Remote, credential: Any = None) -> Any:
    """Make a client of authoring that looks at jobs often, and is told of a 429 at once."""
    made: Any = ConversationAuthoringClient
    return made(at.url, credential or AzureKeyCredential(KEY), polling_interval=0.05, retry_total=0)


def runtime_client(at: Remote, credential: Any = None) -> Any:
    """Make a client of predictions."""
    made: Any = ConversationAnalysisClient
    return made(at.url, credential or AzureKeyCredential(KEY), retry_total=0)


def question(
    text: str, *, project: str = "EmailApp", deployment: str = "production", unit: str = "UnicodeCodePoint"
) -> dict[str, Any]:
    """Give the task that asks what a text is about."""
    return {
        "kind": "Conversation",
        "analysisInput": {"conversationItem": {"id": "1", "participantId": "1", "text": text}},
        "parameters": {
            "projectName": project,
            "deploymentName": deployment,
            "stringIndexType": unit,
            "verbose": True,
        },
    }
