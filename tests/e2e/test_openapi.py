"""Schemathesis against the document and the API of the deployed cloud: no 5xx, nothing undescribed.

`tests/security/access/test_openapi.py` asks much more, in process; this is about what stands in front:
API Gateway, its integration, the functions' own settings. About 90 seconds.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import requests

from tests.e2e.conftest import Cloud, Served
from tests.support.account import Account, expect
from tests.support.fuzzing import ask, fuzz, labels, load
from tools.openapi import DOCUMENT

LABELS = labels(json.loads(DOCUMENT.read_text()))
BUDGET = 1.5  # seconds for each operation, as long as it was asked a few times
AT_LEAST, EXAMPLES = 4, 8


@pytest.fixture(scope="module")
def schema(api: httpx.Client) -> Any:
    document = expect(api.get("/openapi.json"), 200)
    assert labels(document) == LABELS
    return load(document)


@pytest.fixture(scope="module", autouse=True)
def unlimited(cloud: Cloud, iris_model: Served) -> Iterator[None]:
    """Nobody is limited but per address; what was counted there is forgotten for the tests that follow."""
    quota = f"{{{iris_model.owner.user_id}}}:quota:permin"
    cloud.cache.set(quota, 1_000_000)
    yield
    cloud.cache.delete(quota, *cloud.cache.keys("{throttle}:*"))


class Caller:
    """Asks as an administrator, about models as their owner."""

    def __init__(self, cloud: Cloud, administrator: Account, served: Served) -> None:
        self.url = cloud.url
        self.admin, self.owner = administrator, served.owner
        self.session = requests.Session()
        self.session.trust_env = False
        self.statuses: Counter[int] = Counter()
        self.ends = time.monotonic() + BUDGET

    def __call__(self, case: Any) -> None:
        if self.statuses.total() >= AT_LEAST and time.monotonic() > self.ends:
            return
        who = self.owner if "{model_id}" in case.path else self.admin
        response = ask(
            case,
            base_url=self.url,
            session=self.session,
            headers={"Authorization": f"Bearer {who.token}"},
            timeout=30,
        )
        self.statuses[response.status_code] += 1
        if response.status_code == 204 and case.operation.label == "POST /auth/logout":
            self.admin.log_in()


@pytest.mark.parametrize("label", LABELS)
def test_no_answer_is_outside_the_document(
    cloud: Cloud, schema: Any, administrator: Account, iris_model: Served, label: str
):
    operation = schema.find_operation_by_label(label)
    caller = Caller(cloud, administrator, iris_model)
    known = {"model_id": iris_model.model_id, "version": "1", "user_id": iris_model.owner.user_id}
    names = {parameter.name for parameter in operation.path_parameters}
    if names & set(known) and operation.method.upper() in ("GET", "POST"):
        given = {name: value for name, value in known.items() if name in names}
        fuzz(operation, caller, examples=EXAMPLES, path_parameters=given)
    fuzz(operation, caller, examples=EXAMPLES)

    assert caller.statuses, "nothing was asked"
    # Whoever logs in with what a generator makes up is refused; all others are known.
    assert label.startswith("POST /auth/") or set(caller.statuses) != {401}, caller.statuses
