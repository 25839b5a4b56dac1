"""The house stands on its floors: who imports whom, who reads clock and environment, what is never called."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from resync import __version__

PACKAGE = Path(__file__).resolve().parents[1] / "resync"

# Ground floor first. A module imports only from the floors below its own, or from its own package;
# modules that share a floor do not know each other.
FLOORS = (
    ("resync", "dates", "errors", "model", "patterns", "request"),
    ("repository", "merge", "programs", "interrupts", "registry"),
    ("history", "worktree", "journal", "remote", "signers", "rewrites", "git_hooks"),
    ("upstream", "policy", "resolutions", "resolution_file"),
    ("checkout", "carry", "backup", "comparison", "commit_message", "whole", "holds"),
    ("observe", "plan", "rescue", "notes", "replay"),
    ("forest", "waiting", "holdings", "exchange", "signing", "jump", "refusals", "stopping"),
    ("rehearse", "sequencer", "undo", "letting_go", "sitting"),
    ("report",),
    ("console",),
    ("commands",),
    ("arguments", "demo", "failures", "fleet"),
    ("cli",),
    ("__main__", "worker"),
)
FLOOR_OF = {name: number for number, floor in enumerate(FLOORS) for name in floor}

# The command line alone knows the time and the environment. What others may ask of the clock is no date:
# how long a lock or a program has been waited for, how old somebody's lock file is, a name of one's own.
CLOCKS = {
    "console": {"monotonic"},
    "programs": {"monotonic"},
    "remote.http": {"monotonic"},
    "repository.locks": {"monotonic", "sleep", "time"},
    "repository.refs": {"time_ns"},
    "worktree.moves": {"sleep"},
}
# What else tells of time and place, where it is used for something else: dates that are given, a password
# that is typed, a connection that is made.
ASKS_NOTHING = {
    "dates": {"datetime"},
    "console": {"getpass"},
    "remote.daemon": {"socket"},
    "remote.watch": {"socket"},
}
# Who starts programs, and how: those that the user's own configuration names; and resync itself, for many
# checkouts.
STARTS_PROGRAMS = {"programs": {"subprocess"}, "fleet.crew": {"subprocess"}}
ENVIRONMENT = {"environ", "environb", "getenv", "getcwd", "getcwdb", "putenv"}

# Parts of dulwich that lose or corrupt work in cases that were reproduced (DESIGN.md, section 8).
FORBIDDEN_MODULES = {
    "dulwich.gc",
    "dulwich.merge",
    "dulwich.merge_drivers",
    "dulwich.porcelain",
    "dulwich.rebase",
    "dulwich.stash",
    "dulwich.trailers",
    "dulwich.worktree",
}
FORBIDDEN_NAMES = {
    "Index",
    "Rebaser",
    "can_fast_forward",
    "commit_patch_id",
    "find_merge_base",
    "get_worktree",
    "open_index",
    "parse_trailers",
    "reset_index",
    "update_working_tree",
}


def modules() -> dict[str, ast.Module]:
    """Every module below the package by its name without ``resync.`` (the package itself: ``resync``)."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts) or "resync"
        found[name] = ast.parse(path.read_text("utf-8"), str(path))
    return found


MODULES = modules()


def floor(module: str) -> int:
    return FLOOR_OF[module.partition(".")[0]]


@cache
def nodes(tree: ast.Module) -> tuple[ast.AST, ...]:
    """All of a module, in any order: to walk through it takes far longer than any question about it."""
    return tuple(ast.walk(tree))


