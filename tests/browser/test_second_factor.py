"""Second factors are set up and used in the browser, without a violation of the policy."""

import base64
import hashlib
import hmac
import struct
import time

from playwright.sync_api import Page, expect

from tests.browser.browsing import sign_in
from tests.browser.conftest import Stack
from tests.browser.test_accessibility import violations

AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


def code_now(secret: str) -> str:
    """Return the code that an authenticator app shows. Source: RFC 6238."""
    key = base64.b32decode(secret)
    digest = hmac.digest(key, struct.pack(">Q", int(time.time()) // 30), hashlib.sha1)
    offset = digest[-1] & 15
    number = struct.unpack(">I", digest[offset : offset + 4])[0] & 0x7FFFFFFF
    return f"{number % 10**6:06}"


def sign_out(page: Page, stack: Stack) -> None:
    page.goto(f"{stack.url}/account/")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/accounts/login/**")


def open_guarded(page: Page, stack: Stack, path: str) -> list[str]:
    """Open a page that asks for the password once more; return what axe finds on both."""
    page.goto(stack.url + path)
    found = violations(page)
    page.get_by_label("Password").fill(stack.admin.password)
    page.get_by_role("button", name="Confirm").click()
    page.wait_for_url(f"**{path}")
    return found + violations(page)


def test_an_app_recovery_codes_and_a_passkey(stack: Stack, page: Page) -> None:
    sign_in(page, stack.url, stack.admin.username, stack.admin.password)
    found: list[str] = []

    found += open_guarded(page, stack, "/accounts/2fa/totp/activate/")
    secret = page.locator("#authenticator_secret").input_value()
    assert page.locator("img.qr").evaluate("image => image.naturalWidth") > 0
    page.locator("#id_code").fill(code_now(secret))
    page.get_by_role("button", name="Activate").click()
    page.wait_for_url("**/recovery-codes/**")
    page.goto(f"{stack.url}/accounts/2fa/recovery-codes/")
    found += violations(page)
    recovery_code = page.locator("#recovery_codes").input_value().split()[0]

    sign_out(page, stack)
    page.get_by_label("Username").fill(stack.admin.username)
    page.get_by_label("Password").fill(stack.admin.password)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Two-factor authentication")
    found += violations(page)
    page.locator("#id_code").fill(recovery_code)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(f"{stack.url}/")

    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    session.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
    found += open_guarded(page, stack, "/accounts/2fa/webauthn/add/")
    page.get_by_label("Name").fill("This laptop")
    page.get_by_label("Passwordless").check()
    page.get_by_role("button", name="Add").click()
    page.wait_for_url(lambda url: not url.endswith("/add/"))
    page.goto(f"{stack.url}/accounts/2fa/webauthn/")
    expect(page.get_by_text("This laptop")).to_be_visible()
    found += violations(page)

    sign_out(page, stack)
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url(f"{stack.url}/")
    expect(page.get_by_role("link", name=stack.admin.username, exact=True)).to_be_visible()
    assert found == []
