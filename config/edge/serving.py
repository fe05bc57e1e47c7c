"""How the server that runs the edge is started. The figures are argued in the decision record."""

import os
import sys

APPLICATION = "config.asgi:application"


def granian_command(*, host: str, port: int, application: str = APPLICATION) -> list[str]:
    """Return the command line of one web process."""
    options = {
        "--interface": "asgi",
        "--host": host,
        "--port": str(port),
        # HTTP/2 is the proxy's business; without it and websockets, bodies come in faster.
        "--http": "1",
        # What one fast upload brings at a time, and about a third of what it holds in memory.
        "--http1-buffer-size": str(640 * 1024),
        "--http1-header-read-timeout": "15000",
        # Idle connections and event streams count, too.
        "--backlog": "2048",
        "--backpressure": "2048",
        # For connections that stop the server from stopping, such as half-sent headers. The
        # grace that the edge gives to transfers is shorter.
        "--workers-kill-timeout": "3",
        "--log-level": "warning",
    }
    flags = [word for option in options.items() for word in option]
    server = [sys.executable, "-m", "granian", *flags, "--no-ws", application]
    # glibc would give each thread an arena, and leave pieces of bodies in all of them.
    arenas = os.environ.get("MALLOC_ARENA_MAX", "2")
    return ["/usr/bin/env", f"MALLOC_ARENA_MAX={arenas}", *server]
