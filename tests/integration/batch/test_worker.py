"""What happens to a job when messages repeat, workers die and models fail."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from modelyard.db.tables import Job, JobChunk, Outbox
from modelyard.kit.errors import Unavailable
from modelyard.kit.ids import new_id
from sqlalchemy import select

from functions.run_batch.handler import handle
from tests.support.http import LambdaContext
from tests.support.serving import forest, logistic


@pytest.fixture(scope="module")
def trained():
    return logistic()


@pytest.fixture
def submit(api, user, model_of, trained):
    """Submits 23 rows, three chunks; the job's id."""

    def run(model=None, rows=None):
        model = model or model_of(user, trained)
        answer = api.post(f"/predict/batch/{model}", json={"inputs": rows or trained.rows[:23]})
        assert answer.status == 202, answer.text
        return answer.json()["job_id"]

    return run


def native_of(trained):
    return replace(trained, signature=replace(trained.signature, runtime="native", onnx=None))


def test_duplicates_and_disorder_are_harmless(api, submit, deliver, cloud, records):
    job = submit()
    messages = cloud.messages()

    assert deliver([*reversed(messages), *messages, *messages]) == []

    found = api.get(f"/jobs/{job}").json()
    assert (found["status"], found["done_rows"]) == ("succeeded", 23)
    assert len(records) == 3


def test_a_worker_that_died_before_the_mark_is_repeated(api, submit, deliver, cloud, services, user):
    job = submit()
    first, *rest = cloud.messages()
    deliver(rest)
    # The dead worker had stored its result, and nothing else.
    key = f"jobs/{user.id}/{job}/chunks/{json.loads(first['body'])['chunk']:05d}.json"
    cloud.put(key, b"torn")

    deliver([first])

    assert api.get(f"/jobs/{job}").json()["status"] == "succeeded"
    assert len(api.get(f"/jobs/{job}/results?limit=100").json()["items"]) == 23


def test_a_worker_that_died_before_finishing_is_repeated(api, submit, deliver, cloud, services):
    job = submit()
    messages = cloud.messages()
    store = services.job_store
    write, store.write = store.write, lambda *a, **k: (_ for _ in ()).throw(MemoryError())
    failed = deliver(messages)
    assert len(failed) == 1
    assert api.get(f"/jobs/{job}").json()["status"] == "running"

    store.write = write
    deliver(messages)

    assert api.get(f"/jobs/{job}").json()["status"] == "succeeded"


def test_a_failing_message_comes_again_soon_and_alone(
    submit, services, cloud, native, trained, model_of, user
):
    submit(model_of(user, native_of(trained)), trained.rows[:8])
    bad, good = (message["body"] for message in cloud.messages())
    for body in (bad, good):
        cloud.sqs.send_message(QueueUrl=cloud.queue_url, MessageBody=body)
    received = [
        cloud.sqs.receive_message(QueueUrl=cloud.queue_url, VisibilityTimeout=1800)["Messages"][0]
        for _ in "12"
    ]
    event = {
        "Records": [
            {
                "messageId": item["MessageId"],
                "receiptHandle": item["ReceiptHandle"],
                "body": item["Body"],
                "attributes": {"ApproximateReceiveCount": "1"},
            }
            for item in received
        ]
    }
    native.answers = [Unavailable("away")]

    answer = handle(event, LambdaContext(milliseconds=300_000), services)

    assert answer == {"batchItemFailures": [{"itemIdentifier": received[0]["MessageId"]}]}
    attributes = cloud.sqs.get_queue_attributes(QueueUrl=cloud.queue_url, AttributeNames=["All"])[
        "Attributes"
    ]
    assert attributes["ApproximateNumberOfMessagesNotVisible"] == "2"


@pytest.mark.parametrize(
    "body",
    ["", "not json", "[]", "{}", '{"job_id": 1, "chunk": 0}', '{"job_id": "job_x"}', '{"chunk": 1}'],
)
def test_a_message_that_makes_no_sense_goes_to_the_dead_letters(services, message, body):
    answer = handle({"Records": [message(body)]}, LambdaContext(milliseconds=300_000), services)

    assert len(answer["batchItemFailures"]) == 1


@pytest.mark.parametrize("chunk", [True, -1, 2**31, "0", None])
def test_a_chunk_that_is_no_number_goes_to_the_dead_letters(services, message, chunk):
    body = {"job_id": new_id("job"), "chunk": chunk}

    answer = handle({"Records": [message(body)]}, LambdaContext(milliseconds=300_000), services)

    assert len(answer["batchItemFailures"]) == 1


@pytest.mark.parametrize("step", [{"chunk": 0}, {"split": True}, {"finish": True}])
def test_a_message_of_a_deleted_job_is_done_with(services, message, step):
    body = {"job_id": new_id("job"), **step}

    assert handle({"Records": [message(body)]}, LambdaContext(milliseconds=300_000), services) == {
        "batchItemFailures": []
    }


