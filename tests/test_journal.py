"""The record of a run: what is written is read back, and what is damaged is refused, never guessed at."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resync.errors import Refused
from resync.journal import STATES, Journals
from resync.journal.record import decode, encode
from resync.model import (
    Backup,
    FileChange,
    Head,
    IndexChange,
    IndexRecord,
    LocalCommit,
    LocalFile,
    MoveRefs,
    Oid,
    Plan,
    RefName,
    RefUpdate,
    Switch,
    TreeEntry,
    TreePath,
)
from resync.repository import Repository

# A path may hold any byte, which text keeps as lone surrogates; a line may hold any character.
TEXT = st.text(st.characters() | st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF), max_size=8)
st.register_type_strategy(str, TEXT)
st.register_type_strategy(bytes, st.binary(max_size=8))

PLANS = st.from_type(Plan)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=3,
)
A, B = Oid(b"a" * 40), Oid(b"b" * 40)
FILE = TreeEntry(0o100644, A)
UPDATE = RefUpdate(name=RefName(b"refs/heads/rescue/main-1"), old=None, new=A, message="resync: backup")
PLAN = Plan(
    id="20160419T190232Z-1f3a",
    checkout="/srv/k\udcf6lla",
    head=Head(branch=RefName(b"refs/heads/main"), tip=A),
    new_tip=B,
    upstream=None,
    commits=(LocalCommit(oid=A, subject=b"gr\xfc\xdfe", author=b"A <a>", verdict="parked", conflicts=()),),
    files=(LocalFile(path=TreePath(b"\xff\n"), state="staged", verdict="restored"),),
    rescue=UPDATE,
    steps=(
        Backup(refs=(UPDATE,)),
        Switch(
            files=(FileChange(path=TreePath(b"f"), before=FILE, after=None),),
            index=(IndexChange(path=TreePath(b"f"), before=IndexRecord(mode=0o100644, oid=A), after=None),),
            index_file=B,
        ),
        MoveRefs(updates=()),
    ),
)


@pytest.fixture
def journals(tmp_path: Path) -> Iterator[Journals]:
    from dulwich.repo import Repo

    Repo.init(tmp_path).close()
    with Repository.open(str(tmp_path), {}) as repository:
        yield Journals(repository)


def through_json(value: object) -> Any:
    return json.loads(json.dumps(encode(value)))


@settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=50)
@given(PLANS)
def test_what_is_encoded_is_decoded(plan: Plan) -> None:
    """And the record is plain ASCII: a person reads it when everything else fails, on any terminal."""
    record = json.dumps(encode(plan))
    assert record.isascii()
    assert decode(Plan, json.loads(record)) == plan


def test_a_record_from_before_a_field_was_made_is_read() -> None:
    record = through_json(PLAN)
    del record["files"][0]["reason"]
    del record["undoes"]
    assert decode(Plan, record) == PLAN
    del record["head"]
    with pytest.raises(KeyError):
        decode(Plan, record)


def test_a_run_is_loaded_as_it_was_begun(journals: Journals) -> None:
    begun = journals.begin(PLAN, 7)
    assert begun == journals.load(PLAN.id)
    assert (begun.plan, begun.state) == (PLAN, "planned")
    assert begun.folder == journals.run_folder(PLAN.id)


def test_states_and_the_outcome(journals: Journals) -> None:
    journals.begin(PLAN, 7)
    for state in STATES:
        journals.advance(PLAN.id, state)
        assert journals.load(PLAN.id).state == state
        unfinished = journals.unfinished()
        assert (unfinished is not None) == (state == "switching")
    journals.conclude(PLAN.id, {"exit_code": 3})
    told = Path(journals.run_folder(PLAN.id)) / "outcome.json"
    assert json.loads(told.read_text()) == {"exit_code": 3}
    assert not [name for name in os.listdir(journals.run_folder(PLAN.id)) if name.endswith(".part")]


def test_runs_are_listed_in_the_order_in_which_they_were_begun(journals: Journals) -> None:
    """Not by their ids, which are of a clock that somebody may have put back."""
    ids = ["20170101T000000Z-0000", "20160419T190232Z-ffff", "20160419T190233Z-0000"]
    assert [entry.run for entry in journals.entries()] == []
    for run in ids:
        journals.begin(replace(PLAN, id=run), 7)
    assert [entry.run for entry in journals.entries()] == ids
    assert [journal.plan.id for journal in journals.newest_first()] == ids[::-1]
    journals.forget(ids[1])
    assert [entry.run for entry in journals.entries()] == [ids[0], ids[2]]


def test_a_run_is_begun_once(journals: Journals) -> None:
    """Two runs of one id would share a quarantine."""
    journals.begin(PLAN, 7)
    with pytest.raises(FileExistsError):
        journals.begin(PLAN, 7)


def refusal(journals: Journals, run: str = PLAN.id) -> str:
    with pytest.raises(Refused) as refused:
        journals.load(run)
    return refused.value.kind


def test_unknown_runs_are_refused(journals: Journals) -> None:
    assert refusal(journals) == "unknown-run"


@pytest.mark.parametrize("name", ["plan.json", "state.json"])
@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_version_is_refused(journals: Journals, name: str, version: object) -> None:
    path = Path(journals.begin(PLAN, 7).folder) / name
    record = json.loads(path.read_text())
    assert record["version"] == 1
    path.write_text(json.dumps({**record, "version": version}))
    assert refusal(journals) == "unreadable-journal"


@pytest.mark.parametrize("removal", ["forget", "empty"])
def test_what_is_removed_is_gone_at_once(
    journals: Journals, removal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One who dies amid it leaves no half of a run, and the next clears the rest away."""
    folder = Path(journals.begin(PLAN, 7).folder)
    (folder / "quarantine").mkdir()
    (folder / "quarantine" / "0").write_text("bytes")
    monkeypatch.setattr("shutil.rmtree", lambda *arguments, **options: None)
    getattr(journals, removal)(PLAN.id)
    assert not (folder / "quarantine").exists()
    assert [entry.run for entry in journals.entries()] == ([PLAN.id] if removal == "empty" else [])
    monkeypatch.undo()
    journals.clear_removed()
    assert [name for name in os.listdir(journals.folder) if name != "runs"] == []


