"""A deployment as `deploy/` describes it, from the outside: secrets in files, TLS at a proxy."""

import os
import shutil
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.stack import ROOT, free_port, until

MARKER = b"a line that must not be found on any disk\n"

pytestmark = pytest.mark.services


def manage(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where all of the deployment lies."""
    return tmp_path_factory.mktemp("deployment")


@pytest.fixture(scope="module")
def env(folder: Path) -> dict[str, str]:
    """Return the environment of a deployment on SQLite, its secrets made by our own command."""
    secrets = folder / "secrets"
    (folder / "data").mkdir(mode=0o700)
    bare = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings.build"}
    made = manage(bare, "make_secrets", str(secrets), "--postgres", "database")
    assert made.returncode == 0, made.stderr
    assert all(path.stat().st_mode & 0o077 == 0 for path in secrets.iterdir())
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings.production",
        "STRONGROOM_DATA_DIR": str(folder / "data"),
        "STRONGROOM_PORT": str(free_port()),
        "STRONGROOM_ALLOWED_HOSTS": "files.example.org",
        "STRONGROOM_ORIGINS": "https://files.example.org",
        "STRONGROOM_TRUST_X_FORWARDED_PROTO": "1",
        "STRONGROOM_TRUSTED_PROXIES": "127.0.0.0/8",
        "STRONGROOM_SECRET_KEY_FILE": str(secrets / "django.key"),
        "STRONGROOM_QUEUE_SIGNING_KEY_FILE": str(secrets / "queue.key"),
        "STRONGROOM_JWT_PRIVATE_PEM_FILE": str(secrets / "jwt.pem"),
        "STRONGROOM_MASTER_KEYS_FILE": str(secrets / "master-keys.json"),
        "DJANGO_SUPERUSER_PASSWORD": "a-long-pass-phrase",
    }


def test_the_deployment_check_finds_nothing(env: dict[str, str]) -> None:
    checked = manage(env, "check", "--deploy", "--fail-level", "WARNING")
    assert checked.returncode == 0, checked.stderr


@pytest.fixture(scope="module")
def proxied(env: dict[str, str], folder: Path) -> Iterator[httpx2.Client]:
    """Yield a client of the web part behind the proxy of `deploy/nginx.conf`, over TLS."""
    if shutil.which("nginx") is None or shutil.which("openssl") is None:
        pytest.skip("needs nginx and openssl")
    for arguments in (
        ("prepare",),
        ("createsuperuser", "--no-input", "--username", "olive", "--email", ""),
    ):
        done = manage(env, *arguments)
        assert done.returncode == 0, done.stderr
    https, configuration = configure_nginx(folder, web_port=int(env["STRONGROOM_PORT"]))
    web = subprocess.Popen(
        [sys.executable, "manage.py", "serve"],
        cwd=ROOT,
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    nginx = subprocess.Popen(["nginx", "-c", str(configuration), "-g", "daemon off;"])
    context = ssl.create_default_context(cafile=str(folder / "tls" / "tls.crt"))
    context.check_hostname = False
    try:
        with httpx2.Client(
            base_url=f"https://127.0.0.1:{https}",
            headers={"Host": "files.example.org"},
            verify=context,
            timeout=60,
        ) as client:
            until(lambda: answers(client), within_s=60, what="the proxy")
            yield client
    finally:
        for process in (nginx, web):
            process.send_signal(signal.SIGTERM)
        for process in (nginx, web):
            process.wait(timeout=20)


def answers(client: httpx2.Client) -> bool:
    try:
        return client.get("/healthz").status_code == 200
    except httpx2.TransportError:
        return False


def configure_nginx(folder: Path, *, web_port: int) -> tuple[int, Path]:
    """Write `deploy/nginx.conf` with other ports and folders; return the port and the path."""
    tls, spool, https, http = folder / "tls", folder / "spool", free_port(), free_port()
    tls.mkdir()
    spool.mkdir()
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-days", "1"),
            *("-subj", "/CN=files.example.org"),
            *("-keyout", str(tls / "tls.key"), "-out", str(tls / "tls.crt")),
        ],
        check=True,
        capture_output=True,
    )
    text = (ROOT / "deploy" / "nginx.conf").read_text()
    spools = "".join(
        f"    {name}_temp_path {spool}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    for old, new in (
        ("http {\n", f"http {{\n{spools}    error_log {folder}/nginx.log;\n"),
        ("/run/nginx.pid", f"{folder}/nginx.pid"),
        ("/etc/nginx/tls", str(tls)),
        ("server web:8000;", f"server 127.0.0.1:{web_port};"),
        ("listen 80 ", f"listen 127.0.0.1:{http} "),
        ("listen 443 ", f"listen 127.0.0.1:{https} "),
    ):
        assert old in text, old
        text = text.replace(old, new)
    path = folder / "nginx.conf"
    # The module's own form where the server is older than the directive.
    version = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=True).stderr
    if tuple(int(n) for n in version.split("/")[1].split()[0].split(".")) < (1, 25, 1):
        text = text.replace(" ssl default_server;\n        http2 on;", " ssl http2 default_server;")
    path.write_text(text)
    return https, path


def test_a_file_goes_through_the_proxy_and_lies_nowhere_in_the_clear(
    proxied: httpx2.Client, folder: Path
) -> None:
    credentials = {"username": "olive", "password": "a-long-pass-phrase"}
    token = proxied.post("/api/v1/token/", json=credentials).json()["access"]
    signed = {"Authorization": f"Bearer {token}"}
    content = MARKER * 200_000
    files = {"file": ("big.txt", content)}
    made = proxied.post("/api/v1/uploads/", files=files, headers=signed)
    assert made.status_code == 201, made.text
    address = f"/api/v1/uploads/{made.json()['id']}/content/"
    assert proxied.get(address, headers=signed).content == content
    (folder / "control").write_bytes(MARKER)
    found = [p for p in folder.rglob("*") if p.is_file() and MARKER in p.read_bytes()]
    assert found == [folder / "control"]


def test_a_browser_gets_the_headers_of_a_deployment(proxied: httpx2.Client) -> None:
    answer = proxied.get("/accounts/login/")
    assert answer.status_code == 200
    assert "max-age=31536000" in answer.headers["Strict-Transport-Security"]
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
    (cookie,) = (c for c in answer.headers.get_list("Set-Cookie") if "csrf" in c)
    assert cookie.startswith("__Host-strongroom_csrf=")
    assert "Secure" in cookie


def test_another_host_name_is_refused(proxied: httpx2.Client) -> None:
    answer = proxied.get("/accounts/login/", headers={"Host": "evil.example.net"})
    assert answer.status_code == 400
