"""Line ends against git: every combination of attributes, settings and kinds of content."""

from __future__ import annotations

import hashlib
from itertools import product

import pytest

from resync.model import TreePath
from resync.worktree.attributes import NONE, PathAttributes, worktree_attributes
from resync.worktree.convert import has_crlf_text, to_git, to_worktree, unsupported
from resync.worktree.files import Files
from resync.worktree.settings import WorktreeSettings

from .conftest import Sandbox

CONTENTS = {
    "empty": b"",
    "lf": b"one\ntwo\n",
    "crlf": b"one\r\ntwo\r\n",
    "mixed": b"one\r\ntwo\nthree\r\n",
    "lone-cr": b"one\rtwo\r\nthree\n",
    "double-cr": b"one\r\r\ntwo\n",
    "nul": b"one\0\r\ntwo\n",
    "no-end": b"one\r\ntwo",
    "only-crlf": b"\r\n",
    "control": b"\x01\x02\r\n\n" + b"text",
    "few-control": b"\x01" + b"x" * 130 + b"\r\n\n",
    "dos-eof": b"one\r\ntwo\r\n\x1a",
    "lf-eof": b"one\ntwo\n\x1a",
    "terminal": b"\x1b[1m\b\f\t\r\nx\n",
    "delete": b"\x7f\r\n",
    "vertical": b"\x0b\r\na\n",
    "latin": b"caf\xe9\r\n\n",
}
TEXT = ["", "text", "-text", "!text", "text=auto", "text=input", "text=bogus"]
EOL = ["", "eol=lf", "eol=crlf", "eol=bogus", "-eol"]
OLD = ["crlf", "-crlf", "crlf=input", "crlf=auto", "-crlf eol=crlf", "text=auto -crlf", "binary", "-diff"]
COMBINATIONS = [f"{text} {eol}".strip() for text, eol in product(TEXT, EOL)] + OLD
AUTO_CRLF = ["false", "true", "input"]
CORE_EOL = ["", "lf", "crlf", "native"]


def build(sandbox: Sandbox) -> dict[bytes, bytes]:
    """One file for each content and combination, each in the directory whose attributes it has."""
    lines = []
    files: dict[bytes, bytes] = {}
    for number, combination in enumerate(COMBINATIONS):
        lines.append(f"c{number}-* {combination}\n")
        for name, content in CONTENTS.items():
            path = f"c{number}-{name}"
            sandbox.write(path, content)
            files[path.encode()] = content
    sandbox.write(".gitattributes", "".join(lines).encode())
    return files


def options(auto_crlf: str, core_eol: str) -> list[str]:
    eol = ["-c", f"core.eol={core_eol}"] if core_eol else []
    return ["-c", f"core.autocrlf={auto_crlf}", "-c", "core.safecrlf=false", *eol]


def settings_for(auto_crlf: str, core_eol: str) -> WorktreeSettings:
    return WorktreeSettings(
        auto_crlf=auto_crlf,  # type: ignore[arg-type]
        eol="crlf" if core_eol == "crlf" else "lf",
    )


def blob_id(data: bytes) -> bytes:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest().encode()


@pytest.mark.parametrize("in_index", [None, b"old\r\n", b"old\r\n\0", b"old\n"])
def test_to_git_is_what_git_add_stores(sandbox: Sandbox, in_index: bytes | None) -> None:
    files = build(sandbox)
    compared = 0
    for auto_crlf, core_eol in product(AUTO_CRLF, CORE_EOL):
        sandbox.index_file.unlink(missing_ok=True)
        if in_index is not None:
            oid = sandbox.git("hash-object", "-w", "--stdin", stdin=in_index).strip()
            lines = b"".join(b"100644 %s\t%s\0" % (oid, path) for path in files)
            sandbox.git("update-index", "-z", "--index-info", stdin=lines)
        sandbox.git(*options(auto_crlf, core_eol), "add", "-A")
        stored = {
            entry.split(b"\t")[1]: entry.split(b" ")[1]
            for entry in sandbox.git("ls-files", "-s", "-z").split(b"\0")[:-1]
        }
        settings = settings_for(auto_crlf, core_eol)
        index, _ = sandbox.index()
        with sandbox.open() as opened:
            attributes = worktree_attributes(Files(str(sandbox.root)), opened.objects, index, settings)
            for path, content in files.items():
                ours = to_git(
                    content,
                    attributes.of(TreePath(path)),
                    settings,
                    lambda: in_index is not None and has_crlf_text(in_index),
                )
                assert blob_id(ours) == stored[path], (auto_crlf, core_eol, combination_of(path), content)
                compared += 1
    assert compared == 12 * len(COMBINATIONS) * len(CONTENTS)


def test_to_worktree_is_what_git_checks_out(sandbox: Sandbox) -> None:
    files = build(sandbox)
    sandbox.git("-c", "core.safecrlf=false", "add", ".gitattributes")
    ids = {
        content: sandbox.git("hash-object", "-w", "--stdin", stdin=content).strip()
        for content in CONTENTS.values()
    }
    lines = b"".join(b"100644 %s\t%s\0" % (ids[content], path) for path, content in files.items())
    sandbox.git("update-index", "-z", "--index-info", stdin=lines)
    index, _ = sandbox.index()
    for number, (auto_crlf, core_eol) in enumerate(product(AUTO_CRLF, CORE_EOL)):
        out = sandbox.home / f"out{number}"
        sandbox.git(*options(auto_crlf, core_eol), "checkout-index", "-a", f"--prefix={out}/")
        settings = settings_for(auto_crlf, core_eol)
        with sandbox.open() as opened:
            attributes = worktree_attributes(Files(str(sandbox.root)), opened.objects, index, settings)
            for path, content in files.items():
                ours = to_worktree(content, attributes.of(TreePath(path)), settings)
                theirs = (out / path.decode()).read_bytes()
                assert ours == theirs, (auto_crlf, core_eol, combination_of(path), content)


def combination_of(path: bytes) -> str:
    return COMBINATIONS[int(path[1:].split(b"-")[0])]


def test_what_cannot_be_converted_is_named() -> None:
    path = TreePath(b"big.bin")

    def reason(**attributes: bytes | bool) -> str | None:
        return unsupported(path, PathAttributes(**attributes))

    assert unsupported(path, NONE) is None
    assert reason(filter=b"lfs") is None
    assert "UTF-16" in (reason(working_tree_encoding=b"UTF-16") or "")
    assert reason(working_tree_encoding=b"UTF-8") is None
    assert reason(working_tree_encoding=False) is None
    assert "ident" in (reason(ident=True) or "")
    assert reason(ident=False) is None
