"""A whole random situation: upstream before and after, local commits, index and working tree."""

from __future__ import annotations

import stat
from collections import Counter
from dataclasses import dataclass
from random import Random

from resync.model import MODE_FILE, MODE_GITLINK, MODE_SYMLINK
from tests.random_work.trees import Changes, Entry, Tree, fits, put

KINDS = (
    "staged edit", "staged new file", "staged deletion", "staged mode", "staged type change",
    "unstaged edit", "unstaged deletion", "unstaged mode", "unstaged type change", "edit on a staged edit",
    "intent-to-add", "skip-worktree, missing", "skip-worktree, edited", "assume-unchanged, edited",
    "symlink", "submodule", "nested repository", "untracked", "untracked in the way", "ignored",
    "ignored in the way", "file to directory", "directory to file", "local commits",
)  # fmt: skip
IGNORED = b"*.o\n/sub/\n"
"""What ``.git/info/exclude`` says."""


@dataclass(frozen=True, kw_only=True)
class State:
    """``local`` are the trees of the local commits on top of ``old``, upstream's old tree; ``files`` is what
    stands on disk, and the sets name paths of the index with a flag (``intended``: of new files)."""

    old: Tree
    local: tuple[Tree, ...]
    new: Tree
    index: Tree
    files: Tree
    intended: frozenset[bytes]
    skipped: frozenset[bytes]
    assumed: frozenset[bytes]
    refreshed: bool

    @property
    def head(self) -> Tree:
        return self.local[-1] if self.local else self.old


def clean_state(chance: Random) -> State:
    """Upstream before and after, and nothing of one's own."""
    old = Changes(chance).new_tree(chance.randint(2, 14))
    new = Changes(chance).of(old, chance.randint(1, 12))
    return State(
        old=old, local=(), new=new, index=old, files=old,
        intended=frozenset(), skipped=frozenset(), assumed=frozenset(), refreshed=chance.random() < 0.5,
    )  # fmt: skip


def random_state(chance: Random) -> State:
    """One with random work of every kind."""
    clean = clean_state(chance)
    old, new = clean.old, clean.new
    local: list[Tree] = []
    for _ in range(chance.choice([0, 0, 1, 2])):
        local.append(Changes(chance).of(local[-1] if local else old, chance.randint(1, 2)))
    head = local[-1] if local else old
    index = Changes(chance, new).of(head, chance.choice([0, 1, 2, 4]))
    files = Changes(chance, new).of(index, chance.choice([0, 1, 3, 5]))
    for path in chance.sample(sorted(new), min(len(new), chance.choice([0, 1]))):
        if path.endswith(b".o") or path.startswith(b"sub/"):
            put(files, path, chance.choice([new[path], Entry(MODE_FILE, b"my own\n")]))
    for path in [path for path in files if files[path].mode == MODE_GITLINK and chance.random() < 0.4]:
        files[path] = Entry(MODE_GITLINK, b"")
    skipped = _some(chance, [path for path in index if index[path].mode != MODE_GITLINK])
    for path in skipped:
        if chance.random() < 0.5:
            files.pop(path, None)
        elif fits(files, path):
            files[path] = Entry(MODE_FILE, b"edited and not looked at\n")
    new_files = [path for path in files.keys() - index.keys() if files[path].mode != MODE_GITLINK]
    return State(
        old=old,
        local=tuple(local),
        new=new,
        index=index,
        files=files,
        intended=_some(chance, [path for path in new_files if fits(index, path)]),
        skipped=skipped,
        assumed=_some(chance, list(index.keys() - skipped)),
        refreshed=clean.refreshed,
    )


def _some(chance: Random, paths: list[bytes]) -> frozenset[bytes]:
    return frozenset(chance.sample(sorted(paths), min(len(paths), chance.choice([0, 0, 1, 2]))))


def kinds(state: State) -> Counter[str]:
    """How much of each kind is in a state."""
    found: Counter[str] = Counter()
    head, index, files, new = state.head, state.index, state.files, state.new
    for where, before, after in (("staged", head, index), ("unstaged", index, files)):
        for path in before.keys() & after.keys():
            old, now = before[path], after[path]
            if stat.S_IFMT(old.mode) != stat.S_IFMT(now.mode):
                found[f"{where} type change"] += 1
            elif old.mode != now.mode:
                found[f"{where} mode"] += 1
            elif old.data != now.data:
                found[f"{where} edit"] += 1
        found[f"{where} deletion"] += len(before.keys() - after.keys() - state.skipped)
    found["staged new file"] += len(index.keys() - head.keys())
    found["edit on a staged edit"] += sum(
        path in head and path in files and len({head[path], index[path], files[path]}) == 3 for path in index
    )
    found["skip-worktree, missing"] += len(state.skipped - files.keys())
    found["skip-worktree, edited"] += _edited(state, state.skipped)
    found["assume-unchanged, edited"] += _edited(state, state.assumed)
    found["intent-to-add"] += len(state.intended)
    found["symlink"] += sum(each.mode == MODE_SYMLINK for each in files.values())
    found["submodule"] += sum(index[path].mode == MODE_GITLINK for path in index)
    for path in files.keys() - index.keys() - state.intended:
        if files[path].mode == MODE_GITLINK:
            found["nested repository"] += 1
            continue
        kind = "ignored" if path.endswith(b".o") or path.startswith(b"sub/") else "untracked"
        found[kind] += 1
        if path in new or not fits(new, path):
            found[f"{kind} in the way"] += 1
    for path in index:
        found["file to directory"] += any(each.startswith(path + b"/") for each in files)
        found["directory to file"] += any(path.startswith(each + b"/") for each in files)
    found["local commits"] += bool(state.local)
    return found


def _edited(state: State, paths: frozenset[bytes]) -> int:
    return sum(path in state.files and state.files[path] != state.index[path] for path in paths)
