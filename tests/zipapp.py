"""The zipapp as its script builds it, and a Python that has nothing installed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
LOCK = TOP / "scripts" / "zipapp" / "lock.txt"


def build(target: Path, env: Mapping[str, str] | None = None, at: Path = TOP) -> Path:
    """Build the zipapp in the place of ``target``; the wheels come from where ``scripts/test`` put them."""
    subprocess.run(
        [sys.executable, str(TOP / "scripts" / "zipapp" / "build.py"), str(target)],
        cwd=at,
        env={**os.environ, **(env or {})},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return target


def bare() -> list[str]:
    """The command for this Python with its standard library only."""
    return [sys.executable, "-I", "-S"]
