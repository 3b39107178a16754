"""One prediction, start to end: admitted, routed, decoded, answered from the cache or the model, and stored.

A warm request costs one Redis round trip (admission, with the cached answer in the same breath) and, where
there was no answer, a second one that nobody waits for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from modelyard.kit.errors import FieldError, Forbidden, Problem
from modelyard.kit.ids import is_id, new_id
from modelyard.kit.redis import CacheDown
from modelyard.serving import answers, mirror
from modelyard.serving.deadlines import DEADLINE_SECONDS
from modelyard.serving.decoding import Batch, Decoder
from modelyard.serving.errors import InvalidParameter, ModelNotFound
from modelyard.serving.models import LoadedModel, ModelCache
from modelyard.serving.names import NameTable, name_key
from modelyard.serving.route import Route, VersionRoute, answer_key, route_key
from modelyard.serving.routing import RouteTable

SCOPE = "predict"
_AHEAD_ROWS = 8  # larger inputs are not predicted before the caller is admitted


class _Caller(Protocol):
    @property
    def user_id(self) -> str: ...
    @property
    def scopes(self) -> frozenset[str]: ...
    @property
    def models(self) -> frozenset[str] | None: ...
    def check_model(self, model_id: str) -> None: ...


class _Rate(Protocol):
    def headers(self) -> dict[str, str]: ...


class Admitted(Protocol):
    """`modelyard.accounts.admission.Admission`, which stands above this package."""

    @property
    def caller(self) -> _Caller: ...
    @property
    def rate(self) -> _Rate: ...
    @property
    def values(self) -> tuple[bytes | None, ...]: ...
    @property
    def cache_up(self) -> bool: ...


class Admit(Protocol):
    def __call__(
        self, headers: Mapping[str, str], *, lookups: Callable[[Any], Sequence[str]] | None = None
    ) -> Admitted: ...


Read = Callable[[Decoder], tuple[Batch, tuple[str, ...]]]
"""Reads a request for one version: its rows, and the outputs that it asks for (none: the default)."""


@dataclass(slots=True)
class Ask:
    """One request; the lower half is filled in on the way, for headers and log, whatever the outcome."""

    model_id: str  # empty until known, where the caller gave a `name`
    body: bytes
    headers: Mapping[str, str]
    version: int | None = None
    alias: str | None = None
    routing_key: str | None = None  # equal keys get the same version where requests are split
    outputs: tuple[str, ...] = ()  # empty: the model's default
    explain: bool = False  # what each column contributed, beside each prediction
    deadline: float = field(default_factory=lambda: time.monotonic() + DEADLINE_SECONDS)
    hurried: bool = False  # its caller waits for less than others do
    read_cache: bool = True
    write_cache: bool = True
    name: str | None = None  # the model's, instead of its id
    read: Read | None = None  # how another protocol reads its body; None: ours, in `body`
    early: Problem | None = None  # what is already known to be wrong; told once the caller is admitted

    prediction_id: str = field(default_factory=lambda: new_id("prd"))
    admission: Admitted | None = None
    route: VersionRoute | None = None
    rows: int = 0
    cache: str = "BYPASS"
    age: int = 0  # of a cached answer, in seconds
    cold: bool = False  # the model was loaded for this request
    original: bool = False  # the estimator itself was asked, in the sandbox, for what only it gives
    timings: dict[str, float] = field(default_factory=dict)  # name → milliseconds

    @property
    def key(self) -> str:
        """Decides between the versions of a split: the caller's key, else chance, the same throughout."""
        return self.routing_key or self.prediction_id

    @property
    def routed(self) -> bool:
        """Whether a prediction was asked, and which version answers left to the route: only these say
        something about a version's part, and go to a shadow.
        """
        return self.version is None and self.alias is None and not self.explain and not self.original

    @property
    def user_id(self) -> str | None:
        return None if self.admission is None else self.admission.caller.user_id


