"""The sample events of `events/` get the answers that their names promise."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from modelyard.db.tables import Job
from modelyard.web.app import create_app, lambda_handler

from functions.batch.handler import router
from functions.migrate.handler import handle as migrate
from functions.roll_up.handler import handle as roll_up
from functions.run_batch.handler import handle as run_batch
from tests.support.batch import submit
from tests.support.http import LambdaContext, read
from tests.support.serving import logistic

EVENTS = Path(__file__).parents[3] / "events"
SAMPLES = sorted(path.stem for path in (EVENTS / "batch").glob("*.json"))
IN_SAMPLES = {"model": "mdl_01m891fjacx1adq5ac8mjpsdxp", "job": "job_01m891fjacx1adq5ac8mjpsdxp"}
EXPECTED = {
    "submit_inputs": 202,
    "submit_records": 202,
    "submit_file": 404,  # nothing was uploaded
    "submit_alias": 202,
    "submit_alias_unknown_invalid": 404,
    "submit_nothing_invalid": 422,
    "submit_not_json_invalid": 400,
    "submit_without_token_invalid": 401,
    "offer_upload": 201,
    "list_jobs": 200,
    "list_jobs_invalid": 422,
    "get_job": 200,
    "get_job_invalid": 404,
    "get_results": 200,
    "get_results_invalid": 422,
    "cancel_job": 409,  # it has ended
    "cancel_job_invalid": 404,
}


def test_every_sample_has_its_answer():
    assert set(SAMPLES) == set(EXPECTED)


@pytest.fixture
def world(api, user, services, model_of, deliver):
    """A model and a job that has ended, in the places of those that the samples name."""
    model = model_of(user, logistic())
    job = submit(api, model, [[1.0, 2.0, 3.0, 4.0]])
    deliver()
    return {IN_SAMPLES["model"]: model, IN_SAMPLES["job"]: job, "<access_token>": user.token}


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_of_the_api(services, world, name):
    text = (EVENTS / "batch" / f"{name}.json").read_text()
    for old, new in world.items():
        text = text.replace(old, new)

    answer = read(lambda_handler(create_app(router, services))(json.loads(text), LambdaContext()))

    assert answer.status == EXPECTED[name], answer.text


@pytest.mark.parametrize(
    ("name", "failed"), [("chunk", 0), ("split", 0), ("finish", 0), ("shadow", 0), ("not_a_message", 2)]
)
def test_a_sample_of_the_queue(services, world, name, failed):
    text = (EVENTS / "run_batch" / f"{name}.json").read_text()
    text = text.replace(IN_SAMPLES["job"], world[IN_SAMPLES["job"]])

    answer = run_batch(json.loads(text), LambdaContext(milliseconds=300_000), services)

    assert len(answer["batchItemFailures"]) == failed
    with services.database.transaction() as session:
        assert session.get(Job, world[IN_SAMPLES["job"]]).status == "succeeded"


class Nothing:
    def run(self):
        return {}


def test_the_samples_of_schedule_and_deployment_are_objects(services):
    services.upload_sweep = Nothing()
    for function in ("roll_up", "migrate"):
        for path in (EVENTS / function).glob("*.json"):
            assert isinstance(json.loads(path.read_text()), dict)
    assert {"partitions", "outbox", "jobs", "uploads"} <= set(roll_up(services))


def test_migrate_brings_the_schema_to_head_and_can_be_repeated(services, postgres_server, monkeypatch):
    app = {"username": "modelyard_app", "password": "app-password"}
    secrets = {"owner": postgres_server.secret(), "app": postgres_server.secret(**app)}
    monkeypatch.setenv("MODELYARD_DATABASE_OWNER_SECRET", "owner")
    monkeypatch.setenv("MODELYARD_DATABASE_SECRET", "app")

    class Secrets:
        def get(self, name, **_):
            return secrets[name]

    services.secrets = Secrets()

    assert migrate(services) == migrate(services)
    assert migrate(services)["revision"] != "base"
