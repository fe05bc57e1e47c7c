"""Other servers that receive files, started on this machine for comparison."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.stack import ROOT, free_port

PACKAGES = ("@tus/server", "@tus/file-store")
NGINX = """
{user}
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
  access_log off;
  client_max_body_size 0;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location / {{ root {folder}/files; dav_methods PUT; }}
  }}
}}
"""


@dataclass(frozen=True)
class Peer:
    """A server that listens, and the folder in which it stores."""

    port: int
    files: Path
    process: psutil.Process

    def family(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]

    def forget(self) -> None:
        """Remove what it has stored."""
        for path in self.files.rglob("*"):
            if path.is_file():
                path.unlink()


@contextmanager
def tus_node(folder: Path) -> Iterator[Peer]:
    """Run @tus/server with its plain file store; its packages come from npm into `folder`."""
    code, files, port = folder / "code", folder / "files", free_port()
    code.mkdir()
    files.mkdir()
    shutil.copy(Path(__file__).with_name("tus_server.mjs"), code)
    install = ["npm", "install", "--no-audit", "--no-fund", "--silent", *PACKAGES]
    subprocess.run(install, cwd=code, check=True)
    with _running(["node", "tus_server.mjs", str(port), str(files)], port, code) as process:
        yield Peer(port, files, process)


@contextmanager
def nginx(folder: Path) -> Iterator[Peer]:
    """Run nginx, which stores what is PUT as it comes."""
    files, port = folder / "files", free_port()
    files.mkdir()
    configuration = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""  # its worker would be somebody else
    configuration.write_text(NGINX.format(folder=folder, port=port, user=user))
    with _running(["nginx", "-c", str(configuration)], port, folder) as process:
        yield Peer(port, files, process)


# How a Django project is served: by the server that its documentation names first, by the one that
# serves ours, and by one in Rust. Each has 16 threads for requests, or a loop.
FILEFIELD = "tests.benchmarks.peers.filefield:"
DJANGO_SERVERS = {
    "gunicorn": [
        *("--bind", "127.0.0.1:{port}", "--workers", "2", "--threads", "8", "--preload"),
        *("--timeout", "600", "--log-level", "warning", f"{FILEFIELD}application"),
    ],
    "uvicorn": [
        *("--host", "127.0.0.1", "--port", "{port}", "--log-level", "warning"),
        f"{FILEFIELD}asgi_application",
    ],
    "granian": [
        *("--interface", "wsgi", "--host", "127.0.0.1", "--port", "{port}", "--http", "1"),
        *("--blocking-threads", "16", "--log-level", "error", f"{FILEFIELD}application"),
    ],
}


@contextmanager
def filefield(folder: Path, *, server: str) -> Iterator[Peer]:
    """Run a plain Django project with a FileField on `server`, one of `DJANGO_SERVERS`."""
    files, port = folder / "media", free_port()
    files.mkdir()
    arguments = [argument.format(port=port) for argument in DJANGO_SERVERS[server]]
    env = {**os.environ, "FILEFIELD_DIR": str(folder)}
    env.pop("DJANGO_SETTINGS_MODULE", None)
    with _running([sys.executable, "-m", server, *arguments], port, ROOT, env) as process:
        yield Peer(port, files, process)


@contextmanager
def _running(
    command: list[str], port: int, folder: Path, env: dict[str, str] | None = None
) -> Iterator[psutil.Process]:
    process = subprocess.Popen(command, cwd=folder, env=env)
    try:
        _wait_until_it_answers(process, port)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_it_answers(process: "subprocess.Popen[bytes]", port: int) -> None:
    for _ in range(400):
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port)).close()
            return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise RuntimeError(f"{process.args!r} did not start")
