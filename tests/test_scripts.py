"""The sweeps in ``scripts`` start with any Python: what they need is in an environment that they make."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
SWEEPS = sorted(
    path
    for path in SCRIPTS.iterdir()
    if path.is_file() and not path.suffix and b"python" in path.read_bytes().partition(b"\n")[0]
)
PREPARED = SCRIPTS.parent / ".venv" / "test"


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.name)
def test_a_sweep_asks_for_its_environment_before_it_uses_it(path: Path) -> None:
    lines = path.read_text().splitlines()
    asks = lines.index("prepared.for_tests()")
    uses = [
        number
        for number, line in enumerate(lines)
        if line.startswith(("from tests", "from resync", "from dulwich"))
    ]
    assert uses
    assert asks < min(uses)


@pytest.mark.skipif(Path(sys.prefix).resolve() != PREPARED.resolve(), reason="it would make .venv/test")
def test_a_sweep_goes_on_in_the_environment_of_the_tests(tmp_path: Path) -> None:
    """From any folder; the arguments are its own, with all that a shell could take for something else."""
    bare = getattr(sys, "_base_executable", sys.executable)
    done = subprocess.run(
        [bare, str(SCRIPTS / "crash-sweep"), "disk", "--only", "a $name with 'marks'"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 77), done
    assert "| sweep |" in done.stdout


def test_a_sweep_that_lacks_its_tools_says_so(tmp_path: Path) -> None:
    """It is not counted as passed, and the others are carried out."""
    (tmp_path / "sh").symlink_to("/bin/sh")
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / "crash-sweep"), "kill", "races", "--only", "none"],
        env={"PATH": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 77, done
    assert "kill: NOT carried out: " in done.stdout
    assert "races: NOT" not in done.stdout
