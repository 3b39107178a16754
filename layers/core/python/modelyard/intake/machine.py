"""What every symbolic reading keeps to, whatever the file: which names may stand for what, which values may
be shared, changed or serve as keys, and how deep all of it may nest.
"""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn

from modelyard.intake import allowlist
from modelyard.intake.symbols import (
    BASED,
    CALLED,
    CREATED,
    DEPTH_LIMIT,
    VALUED,
    WEIGHT_LIMIT,
    Global,
    Map,
    Node,
    Seq,
    Tup,
)
from modelyard.intake.verdict import Limits
from modelyard.intake.wording import unknown_global


class Machine:
    """Turns a file into symbols. `calls`, `states` and `arrays` judge what it would do and refuse through it.

    Its kinds read pickles (`opcodes`) and the schemas of skops (`skops_walker`).
    """

    values: ClassVar[tuple[allowlist.Table, ...]] = (allowlist.VALUE,)
    """Where a name must stand to be used as a value."""

    def __init__(
        self,
        limits: Limits,
        deadline: float,
        *,
        globals_seen: dict[tuple[str, str], Global] | None = None,
        nesting: int = 0,
    ) -> None:
        self.limits = limits
        self.deadline = deadline
        self.globals_seen = {} if globals_seen is None else globals_seen
        self.nesting = nesting
        self.wrappers = 0  # joblib's place-holders made …
        self.arrays = 0  # … and the arrays read in their stead

    @property
    def place(self) -> int:
        """How far the reading is."""
        raise NotImplementedError

    def refuse(self, rule: str, detail: str) -> NoReturn:
        """Raises `Refused`, saying where."""
        raise NotImplementedError

    # -- arrays that joblib writes behind a stream's opcodes: only its own files have them

    def begin_array(self) -> None:
        self._no_array()

    def read_array(self, shape: tuple[int, ...], dtype: Any, *, padded: bool) -> Any:
        """The array whose bytes follow in the file."""
        self._no_array()

    def _no_array(self) -> NoReturn:
        self.refuse(
            "array", "the file holds an array the way joblib writes it; save the model with joblib.dump"
        )

    # -- values

    def value(self, item: Any) -> Any:
        """`item` used as a plain value: a global must be allowed in that role."""
        if item.__class__ is Global and not item.roles & VALUED:
            self.refuse(
                "global_role",
                f"{item.path} is used as a value, which no model of scikit-learn does; rebuild the model from"
                " standard parts",
            )
        if item.__class__ is Tup and item.loose:
            self.refuse("global_role", "a tuple that holds a class or function is used as a value")
        return item

    def within(self, parent: Node, child: Any) -> None:
        """Account for `child` in `parent`, so that sharing cannot make a small file explode."""
        if isinstance(child, Node):
            parent.weight += child.weight
            if child.depth >= parent.depth:
                parent.depth = child.depth + 1
            if parent.weight > WEIGHT_LIMIT:
                self.refuse("explosion", "shared containers unfold to more values than a model can have")
            if parent.depth > DEPTH_LIMIT:
                self.refuse("too_deep", f"containers are nested more than {DEPTH_LIMIT} levels deep")
        else:
            parent.weight += 1

    def thaw(self, node: Any, what: str) -> Node:
        if not isinstance(node, Node) or node.frozen:
            self.refuse(
                "mutation", f"{what} changes a value that is no growing container; save the model again"
            )
        return node

    def tup(self, items: tuple[Any, ...]) -> Tup:
        node = Tup(items)
        for item in items:
            if (item.__class__ is Global and not item.roles & VALUED) or (
                item.__class__ is Tup and item.loose
            ):
                node.loose = True
            self.within(node, item)
        return node

    def key(self, item: Any) -> Any:
        """A dict key or set member: something hashable whose hash cannot be steered in bulk."""
        self.value(item)
        if isinstance(item, Seq | Map) and not (isinstance(item, Seq) and item.kind == "frozenset"):
            self.refuse("broken", "a list, set or dict serves as a key; save the model again")
        elif item.__class__ is Tup and item.depth > 64:
            self.refuse("too_deep", "a key is nested more than 64 levels deep")
        return item

    def lookup(self, module: Any, name: Any) -> Global:
        """The global of that name, if any role allows it."""
        if not isinstance(module, str) or not isinstance(name, str):
            self.refuse(
                "global", "a class is named by something else than a short text; save the model again"
            )
        known = self.globals_seen.get((module, name))
        if known is not None:
            return known
        roles = (
            CALLED * allowlist.has(allowlist.CALL, module, name)
            | CREATED * allowlist.has(allowlist.NEW, module, name)
            | VALUED * any(allowlist.has(table, module, name) for table in self.values)
            | BASED * allowlist.has(allowlist.BASE, module, name)
        )
        if not roles:
            self.refuse("global", unknown_global(module, name))
        found = Global(module, name, roles, self.place)
        self.globals_seen[found.key] = found
        return found