@dataclass(slots=True)
class _Prepared:
    """The input as one version takes it."""

    model: LoadedModel
    outputs: tuple[str, ...]
    rows: int
    input: Any
    key: str  # of the cached answer
    batch: Batch
    timed: bool  # for the shadow's report
    original: bool  # some of the outputs are the original's
    seconds: float | None = None  # that the model took, where it is timed
    ahead: bytes | Exception | None = None  # the answer, where it was computed while Redis was at work


@dataclass(frozen=True, slots=True)
class Answered:
    """`core` is the part of the answer that `serving.answers.render` makes, from the model or the cache."""

    core: bytes
    model: LoadedModel
    model_id: str


class Engine:
    """Answers predictions. One instance per environment."""

    def __init__(
        self, *, admit: Admit, routes: RouteTable, names: NameTable, models: ModelCache, cache: answers.Cache
    ) -> None:
        self._admit = admit
        self._routes = routes
        self._names = names
        self._models = models
        self._cache = cache

    def answer(self, ask: Ask) -> str:
        """The answer's JSON body; raises a `Problem` for everything that a caller may be told."""
        answered = self.compute(ask)
        return answers.complete(
            answered.core,
            model_id=answered.model_id,
            model_version=answered.model.version.label,
            prediction_id=ask.prediction_id,
            cached=ask.cache == "HIT",
        )

    def welcome(self, ask: Ask) -> Admitted:
        """Admits a request that is about no model."""
        admission = ask.admission = self._admit(ask.headers)
        _check_scope(admission.caller)
        return admission

    def load(self, ask: Ask) -> tuple[Route, LoadedModel]:
        """The model asked for, ready to answer, without a prediction; raises as `answer` does."""
        admission, route, _, _ = self._admitted(ask, _Clock(ask.timings), foresee=False)
        return route, self._models.get(route.pick(ask.version, ask.alias, ask.key), admission.caller.user_id)

    def compute(self, ask: Ask) -> Answered:
        """The answer, for whoever gives it another shape; raises as `answer` does."""
        clock = _Clock(ask.timings)
        admission, route, prepared, stored = self._admitted(ask, clock)
        user_id = admission.caller.user_id
        version = ask.route = route.pick(ask.version, ask.alias, ask.key)
        if prepared is None or prepared.model.version != version:
            ask.cold = self._models.peek(version) is None
            model = self._models.get(version, user_id)
            clock.lap("load")
            prepared = _prepare(model, ask, user_id, timed=route.shadow is not None)
            reads = ask.read_cache and admission.cache_up and route.answer_seconds
            stored = self._stored(prepared.key) if reads else None
        ask.rows = prepared.rows
        ask.original = prepared.original
        core = None if stored is None else _cached(stored, ask, route.answer_seconds)
        if core is None:
            core = self._compute(prepared, ask, route, cache_up=admission.cache_up)
        clock.lap("predict")
        return Answered(core, prepared.model, route.model_id)

    def _admitted(
        self, ask: Ask, clock: _Clock, *, foresee: bool = True
    ) -> tuple[Admitted, Route, _Prepared | None, bytes | None]:
        """Admission and everything that its round trip can tell."""
        route: Route | None = None
        fresh = False
        prepared: _Prepared | None = None
        looked_up = False

        def lookups(caller: _Caller) -> list[str]:
            nonlocal route, fresh, prepared, looked_up
            if ask.name is not None:
                ask.model_id = self._names.known(caller.user_id, ask.name) or ""
                if not ask.model_id:
                    return [name_key(caller.user_id, ask.name)]
            route, fresh = self._routes.peek(caller.user_id, ask.model_id)
            names = [] if fresh else [route_key(caller.user_id, ask.model_id)]
            prepared = None if route is None or not foresee else self._foresee(route, ask, caller.user_id)
            if prepared is not None:
                looked_up = ask.read_cache and route is not None and route.answer_seconds > 0
                if looked_up:
                    names.append(prepared.key)
                self._run_ahead(prepared, ask)
            return names

        admission = ask.admission = self._admit(ask.headers, lookups=lookups)
        caller = admission.caller
        _check_scope(caller)
        raw = admission.values[0] if admission.values and not fresh else None
        if ask.name is not None and not ask.model_id:
            cache_up = admission.cache_up
            ask.model_id = self._names.learn(caller.user_id, ask.name, raw, cache_up=cache_up)
            raw = self._stored(route_key(caller.user_id, ask.model_id)) if cache_up else None
        caller.check_model(ask.model_id)
        if ask.early is not None:
            raise ask.early
        if not is_id(ask.model_id, "mdl"):
            raise ModelNotFound("There is no model of this id. GET /api/models lists yours.")
        clock.lap("admit")
        if not fresh or route is None:
            route = self._learn(ask, admission, raw)
            clock.lap("route")
        stored = admission.values[-1] if looked_up and admission.values else None
        return admission, route, prepared, stored

    def _learn(self, ask: Ask, admission: Admitted, raw: bytes | None) -> Route:
        """The route, looked up once more where the name may be another model's by now."""
        caller, cache_up = admission.caller, admission.cache_up
        try:
            return self._routes.learn(caller.user_id, ask.model_id, raw, cache_up=cache_up)
        except ModelNotFound:
            if ask.name is None:
                raise
            before, ask.model_id = ask.model_id, self._names.find(caller.user_id, ask.name, cache_up=cache_up)
            if ask.model_id == before:
                raise
            caller.check_model(ask.model_id)
            raw = self._stored(route_key(caller.user_id, ask.model_id)) if cache_up else None
            return self._routes.learn(caller.user_id, ask.model_id, raw, cache_up=cache_up)

    def _foresee(self, route: Route, ask: Ask, user_id: str) -> _Prepared | None:
        """The input prepared for the version that will most likely answer; None where that is not known yet.

        What is wrong with the request is told later: first it must be admitted.
        """
        number = route.number(ask.version, ask.alias, ask.key)
        version = None if number is None else route.versions.get(number)
        model = None if version is None else self._models.peek(version)
        if model is None or ask.early is not None:
            return None
        try:
            return _prepare(model, ask, user_id, timed=route.shadow is not None)
        except Exception:
            return None

    def _run_ahead(self, prepared: _Prepared, ask: Ask) -> None:
        """Has a quick model answer while Redis is at work; without admission nobody sees it."""
        beyond = prepared.rows > _AHEAD_ROWS or ask.explain or prepared.original
        if beyond or not prepared.model.runtime.quick:
            return

        def work() -> None:
            try:
                prepared.ahead = _core(prepared, ask)
            except Exception as error:
                prepared.ahead = error

        self._cache.meanwhile(work)

    def _stored(self, key: str) -> bytes | None:
        try:
            return self._cache.get(key)
        except CacheDown:
            return None

    def _compute(self, prepared: _Prepared, ask: Ask, route: Route, *, cache_up: bool) -> bytes:
        """The answer of the model, cached as its owner wants it, and mirrored where there is a shadow."""
        if isinstance(prepared.ahead, Exception):
            raise prepared.ahead
        core = prepared.ahead or self._core(prepared, ask, route.user_id)
        keep_seconds = route.answer_seconds if cache_up and ask.write_cache else 0
        kept: mirror.Command | None = None
        if keep_seconds and len(core) <= answers.LARGEST:
            kept = ("SET", prepared.key, answers.sealed(core, time.time()), "EX", keep_seconds)
        if route.shadow is not None and cache_up and ask.write_cache:
            sent = self._mirror(prepared, ask, route, core, kept)
        else:
            sent = kept is not None and self._cache.post(*kept)
        if kept is not None:
            ask.cache = "MISS" if sent and ask.read_cache else "BYPASS"
        return core

    def _core(self, prepared: _Prepared, ask: Ask, user_id: str) -> bytes:
        if not ask.explain and not prepared.original:
            return _core(prepared, ask)
        from modelyard.serving import explanations, originals  # few requests ask for it

        model = prepared.model
        original = self._models.original(model, user_id)
        core = explanations.core if ask.explain else originals.core
        return core(model, original, prepared.batch, prepared.input, prepared.outputs, ask.deadline)

    def _mirror(
        self, prepared: _Prepared, ask: Ask, route: Route, core: bytes, kept: mirror.Command | None
    ) -> bool:
        """Posts the request for the shadow and the answer for the cache in one write; whether that left."""
        commands = [] if kept is None else [kept]
        if ask.routed and mirror.chosen(route, ask.prediction_id):
            commands += mirror.commands(
                route,
                prediction_id=ask.prediction_id,
                number=prepared.model.version.number,
                batch=prepared.batch,
                outputs=prepared.outputs,
                core=core,
                seconds=prepared.seconds,
            )
        return bool(commands) and self._cache.post_all(commands)


