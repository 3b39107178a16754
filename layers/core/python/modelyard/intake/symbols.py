"""What the gate knows of a value in a stream: enough to judge it, never the value's data.

`None`, booleans, integers, short texts and `FLOAT` stand for themselves. Everything else is one of these
classes.
"""

from __future__ import annotations

from typing import Any, Final

FLOAT: Final = float("nan")  # any float: no rule depends on its value
SHORT_TEXT = 128  # characters of a text that are kept; no allowed name, key or type code is longer
WEIGHT_LIMIT = 1 << 28  # nodes of the value written out as a tree; sharing makes small files explode
DEPTH_LIMIT = 4096  # containers within containers; the standard pickler itself stops far earlier


class Global:
    """One (module, name) pair; `offset` is where it was first named. Interned, so `is` compares."""

    __slots__ = ("key", "module", "name", "offset", "roles")

    def __init__(self, module: str, name: str, roles: int, offset: int) -> None:
        self.module = module
        self.name = name
        self.key = (module, name)
        self.roles = roles
        self.offset = offset

    @property
    def path(self) -> str:
        return f"{self.module}.{self.name}"


CALLED, CREATED, VALUED, BASED = 1, 2, 4, 8  # the bits of `Global.roles`


class Text:
    """A text too long to keep. `latin1`: every character fits one byte; `template`: its digest where rules
    ask.
    """

    __slots__ = ("digest", "latin1", "length")

    def __init__(self, length: int, latin1: bool, digest: str | None) -> None:
        self.length = length
        self.latin1 = latin1
        self.digest = digest


class Blob:
    """Bytes by their length; `head` keeps those that are short enough to be a type code."""

    __slots__ = ("head", "kind", "length")

    def __init__(self, length: int, head: bytes | None, kind: str = "bytes") -> None:
        self.length = length
        self.head = head
        self.kind = kind


class Node:
    """A container or instance: `weight` counts the values below it as a tree, `depth` the levels.

    `frozen` is set once a check has relied on its content; whatever would change it afterwards is refused.
    """

    __slots__ = ("depth", "frozen", "weight")

    def __init__(self, weight: int = 1, depth: int = 1) -> None:
        self.weight = weight
        self.depth = depth
        self.frozen = False


class Tup(Node):
    """A tuple. `loose`: it holds a global that may only be an argument of a call, so it must not become a
    value.
    """

    __slots__ = ("items", "loose")

    def __init__(self, items: tuple[Any, ...]) -> None:
        super().__init__()
        self.frozen = True
        self.items = items
        self.loose = False


class Seq(Node):
    """A list, set or frozenset: how many items it has, not which."""

    __slots__ = ("count", "kind")

    def __init__(self, kind: str = "list") -> None:
        super().__init__()
        self.kind = kind
        self.count = 0


class Map(Node):
    """A dict. Short text keys keep their values up to `KEPT`; `other` counts all other entries."""

    __slots__ = ("entries", "other")
    KEPT = 1024

    def __init__(self) -> None:
        super().__init__()
        self.entries: dict[str, Any] = {}
        self.other = 0

    @property
    def count(self) -> int:
        return len(self.entries) + self.other


class Instance(Node):
    """An object of an allowed class. `built`: its state was set. `state`: its attributes where they are a
    dict.

    `facts` is what the checks of its class learned (a `Dtype`, an `ArrayFacts`, …).
    """

    __slots__ = ("built", "cls", "facts", "state")

    def __init__(self, cls: Global, facts: Any = None) -> None:
        super().__init__()
        self.cls = cls
        self.built = False
        self.state: Map | None = None
        self.facts = facts


class Dtype:
    """A numpy type: `kind` letter, `itemsize` in bytes, `fields` for structured ones as (name, kind,
    offset, size).
    """

    __slots__ = ("code", "fields", "itemsize", "kind")

    def __init__(
        self, code: str, kind: str, itemsize: int, fields: tuple[tuple[str, str, int, int], ...] = ()
    ) -> None:
        self.code = code
        self.kind = kind
        self.itemsize = itemsize
        self.fields = fields


class ArrayFacts:
    __slots__ = ("dtype", "shape")

    def __init__(self, shape: tuple[int, ...] | None = None, dtype: Dtype | None = None) -> None:
        self.shape = shape
        self.dtype = dtype
