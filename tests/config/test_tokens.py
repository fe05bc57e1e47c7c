"""How programs sign in, stay signed in, and are shut out."""

from datetime import timedelta
from typing import Any

import jwt
import pytest
from allauth.mfa.totp.internal.auth import (
    TOTP,
    format_hotp_value,
    generate_totp_secret,
    hotp_value,
    yield_hotp_counters_from_time,
)
from django.conf import settings as django_settings

from config.accounts import tokens
from config.accounts.models import TokenFamily

pytestmark = pytest.mark.django_db

TOKEN = "/api/v1/token/"
PASSWORD = "a-long-pass-phrase"
PROTECTED = "/api/v1/uploads/"


def sign_in(client: Any, user: Any, **more: str) -> Any:
    return client.post(
        TOKEN, {"username": user.username, "password": PASSWORD, **more}, format="json"
    )


def allowed(client: Any, access: str) -> int:
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {access}")
    status: int = client.get(PROTECTED).status_code
    client.credentials()
    return status


def test_a_password_is_exchanged_for_tokens_that_work(client_of, owner):
    client = client_of(None)
    pair = sign_in(client, owner).json()
    assert allowed(client, pair["access"]) == 200
    assert allowed(client, pair["refresh"]) == 401


def test_a_wrong_password_and_an_unknown_name_look_the_same(client_of, owner):
    client = client_of(None)
    wrong = client.post(TOKEN, {"username": owner.username, "password": "x"}, format="json")
    unknown = client.post(TOKEN, {"username": "nobody", "password": "x"}, format="json")
    for response in (wrong, unknown):
        assert (response.status_code, response.json()["code"]) == (401, "credentials_invalid")


def test_a_refresh_token_works_once_and_a_second_use_ends_its_family(client_of, owner):
    client = client_of(None)
    first = sign_in(client, owner).json()
    second = client.post(f"{TOKEN}refresh/", {"refresh": first["refresh"]}, format="json").json()
    assert allowed(client, second["access"]) == 200
    replay = client.post(f"{TOKEN}refresh/", {"refresh": first["refresh"]}, format="json")
    assert (replay.status_code, replay.json()["code"]) == (401, "token_invalid")
    assert allowed(client, second["access"]) == 401
    newest = client.post(f"{TOKEN}refresh/", {"refresh": second["refresh"]}, format="json")
    assert newest.status_code == 401
    assert TokenFamily.objects.get().ended_because == "replayed"


def test_revoking_ends_access_at_once(client_of, owner):
    client = client_of(None)
    pair = sign_in(client, owner).json()
    response = client.post(f"{TOKEN}revoke/", {"refresh": pair["refresh"]}, format="json")
    assert response.status_code == 204
    assert allowed(client, pair["access"]) == 401


@pytest.mark.parametrize("change", ["password", "is_active", "end_tokens"])
def test_a_changed_account_ends_its_tokens_at_once(client_of, owner, change):
    client = client_of(None)
    access = sign_in(client, owner).json()["access"]
    payload = tokens.AccessToken(access).payload
    assert tokens.still_holds(payload)
    if change == "password":
        owner.set_password("another-long-phrase")
        owner.save()
    elif change == "is_active":
        owner.is_active = False
        owner.save()
    else:
        owner.end_tokens()
    assert allowed(client, access) == 401
    assert not tokens.still_holds(payload)  # nor for what began before


def forged(payload: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**payload, **changes}


@pytest.mark.parametrize(
    "forge",
    [
        lambda p, key, public: jwt.encode(p, "", algorithm="none"),
        lambda p, key, public: jwt.encode(p, "0" * 64, algorithm="HS256"),
        lambda p, key, public: jwt.encode(forged(p, aud="other"), key, algorithm="EdDSA"),
        lambda p, key, public: jwt.encode(forged(p, iss="other"), key, algorithm="EdDSA"),
        lambda p, key, public: jwt.encode(forged(p, exp=1), key, algorithm="EdDSA"),
        lambda p, key, public: jwt.encode(forged(p, sv=1), key, algorithm="EdDSA"),
        lambda p, key, public: jwt.encode(forged(p, fam="x"), key, algorithm="EdDSA"),
        lambda p, key, public: jwt.encode(forged(p, token_type="refresh"), key, algorithm="EdDSA"),
        lambda p, key, public: jwt.encode(p, key, algorithm="EdDSA")[:-4],
        lambda p, key, public: jwt.encode(p, key, algorithm="EdDSA") + "A" * 1_000_000,
    ],
)
def test_a_forged_token_is_refused(client_of, owner, forge):
    access = tokens.issue(owner).access
    payload = jwt.decode(access, options={"verify_signature": False})
    key = django_settings.SIMPLE_JWT["SIGNING_KEY"]
    assert allowed(client_of(None), jwt.encode(payload, key, algorithm="EdDSA")) == 200
    token = forge(payload, key, django_settings.SIMPLE_JWT["VERIFYING_KEY"])
    assert allowed(client_of(None), token) == 401


