"""A git server that counts how often it is asked: ``git daemon``, started for each connection."""

from __future__ import annotations

import os
import socket
import socketserver
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest


@dataclass
class Counted:
    """Where it listens, and how often each repository was asked for."""

    url: str = ""
    asked: Counter[str] = field(default_factory=Counter)


@contextmanager
def counted(root: Path, env: Mapping[str, str]) -> Iterator[Counted]:
    """Serve every repository below ``root`` as ``git://…/name`` until the end of the block."""
    folder = subprocess.run(["git", "--exec-path"], capture_output=True, text=True, check=True).stdout.strip()
    program = os.path.join(folder, "git-daemon")
    if not os.path.exists(program):
        pytest.skip("git daemon is not installed")
    known = Counted()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            # The request stands at the beginning: a length, the service, and the path up to a NUL.
            request = b""
            while b"\0" not in request:
                before, request = request, self.request.recv(4096, socket.MSG_PEEK)
                if request == before:
                    return
            known.asked[request.partition(b"\0")[0].rpartition(b"/")[2].decode()] += 1
            subprocess.run(
                [program, "--inetd", "--export-all", f"--base-path={root}", str(root)],
                stdin=self.request.fileno(),
                stdout=self.request.fileno(),
                stderr=subprocess.DEVNULL,
                env=env,
                check=False,
            )

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        request_queue_size = 64

    with Server(("127.0.0.1", 0), Handler) as server:
        known.url = f"git://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield known
        finally:
            server.shutdown()
            thread.join()
