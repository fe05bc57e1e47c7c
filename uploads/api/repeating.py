"""Uploads with an `Idempotency-Key`: the first one is stored, each later one compared with it."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from django.http import HttpRequest, HttpResponse
from rest_framework.request import Request

from config.accounts.authentication import still_signed_in
from config.accounts.errors import TokenInvalid
from config.accounts.models import User
from config.edge import receive_body
from config.edge.handover import Receiver
from config.idempotency import keys
from config.idempotency.errors import KeyReused, ResultGone
from uploads.api.content import plain_request
from uploads.errors import DigestMismatch
from uploads.intake import Offer, open_upload
from uploads.models import Upload


class Incoming(Protocol):
    """What a door writes a file into."""

    offer: Offer

    def write(self, data: bytes | memoryview) -> None: ...

    def learn(self, *, pipeline: str | None, folder: str, tags: tuple[str, ...]) -> None: ...

    def commit(self, *, sha256: bytes | None = None) -> Upload: ...

    def abort(self) -> None: ...


Open = Callable[[Offer], Incoming]
Answer = Callable[[Upload], HttpResponse]


def receive_once(
    request: Request,
    owner: User,
    make: Callable[[Open, Answer], Receiver],
    answer: Answer,
) -> HttpResponse:
    """Receive the file of `request`; one whose key is known is compared instead of stored.

    `make` gets what opens the file, and what answers, and returns the receiver of the body. Who
    is not signed in any more at the end of the body has handed in nothing.

    Raises:
        AppError: before the first byte.
    """
    may_finish = still_signed_in(request)

    def receiver_for(open_file: Open, respond: Answer) -> Receiver:
        return WhileSignedIn(make(open_file, respond), may_finish)

    return _receive_once(plain_request(request), owner, receiver_for, answer)


def _receive_once(
    request: HttpRequest, owner: User, make: Callable[[Open, Answer], Receiver], answer: Answer
) -> HttpResponse:
    found = keys.claim(owner, request)
    match found:
        case None:
            return receive_body(request, make(open_upload, answer))
        case keys.Replay():

            def again(upload: Upload) -> HttpResponse:
                response = answer(upload)
                response[keys.REPLAYED] = "true"
                return response

            return receive_body(request, make(lambda offer: Comparison(offer, found), again))
    try:

        def begin(offer: Offer) -> Incoming:
            def remember(upload: Upload, final: Offer) -> None:
                found.keep(upload.pk, *_facts(final, upload.sha256))

            return open_upload(replace(offer, remember=remember))

        receiver = WhileClaimed(make(begin, answer), found)
    except BaseException:
        found.release()
        raise
    return receive_body(request, receiver)


class WhileSignedIn:
    """A receiver that asks once more, after the last byte, whether its sender may still upload."""

    def __init__(self, receiver: Receiver, still_signed_in: Callable[[], bool]) -> None:
        self._receiver = receiver
        self._still_signed_in = still_signed_in

    def write(self, data: bytes | memoryview) -> None:
        self._receiver.write(data)

    def finish(self) -> HttpResponse:
        if not self._still_signed_in():
            raise TokenInvalid
        return self._receiver.finish()

    def abort(self) -> None:
        self._receiver.abort()


class WhileClaimed:
    """A receiver that holds on to its key for as long as there is progress."""

    def __init__(self, receiver: Receiver, claim: keys.Claim) -> None:
        self._receiver = receiver
        self._claim = claim

    def write(self, data: bytes | memoryview) -> None:
        self._receiver.write(data)
        self._claim.renew()

    def finish(self) -> HttpResponse:
        return self._receiver.finish()

    def abort(self) -> None:
        try:
            self._receiver.abort()
        finally:
            self._claim.release()


class Comparison:
    """Stands in for an arrival where the file has arrived already: counts and hashes only."""

    def __init__(self, offer: Offer, replay: keys.Replay) -> None:
        upload = Upload.objects.owned_by(offer.owner).filter(pk=replay.subject).first()
        if upload is None:
            raise ResultGone
        self.offer = offer
        self._replay = replay
        self._upload = upload
        self._digest = hashlib.sha256()
        self._left_bytes = upload.size

    def write(self, data: bytes | memoryview) -> None:
        self._left_bytes -= len(data)
        if self._left_bytes < 0:
            raise KeyReused
        self._digest.update(data)

    def learn(self, **said: Any) -> None:
        self.offer = replace(self.offer, **said)

    def commit(self, *, sha256: bytes | None = None) -> Upload:
        if sha256 is not None and sha256 != self._digest.digest():
            raise DigestMismatch
        self._replay.check(*_facts(self.offer, self._digest.hexdigest()))
        return self._upload

    def abort(self) -> None:
        """Nothing was begun."""


def _facts(offer: Offer, sha256: str) -> list[str]:
    """Return what makes two uploads the same one."""
    return [offer.name, offer.pipeline or "", offer.folder, *offer.tags, sha256]
