"""Every operation of the OpenAPI document, fuzzed in process: no 5xx, no answer that it does not describe."""

from __future__ import annotations

import json
import os
from collections import Counter
from typing import Any

import pytest
from schemathesis.config import GenerationConfig
from schemathesis.generation import GenerationMode

from tests.support.fuzzing import fuzz, labels, load, session_for
from tests.support.whole_api import WholeApi
from tools.openapi import build

EXAMPLES = int(os.environ.get("MODELYARD_FUZZ_EXAMPLES", "12"))
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
        self.ids = {"user_id": api.user().id, "version": "1", "model_id": api.model(self.user)}
        mine = api.gateway.with_headers(self.user.headers)
        job = mine.post(f"/predict/batch/{self.ids['model_id']}", json={"inputs": [[1, 2, 3, 4]]})
        key = mine.post("/api-keys", json={"name": "k", "scopes": ["predict"]})
        self.ids |= {"job_id": job.json()["job_id"], "key_id": key.json()["id"]}
        self.ids["session_id"] = self.user.session_id

    def __call__(self, case: Any) -> None:
        response = case.call_and_validate(
            base_url=URL, session=self.session, headers=dict(self.user.headers), timeout=30
        )
        if case.method.upper() != case.operation.method.upper():
            return
        self.statuses[response.status_code] += 1
        if response.status_code < 300 and case.operation.label in ENDS_SESSIONS:
            self.user = self.api.user(role="admin")


ENDS_SESSIONS = {"POST /auth/logout", "DELETE /users/me", "DELETE /users/me/sessions/{session_id}"}
# A generator does not guess passwords and tokens, nor the columns and ETags of a model.
NEEDS_KNOWLEDGE = {
    "POST /auth/login",
    "POST /auth/token",
    "POST /auth/restore",
    "POST /auth/refresh",
    "DELETE /users/me",
    "POST /users/me/password",
    "POST /predict/{model_id}",
    "POST /predict/batch/{model_id}",
    "PATCH /models/{model_id}",
    "DELETE /models/{model_id}",
    "POST /models/{model_id}/restore",
    "PATCH /models/{model_id}/versions/{version}",
    "DELETE /models/{model_id}/versions/{version}",
    "POST /models/{model_id}/versions/{version}/restore",
    "GET /jobs/{job_id}/results",
}


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
        caller(case)
    assert label in NEEDS_KNOWLEDGE or any(status < 300 for status in caller.statuses), caller.statuses
