"""The different words of a text or a document, for the index by which it is found."""

from typing import Any

from processing.steps import personal_data
from processing.steps.archive.limits import Damaged
from processing.steps.contract import JSON, MIB, Limits, Output, Step, StepContext, StepFailed
from processing.steps.document_text.errors import DocumentDamaged, DocumentEncrypted
from processing.steps.text import PLAIN_TEXTS
from uploads.words import MAX_CHARS, words_of

MAX_TERMS = 5_000

SCHEMA: dict[str, JSON] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "max_terms": {
            "type": "integer",
            "minimum": 1,
            "maximum": MAX_TERMS,
            "default": MAX_TERMS,
        },
    },
}


def run(context: StepContext) -> Output:
    """Return the words; the worker moves them into the index, and keeps their number only.

    Raises:
        StepFailed: those of `document_text` and `pdf_text`.
    """
    most: Any = context.settings.get("max_terms", MAX_TERMS)
    terms: dict[str, None] = {}
    rest = ""
    complete = True
    try:
        for block in personal_data.text_of(context):
            text = rest + block
            # A word may go on in the next block: what follows the last space waits for it.
            cut = max(text.rfind(" "), text.rfind("\n"), len(text) - 4 * MAX_CHARS)
            rest = text[cut + 1 :]
            terms.update(dict.fromkeys(words_of(text[: cut + 1])))
            if len(terms) > most:
                complete = False
                break
        else:
            terms.update(dict.fromkeys(words_of(rest)))
    except (DocumentDamaged, Damaged):
        raise StepFailed("document_damaged", "The document is damaged.") from None
    except DocumentEncrypted:
        raise StepFailed("document_encrypted", "The document is encrypted.") from None
    kept: list[JSON] = [term for term, _ in zip(terms, range(most), strict=False)]
    return {"terms": kept, "count": len(kept), "complete": complete and len(terms) <= most}


step = Step(
    "search_terms",
    run,
    title="Search index",
    media_types=personal_data.step.media_types,
    limits=Limits(wall_s=600, cpu_s=600, memory_bytes=1024 * MIB, output_bytes=4 * MIB),
    settings_schema=SCHEMA,
    shares_child=PLAIN_TEXTS,
)
