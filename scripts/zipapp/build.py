"""Build the zipapp: build.py [FILE | --fetch | --lock].

What goes in: the package of this tree, the pure-Python wheels that ``lock.txt`` pins by hash, their licences,
and a ``__main__.py``. The same tree and lock give the same bytes on every machine: entries in the order of
their names, one date, one mode, nothing compiled, and nothing compressed, because no two zlibs need agree.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from email.message import Message
from email.parser import BytesParser
from importlib.metadata import requires
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

TOP = Path(__file__).resolve().parents[2]
LOCK = Path(__file__).with_name("lock.txt")
WHEELS = TOP / ".venv" / "wheels"
OLDEST = "3.10"
SHEBANG = b"#!/usr/bin/env python3\n"
DATE = (1980, 1, 1, 0, 0, 0)
MODE = 0o100644

# Read by whatever Python a server has, so it keeps to what Python 2 understands as well.
MAIN = b"""\
import sys

if sys.version_info < (3, 10):
    sys.stderr.write(
        "resync needs Python 3.10 or later, and %s is %d.%d. Nothing was changed.\\n"
        % ((sys.executable,) + tuple(sys.version_info[:2]))
        + "  name a newer one: python3.X %s\\n" % sys.argv[0]
    )
    sys.exit(2)

from resync.__main__ import main

sys.exit(main())
"""

# pip's words for wheels that run everywhere, on the oldest Python that is supported.
PURE = (
    *("--only-binary", ":all:", "--platform", "any", "--implementation", "py", "--abi", "none"),
    *("--python-version", OLDEST),
)


class Pin(NamedTuple):
    """One line of the lock."""

    name: str
    version: str
    sha256: str

    @property
    def line(self) -> str:
        return f"{self.name}=={self.version} --hash=sha256:{self.sha256}"


def main() -> None:
    words = sys.argv[1:]
    if len(words) > 1 or (words and words[0].startswith("-") and words[0] not in ("--fetch", "--lock")):
        sys.exit("usage: scripts/build-zipapp [FILE | --fetch | --lock]")
    if words == ["--lock"]:
        write_lock()
        return
    wheels = fetch(read_lock())
    if words == ["--fetch"]:
        return
    target = Path(words[0] if words else TOP / "dist" / "resync.pyz")
    build(target, wheels)
    print(f"{target}: {target.stat().st_size} bytes, sha256 {sha256(target.read_bytes())}")


# --- the lock ------------------------------------------------------------------------------------------


def read_lock() -> list[Pin]:
    """What the lock pins, by name."""
    return [
        Pin(*match.groups())
        for match in re.finditer(
            r"^(\S+)==(\S+) --hash=sha256:([0-9a-f]{64})$", LOCK.read_text(), re.MULTILINE
        )
    ]


def write_lock() -> None:
    """Pin the newest versions that the project's own requirements and those of its dependencies allow."""
    wanted = set(requirements(requires("git-resync") or []))
    while True:
        found = resolve(wanted)
        missing = {each for item in found for each in requirements(item["metadata"].get("requires_dist", []))}
        # pip asks a marker about the Python that runs it, and not about the oldest.
        if missing <= wanted:
            break
        wanted |= missing
    pins = sorted(
        Pin(
            item["metadata"]["name"].lower().replace("_", "-"),
            item["metadata"]["version"],
            item["download_info"]["archive_info"]["hashes"]["sha256"],
        )
        for item in found
    )
    LOCK.write_text(
        "# What scripts/build-zipapp bundles, written by its --lock: pure wheels for the oldest Python.\n"
        + "".join(pin.line + "\n" for pin in pins)
    )


def requirements(lines: Iterable[str]) -> Iterator[str]:
    """Of these requirements those that hold without extras on the oldest Python, without their markers."""
    from packaging.requirements import Requirement

    where = {"python_version": OLDEST, "python_full_version": OLDEST + ".0", "extra": ""}
    for line in lines:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate(where):
            requirement.marker = None
            yield str(requirement)


def resolve(wanted: Iterable[str]) -> list[dict[str, Any]]:
    """What pip would install for these requirements, as its report has it."""
    with tempfile.TemporaryDirectory() as folder:
        report = os.path.join(folder, "report.json")
        pip(
            "install",
            "--dry-run",
            "--ignore-installed",
            "--target",
            folder,
            "--report",
            report,
            *PURE,
            *wanted,
        )
        found: list[dict[str, Any]] = json.loads(Path(report).read_text())["install"]
    return found


