"""The committed OpenAPI document is the one that the code makes."""

import io
from pathlib import Path

from django.core.management import call_command

DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.yaml"


def test_the_committed_document_is_up_to_date():
    made = io.StringIO()
    call_command("spectacular", validate=True, fail_on_warn=True, stdout=made)
    assert made.getvalue() == DOCUMENT.read_text(), "Run: make schema"
