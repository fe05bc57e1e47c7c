"""How the server that runs the edge is started. The figures are argued in the decision record."""

import os
import sys

APPLICATION = "config.asgi:application"


def server_command(*, host: str, port: int, application: str = APPLICATION) -> list[str]:
    """Return the command line of one web process."""
    options = {
        "--host": host,
        "--port": str(port),
        "--http": "config.edge.connection:Connection",
        "--loop": "uvloop",
        "--ws": "none",
        "--lifespan": "on",
        # Idle connections and event streams count, too.
        "--backlog": "2048",
        "--limit-concurrency": "2048",
        # Longer than proxies keep an idle connection, so that none is closed under a request.
        "--timeout-keep-alive": "75",
        # For connections that stop the server from stopping. The grace that the edge gives to
        # transfers is shorter.
        "--timeout-graceful-shutdown": "3",
        "--log-level": "error",
    }
    flags = [word for option in options.items() for word in option]
    flags += ["--no-access-log", "--no-proxy-headers", "--no-server-header", "--no-date-header"]
    server = [sys.executable, "-m", "uvicorn", *flags, application]
    # glibc would give each thread an arena, and leave pieces of bodies in all of them.
    arenas = os.environ.get("MALLOC_ARENA_MAX", "2")
    return ["/usr/bin/env", f"MALLOC_ARENA_MAX={arenas}", *server]
