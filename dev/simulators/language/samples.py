"""A project about mail, in English and Korean, as an export of it looks.

The shape is that of
https://learn.microsoft.com/azure/ai-services/language-service/conversational-language-understanding/how-to/fail-over
"""

import copy
from typing import Any

from dev.simulators.language.texts import UTF16, counted

Said = tuple[str, str, tuple[tuple[str, str], ...]]
"""A text, its language, and what it names: category and text of each entity."""

SAID: dict[str, tuple[Said, ...]] = {
    "Read": (
        ("read the latest mail from Kim", "en-us", (("Contact", "Kim"),)),
        ("open my inbox and read it to me", "en-us", (("Folder", "inbox"),)),
        ("show unread messages in the archive", "en-us", (("Folder", "archive"),)),
        ("📧 read what Lee wrote yesterday", "en-us", (("Contact", "Lee"),)),
        ("what did Park write to me", "en-us", (("Contact", "Park"),)),
        ("받은편지함에서 새 메일을 읽어 줘", "ko", (("Folder", "받은편지함"),)),
        ("김민수가 보낸 메일을 읽어 줘", "ko", (("Contact", "김민수"),)),
        ("읽지 않은 메일을 보여 줘", "ko", ()),
    ),
    "Send": (
        ("send a reply to Kim", "en-us", (("Contact", "Kim"),)),
        ("compose a letter and send it to Lee", "en-us", (("Contact", "Lee"),)),
        ("🚀 send this picture to Park now", "en-us", (("Contact", "Park"),)),
        ("send the invoice to accounting", "en-us", ()),
        ("reply that I will be late", "en-us", ()),
        ("김민수에게 답장을 보내 줘", "ko", (("Contact", "김민수"),)),
        ("이영희에게 사진을 보내 줘", "ko", (("Contact", "이영희"),)),
        ("회의 시간을 답장으로 보내", "ko", ()),
    ),
    "Delete": (
        ("delete all spam", "en-us", ()),
        ("remove every advertisement", "en-us", ()),
        ("🗑️ delete the newsletter of Lee", "en-us", (("Contact", "Lee"),)),
        ("throw away everything in the archive", "en-us", (("Folder", "archive"),)),
        ("empty the bin", "en-us", ()),
        ("스팸을 모두 삭제해 줘", "ko", ()),
        ("광고를 전부 지워 줘", "ko", ()),
        ("보관함을 비우고 삭제해 줘", "ko", (("Folder", "보관함"),)),
    ),
}


def exported(name: str = "EmailApp", *, multilingual: bool = True, language: str = "en-us") -> dict[str, Any]:
    """Give the project as an export of its working copy, with a name; only its own language where it has one."""
    utterances = [
        {
            "text": text,
            "language": of,
            "intent": intent,
            "entities": [entity(text, category, form) for category, form in named],
            "dataset": "Test" if at % 4 == 3 else "Train",
        }
        for intent, said in SAID.items()
        for at, (text, of, named) in enumerate(said)
        if multilingual or of == language
    ]
    return {
        "projectFileVersion": "2023-04-01",
        "stringIndexType": UTF16,
        "metadata": {
            "projectKind": "Conversation",
            "settings": {"confidenceThreshold": 0.2},
            "projectName": name,
            "multilingual": multilingual,
            "description": "What people say to their mail",
            "language": language,
        },
        "assets": {
            "projectKind": "Conversation",
            "intents": [{"category": "None"}, *({"category": intent} for intent in SAID)],
            "entities": [
                {"category": "Contact", "compositionSetting": "combineComponents"},
                {
                    "category": "Folder",
                    "compositionSetting": "combineComponents",
                    "list": {"sublists": [copy.deepcopy(FOLDER)]},
                },
            ],
            "utterances": utterances,
        },
    }


FOLDER = {
    "listKey": "inbox",
    "synonyms": [
        {"language": "en-us", "values": ["inbox", "incoming mail"]},
        {"language": "ko", "values": ["받은편지함", "수신함"]},
    ],
}


def entity(text: str, category: str, form: str) -> dict[str, Any]:
    """Give an entity of a text, where it stands there."""
    offset, length = counted(text, text.index(form), len(form), UTF16)
    return {"category": category, "offset": offset, "length": length}