def test_no_message_is_begun_without_time_left(services, message, submit, cloud, api):
    job = submit()

    answer = handle({"Records": cloud.messages()}, LambdaContext(milliseconds=9_000), services)

    assert len(answer["batchItemFailures"]) == 3
    assert api.get(f"/jobs/{job}").json()["status"] == "queued"


def test_native_models_are_predicted_in_their_sandbox(api, submit, deliver, native, trained, model_of, user):
    job = submit(model_of(user, native_of(trained)), trained.rows[:10])

    assert deliver() == []

    items = api.get(f"/jobs/{job}").json()["results"]["items"]
    assert [item["prediction"] for item in items] == [1] * 10
    assert [len(call["columns"][0]) for call in native.calls] == [4, 4, 2]
    assert native.calls[0]["artifact_url"].startswith("https://signed/")


def test_outputs_that_only_the_original_has_are_its_own_and_so_are_those_beside_them(
    api, user, deliver, native, trained, model_of
):
    signature = replace(trained.signature, original_outputs=["decision_function"])
    model = model_of(user, replace(trained, signature=signature))
    body = {"inputs": trained.rows[:10], "output": {"outputs": ["predict", "decision_function"]}}

    job = api.post(f"/predict/batch/{model}", json=body).json()["job_id"]
    assert deliver() == []

    items = api.get(f"/jobs/{job}").json()["results"]["items"]
    assert [(item["prediction"], item["decision_function"]) for item in items] == [(1, 1)] * 10
    assert [len(call["columns"][0]) for call in native.calls] == [4, 4, 2]
    assert {tuple(call["outputs"]) for call in native.calls} == {("predict", "decision_function")}


def test_a_job_of_the_release_before_does_not_say_what_answers_it(services, submit, deliver, native, api):
    job = submit()
    with services.database.transaction() as session:
        found = session.get(Job, job)
        found.options = {name: value for name, value in found.options.items() if name != "runtime"}

    assert deliver() == []

    assert api.get(f"/jobs/{job}").json()["status"] == "succeeded"
    assert native.calls == []


def error(kind):
    return {"error": {"kind": kind, "detail": ""}}


def test_a_row_that_breaks_the_model_fails_alone(api, submit, deliver, native, trained, model_of, user):
    ok = {"outputs": {"predict": [7]}}
    two = {"outputs": {"predict": [7, 7]}}
    # chunk of 4: whole fails, first half fails, row 0 fine, row 1 fails, second half fine
    native.answers = [error("model_error"), error("model_error"), ok, error("crashed"), two]

    job = submit(model_of(user, native_of(trained)), trained.rows[:4])
    deliver()

    found = api.get(f"/jobs/{job}").json()
    assert (found["status"], found["failed_rows"]) == ("succeeded", 1)
    assert [item["prediction"] for item in found["results"]["items"]] == [7, None, 7, 7]
    assert "model failed" in found["results"]["items"][1]["error"]["detail"]


def test_an_answer_that_is_too_large_is_asked_for_in_halves(
    api, submit, deliver, native, trained, model_of, user
):
    native.answers = [error("too_large"), error("timeout")]

    job = submit(model_of(user, native_of(trained)), trained.rows[:4])
    deliver()

    assert api.get(f"/jobs/{job}").json()["done_rows"] == 4
    assert [len(call["columns"][0]) for call in native.calls] == [4, 2, 1, 1, 2]


def test_a_model_that_fails_on_every_row_fails_the_job_after_retries(
    api, submit, deliver, native, trained, model_of, user, cloud, records
):
    native.answers = [error("model_error")] * 40
    job = submit(model_of(user, native_of(trained)), trained.rows[:4])
    messages = cloud.messages()

    assert len(deliver(messages, attempt=1)) == 1
    assert len(deliver(messages, attempt=2)) == 1
    assert api.get(f"/jobs/{job}").json()["status"] == "queued"
    assert deliver(messages, attempt=3) == []

    found = api.get(f"/jobs/{job}").json()
    assert (found["status"], found["reason"]["code"]) == ("failed", "model_error")
    assert found["finished_at"]
    (record,) = [json.loads(line) for line in records]
    assert (record["status_code"], record["error"], record["rows"]) == (500, "model_error", 0)
    assert deliver(messages, attempt=3) == []


def test_an_unknown_failure_ends_the_job_without_its_trace(
    api, submit, deliver, native, trained, model_of, user
):
    native.answers = [RuntimeError("a-secret")] * 10
    job = submit(model_of(user, native_of(trained)), trained.rows[:1])

    deliver(attempt=3)

    found = api.get(f"/jobs/{job}")
    assert found.json()["reason"]["code"] == "internal_error"
    assert "a-secret" not in found.text


def test_an_outage_never_fails_a_job(api, submit, deliver, native, trained, model_of, user):
    native.answers = [Unavailable("away")]
    job = submit(model_of(user, native_of(trained)), trained.rows[:1])

    assert len(deliver(attempt=5)) == 1

    assert api.get(f"/jobs/{job}").json()["status"] == "queued"


