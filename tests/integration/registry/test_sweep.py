"""Uploads that got stuck."""

from __future__ import annotations

import pytest
from modelyard.intake.verdict import Limits
from modelyard.registry.claims import Outcome
from modelyard.registry.inspector import InspectorUnavailable
from modelyard.registry.notifications import Arrival, arrivals
from modelyard.registry.registration import Registration
from modelyard.registry.repository import ModelRepository
from modelyard.registry.sweep import UploadSweep
from modelyard.registry.uploads import Announcement, Uploads

BUCKET = "modelyard-test-data"


@pytest.fixture
def announced(database, store, clock, user):
    with database.transaction() as session:
        return Uploads(store, Limits(), clock=clock).announce(
            ModelRepository(session, user.id), Announcement("churn", "m.joblib", 7)
        )


@pytest.fixture
def deliver(cloud, registration: Registration):
    """Does what Lambda does with what waits in the queue."""

    def deliver() -> list[Outcome]:
        found = [arrival for body in cloud.messages() for arrival in arrivals(body, bucket=BUCKET)]
        return [registration.register(arrival) for arrival in found]

    return deliver


def numbers(report):
    return report.redelivered, report.failed, report.errors


def test_nothing_is_stuck(sweep: UploadSweep, announced, clock):
    assert numbers(sweep.run()) == (0, 0, 0)
    clock.turn(minutes=14)
    assert numbers(sweep.run()) == (0, 0, 0)


def test_an_upload_whose_event_was_lost_is_delivered_once_more(sweep, announced, cloud, clock, deliver, rows):
    cloud.put(announced.key, b"a model")
    clock.turn(minutes=16)
    assert numbers(sweep.run()) == (1, 0, 0)
    assert numbers(sweep.run()) == (0, 0, 0)  # it is in the queue's hands now
    assert deliver() == [Outcome.READY]
    assert rows.version(announced.version_id).status == "ready"
    clock.turn(hours=48)
    assert numbers(sweep.run()) == (0, 0, 0)


def test_an_event_that_was_only_late_does_no_harm(
    sweep, announced, cloud, clock, deliver, registration, rows
):
    late = Arrival(announced.key, cloud.put(announced.key, b"a model"))
    clock.turn(minutes=16)
    sweep.run()
    assert registration.register(late) is Outcome.READY
    assert deliver() == [Outcome.REPEATED]
    assert len(rows.versions()) == 1


def test_an_upload_that_never_came_fails_after_a_day(sweep, announced, clock, rows):
    clock.turn(hours=23)
    assert numbers(sweep.run()) == (0, 0, 0)
    clock.turn(hours=2)
    assert numbers(sweep.run()) == (0, 1, 0)
    version = rows.version(announced.version_id)
    assert version.status == "failed"
    assert version.reason["rule"] == "upload_never_arrived"
    assert "never arrived" in version.reason["detail"]
    assert version.finished_at == clock.now


def test_a_file_that_comes_after_that_is_ignored(sweep, announced, clock, cloud, registration, rows):
    clock.turn(hours=25)
    sweep.run()
    late = Arrival(announced.key, cloud.put(announced.key, b"a model"))
    assert registration.register(late) is Outcome.REPEATED
    assert rows.version(announced.version_id).status == "failed"


def test_an_inspection_that_nobody_works_at_is_delivered_again(
    sweep, announced, cloud, clock, registration, inspector, deliver, rows
):
    def away(*_):
        raise InspectorUnavailable

    accept, inspector.answer = inspector.answer, away
    arrival = Arrival(announced.key, cloud.put(announced.key, b"a model"))
    with pytest.raises(InspectorUnavailable):
        registration.register(arrival)
    assert numbers(sweep.run()) == (0, 0, 0)  # its own message comes back first
    clock.turn(minutes=55)
    inspector.answer = accept
    assert numbers(sweep.run()) == (1, 0, 0)
    assert deliver() == [Outcome.READY]
    assert rows.version(announced.version_id).status == "ready"


def test_an_inspection_that_never_ends_is_given_up_after_a_day(
    sweep, announced, cloud, clock, registration, inspector, rows
):
    def away(*_):
        raise InspectorUnavailable

    inspector.answer = away
    arrival = Arrival(announced.key, cloud.put(announced.key, b"a model"))
    clock.turn(hours=23)
    with pytest.raises(InspectorUnavailable):
        registration.register(arrival)
    clock.turn(minutes=61)
    assert numbers(sweep.run()) == (0, 1, 0)
    assert rows.version(announced.version_id).reason["rule"] == "inspection_unfinished"


def test_who_is_at_work_is_left_alone(sweep, announced, cloud, clock, registration, inspector, rows):
    arrival = Arrival(announced.key, cloud.put(announced.key, b"a model"))
    clock.turn(hours=30)
    accept = inspector.answer
    seen = []

    def look(inspection, content):
        seen.append(numbers(sweep.run()))
        return accept(inspection, content)

    inspector.answer = look
    assert registration.register(arrival) is Outcome.READY
    assert seen == [(0, 0, 0)]


def test_a_message_that_was_lost_for_good_ends_as_failed(sweep, announced, cloud, clock, rows):
    cloud.put(announced.key, b"a model")
    clock.turn(minutes=16)
    sweep.run()
    cloud.messages()
    clock.turn(hours=24)
    assert numbers(sweep.run()) == (0, 1, 0)
    assert rows.version(announced.version_id).reason["rule"] == "inspection_unfinished"


def test_one_that_cannot_be_looked_at_does_not_stop_the_others(database, store, clock, user, cloud, rows):
    with database.transaction() as session:
        repository = ModelRepository(session, user.id)
        made = [
            Uploads(store, Limits(), clock=clock).announce(repository, Announcement("churn", "m.joblib", 7))
            for _ in range(3)
        ]
    clock.turn(hours=25)

    class Moody(type(store)):
        def head(self, key, version=None):
            if key == made[1].key:
                raise RuntimeError
            return super().head(key, version)

    moody = UploadSweep(
        database=database,
        store=Moody(cloud.s3, BUCKET),
        sqs=cloud.sqs,
        queue_url=cloud.queue_url,
        bucket=BUCKET,
        clock=clock,
    )
    assert numbers(moody.run()) == (0, 2, 1)
    assert [v.status for v in rows.versions()] == ["failed", "pending", "failed"]


def test_a_run_is_bounded(sweep, database, store, clock, user):
    with database.transaction() as session:
        for _ in range(4):
            Uploads(store, Limits(), clock=clock).announce(
                ModelRepository(session, user.id), Announcement("churn", "m.joblib", 7)
            )
    clock.turn(hours=25)
    assert sweep.run(limit=3).failed == 3
    assert sweep.run(limit=3).failed == 1
