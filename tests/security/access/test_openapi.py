"""Every operation of the OpenAPI document, fuzzed in process: no 5xx, no answer that it does not describe."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from typing import Any

import pytest
from schemathesis.config import GenerationConfig
from schemathesis.generation import GenerationMode

from tests.support.fuzzing import ask, fuzz, labels, load, session_for
from tests.support.whole_api import WholeApi
from tools.openapi import build

EXAMPLES = int(os.environ.get("MODELYARD_FUZZ_EXAMPLES", "6"))
URL = "http://api.example.com/api"
DOCUMENT = json.loads(json.dumps(build()))


@pytest.fixture(scope="module")
def schema() -> Any:
    return load(DOCUMENT)


class Caller:
    """An administrator with a model, a job, a key and a second session; made anew when a case has ended their
    session.
    """

    def __init__(self, api: WholeApi) -> None:
        self.api = api
        self.session = session_for(api)
        self.user = api.user(role="admin")
        self.statuses: Counter[int] = Counter()
        self.began = time.process_time()
        self.ids = {"user_id": api.user().id, "version": "1", "model_id": api.model(self.user)}
        mine = api.gateway.with_headers(self.user.headers)
        job = mine.post(f"/predict/batch/{self.ids['model_id']}", json={"inputs": [[1, 2, 3, 4]]})
        key = mine.post("/api-keys", json={"name": "k", "scopes": ["predict"]})
        self.ids |= {"job_id": job.json()["job_id"], "key_id": key.json()["id"]}
        self.ids["session_id"] = self.user.session_id

    @property
    def tired(self) -> bool:
        """Whether this operation has been asked for long enough."""
        return self.statuses.total() >= 4 * EXAMPLES and time.process_time() - self.began > BUDGET

    def __call__(self, case: Any) -> None:
        response = ask(case, base_url=URL, session=self.session, headers=dict(self.user.headers), timeout=30)
        if case.method.upper() != case.operation.method.upper():
            return
        self.statuses[response.status_code] += 1
        if response.status_code < 300 and case.operation.label in ENDS_SESSIONS:
            self.user = self.api.user(role="admin")


ENDS_SESSIONS = {"POST /auth/logout", "DELETE /users/me", "DELETE /users/me/sessions/{session_id}"}
# What a generator must bring to success; passwords, tokens, ETags and a model's columns it does not guess.
SUCCEEDS = {
    "GET /api-keys",
    "POST /api-keys",
    "DELETE /api-keys/{key_id}",
    "POST /api-keys/{key_id}/rotate",
    "GET /audit",
    "POST /auth/logout",
    "POST /auth/register",
    "GET /jobs",
    "POST /jobs/inputs",
    "GET /jobs/{job_id}",
    "GET /models",
    "POST /models/upload",
    "GET /models/{model_id}",
    "GET /models/{model_id}/versions",
    "GET /models/{model_id}/versions/{version}",
    "GET /users",
    "GET /users/me",
    "PATCH /users/me",
    "GET /users/me/audit",
    "GET /users/me/sessions",
    "GET /users/{user_id}",
    "PATCH /users/{user_id}",
}
BUDGET = float(os.environ.get("MODELYARD_FUZZ_SECONDS", "1.5"))  # of this process's time, for each operation


@pytest.mark.parametrize("label", labels(DOCUMENT))
def test_no_answer_is_outside_the_document(api, schema, label):
    operation = schema.find_operation_by_label(label)
    caller = Caller(api)
    fuzz(operation, caller, examples=EXAMPLES)
    names = {parameter.name for parameter in operation.path_parameters}
    if names:
        known = {name: value for name, value in caller.ids.items() if name in names}
        fuzz(operation, caller, examples=EXAMPLES, path_parameters=known)
    for case in schema.iter_coverage_cases(
        operation,
        generation_modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE],
        generation_config=GenerationConfig(),
    ):
        if caller.tired:
            break
        caller(case)
    assert caller.statuses
    assert label not in SUCCEEDS or any(status < 300 for status in caller.statuses), caller.statuses
