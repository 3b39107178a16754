"""Splitting a model's requests between versions, and the guard that withdraws canaries."""

from __future__ import annotations

from typing import Annotated, Self

from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from modelyard.db import tables
from modelyard.kit.clock import utc_now
from modelyard.registry import guard as guards
from modelyard.registry.changes import Reason
from modelyard.registry.guard import Observed
from modelyard.registry.promotion import Promotions
from modelyard.registry.repository import ModelRepository
from modelyard.registry.schemas import Moment
from modelyard.registry.trials.canaries import WINDOWS
from modelyard.registry.trials.observations import Observations
from modelyard.web.conditional import IF_MATCH, IF_MATCH_GIVEN, check_given, check_match, tagged_by
from modelyard.web.dependencies import AfterCommitDep, ReadModels, ServicesDep, SessionDep, WriteModels
from modelyard.web.routes.aliases import by_caller
from modelyard.web.routes.models import follow_up
from modelyard.web.routing import Router

router = Router(tags=["models"])
Share = Annotated[int, Field(ge=1, le=99, strict=True)]


DEFAULT = guards.Guard()


class Guard(BaseModel):
    """When a version that is not the champion is withdrawn from the split by itself."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    error_rate: Annotated[
        float, Field(ge=0, le=1, strict=True, description="The part of its requests that may fail")
    ] = DEFAULT.error_rate
    latency_ratio: Annotated[
        float,
        Field(ge=1.1, le=1000, strict=True, description="So many times the champion's median may its own be"),
    ] = DEFAULT.latency_ratio
    min_requests: Annotated[
        int, Field(ge=5, le=500, strict=True, description="So many requests are waited for first")
    ] = DEFAULT.min_requests


class Traffic(BaseModel):
    """Percent by version; empty: all requests go to the champion. `guard` null: no version is withdrawn."""

    weights: Annotated[dict[str, int], Field(examples=[{"v1": 90, "v2": 10}])]
    guard: Guard | None

    @classmethod
    def of(cls, model: tables.Model) -> Self:
        weights = {f"v{number}": share for number, share in (model.traffic or {}).items()}
        return cls(weights=weights, guard=None if model.guard is None else Guard.model_validate(model.guard))


class VersionObserved(BaseModel):
    """Of the requests that the split sent to a version; `p50_ms` and `p95_ms` are of the `timed` answers,
    which came neither from the cache nor from a model that had to be loaded first.
    """

    version: Annotated[str, Field(examples=["v2"])]
    champion: bool
    requests: int
    failures: int
    failure_rate: float | None
    refused: Annotated[int, Field(description="Further requests that did not fit this version")]
    timed: int
    p50_ms: float | None
    p95_ms: float | None

    @classmethod
    def of(cls, seen: Observed, champion: int | None) -> Self:
        return cls(
            version=f"v{seen.number}",
            champion=seen.number == champion,
            requests=seen.requests,
            failures=seen.failures,
            failure_rate=seen.rate,
            refused=seen.refused,
            timed=seen.timed,
            p50_ms=seen.p50_ms,
            p95_ms=seen.p95_ms,
        )


class TrafficObserved(Traffic):
    """`observed` is what was recorded since `since`: since the split began, but at most for a day."""

    since: Moment | None
    observed: list[VersionObserved]


class Split(BaseModel):
    model_config = ConfigDict(extra="forbid")

    weights: Annotated[dict[str, Share], Field(min_length=2, max_length=10, examples=[{"v1": 90, "v2": 10}])]
    guard: Annotated[Guard | None, Field(description="null: no version is withdrawn by itself")] = Guard()
    reason: Reason = ""


@router.get("/models/{model_id}/traffic", response_model=TrafficObserved)
async def get_traffic(
    model_id: str, caller: ReadModels, services: ServicesDep, session: SessionDep
) -> Response:
    """How requests that ask for no version are divided, and what was recorded of each version since. The ETag
    is that of weights and guard."""
    return _shown(session, ModelRepository(session, caller.user_id).model(model_id))


@router.put("/models/{model_id}/traffic", response_model=TrafficObserved, dependencies=[IF_MATCH_GIVEN])
async def split(
    request: Request,
    model_id: str,
    body: Split,
    caller: WriteModels,
    services: ServicesDep,
    session: SessionDep,
    after: AfterCommitDep,
) -> Response:
    """Divides the requests that ask for no version between versions, in percent. Requests with the same
    X-Routing-Key go to the same version. With If-Match only from what that says. A version that fails or is
    slow, as `guard` says, is withdrawn by itself."""
    repository = ModelRepository(session, caller.user_id)
    model = repository.model(model_id, lock=True)
    check_given(request, Traffic.of(model), made=model.traffic is not None)
    guard = None if body.guard is None else guards.Guard.from_json(body.guard.model_dump())
    Promotions(repository).split(model, body.weights, guard, by_caller(caller, body.reason))
    after += follow_up(services, caller, model_id)
    return _shown(session, model)


@router.delete("/models/{model_id}/traffic", status_code=204, dependencies=[IF_MATCH])
async def join(
    request: Request,
    model_id: str,
    caller: WriteModels,
    services: ServicesDep,
    session: SessionDep,
    after: AfterCommitDep,
) -> Response:
    """Sends all requests to the champion again. Send the ETag of the division as If-Match."""
    repository = ModelRepository(session, caller.user_id)
    model = repository.model(model_id, lock=True)
    check_match(request, Traffic.of(model))
    Promotions(repository).join(model, by_caller(caller, ""))
    after += follow_up(services, caller, model_id)
    return Response(status_code=204)


def _shown(session: Session, model: tables.Model) -> Response:
    setting = Traffic.of(model)
    since = None if model.split_at is None else max(model.split_at, utc_now() - WINDOWS[-1])
    seen: list[Observed] = []
    if since is not None and model.traffic is not None:
        found = Observations(session, model.user_id).by_version(model.id, since)
        seen = [found.get(number, Observed(number)) for number in sorted(map(int, model.traffic))]
    observed = [VersionObserved.of(each, model.default_version) for each in seen]
    return tagged_by(setting, TrafficObserved(**setting.model_dump(), since=since, observed=observed))
