"""Twelve random commits on the old tip, with the odd headers and messages that real histories have."""

from __future__ import annotations

from tests.conftest import World
from tests.event.edits import Edit, Edits
from tests.event.upstream import Event, clean_picks

COUNT = 12

# One of each is in every history, so that every verdict is reached whatever the seed.
_ALWAYS = ("apart", "clashing", "upstream-patch", "upstream-content", "new-file", "empty")
_SOMETIMES = (
    "untouched",
    "gone",
    "renamed-upstream",
    "delete-equal",
    "delete-changed",
    "mode",
    "rename",
    "link",
    "link-for-file",
    "binary",
    "same-name",
    "notes",
)
_MESSAGES = (
    b"",
    b"\nA body.\n\nChange-Id: I0123456789012345678901234567890123456789\n",
    b"\n# a comment that is none  \n\n\n\ntoo many blank lines\n\n\n",
    b"\nno line end at the end",
    b"\nCarriage\r\nreturns\r\n",
    b"\nnot UTF-8: \xff\xfe\n",
)
_LATIN = b"encoding ISO-8859-1"
_EXTRA_HEADERS = (
    _LATIN,
    b"x-review first line\n second line\n \n fourth",
    b"gpgsig -----BEGIN PGP SIGNATURE-----\n \n iQ\n -----END PGP SIGNATURE-----",
)


def make(world: World, event: Event, edits: Edits) -> list[str]:
    """Make the commits on what the clone has checked out; their ids, oldest first."""
    kinds = [*_ALWAYS, *edits.random.choices(_SOMETIMES, k=COUNT - len(_ALWAYS))]
    edits.random.shuffle(kinds)
    made = []
    for number, kind in enumerate(kinds):
        _change(world, event, edits, kind, number)
        made.append(_commit(world, edits, kind, number))
    return made


def _change(world: World, event: Event, edits: Edits, kind: str, number: int) -> None:
    """Change the clone's files for a commit of this kind."""
    top, local = world.clone, world.clone / "local"
    local.mkdir(exist_ok=True)
    match kind:
        case "apart":
            _write(world, edits.apart())
        case "clashing":
            _write(world, edits.clashing())
        case "untouched":
            _write(world, edits.untouched())
        case "gone":
            _write(world, edits.anywhere(edits.pick(edits.gone())))
        case "renamed-upstream":
            _write(world, edits.anywhere(edits.pick(event.renamed)))
        case "upstream-content":
            _write(world, edits.upstreams())
        case "upstream-patch":
            _apply_news(world, event, edits)
        case "delete-equal":
            (top / edits.pick(edits.equal())).unlink()
        case "delete-changed":
            (top / edits.pick(edits.changed())).unlink()
        case "mode":
            path = top / edits.pick(edits.equal())
            path.chmod(path.stat().st_mode ^ 0o111)
        case "rename":
            path = top / edits.pick(edits.equal())
            path.rename(local / f"{number}-{path.name}")
        case "link":
            (local / f"{number}.link").symlink_to("../tools/build.py")
        case "link-for-file":
            path = top / edits.pick(edits.equal())
            path.unlink()
            path.symlink_to("nowhere")
        case "binary":
            (local / f"{number}.bin").write_bytes(b"\0" + edits.random.randbytes(300))
        case "same-name":
            _write(world, Edit(edits.pick(edits.arriving()), edits.text()))
        case "new-file":
            _write(world, Edit(f"local/{number}.yml", edits.text()))
        case "notes":
            with open(local / "notes", "ab") as file:
                file.write(edits.text())
        case _:
            assert kind == "empty"


def _write(world: World, edit: Edit) -> None:
    world.write(edit.path, edit.data)


def _apply_news(world: World, event: Event, edits: Edits) -> None:
    """Make by hand a change that upstream's new line has as well, patch for patch."""
    git = world.git
    log = git(
        "log", "--cherry-pick", "--right-only", "--format=%H", f"{event.old}...{event.new}", at=world.upstream
    )
    news = set(log.splitlines())
    picks = [oid for oid in clean_picks(event.old) if oid in news]
    edits.random.shuffle(picks)
    for oid in picks:
        patch = git("diff-tree", "-p", "--binary", "--no-renames", oid, at=world.upstream) + "\n"
        paths = git("diff-tree", "-r", "--name-only", "--no-commit-id", oid, at=world.upstream).splitlines()
        if not edits.touched.isdisjoint(paths):
            continue
        git("apply", "--index", "-", stdin=patch.encode("utf-8", "surrogateescape"), check=False)
        here = git("diff", "--cached", "--binary", "--no-renames") + "\n"
        if _patch_id(world, here) == _patch_id(world, patch):
            edits.touched.update(paths)
            return
        git("reset", "-q", "--hard")
    raise AssertionError("no patch of the new line fits the old one")


def _patch_id(world: World, patch: str) -> str:
    printed = world.git("patch-id", "--stable", stdin=patch.encode("utf-8", "surrogateescape"))
    return printed.partition(" ")[0]


def _commit(world: World, edits: Edits, kind: str, number: int) -> str:
    git, random = world.git, edits.random
    git("add", "--all", "--force", ".")
    name = random.choice(("Ada Lovelace", "Jörg Ünal", "山田 太郎", "O'Neil, Jr"))
    seconds = 1_450_000_000 + random.getrandbits(22)
    zone = random.choice(("+0000", "-0000", "+0530", "-0330", "+1400", "-1130"))
    extra = random.sample(_EXTRA_HEADERS, k=random.randint(0, len(_EXTRA_HEADERS)))
    message = b"%s %d\n%s" % (kind.encode(), number, random.choice(_MESSAGES))
    if _LATIN in extra:
        message += "\nÜbermaß\n".encode("latin-1")
    headers = [
        f"tree {git('write-tree')}".encode(),
        f"parent {git('rev-parse', 'HEAD')}".encode(),
        f"author {name} <{number}@example.com> {seconds} {zone}".encode(),
        b"committer Some Body <some@example.com> %d +0100" % (1_455_000_000 + number),
        *extra,
    ]
    raw = b"\n".join(headers) + b"\n\n" + message
    oid = git("hash-object", "-t", "commit", "-w", "--stdin", stdin=raw)
    git("update-ref", "-m", f"commit: {kind}", "HEAD", oid)
    return oid
