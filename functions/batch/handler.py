"""Jobs over HTTP: many rows, answered later."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request, Response
from modelyard.accounts.admission import Caller
from modelyard.batch.schemas import (
    InputUpload,
    Job,
    JobPage,
    JobRequest,
    JobStatus,
    JobSummary,
    ResultItem,
    ResultPage,
)
from modelyard.batch.service import JobService
from modelyard.batch.target import Wished
from modelyard.db import tables
from modelyard.kit.paging import DEFAULT_LIMIT, MAX_LIMIT
from modelyard.web.app import create_app, lambda_handler
from modelyard.web.dependencies import AfterCommitDep, JobsCaller, OriginDep, ServicesDep, SessionDep
from modelyard.web.routing import IDEMPOTENT, Router
from modelyard.web.urls import base_url

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT)]
ResultLimit = Annotated[int, Query(ge=1, le=1000)]
Cursor = Annotated[str | None, Query(description="The next_cursor of the page before")]
Version = Annotated[str | None, Query(max_length=16, description="Such as v2; default: the champion")]
Alias = Annotated[str | None, Query(description="Instead of a version, such as challenger")]

router = Router(tags=["jobs"])


@router.post("/predict/batch/{model_id}", status_code=202, dependencies=[IDEMPOTENT])
async def submit(
    model_id: str,
    body: JobRequest,
    request: Request,
    response: Response,
    caller: JobsCaller,
    services: ServicesDep,
    session: SessionDep,
    after: AfterCommitDep,
    origin: OriginDep,
    version: Version = None,
    alias: Alias = None,
) -> JobSummary:
    """Predicts many rows in the background: rows in the body, or a file uploaded with `POST /jobs/inputs`.
    A row that does not fit the model fails alone. Without version and alias the champion predicts them all,
    also where requests are split."""
    jobs, output = services.jobs(session), body.output.choice()
    submitted = jobs.submit(
        caller.user_id,
        model_id,
        body.rows(),
        body.input.reference() if body.input else None,
        wished=Wished(version, alias),
        output=output,
    )
    audit = services.audit(session, origin, caller)
    audit.record("job.submit", user_id=caller.user_id, target=submitted.job.id)
    after.append(lambda: services.outbox.send(submitted.messages))
    answer = JobSummary.of(submitted.job, base_url=base_url(request, services))
    response.headers["Location"] = answer.status_url
    response.headers["Retry-After"] = "1"
    return answer


@router.post("/jobs/inputs", status_code=201)
async def offer_upload(caller: JobsCaller, services: ServicesDep, session: SessionDep) -> InputUpload:
    """A form to upload a CSV or JSON Lines file with, for a job to read."""
    return InputUpload.of(services.jobs(session).offer_upload(caller.user_id))


@router.get("/jobs")
async def list_jobs(
    request: Request,
    response: Response,
    caller: JobsCaller,
    services: ServicesDep,
    session: SessionDep,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
    status: JobStatus | None = None,
    model_id: Annotated[str | None, Query(max_length=30, pattern=r"^mdl_[0-9a-z]+$")] = None,
) -> JobPage:
    """The caller's jobs, newest first."""
    caller.check_model(model_id or "")  # a key that is limited to some models lists one model's jobs
    base, chosen = base_url(request, services), {"status": status, "model_id": model_id}
    page = services.jobs(session).page(caller.user_id, cursor=cursor, limit=limit, **chosen)
    if link := page.link(f"{base}/jobs", {"limit": limit, **chosen}):
        response.headers["Link"] = link
    items = [JobSummary.of(job, base_url=base) for job in page.items]
    return JobPage(items=items, next_cursor=page.next_cursor)


@router.get("/jobs/{job_id}", response_model_exclude_unset=True)
async def get_job(
    job_id: str,
    request: Request,
    response: Response,
    caller: JobsCaller,
    services: ServicesDep,
    session: SessionDep,
) -> Job:
    """One job: how far it is and, once it has succeeded, its results."""
    jobs = services.jobs(session)
    job = _job(jobs, caller, job_id)
    link, items = jobs.outcome(job)
    if job.finished_at is None:
        response.headers["Retry-After"] = "1"
    return Job.with_results(job, link, items, base_url=base_url(request, services))


@router.get("/jobs/{job_id}/results", response_model_exclude_unset=True)
async def get_results(
    job_id: str,
    request: Request,
    response: Response,
    caller: JobsCaller,
    services: ServicesDep,
    session: SessionDep,
    limit: ResultLimit = 100,
    cursor: Cursor = None,
) -> ResultPage:
    """The results of a job that succeeded, in the order of its input."""
    jobs = services.jobs(session)
    page = jobs.results(_job(jobs, caller, job_id), cursor=cursor, limit=limit)
    if link := page.link(f"{base_url(request, services)}/jobs/{job_id}/results", {"limit": limit}):
        response.headers["Link"] = link
    items = [ResultItem.model_validate(item) for item in page.items]
    return ResultPage(items=items, next_cursor=page.next_cursor)


@router.post("/jobs/{job_id}/cancel")
async def cancel(
    job_id: str, request: Request, caller: JobsCaller, services: ServicesDep, session: SessionDep
) -> JobSummary:
    """Ends a job that has not ended yet; what it had predicted is not kept."""
    jobs = services.jobs(session)
    job = jobs.cancel(caller.user_id, _job(jobs, caller, job_id).id)
    return JobSummary.of(job, base_url=base_url(request, services))


def _job(jobs: JobService, caller: Caller, job_id: str) -> tables.Job:
    """The caller's job, of a model that the caller's key may touch."""
    job = jobs.get(caller.user_id, job_id)
    caller.check_model(job.model_id)
    return job


handler = lambda_handler(create_app(router))