def test_access_ends_after_minutes(owner):
    payload = jwt.decode(tokens.issue(owner).access, options={"verify_signature": False})
    assert timedelta(seconds=payload["exp"] - payload["iat"]) <= timedelta(minutes=10)


def test_a_second_factor_is_asked_for_and_its_code_works_once(client_of, owner):
    secret = generate_totp_secret()
    TOTP.activate(owner, secret)
    code = format_hotp_value(hotp_value(secret, next(iter(yield_hotp_counters_from_time()))))
    client = client_of(None)
    assert sign_in(client, owner).json()["code"] == "mfa_required"
    assert sign_in(client, owner, otp="000000").json()["code"] == "otp_invalid"
    assert sign_in(client, owner, otp=code).status_code == 200
    assert sign_in(client, owner, otp=code).json()["code"] == "otp_invalid"


def test_guessing_passwords_locks_the_guesser_out_and_says_for_how_long(client_of, owner):
    client = client_of(None)
    for _ in range(5):
        response = client.post(TOKEN, {"username": owner.username, "password": "x"}, format="json")
    response = sign_in(client, owner)
    assert (response.status_code, response.json()["code"]) == (429, "too_many_failures")
    assert int(response["Retry-After"]) > 0


def test_guessing_codes_locks_the_guesser_out(client_of, owner):
    TOTP.activate(owner, generate_totp_secret())
    client = client_of(None)
    for _ in range(6):
        response = sign_in(client, owner, otp="000000")
    assert (response.status_code, response.json()["code"]) == (429, "too_many_failures")


def test_a_header_cannot_change_whom_the_lock_counts(client_of, owner):
    client = client_of(None)
    for number in range(6):
        response = client.post(
            TOKEN,
            {"username": owner.username, "password": "x"},
            format="json",
            HTTP_X_FORWARDED_FOR=f"10.0.0.{number}",
        )
    assert response.status_code == 429


def test_too_many_requests_are_throttled(client_of, owner, settings):
    from rest_framework.settings import api_settings

    rates = {**api_settings.DEFAULT_THROTTLE_RATES, "user": 3}
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": rates}
    client = client_of(owner)
    answers = [client.get(PROTECTED) for _ in range(4)]
    assert [a.status_code for a in answers] == [200, 200, 200, 429]
    assert answers[-1].json()["code"] == "throttled"
    assert 0 < int(answers[-1]["Retry-After"]) <= 61


def sign_in_from(client: Any, address: str, user: Any, **more: str) -> Any:
    body = {"username": user.username, "password": PASSWORD, **more}
    return client.post(TOKEN, body, format="json", REMOTE_ADDR=address)


def test_codes_are_counted_by_account_whatever_the_address(client_of, owner):
    TOTP.activate(owner, generate_totp_secret())
    client = client_of(None)
    codes = [
        sign_in_from(client, f"192.0.2.{number}", owner, otp="000000").json()["code"]
        for number in range(6)
    ]
    assert codes == ["otp_invalid"] * 5 + ["too_many_failures"]


def test_a_stranger_elsewhere_cannot_lock_the_owner_out(client, client_of, owner):
    form = {"login": owner.username, "password": "wrong"}
    for _ in range(7):
        client.post("/accounts/login/", form, REMOTE_ADDR="192.0.2.1")
    form["password"] = PASSWORD
    locked = client.post("/accounts/login/", form, REMOTE_ADDR="192.0.2.1")
    assert locked.status_code != 302
    assert client.post("/accounts/login/", form, REMOTE_ADDR="192.0.2.2").status_code == 302
    assert sign_in_from(client_of(None), "192.0.2.3", owner).status_code == 200


def test_a_new_second_factor_ends_what_began_without_it(client, client_of, owner, rf):
    from allauth.mfa.signals import authenticator_added
    from django.test import Client

    other = Client()
    for browser in (client, other):
        browser.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    access = tokens.issue(owner).access
    request = rf.get("/")
    request.session, request.user = client.session, owner
    authenticator_added.send(None, request=request, user=owner, authenticator=None)
    request.session.save()
    client.cookies[django_settings.SESSION_COOKIE_NAME] = request.session.session_key
    assert client.get("/account/").status_code == 200
    assert other.get("/account/").status_code == 302
    assert allowed(client_of(None), access) == 401


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("created_after=0001-01-01T00:00:00%2B14:00", 400),
        ("created_before=9999-12-31T23:59:59-14:00", 400),
        ("created_after=2026-01-01T00:00:00Z", 200),
        ("cursor=cD0lRkY%3D", 404),
    ],
)
def test_a_list_bears_any_question(client_of, owner, query, status):
    assert client_of(owner).get(f"{PROTECTED}?{query}").status_code == status


def test_json_of_any_depth_is_answered(client_of):
    answer = client_of(None).post(TOKEN, "[" * 100_000, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_body")


@pytest.mark.parametrize("path", ["/accounts/2fa/", "/accounts/email/", "/stats/", PROTECTED])
def test_no_cache_keeps_what_is_private(client, owner, path):
    client.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    kept = client.get(path)["Cache-Control"]
    assert "no-store" in kept or kept == "private, no-cache"