def imports(tree: ast.Module) -> Iterator[str]:
    """What of resync a module imports, anywhere in it, by module."""
    for node in nodes(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the floor"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            package, _, below = name.partition(".")
            if package == "resync":
                yield nearest(below)


def nearest(name: str) -> str:
    """The module that a dotted name (``repository.objects.COMMIT``) stands in."""
    while name and name not in MODULES:
        name = name.rpartition(".")[0]
    return name or "resync"


def test_every_module_has_a_floor() -> None:
    assert {name.partition(".")[0] for name in MODULES} <= set(FLOOR_OF)
    assert len(FLOOR_OF) == sum(map(len, FLOORS)), "a name stands on two floors"


def test_the_design_shows_the_same_floors() -> None:
    design = (PACKAGE.parent / "DESIGN.md").read_text("utf-8")
    rows = re.findall(r"^\| (\d+) \| `(\w+)(?:\.py|/)` \|", design, re.MULTILINE)
    shown = {name: int(number) for number, name in rows}
    assert shown == {name: number for name, number in FLOOR_OF.items() if name != "resync"}


@pytest.mark.parametrize("module", MODULES)
def test_imports_come_from_below(module: str) -> None:
    package = module.partition(".")[0]
    wrong = {
        other
        for other in imports(MODULES[module])
        if other.partition(".")[0] != package and floor(other) >= floor(module)
    }
    assert not wrong


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = {name: set(imports(tree)) - {name} for name, tree in MODULES.items()}
    # A package's __init__ names its own modules; these may not ask the package for anything.
    while graph:
        leaves = {name for name, below in graph.items() if not below & graph.keys()}
        assert leaves, f"a circle among {sorted(graph)}"
        graph = {name: below - leaves for name, below in graph.items() if name not in leaves}


def test_merge_is_pure() -> None:
    for module, tree in MODULES.items():
        if module.partition(".")[0] == "merge":
            assert {name.partition(".")[0] for name in imports(tree)} <= {"errors", "model", "merge"}, module
            assert "open" not in called_names(tree), module
            assert not imported_modules(tree) & {"os", "io", "sys", "time", "pathlib"}, module


def called_names(tree: ast.Module) -> set[str]:
    return {
        node.func.id for node in nodes(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }


def imported_modules(tree: ast.Module) -> set[str]:
    found = set()
    for node in nodes(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def attributes(tree: ast.Module, of: str) -> set[str]:
    """The attributes of the module ``of`` that are used, also when imported by name."""
    found = {
        node.attr
        for node in nodes(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == of
    }
    for node in nodes(tree):
        if isinstance(node, ast.ImportFrom) and node.module == of:
            found |= {alias.name for alias in node.names}
    return found


@pytest.mark.parametrize("module", [name for name in MODULES if name != "cli"])
def test_only_the_command_line_reads_clock_and_environment(module: str) -> None:
    tree = MODULES[module]
    assert not attributes(tree, "os") & ENVIRONMENT
    assert attributes(tree, "time") <= CLOCKS.get(module, set())
    assert not (
        {"datetime", "getpass", "pwd", "socket"} - ASKS_NOTHING.get(module, set())
    ) & imported_modules(tree)
    assert not {"now", "utcnow", "today"} & {
        node.attr for node in nodes(tree) if isinstance(node, ast.Attribute) and module == "dates"
    }
    system = attributes(tree, "sys")
    if module != "__main__":
        assert not system & {"argv", "exit"}
    if module not in ("console", "worker"):  # one talks to people, the other to us
        assert not system & {"stdin", "stderr"}
        assert "print" not in called_names(tree)
        assert "input" not in called_names(tree)


@pytest.mark.parametrize("module", MODULES)
def test_no_program_is_started_but_in_one_place(module: str) -> None:
    tree = MODULES[module]
    allowed = STARTS_PROGRAMS.get(module, set())
    assert not ({"subprocess", "pty", "multiprocessing"} - allowed) & imported_modules(tree)
    assert not {
        name
        for name in attributes(tree, "os")
        if name in {"system", "popen", "fork"} or name.startswith(("exec", "spawn", "posix_spawn"))
    }


@pytest.mark.parametrize("module", MODULES)
def test_of_dulwich_only_what_is_safe(module: str) -> None:
    tree = MODULES[module]
    of_dulwich = {name for name in imported_modules(tree) if name.partition(".")[0] == "dulwich"}
    assert not of_dulwich & FORBIDDEN_MODULES
    assert not {name.rpartition(".")[2] for name in of_dulwich} & FORBIDDEN_NAMES
    used = {node.attr for node in nodes(tree) if isinstance(node, ast.Attribute)}
    assert not used & (FORBIDDEN_NAMES - {"Index"})


def top_level_imports(tree: ast.Module) -> Iterator[str]:
    """The modules that importing this one loads: not those under TYPE_CHECKING or in functions."""
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("module", MODULES)
def test_dulwich_is_loaded_only_when_it_is_needed(module: str) -> None:
    loaded = {name.partition(".")[0] for name in top_level_imports(MODULES[module])}
    assert not loaded & {"dulwich", "urllib3", "platformdirs", "colorama", "packaging"}


def test_the_version_is_told_without_loading_anything() -> None:
    script = (
        "import sys; sys.argv[1:] = ['--version']; from resync.__main__ import main; main();"
        "print(*sorted(name for name in sys.modules if name.startswith(('argparse', 'dulwich', 'resync'))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True, cwd=PACKAGE.parent
    )
    assert done.stdout.splitlines() == [f"resync {__version__}", "resync resync.__main__"], done.stderr


def test_files_are_of_a_readable_size() -> None:
    lengths = {
        str(path.relative_to(PACKAGE)): len(path.read_bytes().splitlines()) for path in PACKAGE.rglob("*.py")
    }
    assert {name: length for name, length in lengths.items() if length > 500} == {}
