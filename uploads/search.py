"""Which uploads of a user have a word: a table of blind tokens instead of words.

A token is an HMAC of a word under a key derived from its owner's key. Without the master keys it
says nothing, and the same word of two owners has two tokens. What it does show is in the threat
model.
"""

import hmac
from collections.abc import Iterable
from itertools import islice
from uuid import UUID

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from django.db.models import QuerySet

from config.rows import insert
from uploads.key_models import OwnerKey
from uploads.keys import owner_key
from uploads.models import SearchToken, Upload
from uploads.names import name_of
from uploads.words import MAX_CHARS, words_of, words_of_name

MAX_ASKED = 16  # words of a question; others are left out
_LABEL = b"strongroom search tokens v1"


def index(upload: Upload, words: Iterable[str]) -> None:
    """Let `upload` be found by `words`, by those of its name, and by no others.

    Call it in a transaction.
    """
    tokens = _tokens(owner_key(upload.owner_id), [*words, *words_of_name(name_of(upload))])
    SearchToken.objects.filter(upload=upload).delete()
    rows = (SearchToken(upload=upload, token=token) for token in sorted(tokens))
    SearchToken.objects.bulk_create(rows, batch_size=1000, ignore_conflicts=True)


def index_name(upload: Upload, name: str, *, under: bytes | None = None) -> None:
    """Let `upload` be found by the words of its name as well.

    `under` is its owner's key, where it is at hand.
    """
    tokens = _tokens(under or owner_key(upload.owner_id), words_of_name(name))
    rows = [SearchToken(upload_id=upload.pk, token=token) for token in sorted(tokens)]
    insert(rows, or_ignore=True)


def having(uploads: QuerySet[Upload], *, owner_id: UUID, question: str) -> QuerySet[Upload]:
    """Keep the uploads that have every word of `question`; none if it has no word."""
    words = list(dict.fromkeys(islice(words_of(question), MAX_ASKED)))
    if not words or not OwnerKey.objects.filter(pk=owner_id).exists():
        return uploads.none()
    for token in _tokens(owner_key(owner_id), words):
        uploads = uploads.filter(pk__in=SearchToken.objects.filter(token=token).values("upload_id"))
    return uploads


def _tokens(under: bytes, words: Iterable[str]) -> set[int]:
    key = HKDFExpand(SHA256(), 32, _LABEL).derive(under)
    return {_token(key, word) for word in words}


def _token(key: bytes, word: str) -> int:
    text = word[:MAX_CHARS].encode("utf-8", "replace")
    return int.from_bytes(hmac.digest(key, text, "sha256")[:8], "big", signed=True)
