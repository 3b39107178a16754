"""What an endpoint may ask for: services, its unit of work, its caller."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.security import APIKeyHeader, OAuth2PasswordBearer, SecurityScopes
from sqlalchemy.orm import Session

from modelyard.accounts import admission as access
from modelyard.accounts.admission import Admission, Caller
from modelyard.accounts.audit import Origin
from modelyard.composition import Composition
from modelyard.kit.errors import Forbidden
from modelyard.telemetry.log import logger
from modelyard.web.context import RequestContext

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

AfterCommit = list[Callable[[], Any]]
"""What must happen only once the rows are there: sends to queues, news for the cache."""


async def services(request: Request) -> Composition:
    composition = request.app.state.composition
    assert isinstance(composition, Composition)
    return composition


ServicesDep = Annotated[Composition, Depends(services)]


async def after_commit() -> AfterCommit:
    return []


AfterCommitDep = Annotated[AfterCommit, Depends(after_commit)]


async def unit_of_work(
    request: Request, composition: ServicesDep, after: AfterCommitDep
) -> AsyncIterator[Session]:
    """One request, one transaction: committed before the answer leaves, rolled back on any exception.

    What waits for the commit runs then; where it fails it is logged, for the rows are there and a sweep
    repeats it.
    """
    context = RequestContext.of(request.scope)
    with composition.database.transaction() as session:
        context.unit = session
        yield session
    for action in after:
        try:
            action()
        except Exception:
            logger.exception("after commit")


# "function": ends before the answer is sent, so that a commit that fails is an error and not a lie
SessionDep = Annotated[Session, Depends(unit_of_work, scope="function")]


async def origin_of(request: Request) -> Origin:
    """Where the request comes from: the address that the gateway saw, the User-Agent that the client says."""
    context = RequestContext.of(request.scope)
    return Origin(context.ip, request.headers.get("user-agent", ""), context.request_id)


OriginDep = Annotated[Origin, Depends(origin_of)]


def admit(request: HTTPConnection) -> Admission:
    """Admits the request once; routes do it before they read the body."""
    context = RequestContext.of(request.scope)
    if context.admission is None:
        composition: Composition = request.app.state.composition
        safe = request.scope["method"] == "GET"
        context.admission = composition.admitter.admit(request.headers, safe=safe)
    return context.admission


_bearer = OAuth2PasswordBearer(
    tokenUrl="/api/auth/token",
    refreshUrl=None,
    scopes=access.SCOPES,
    auto_error=False,
    scheme_name="AccessToken",
    description="Log in with email and password, or send the access token of a login as Bearer.",
)
_api_key = APIKeyHeader(name="X-API-Key", auto_error=False, scheme_name="ApiKey", description="An API key")


async def authenticated(
    request: Request,
    required: SecurityScopes,
    _token: Annotated[object, Security(_bearer)] = None,
    _key: Annotated[object, Security(_api_key)] = None,
) -> Caller:
    """The caller, who holds every required scope, and whose key is good for the model that the path names.

    A key that is limited to some models reaches nothing that is not about a model; jobs are looked at by
    their service, which knows the job's model. Query parameters that the route does not know are refused: a
    filter or a version that nobody reads would be believed to hold.
    """
    caller = admit(request).caller
    missing = [scope for scope in required.scopes if scope not in caller.scopes]
    if missing:
        wanted = " ".join(required.scopes)
        raise Forbidden(
            f"This needs the scope {' '.join(missing)}, which your credential does not have.",
            headers={
                "WWW-Authenticate": f'Bearer realm="modelyard", error="insufficient_scope", scope="{wanted}"'
            },
        )
    model_id = request.path_params.get("model_id")
    if model_id is not None:
        caller.check_model(model_id)
    elif caller.models is not None and access.JOBS not in required.scopes:
        raise Forbidden("This API key is limited to some models, and this is not about one of them.")
    known = request.scope["route"].query_names
    if unknown := [name for name in request.query_params if name not in known]:
        raise RequestValidationError(
            [{"type": "extra_forbidden", "loc": ("query", name), "msg": ""} for name in unknown]
        )
    return caller


PredictCaller = Annotated[Caller, Security(authenticated, scopes=[access.PREDICT])]
ReadModels = Annotated[Caller, Security(authenticated, scopes=[access.READ_MODELS])]
WriteModels = Annotated[Caller, Security(authenticated, scopes=[access.WRITE_MODELS])]
JobsCaller = Annotated[Caller, Security(authenticated, scopes=[access.JOBS])]
AccountCaller = Annotated[Caller, Security(authenticated, scopes=[access.ACCOUNT])]
AdminCaller = Annotated[Caller, Security(authenticated, scopes=[access.ADMIN])]
AnyCaller = Annotated[Caller, Security(authenticated)]
