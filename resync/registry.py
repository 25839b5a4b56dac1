"""The checkouts that resync has seen on this machine: a small file for each, in a folder of the user's state.

One file for each, because several may be seen at once: there is nothing that two would have to write
together.
"""

from __future__ import annotations

import hashlib
import json
import os


def remember(folder: str, root: str) -> None:
    """Note that there is a checkout at ``root``; raises ``OSError`` where that cannot be written."""
    path = _path(folder, root)
    if os.path.exists(path):
        return
    os.makedirs(folder, mode=0o700, exist_ok=True)
    partial = f"{path}.{os.getpid()}"
    with open(partial, "w", encoding="ascii") as file:
        json.dump({"path": root}, file)
        file.write("\n")
    os.replace(partial, path)


def registered(folder: str) -> list[str]:
    """The checkouts that are noted, by path; some may be gone by now."""
    found = []
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        if name.endswith(".json"):
            try:
                with open(os.path.join(folder, name), encoding="ascii") as file:
                    path = json.load(file)["path"]
            except (OSError, ValueError, KeyError, TypeError):
                continue  # it is being forgotten, or nobody's
            if isinstance(path, str) and name == os.path.basename(_path(folder, path)):
                found.append(path)
    return sorted(found)


def forget(folder: str, root: str) -> bool:
    """Strike a checkout off; returns whether it was noted."""
    try:
        os.unlink(_path(folder, root))
    except FileNotFoundError:
        return False
    return True


def _path(folder: str, root: str) -> str:
    name = hashlib.sha256(root.encode("utf-8", "surrogateescape")).hexdigest()
    return os.path.join(folder, name + ".json")
