"""The model version that a job runs against, as the registry hands it over."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from modelyard.kit.errors import FieldError
from modelyard.serving.errors import InvalidParameter
from modelyard.serving.route import CHAMPION, Route, VersionRoute
from modelyard.serving.signature import Signature

_VERSION = re.compile(r"v?([1-9][0-9]{0,8})")
_LONGEST_ALIAS = 64


@dataclass(frozen=True, slots=True)
class Target:
    model_id: str
    version: VersionRoute
    signature: Signature


@dataclass(frozen=True, slots=True)
class Wished:
    """`?version=` and `?alias=` as they came; with neither the champion answers, also where requests are
    split: a job is one request, and its rows belong together.
    """

    version: str | None = None
    alias: str | None = None


FindTarget = Callable[[str, str, Wished], Target]
"""(user id, model id, what was wished) → the version; raises `NotFound` or one of `choose`'s errors."""

FindRoute = Callable[[str, str], Route | None]
"""(user id, model id) → the model's ready versions; None where it is gone or foreign."""


def choose(route: Route, wished: Wished) -> VersionRoute:
    """The version that was wished for. Raises what the caller may be told, as `POST /predict` does."""
    if wished.version is None:
        alias = CHAMPION if wished.alias is None else wished.alias
        if not 0 < len(alias) <= _LONGEST_ALIAS:
            raise _bad("alias", "expected the name of an alias, such as champion")
        return route.pick(None, alias)
    if wished.alias is not None:
        raise _bad("alias", "expected either version or alias")
    match = _VERSION.fullmatch(wished.version)
    if match is None:
        raise _bad("version", "expected a version such as v2 or 2")
    return route.pick(int(match.group(1)))


def _bad(name: str, detail: str) -> InvalidParameter:
    place = f"query:{name}"
    return InvalidParameter(f"A query parameter does not fit: {detail}.", errors=[FieldError(place, detail)])


def asked_outputs(signature: Signature, wished: Sequence[str] | None) -> list[str]:
    """The outputs to predict: those asked for, in order, or the model's first one."""
    if not wished:
        return signature.outputs[:1]
    for name in wished:
        if name not in signature.offered:
            raise InvalidParameter(f"This model gives {', '.join(signature.offered)}.")
    return list(dict.fromkeys(wished))


def runtime_of(signature: Signature, outputs: Iterable[str]) -> str:
    """What answers a job: the original where only it gives one of the outputs, so that all are its own."""
    return signature.runtime if all(name in signature.outputs for name in outputs) else "native"