def test_a_model_deleted_in_between_fails_the_job(api, submit, deliver, services, user, trained, model_of):
    from modelyard.db.tables import Model
    from modelyard.kit.clock import utc_now

    model = model_of(user, trained)
    job = submit(model)
    with services.database.transaction() as session:
        session.get(Model, model).deleted_at = utc_now()

    deliver()

    assert api.get(f"/jobs/{job}").json()["reason"]["code"] == "model_gone"


@pytest.fixture
def submit_file(api, user, model_of, cloud, trained):
    def run(content, model=None, **reference):
        key = f"jobs/{user.id}/inputs/{new_id('inp')}"
        cloud.put(key, content)
        body = {"input": {"key": key, **reference}}
        answer = api.post(f"/predict/batch/{model or model_of(user, trained)}", json=body)
        assert answer.status == 202, answer.text
        return answer.json()["job_id"], key

    return run


def test_a_file_replaced_after_submission_fails_the_job(api, submit_file, deliver, cloud):
    job, key = submit_file(b"1,2,3,4\n")
    cloud.put(key, b"9,9,9,9\n9,9,9,9\n")

    deliver()

    assert api.get(f"/jobs/{job}").json()["reason"]["code"] == "input_changed"


def test_a_file_deleted_after_splitting_fails_the_job(api, submit_file, deliver, cloud, services):
    job, key = submit_file(b"1,2,3,4\n")
    split = cloud.messages()
    deliver(split)
    cloud.s3.delete_object(Bucket=services.bucket, Key=key)

    deliver()

    assert api.get(f"/jobs/{job}").json()["reason"]["code"] == "input_missing"


def test_a_file_is_split_once(api, submit_file, deliver, cloud, services):
    job, _ = submit_file(b"1,2,3,4\n" * 25)
    split = cloud.messages()

    deliver(split)
    deliver(split)

    with services.database.transaction() as session:
        assert len(session.scalars(select(JobChunk).where(JobChunk.job_id == job)).all()) == 3
        assert len(session.scalars(select(Outbox)).all()) == 4
    assert deliver() == []
    assert api.get(f"/jobs/{job}").json()["total_rows"] == 25


def test_a_file_with_too_many_rows_fails(api, submit_file, deliver, services):
    services.batch_worker._limits = replace(services.batch_worker._limits, rows=20)
    job, _ = submit_file(b"1,2,3,4\n" * 25)

    deliver()

    assert api.get(f"/jobs/{job}").json()["reason"]["code"] == "too_many_rows"


def test_a_quote_that_never_closes_fails_with_a_hint(api, submit_file, deliver, services):
    services.batch_worker._limits = replace(services.batch_worker._limits, row_bytes=1000)
    job, _ = submit_file(b'1,2,3,4\n"' + b"x" * 5000)

    deliver()

    reason = api.get(f"/jobs/{job}").json()["reason"]
    assert reason["code"] == "row_too_long"
    assert "quote" in reason["detail"]


def test_a_header_and_blank_lines_only_is_an_empty_input(api, submit_file, deliver):
    job, _ = submit_file(b"x0,x1,x2,x3\n\n\r\n\n")

    deliver()

    assert api.get(f"/jobs/{job}").json()["reason"]["code"] == "empty_input"


def test_the_queue_away_during_the_split_leaves_the_chunks_to_the_sweep(
    api, submit_file, deliver, cloud, services, clock, monkeypatch
):
    job, _ = submit_file(b"1,2,3,4\n" * 25)
    split = cloud.messages()
    monkeypatch.setenv("MODELYARD_BATCH_QUEUE_URL", cloud.queue_url + "-gone")
    assert deliver(split) == []
    assert api.get(f"/jobs/{job}").json()["status"] == "running"

    monkeypatch.setenv("MODELYARD_BATCH_QUEUE_URL", cloud.queue_url)
    clock.turn(minutes=2)
    assert services.outbox.sweep() == 3
    deliver()

    assert api.get(f"/jobs/{job}").json()["status"] == "succeeded"


def test_a_job_cancelled_during_a_chunk_keeps_nothing(
    api, submit, deliver, native, trained, model_of, user, records
):
    job = submit(model_of(user, native_of(trained)), trained.rows[:4])
    native.before = lambda: api.post(f"/jobs/{job}/cancel")

    deliver()

    assert len(native.calls) == 1
    assert api.get(f"/jobs/{job}").json()["status"] == "cancelled"
    assert records == []


def test_a_forest_of_two_versions_is_pinned(api, submit, user, model_of, services, deliver):
    """The job keeps the version that was the default when it was submitted."""
    from modelyard.db.tables import Model

    model = model_of(user, forest(trees=3))
    job = submit(model, [[0.0, 0.0, 0.0, 0.0]])
    with services.database.transaction() as session:
        session.get(Model, model).default_version = None

    deliver()

    assert api.get(f"/jobs/{job}").json()["status"] == "succeeded"
    with services.database.transaction() as session:
        assert session.get(Job, job).options["version"] == 1