def _check_scope(caller: _Caller) -> None:
    if SCOPE not in caller.scopes:
        challenge = f'Bearer realm="modelyard", error="insufficient_scope", scope="{SCOPE}"'
        raise Forbidden(
            f"This needs the scope {SCOPE}, which your credential does not have.",
            headers={"WWW-Authenticate": challenge},
        )


def _cached(stored: bytes, ask: Ask, keep_seconds: int) -> bytes | None:
    """A cached answer that is not older than its model's owner allows by now."""
    found = answers.opened(stored, time.time())
    if found is None or found[1] >= keep_seconds:
        return None
    ask.cache = "HIT"
    ask.age = found[1]
    return found[0]


def _core(prepared: _Prepared, ask: Ask) -> bytes:
    model = prepared.model
    begun = time.perf_counter() if prepared.timed else 0.0
    outputs = model.runtime.run(prepared.input, prepared.rows, prepared.outputs, ask.deadline)
    if prepared.timed:
        prepared.seconds = time.perf_counter() - begun
    return answers.render(model.signature, outputs)


def _prepare(model: LoadedModel, ask: Ask, user_id: str, *, timed: bool) -> _Prepared:
    if ask.read is None:
        outputs = _outputs(model, ask.outputs)
        batch = model.decoder.decode(ask.body)
    else:
        batch, asked = ask.read(model.decoder)
        outputs = _outputs(model, asked)
    seed = model.digest_seed
    if ask.explain:
        from modelyard.serving import explanations

        explanations.check(model, batch)
        seed += b"explained:"
    prepared = model.runtime.prepare(batch)
    name = answers.digest(seed, outputs, model.runtime.canonical(prepared))
    key = answer_key(user_id, f"{model.version.version_id}:{name}")
    original = len(outputs) > 1 and any(output not in model.signature.outputs for output in outputs)
    return _Prepared(model, outputs, batch.rows, prepared, key, batch, timed, original)


def _outputs(model: LoadedModel, asked: tuple[str, ...]) -> tuple[str, ...]:
    """The default output, which every answer has as `predictions`, and what was asked for besides."""
    if not asked:
        return (model.signature.outputs[0],)
    offered = model.signature.offered
    for output in asked:
        if output not in offered:
            detail = f"expected some of {', '.join(offered)}, separated by commas"
            raise InvalidParameter(
                f"This model does not offer an output that was asked for: {detail}.",
                errors=[FieldError("query:outputs", detail)],
            )
    return tuple(dict.fromkeys((offered[0], *asked)))


class _Clock:
    """Laps in milliseconds."""

    __slots__ = ("_last", "_timings")

    def __init__(self, timings: dict[str, float]) -> None:
        self._timings = timings
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self._timings[name] = (now - self._last) * 1000
        self._last = now
