"""Turns the nodes of a skops schema into the symbols that the pickle gate judges."""

from __future__ import annotations

import json
import re
import time
import zipfile
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from modelyard.intake import allowlist
from modelyard.intake.archives import read_member
from modelyard.intake.machine import Machine
from modelyard.intake.verdict import Limits, Refused

SCHEMA = 128 << 20  # bytes of schema.json
DEPTH = 600  # brackets within brackets
NODE_DEPTH = 100  # nodes within nodes
PROTOCOLS = (1, 2)
_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)
_COMMON = {"__class__", "__module__", "__loader__", "__id__"}

Read = Callable[["Walker", dict[str, Any]], Any]
Loaders = Mapping[str, tuple[set[str], Read]]
"""Per kind of node: the entries that it may have beside the common ones, and what reads it."""


class Walker(Machine):
    """Turns nodes into symbols. Names are skops' own, which differ for numpy's random
    classes.
    """

    values = (allowlist.VALUE, allowlist.SKOPS)

    def __init__(self, archive: zipfile.ZipFile, loaders: Loaders, limits: Limits, deadline: float) -> None:
        super().__init__(limits, deadline)
        self.archive = archive
        self.loaders = loaders
        self.nodes = 0
        self.depth = 0
        self.by_id: dict[int, tuple[dict[str, Any], Any]] = {}

    @property
    def place(self) -> int:
        return self.nodes

    def refuse(self, rule: str, detail: str) -> NoReturn:
        raise Refused(rule, f"{detail} (in node {self.nodes} of the schema)", format="skops")

    def root(self) -> Any:
        schema = self._schema()
        protocol = schema.get("protocol")
        if protocol.__class__ is not int or protocol not in PROTOCOLS:
            self.refuse("protocol", "the skops protocol is not 1 or 2; save the model with a current skops")
        self.protocol = protocol
        schema.pop("protocol")
        schema.pop("_skops_version", None)
        return self.node(schema)

    def _schema(self) -> dict[str, Any]:
        data = read_member(self.archive, "schema.json", SCHEMA)
        depth = 0
        for match in _BRACKETS.finditer(data):
            first = data[match.start()]
            if first == 0x22:
                continue
            depth += 1 if first in b"[{" else -1
            if depth > DEPTH:
                self.refuse("too_deep", f"the schema is nested more than {DEPTH} levels deep")
        try:
            schema = json.loads(data, object_pairs_hook=_unique)
        except (ValueError, RecursionError):
            self.refuse("broken", "the schema is no proper JSON; save the model again")
        if not isinstance(schema, dict):
            self.refuse("broken", "the schema is no object; save the model again")
        return schema

    def node(self, node: Any) -> Any:
        """The symbol of one node and all below it."""
        if not isinstance(node, dict) or not _COMMON - {"__id__"} <= set(node):
            self.refuse(
                "broken", "the schema has a node without class, module and loader; save the model again"
            )
        identity = node.get("__id__")
        if identity is not None and identity.__class__ is not int:
            self.refuse("broken", "the schema has a node whose id is no integer; save the model again")
        if identity in self.by_id:
            return self._again(node, self.by_id[identity])
        self.nodes += 1
        self.depth += 1
        if self.depth > NODE_DEPTH:
            self.refuse("too_deep", f"objects are nested more than {NODE_DEPTH} levels deep")
        if self.nodes > self.limits.memo_entries:
            self.refuse("too_large", f"the schema has more than {self.limits.memo_entries} nodes")
        if not self.nodes & 1023 and time.monotonic() > self.deadline:
            self.refuse("timeout", f"scanning takes more than {self.limits.scan_seconds:g} s")
        loader = self.loaders.get(node["__loader__"]) if isinstance(node["__loader__"], str) else None
        if loader is None:
            self.refuse(
                "loader",
                "the schema has a node of a kind that models do not need; rebuild the model from"
                " standard parts",
            )
        keys, read = loader
        if set(node) - _COMMON - keys:
            self.refuse("broken", "the schema has a node with unknown entries; save the model again")
        symbol = read(self, node)
        self.depth -= 1
        if identity:
            self.by_id[identity] = (node, symbol)
        return symbol

    def _again(self, node: dict[str, Any], first: tuple[dict[str, Any], Any]) -> Any:
        """skops takes the first node of an id for all of them, so they must be the same."""
        if not _same(node, first[0]):
            self.refuse("duplicate_id", "two different nodes of the schema have one id; save the model again")
        return first[1]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object has one key twice")
    return found


def _same(first: Any, second: Any) -> bool:
    """Equality of two nodes, apart from ids and member names, which differ for values made on the way."""
    if isinstance(first, dict) and isinstance(second, dict):
        return set(first) == set(second) and all(
            _same(value, second[key]) for key, value in first.items() if key not in ("__id__", "file")
        )
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(_same, first, second))
    return bool(first.__class__ is second.__class__ and first == second)
