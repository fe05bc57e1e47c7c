"""Who delivers: one thread of each worker process, beside the one that works on files.

A slow receiver keeps neither runs nor other receivers waiting: the courier sends to AT_ONCE
endpoints at the same time, each in a thread without a connection to the database. A worker that is
woken, or ticks, wakes its courier.
"""

import logging
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from queue import Empty, SimpleQueue
from smtplib import SMTPException

from django.conf import settings
from django.core.mail import send_mail
from django.db import connection

from config.errors import AppError
from processing import queue
from processing.webhooks import deliveries
from processing.webhooks.deliveries import Claim
from processing.webhooks.events import body_of
from processing.webhooks.models import Endpoint
from processing.webhooks.rules import Rules, rules
from processing.webhooks.sealing import SECRET, URL, Seal
from processing.webhooks.sending import Answer, post
from processing.webhooks.signing import headers_of

logger = logging.getLogger(__name__)

AT_ONCE = 4
LOOK_AGAIN_S = 0.5  # for what becomes due while others are being tried
LOOK_S = 2.0  # while nothing is: a worker that is busy with a long step does not wake anybody


@dataclass(frozen=True)
class Letter:
    """Everything that an attempt needs, unsealed."""

    message_id: str
    url: str
    secrets: tuple[str, ...]
    body: bytes


_AWAKE = threading.Event()


def start() -> None:
    """Begin to deliver, for as long as this process lives. Called once in a worker."""
    threading.Thread(target=_go, daemon=True, name="courier").start()


def wake() -> None:
    """Let the courier of this process, if it has one, look for what is due."""
    _AWAKE.set()


def _go() -> None:
    while True:
        _AWAKE.wait(LOOK_S)
        _AWAKE.clear()
        try:
            deliver_due()
        except Exception:  # whatever it is: a courier that ends delivers nothing any more
            logger.warning("deliveries interrupted", exc_info=True)
            connection.close()


def deliver_due() -> int:
    """Try what is due until nothing is, and return how many attempts that took."""
    ended: SimpleQueue[tuple[Claim, Answer, float]] = SimpleQueue()
    attempts = under_way = 0
    while True:
        if not queue.stopping():
            for claim in deliveries.claim(AT_ONCE - under_way):
                _begin(claim, ended)
                under_way += 1
        if not under_way:
            return attempts
        try:
            _end(*ended.get(timeout=LOOK_AGAIN_S))
        except Empty:
            continue
        under_way -= 1
        attempts += 1


def letter_of(claim: Claim, now: datetime) -> Letter:
    """Return what is to be sent.

    Raises:
        UnknownKey, Damaged
    """
    delivery, endpoint = claim.delivery, claim.delivery.endpoint
    seal = Seal.of(endpoint)
    secrets = [seal.open(endpoint.sealed_secret, SECRET)]
    until, previous = endpoint.previous_until, endpoint.sealed_previous
    if previous is not None and until is not None and until > now:
        secrets.append(seal.open(previous, SECRET))
    return Letter(
        message_id=delivery.message_id,
        url=seal.open(endpoint.sealed_url, URL),
        secrets=tuple(secrets),
        body=body_of(delivery.event, delivery.facts, delivery.occurred_at),
    )


def _begin(claim: Claim, ended: "SimpleQueue[tuple[Claim, Answer, float]]") -> None:
    try:
        letter = letter_of(claim, queue.now())
    except AppError as error:
        ended.put((claim, Answer(error_code=error.code), 0.0))
        return
    given = rules()

    def attempt() -> None:
        began = time.monotonic()
        answer = _send(letter, given)
        ended.put((claim, answer, (time.monotonic() - began) * 1000))

    threading.Thread(target=attempt, daemon=True, name="delivery").start()


def _send(letter: Letter, given: Rules) -> Answer:
    headers = headers_of(
        letter.message_id, letter.body, at_s=int(time.time()), under=letter.secrets
    )
    try:
        return post(letter.url, letter.body, headers, given)
    except AppError as error:
        return Answer(error_code=error.code)
    except Exception:  # whatever the other side did: the courier waits for an answer
        logger.exception("attempt broke off")
        return Answer(error_code="attempt_broke_off")


def _end(claim: Claim, answer: Answer, took_ms: float) -> None:
    endpoint = deliveries.settle(claim, answer, took_ms=took_ms)
    if endpoint is not None:
        _give_notice(endpoint)


def _give_notice(endpoint: Endpoint) -> None:
    """Tell the owner by mail, where there is a mail server, that an endpoint is switched off.

    Its page says so in any case.
    """
    logger.warning("endpoint switched off", extra={"endpoint": str(endpoint.pk)})
    address = endpoint.owner.email
    if not address:
        return
    endpoint.refresh_from_db()
    text = (
        f"{settings.SITE_NAME} sends no more webhooks to your endpoint {endpoint.name!r}.\n"
        f"Reason: {endpoint.get_ended_because_display()}.\n"
        "Deliveries that wait are kept; switch the endpoint on again under Webhooks to get them.\n"
    )
    try:
        send_mail(f"{settings.SITE_NAME}: a webhook is switched off", text, None, [address])
    except (SMTPException, OSError):
        logger.warning("notice not sent", exc_info=True)