@pytest.mark.parametrize("name", ["plan.json", "state.json"])
@pytest.mark.parametrize("damage", [b"", b"\0" * 40, b"\xff\xfe", b"[]", b"null", b'{"version": 1}', b"["])
def test_damaged_files_are_refused(journals: Journals, name: str, damage: bytes) -> None:
    """A power cut leaves a file empty, full of zeros, or cut short."""
    (Path(journals.begin(PLAN, 7).folder) / name).write_bytes(damage)
    assert refusal(journals) == "unreadable-journal"


def test_a_plan_cut_short_anywhere_is_refused(journals: Journals) -> None:
    path = Path(journals.begin(PLAN, 7).folder) / "plan.json"
    whole = path.read_bytes().rstrip()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        assert refusal(journals) == "unreadable-journal"


def places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON value, as the keys and numbers that lead there."""
    yield above
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*above, key))


PLACES = sorted(filter(None, places(through_json(PLAN))), key=repr)


@pytest.mark.parametrize("place", [p for p in PLACES if p[-1] != "step"], ids=str)
def test_text_is_no_list_and_a_list_no_text(place: Any) -> None:
    """Text can be gone through like a list; read so, a list of ids would become one of letters."""
    record = through_json(PLAN)
    inner = record
    for key in place[:-1]:
        inner = inner[key]
    swapped = ["ab"] if isinstance(inner[place[-1]], str) else "ab"
    inner[place[-1]] = swapped
    try:
        decoded = decode(Plan, record)
    except (KeyError, TypeError, ValueError):
        return
    # What may be None as well as text takes text; nothing takes a list for it.
    assert isinstance(swapped, str)
    assert through_json(decoded) == record


@settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=300)
@given(place=st.sampled_from(PLACES), value=JSON)
def test_a_plan_with_anything_anywhere_decodes_to_a_plan_or_is_refused(place: Any, value: Any) -> None:
    """What is decoded has the types of the model: no surprise waits in a later step."""
    record = through_json(PLAN)
    inner = record
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    try:
        plan = decode(Plan, record)
    except (KeyError, TypeError, ValueError):
        return
    assert decode(Plan, through_json(plan)) == plan


@pytest.mark.parametrize("name", ["plan.json", "state.json"])
def test_one_wrong_byte_makes_no_other_run(journals: Journals, name: str) -> None:
    """Another path, id or state would be as good JSON, and was carried out."""
    path = Path(journals.begin(PLAN, 7).folder) / name
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        flipped = bytes([whole[place] ^ 1])
        path.write_bytes(whole[:place] + flipped + whole[place + 1 :])
        with suppress(Refused):
            found = journals.load(PLAN.id)
            assert (found.plan, found.state) == (PLAN, "planned"), place
