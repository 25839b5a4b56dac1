"""Records: a plan, or any part of one, as JSON and back; and files that tell when they are damaged."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from resync.model import Backup, MoveRefs, SetMessage, Switch
from resync.repository.durable import fsync, new_file

VERSION = 1
_OTHER_VERSION = "another version of resync wrote it"
_CHECKSUM = "sha256"

_STEPS: dict[str, type] = {step.__name__: step for step in (Backup, Switch, MoveRefs, SetMessage)}


def encode(value: object) -> Any:
    """A plan (or any part) as what JSON has: fields by name, bytes as text with surrogates for odd bytes."""
    if is_dataclass(value) and not isinstance(value, type):
        encoded = {field.name: encode(getattr(value, field.name)) for field in fields(value)}
        if type(value).__name__ in _STEPS:
            encoded["step"] = type(value).__name__
        return encoded
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, tuple):
        return [encode(item) for item in value]
    return value


def decode(wanted: Any, value: Any) -> Any:
    """The inverse of ``encode`` for a type of the model; raises ``ValueError`` or ``TypeError``."""
    wanted = getattr(wanted, "__supertype__", wanted)
    if wanted is bytes:
        return _checked(str, value).encode("utf-8", "surrogateescape")
    origin = typing.get_origin(wanted)
    if origin in (typing.Union, types.UnionType):
        options = [option for option in typing.get_args(wanted) if option is not type(None)]
        if value is None:
            return None
        if len(options) > 1:
            return decode(_STEPS[value["step"]], value)
        return decode(options[0], value)
    if origin is tuple:
        return tuple(decode(typing.get_args(wanted)[0], item) for item in _checked(list, value))
    if isinstance(wanted, type) and issubclass(wanted, tuple):
        types_of = _hints(wanted)
        items = zip(types_of.values(), _checked(list, value), strict=True)
        return wanted(*(decode(kind, item) for kind, item in items))
    if is_dataclass(wanted) and isinstance(wanted, type):
        types_of = _hints(wanted)
        # A field that has a default may be missing: it is newer than the record.
        here = [field for field in fields(wanted) if field.name in value or field.default is MISSING]
        return wanted(**{field.name: decode(types_of[field.name], value[field.name]) for field in here})
    if origin is typing.Literal:
        if value not in typing.get_args(wanted):
            raise ValueError(f"{value!r} is none of {typing.get_args(wanted)}")
        return value
    return _checked(wanted, value)


def _checked(wanted: type, value: Any) -> Any:
    if not isinstance(value, wanted):
        raise TypeError(f"{value!r} is no {wanted.__name__}")
    return value


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


# --- on the disk ---------------------------------------------------------------------------------------


def read(path: str) -> dict[str, Any]:
    """A record as it was written; raises ``ValueError`` where it is damaged."""
    with open(path, encoding="ascii") as file:
        record = json.load(file)
    if not isinstance(record, dict):
        raise ValueError("it is no record")
    if record.get("version", VERSION) != VERSION:
        raise ValueError(_OTHER_VERSION)
    given = record.pop(_CHECKSUM, None)
    if given not in (None, _checksum(record)):
        raise ValueError("it was changed since, or is damaged")
    return record


def write(path: str, record: Mapping[str, Any]) -> None:
    """Replace a record durably, with its checksum."""
    write_text(path, in_lines({**record, _CHECKSUM: _checksum(record)}))


def write_text(path: str, text: str) -> None:
    """Replace a small file durably; a reader sees the old text or the new."""
    partial = path + ".part"
    with open(new_file(partial), "w", encoding="ascii", newline="\n") as file:
        file.write(text)
        file.flush()
        fsync(file.fileno())
    os.replace(partial, path)


def in_lines(record: Mapping[str, Any]) -> str:
    """JSON with a line for every value: ``indent`` would take Python's encoder, at ten times the cost."""
    return json.dumps(record, separators=(",\n", ": ")) + "\n"


def _checksum(record: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record).encode("ascii")).hexdigest()
