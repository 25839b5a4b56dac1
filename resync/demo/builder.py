"""Makes the demo's upstream and its clone with dulwich's object store, refs and configuration alone.

No git binary runs, and nothing of the user's own git configuration gets in: the two repositories say
themselves who commits and how files are kept.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from resync.demo import kolla
from resync.model import (
    MODE_EXECUTABLE,
    MODE_FILE,
    MODE_GITLINK,
    MODE_TREE,
    Oid,
    RefName,
    RefUpdate,
    TreeEntry,
    TreePath,
)
from resync.repository import Objects, Repository
from resync.repository.locks import Proof
from resync.repository.objects import COMMIT, TREE
from resync.repository.refs import RefTransaction
from resync.repository.repo import BRANCHES
from resync.worktree.index import IndexEntry
from resync.worktree.reindex import entry_from_stat, serialise_index

if TYPE_CHECKING:
    from dulwich.repo import Repo

LIBERTY = RefName(b"refs/heads/stable/liberty")
_MITAKA = RefName(b"refs/heads/stable/mitaka")
_MASTER = RefName(b"refs/heads/master")
_DEMISE = RefName(b"refs/tags/liberty-early-demise")
_TRACKING = b"refs/remotes/origin/"


class Upstream:
    """A bare repository whose ``stable/liberty`` goes through the founding event, act by act."""

    def __init__(self, path: str) -> None:
        """Make the repository with an old ``stable/liberty``, ``stable/mitaka`` and ``master``."""
        from dulwich.config import StackedConfig
        from dulwich.repo import Repo

        self.path = path
        repo = Repo.init_bare(path, mkdir=True, config=StackedConfig([]), default_branch=b"master")
        with repo:
            objects = Objects(repo.object_store)
            common = _commit_all(objects, kolla.COMMON, None)
            self._old = _commit_all(objects, kolla.OLD_LIBERTY, common)
            mitaka = _commit_all(objects, kolla.MITAKA, common)
            self._new = _commit_all(objects, kolla.NEW_LIBERTY, mitaka)
            objects.write_pack(objects.new_from([self._old, self._new]))
            _add_refs(repo, {LIBERTY: self._old, _MITAKA: mitaka, _MASTER: mitaka})
            objects.let_go()

    def end_liberty(self) -> None:
        """Tag the branch's tip as ``liberty-early-demise`` and delete the branch."""
        with _opened(self.path) as repo:
            _add_refs(repo, {_DEMISE: self._old})
            repo.refs.remove_if_equals(LIBERTY, self._old)  # type: ignore[arg-type]

    def recreate_liberty(self) -> None:
        """Make the branch anew, from ``stable/mitaka`` with two commits on top."""
        with _opened(self.path) as repo:
            _add_refs(repo, {LIBERTY: self._new})


def make_clone(upstream: str, path: str) -> None:
    """Clone the repository at ``upstream`` as git does, then commit, stage and edit in the clone."""
    from dulwich.config import StackedConfig
    from dulwich.repo import Repo

    name = LIBERTY.removeprefix(BRANCHES)
    repo = Repo.init(path, mkdir=True, config=StackedConfig([]), default_branch=name)
    with repo:
        _configure(repo, upstream, name)
        with _opened(upstream) as source:
            names = (LIBERTY, _MITAKA, _MASTER)
            tips = {each: Oid(source.refs[each]) for each in names}  # type: ignore[index]
            _copy(Objects(source.object_store), Objects(repo.object_store), tips.values())
        tracking = {RefName(each.replace(BRANCHES, _TRACKING)): oid for each, oid in tips.items()}
        repo.refs.add_packed_refs(tracking)  # type: ignore[arg-type]
        os.makedirs(os.path.join(repo.controldir(), os.fsdecode(_TRACKING)))
        repo.refs.set_symbolic_ref(_TRACKING + b"HEAD", _TRACKING + b"master")  # type: ignore[arg-type]
    # The environment is left out on purpose: it may point git at another repository.
    with Repository.open(path, {}) as clone:
        tip = tracking[RefName(_TRACKING + name)]
        _move(clone, None, tip, f"clone: from {upstream}", kolla.YOUR_COMMITS[0].when)
        for change in kolla.YOUR_COMMITS:
            made = _commit_all(clone.objects, [change], tip)
            _move(clone, tip, made, f"commit: {change.subject}", change.when)
            tip = made
        _check_out(clone, tip)


def _configure(repo: Repo, upstream: str, branch: bytes) -> None:
    """What ``git clone`` writes, and what keeps the user's own settings out of the demo."""
    config = repo.get_config()
    config.set((b"remote", b"origin"), b"url", os.fsencode(upstream))
    config.set((b"remote", b"origin"), b"fetch", b"+refs/heads/*:refs/remotes/origin/*")
    config.set((b"branch", branch), b"remote", b"origin")
    config.set((b"branch", branch), b"merge", LIBERTY)
    user, mail = kolla.YOU
    config.set((b"user",), b"name", user.encode())
    config.set((b"user",), b"email", mail.encode())
    config.set((b"core",), b"autocrlf", b"false")
    config.set((b"core",), b"eol", b"lf")
    config.write_to_path()