# --- the wheels ----------------------------------------------------------------------------------------


def fetch(pins: list[Pin]) -> list[Path]:
    """The wheels of the lock, from the folder where they are kept or by way of pip, which checks them too."""
    WHEELS.mkdir(parents=True, exist_ok=True)
    found = kept(pins)
    if len(found) < len(pins):
        pip(
            "download",
            "--no-deps",
            "--require-hashes",
            "--dest",
            str(WHEELS),
            *PURE,
            "--requirement",
            str(LOCK),
        )
        found = kept(pins)
    if len(found) < len(pins):
        sys.exit(f"build-zipapp: pip did not bring all that {LOCK.name} names")
    return [found[pin.sha256] for pin in pins]


def kept(pins: list[Pin]) -> dict[str, Path]:
    """The wheels that are here, by the hash that the lock has; others in the folder do not count."""
    wanted = {pin.sha256 for pin in pins}
    hashes = {sha256(path.read_bytes()): path for path in sorted(WHEELS.glob("*.whl"))}
    return {digest: path for digest, path in hashes.items() if digest in wanted}


def pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    subprocess.run(command, check=True)


# --- the file ------------------------------------------------------------------------------------------


def build(target: Path, wheels: Iterable[Path]) -> None:
    """Write the zipapp in the place of ``target``, whole or not at all."""
    entries = {"__main__.py": MAIN, **own_files()}
    bundled = []
    for wheel in wheels:
        metadata, files = unpacked(wheel)
        twice = entries.keys() & files.keys()
        if twice:
            sys.exit(f"build-zipapp: {wheel.name} has what is there already: {', '.join(sorted(twice))}")
        entries.update(files)
        bundled.append(f"{metadata['Name']} {metadata['Version']}: {licence(metadata)}\n")
    entries["licenses/BUNDLED"] = "".join(sorted(bundled)).encode()
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    with open(part, "wb") as file:
        file.write(SHEBANG)
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for name, data in sorted(entries.items()):
                info = zipfile.ZipInfo(name, DATE)
                info.create_system = 3  # Unix, whatever this is built on
                info.external_attr = MODE << 16
                archive.writestr(info, data)
    part.chmod(0o755)
    part.replace(target)


def own_files() -> dict[str, bytes]:
    """The package of this tree, and the project's licence."""
    package = TOP / "resync"
    files = {
        path.relative_to(TOP).as_posix(): path.read_bytes()
        for path in package.rglob("*")
        if path.suffix == ".py" or path.name == "py.typed"
    }
    return {**files, "licenses/resync/LICENSE": (TOP / "LICENSE").read_bytes()}


def unpacked(wheel: Path) -> tuple[Message, Mapping[str, bytes]]:
    """The metadata of a wheel, and what of it goes in: its packages without tests, its licences."""
    files: dict[str, bytes] = {}
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        info = next(str(PurePosixPath(name).parent) for name in names if name.endswith(".dist-info/METADATA"))
        metadata = BytesParser().parsebytes(archive.read(f"{info}/METADATA"))
        if b"Root-Is-Purelib: true" not in archive.read(f"{info}/WHEEL"):
            sys.exit(f"build-zipapp: {wheel.name} is not pure Python")
        for name in names:
            parts = PurePosixPath(name).parts
            if parts[0] == info:
                if "licenses" in parts:
                    files[f"licenses/{metadata['Name']}/{parts[-1]}"] = archive.read(name)
            elif not parts[0].endswith(".data") and "tests" not in parts:
                files[name] = archive.read(name)
    compiled = [name for name in files if name.endswith((".so", ".pyd", ".dylib", ".dll", ".pyc"))]
    if compiled or not any(name.startswith("licenses/") for name in files):
        sys.exit(f"build-zipapp: {wheel.name} has compiled parts ({compiled}) or no licence")
    return metadata, files


def licence(metadata: Message) -> str:
    """What a package says of its licence, in a line."""
    said = metadata["License-Expression"] or metadata["License"]
    trove = [
        each.rpartition(" :: ")[2] for each in metadata.get_all("Classifier") or [] if "License ::" in each
    ]
    return " ".join((said or ", ".join(trove) or "see its licence file").split())


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


if __name__ == "__main__":
    main()
