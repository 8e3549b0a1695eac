"""Records in a small SQLite file, shared by all processes of one machine."""

# ruff: noqa: S608 - the names in statements are those of kinds, and never what somebody gave
from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from diffusionapi import files
from diffusionapi.database import Database
from diffusionapi.records.records import Kind, Records, Row

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class SqliteRecords(Records):
    """The file is opened, or made, when it is first needed."""

    def __init__(self, kind: Kind, file: Path) -> None:
        self._kind = kind
        self._file = file
        self._database = Database(file, kind.schema, what=kind.what)
        self._order = f"ORDER BY created, {kind.name or kind.id}"

    def get(self, record_id: str | bytes) -> Row | None:
        return next(iter(self._look(f"WHERE {self._kind.id} = ?", record_id)), None)

    def named(self, name: str) -> Row | None:
        return next(iter(self._look(f"WHERE {self._kind.name} = ?", name)), None)

    def all(self) -> list[Row]:
        return self._look(self._order)

    def of(self, group: str | int) -> list[Row]:
        return self._look(f"WHERE {self._kind.group} = ? {self._order}", group)

    def add(self, row: Row, *, only_first: bool = False) -> bool:
        marks = ", ".join("?" for _ in row)
        condition = f" WHERE NOT EXISTS (SELECT 1 FROM {self._kind.table})" if only_first else ""
        if self._kind.own_folder:
            files.make_folder(self._file.parent)
        with self._database.change() as database:
            try:
                added = database.execute(
                    f"INSERT INTO {self._kind.table} ({', '.join(row)}) SELECT {marks}{condition}",
                    tuple(row.values()),
                )
            except sqlite3.IntegrityError:
                return False
            return bool(added.rowcount)

    def change(self, record_id: str | bytes, **values: Any) -> bool:
        new = ", ".join(f"{column} = ?" for column in values)
        return self._change(
            f"UPDATE {self._kind.table} SET {new} WHERE {self._kind.id} = ?", (*values.values(), record_id)
        )

    def fill(self, record_id: str | bytes, column: str, value: Any) -> None:
        self._change(
            f"UPDATE {self._kind.table} SET {column} = ? WHERE {self._kind.id} = ? AND {column} IS NULL",
            (value, record_id),
        )

    def remove(self, record_id: str | bytes) -> bool:
        return self._change(f"DELETE FROM {self._kind.table} WHERE {self._kind.id} = ?", (record_id,))

    def forget(self, group: str | int, *, made_before: float) -> None:
        self._change(
            f"DELETE FROM {self._kind.table} WHERE {self._kind.group} = ? AND created < ?",
            (group, made_before),
        )

    def close(self) -> None:
        self._database.close()

    def _look(self, which: str, *values: object) -> list[Row]:
        if self._kind.own_folder and not self._file.is_file():
            return []
        columns = self._kind.columns
        rows = self._database.look(f"SELECT {', '.join(columns)} FROM {self._kind.table} {which}", *values)
        return [dict(zip(columns, row, strict=True)) for row in rows]

    def _change(self, statement: str, values: Iterable[object]) -> bool:
        """Whether it changed anything."""
        with self._database.change() as database:
            return bool(database.execute(statement, tuple(values)).rowcount)
