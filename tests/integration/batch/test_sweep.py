"""Jobs that got stuck and jobs whose time is over."""

from __future__ import annotations

import pytest
from modelyard.db import outbox
from modelyard.db.tables import Job, Outbox
from modelyard.kit.ids import new_id
from sqlalchemy import select

from functions.roll_up.handler import StepsFailed, handle
from tests.support.batch import submit
from tests.support.serving import logistic


@pytest.fixture(scope="module")
def trained():
    return logistic()


def test_open_chunks_of_a_silent_job_are_sent_again(
    api, user, trained, model_of, services, cloud, clock, deliver
):
    job = submit(api, model_of(user, trained), trained.rows[:23])
    first, *_lost = cloud.messages()
    deliver([first])

    clock.turn(minutes=10)
    assert services.job_sweep.run().resent == 0
    clock.turn(minutes=15)
    assert services.job_sweep.run().resent == 1
    assert services.job_sweep.run().resent == 0  # not again before the silence has lasted as long
    assert len(cloud.messages()) == 2
    clock.turn(minutes=21)
    assert services.job_sweep.run().resent == 1

    deliver()
    assert api.get(f"/jobs/{job}").json()["status"] == "succeeded"


def test_a_job_whose_last_worker_died_is_finished(
    api, user, trained, model_of, services, cloud, clock, deliver
):
    job = submit(api, model_of(user, trained), trained.rows[:5])
    deliver()
    with services.database.transaction() as session:
        session.get(Job, job).status = "running"
    clock.turn(minutes=21)

    services.job_sweep.run()
    deliver()

    assert api.get(f"/jobs/{job}").json()["status"] == "succeeded"


def test_a_lost_split_is_sent_again(api, user, trained, model_of, services, cloud, clock, deliver):
    key = f"jobs/{user.id}/inputs/rows.csv"
    cloud.put(key, b"1,2,3,4\n")
    job = api.post(f"/predict/batch/{model_of(user, trained)}", json={"input": {"key": key}}).json()["job_id"]
    cloud.messages()
    clock.turn(minutes=21)

    services.job_sweep.run()
    deliver()

    assert api.get(f"/jobs/{job}").json()["status"] == "succeeded"


def test_after_a_day_a_job_is_given_up(api, user, trained, model_of, services, clock):
    job = submit(api, model_of(user, trained), trained.rows[:5])
    clock.turn(hours=25)

    assert services.job_sweep.run().failed == 1

    found = api.get(f"/jobs/{job}").json()
    assert (found["status"], found["reason"]["code"]) == ("failed", "not_finished")


def test_an_expired_job_goes_with_its_files(api, user, trained, model_of, services, cloud, clock, deliver):
    model, key = model_of(user, trained), f"jobs/{user.id}/inputs/rows.csv"
    cloud.put(key, b"1,2,3,4\n")
    body = {"input": {"key": key}}
    old = api.post(f"/predict/batch/{model}", json=body).json()["job_id"]
    deliver()
    clock.turn(days=5)
    young = api.post(f"/predict/batch/{model}", json=body).json()["job_id"]
    deliver()
    clock.turn(days=3)

    assert services.job_sweep.run().expired == 1

    assert api.get(f"/jobs/{old}").status == 404
    assert cloud.keys(f"jobs/{user.id}/{old}/") == []
    assert key in cloud.keys(f"jobs/{user.id}/")  # the other job still reads it
    clock.turn(days=5)
    assert services.job_sweep.run().expired == 1
    assert cloud.keys(f"jobs/{user.id}/") == []
    assert api.get(f"/jobs/{young}").status == 404


def test_a_job_is_told_as_failed_before_it_expires(api, user, trained, model_of, services, clock):
    job = submit(api, model_of(user, trained), trained.rows[:5])
    clock.turn(days=8)

    report = services.job_sweep.run()

    assert (report.failed, report.expired) == (1, 0)
    assert api.get(f"/jobs/{job}").json()["status"] == "failed"


# --- the outbox


def test_a_message_is_sent_once(services, cloud):
    with services.database.transaction() as session:
        ids = outbox.put(session, "batch", [{"n": n} for n in range(23)])

    assert services.outbox.send(ids) == 23
    assert services.outbox.send(ids) == 0
    assert len(cloud.messages()) == 23
    assert outbox.put(session, "batch", []) == []


def test_a_message_of_a_transaction_that_failed_does_not_exist(services, cloud):
    with services.database.session() as session:
        ids = outbox.put(session, "batch", [{"n": 1}])
        session.rollback()

    assert services.outbox.send(ids) == 0
    assert cloud.messages() == []


def test_what_the_queue_did_not_take_stays_unsent(services, cloud):
    class Half:
        def send_message_batch(self, QueueUrl, Entries):
            return {"Successful": [{"Id": Entries[0]["Id"]}], "Failed": [{"Id": Entries[1]["Id"]}]}

    services.outbox._sqs = Half
    with services.database.transaction() as session:
        ids = outbox.put(session, "batch", [{"n": 1}, {"n": 2}])

    assert services.outbox.send(ids) == 1
    with services.database.transaction() as session:
        waiting = session.scalars(select(Outbox.id).where(Outbox.sent_at.is_(None))).all()
    assert waiting == [ids[1]]


def test_the_sweep_leaves_young_messages_to_their_sender_and_forgets_old_ones(services, clock):
    with services.database.transaction() as session:
        ids = outbox.put(session, "batch", [{"n": 1}])
    assert services.outbox.sweep() == 0
    clock.turn(minutes=2)
    assert services.outbox.sweep() == 1
    clock.turn(days=4)
    assert services.outbox.sweep() == 0
    with services.database.transaction() as session:
        assert session.get(Outbox, ids[0]) is None


# --- all of it


class Uploads:
    failure: Exception | None = None

    def run(self):
        if self.failure:
            raise self.failure
        return {"redelivered": 0}


def test_roll_up_runs_every_step(services):
    services.upload_sweep = Uploads()

    report = handle(services)

    assert report["jobs"] == {"resent": 0, "failed": 0, "expired": 0}
    assert report["outbox"] == {"sent": 0}
    steps = {"partitions", "outbox", "jobs", "uploads", "registry", "access", "trials", "shadows"}
    assert set(report) == steps
    assert report["partitions"]["made"] >= 0


def test_a_step_that_fails_stops_no_other_and_is_told_at_the_end(services, clock, user):
    services.upload_sweep = Uploads()
    services.upload_sweep.failure = OSError("no queue")
    with services.database.transaction() as session:
        identifier = outbox.put(session, "batch", [{"job_id": new_id("job"), "chunk": 0}])[0]
    clock.turn(minutes=2)

    with pytest.raises(StepsFailed, match="uploads"):
        handle(services)

    with services.database.transaction() as session:
        assert session.get(Outbox, identifier).sent_at is not None
