"""The list of a hundred bad states and inputs: what each is, and that a test shows what becomes of it.

A test says with ``@pytest.mark.state(17)`` which of them it shows. Numbers are never given away again.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]

LOCAL_WORK = {*range(1, 35)}
REPOSITORY = {*range(35, 58)}
UPSTREAM = {*range(59, 79)}
MACHINE = {*range(79, 101)}
WANTED = LOCAL_WORK | REPOSITORY | UPSTREAM | MACHINE


def marked(path: Path) -> Iterator[int]:
    """The numbers on the tests of one file."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test_"):
            continue
        for decorator in node.decorator_list:
            match decorator:
                case ast.Call(
                    func=ast.Attribute(value=ast.Attribute(attr="mark"), attr="state"),
                    args=[ast.Constant(value=int(number))],
                ):
                    yield number


def test_every_state_has_a_test_and_no_other_number() -> None:
    assert {number for path in TESTS.rglob("test_*.py") for number in marked(path)} == WANTED