def _copy(source: Objects, target: Objects, tips: Iterable[Oid]) -> None:
    """Bring over everything that the tips reach."""
    waiting, seen = list(tips), set[Oid]()
    while waiting:
        oid = waiting.pop()
        if oid in seen:
            continue
        seen.add(oid)
        kind, data = source.raw(oid)
        target.add(kind, data)
        if kind == COMMIT:
            commit = source.commit(oid)
            waiting += (commit.tree, *commit.parents)
        elif kind == TREE:
            waiting += (entry.oid for entry in source.tree(oid).values() if entry.mode != MODE_GITLINK)
    target.write_pack(seen)
    target.let_go()  # nobody else knows of the repository yet


def _move(clone: Repository, old: Oid | None, new: Oid, message: str, when: int) -> None:
    """Move the clone's branch, with reflogs; ``when`` is in seconds since 1970."""
    clone.objects.write_pack(clone.objects.new_from([new]))
    who = "{} <{}> {} +0000".format(*kolla.YOU, when).encode()
    proof = Proof(os.path.join(clone.git_dir, "demo-proof"))
    moved = RefTransaction(clone, [RefUpdate(name=LIBERTY, old=old, new=new, message=message)], proof)
    with proof.written(moved.files), moved as refs:
        refs.commit(who)


# --- the working tree --------------------------------------------------------------------------------


def _check_out(clone: Repository, tip: Oid) -> None:
    """Write files and index as they are at ``tip``, stage some edits and leave others unstaged."""
    objects = clone.objects
    committed = objects.commit(tip).tree
    staged = _edited(objects, committed, kolla.STAGED)
    unstaged = _edited(objects, staged, kolla.UNSTAGED)
    objects.write_pack(objects.new_from([staged]))
    entries = [_write_file(clone, path, entry) for path, entry in _files(objects, staged)]
    index = serialise_index(entries, hex_length=objects.hex_length)
    with open(clone.index_path, "wb") as file:
        file.write(index)
    for path, entry in _files(objects, unstaged):
        if entry != objects.entry(staged, path):
            _write_file(clone, path, entry)
    for name, text in kolla.UNTRACKED.items():
        _write_file(clone, TreePath(name.encode()), _entry(objects, name, text))


def _write_file(clone: Repository, path: TreePath, entry: TreeEntry) -> IndexEntry:
    """Write one file and return the index entry for it."""
    full = os.path.join(clone.root, os.fsdecode(path))
    os.makedirs(os.path.dirname(full), exist_ok=True)
    mode = 0o777 if entry.mode == MODE_EXECUTABLE else 0o666
    with open(os.open(full, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(clone.objects.blob(entry.oid))
    return entry_from_stat(path, entry.mode, entry.oid, os.lstat(full))


def _files(objects: Objects, tree: Oid, above: bytes = b"") -> Iterator[tuple[TreePath, TreeEntry]]:
    """Every file of a tree with its path."""
    for name, entry in objects.tree(tree).items():
        if entry.mode == MODE_TREE:
            yield from _files(objects, entry.oid, above + name + b"/")
        else:
            yield TreePath(above + name), entry


# --- commits -----------------------------------------------------------------------------------------


def _commit_all(objects: Objects, changes: Sequence[kolla.Change], tip: Oid | None) -> Oid:
    """Commit the changes one after the other on ``tip`` (None: on nothing), in memory; the last commit."""
    for change in changes:
        tree = _edited(objects, objects.commit(tip).tree if tip is not None else None, change.edits)
        who = b"%s %d +0000" % (change.author.encode(), change.when)
        lines = [b"tree " + tree, *([b"parent " + tip] if tip is not None else [])]
        lines += [b"author " + who, b"committer " + who, b"", change.subject.encode(), b""]
        tip = objects.add_commit(b"\n".join(lines))
    assert tip is not None, "a history has at least one commit"
    return tip


def _edited(objects: Objects, tree: Oid | None, edits: Mapping[str, kolla.Edit]) -> Oid:
    """The tree that ``tree`` becomes with the edits, in memory."""
    changes: dict[TreePath, TreeEntry | None] = {}
    for name, edit in edits.items():
        path = TreePath(name.encode())
        if isinstance(edit, tuple):
            entry = objects.entry(tree, path) if tree is not None else None
            assert entry is not None, f"{name} is edited before it is there"
            old, new = edit
            text = objects.blob(entry.oid).decode()
            assert text.count(old) == 1, f"{old!r} is not once in {name}"
            edit = text.replace(old, new)
        changes[path] = _entry(objects, name, edit)
    return objects.edit_tree(tree, changes)


def _entry(objects: Objects, name: str, text: str) -> TreeEntry:
    mode = MODE_EXECUTABLE if name in kolla.EXECUTABLE else MODE_FILE
    return TreeEntry(mode, objects.add_blob(text.encode()))


def _opened(path: str) -> Repo:
    from dulwich.repo import Repo

    return Repo(path)


def _add_refs(repo: Repo, refs: Mapping[RefName, Oid]) -> None:
    for name, oid in refs.items():
        repo.refs.add_if_new(name, oid)  # type: ignore[arg-type]
