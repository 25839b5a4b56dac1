"""How long a short command takes as a whole process, beside a bare Python in the same run.

Prints medians in milliseconds of: ``python -c pass``, ``resync --version`` (to stay within 60 ms of it), and
``resync check --no-fetch`` on a clone of the real event after the rewrite (to stay within 200 ms on a quiet
machine). Leaves with status 1 where one does not. Beside them the same check from the zipapp, which has to
compile what it loads each time; of that nothing is wanted but to be known.

    scripts/bench/startup.py [RUNS]
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
EVENT = TOP.parent / "shared" / "kolla-event" / "kolla-event.bundle"


def git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], check=True, capture_output=True)


def event_clone(folder: Path) -> Path:
    """A clone that was made before the rewrite, has one commit of its own, and has fetched since."""
    upstream, clone = folder / "up.git", folder / "clone"
    git("init", "-q", "--bare", str(upstream))
    git("-C", str(upstream), "fetch", "-q", str(EVENT), "refs/*:refs/*")
    git("-C", str(upstream), "update-ref", "refs/heads/stable/liberty", "refs/resync/old")
    git("clone", "-q", "-b", "stable/liberty", str(upstream), str(clone))
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.com")
    git("-C", str(clone), *identity, "commit", "-q", "--allow-empty", "-m", "mine")
    git("-C", str(upstream), "update-ref", "refs/heads/stable/liberty", "refs/resync/new")
    git("-C", str(clone), "fetch", "-q")
    return clone


def measure(commands: dict[str, list[str]], folder: Path, runs: int) -> dict[str, float]:
    """The median time of each command in milliseconds; the commands take turns."""
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(runs + 1):
        for name, command in commands.items():
            start = time.perf_counter()
            subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=False)
            if turn:
                taken[name].append((time.perf_counter() - start) * 1000)
    return {name: statistics.median(times) for name, times in taken.items()}


def main() -> int:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    resync = [os.path.join(os.path.dirname(sys.executable), "resync")]
    if not EVENT.exists() or shutil.which("git") is None:
        print("skipped: the event's data or git is not here")
        return 0
    with tempfile.TemporaryDirectory() as name:
        clone = event_clone(Path(name))
        zipapp = os.path.join(name, "resync.pyz")
        build = [sys.executable, str(TOP / "scripts" / "zipapp" / "build.py"), zipapp]
        subprocess.run(build, stdout=subprocess.DEVNULL, check=True)
        answer = subprocess.run([*resync, "check", "--no-fetch"], cwd=clone, capture_output=True, check=False)
        if answer.returncode != 5:
            raise SystemExit(f"the rewrite was not noticed: {answer.stdout.decode()}")
        found = measure(
            {
                "python -c pass": [sys.executable, "-c", "pass"],
                "resync --version": [*resync, "--version"],
                "resync check --no-fetch": [*resync, "check", "--no-fetch", "--quiet"],
                "resync.pyz check --no-fetch": [sys.executable, zipapp, "check", "--no-fetch", "--quiet"],
            },
            clone,
            runs,
        )
    for label, median in found.items():
        print(f"{median:8.1f} ms  {label}")
    above = found["resync --version"] - found["python -c pass"]
    check = found["resync check --no-fetch"]
    print(
        f"--version is {above:.1f} ms above bare Python (60 wanted); check takes {check:.1f} ms (200 wanted)"
    )
    return 0 if above <= 60 and check <= 200 else 1


if __name__ == "__main__":
    sys.exit(main())
