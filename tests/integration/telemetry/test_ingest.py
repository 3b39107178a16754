"""Deliveries of CloudWatch Logs: records become rows, once; junk is counted; an outage asks for another."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from modelyard.db.engine import Database
from modelyard.db.tables import Prediction
from modelyard.kit.errors import Unavailable
from modelyard.kit.ids import new_id
from modelyard.telemetry.ingest import BadDelivery, RecordWriter, unpack
from modelyard.telemetry.partitions import roll
from sqlalchemy import create_engine, func, select, text

from functions.record_predictions.handler import handle
from tests.support.records import delivery, some_record

EVENTS = Path(__file__).parents[3] / "events" / "record_predictions"


@pytest.fixture
def services(composition):
    return composition


def stored(services) -> int:
    with services.database.transaction() as session:
        return session.scalar(select(func.count()).select_from(Prediction)) or 0


def test_records_become_rows(services):
    odd = {"status_code": 500, "error": "model_error", "version_id": None, "cold": True, "routed": True}
    records = [some_record(), some_record(cached=True, **odd)]

    result = handle(delivery(*(record.line() + "\n" for record in records)), services)

    assert result == {"stored": 2, "known": 0, "junk": 0}
    with services.database.transaction() as session:
        row = session.scalars(select(Prediction).where(Prediction.id == records[1].prediction_id)).one()
    assert (row.cached, row.status_code, row.error, row.rows) == (True, 500, "model_error", 3)
    assert (row.cold, row.routed) == (True, True)
    assert row.at.timestamp() == pytest.approx(records[1].at, abs=0.002)
    assert row.duration_ms == 1.5


def test_a_delivery_that_comes_twice_is_stored_once(services):
    event = delivery(*(some_record().line() for _ in range(5)))

    assert handle(event, services)["stored"] == 5
    assert handle(event, services) == {"stored": 0, "known": 5, "junk": 0}
    assert stored(services) == 5


def test_a_record_twice_in_one_delivery_is_stored_once(services):
    line = some_record().line()

    assert handle(delivery(line, line), services) == {"stored": 1, "known": 1, "junk": 0}


def test_junk_is_counted_and_costs_nobody_else(services):
    lines = [
        "START",
        "",
        "prediction_record",
        '{"message": "prediction_record"}',
        "2026-01-01 " + some_record().line(),
    ]

    assert handle(delivery(*lines), services) == {"stored": 1, "known": 0, "junk": 4}


def test_more_than_one_statement_holds(services):
    lines = [some_record().line() for _ in range(1100)]

    assert handle(delivery(*lines), services)["stored"] == 1100


def test_a_record_of_a_day_without_partition_is_stored(services):
    old = some_record(at=1_700_000_000.0)

    assert handle(delivery(old.line()), services)["stored"] == 1


FIELDS = json.loads(some_record().line())
ODD = st.none() | st.integers() | st.floats(allow_nan=False) | st.text() | st.booleans()


@given(st.lists(st.dictionaries(st.sampled_from(sorted(FIELDS)), ODD), max_size=5))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_parses_can_be_stored(database, damages):
    """One line that PostgreSQL refuses would keep its whole delivery out, again and again."""
    lines = [json.dumps(FIELDS | {"prediction_id": new_id("prd")} | damage) for damage in damages]

    counts = RecordWriter(database).write(lines)

    assert counts.stored + counts.known + counts.junk == len(lines)


def test_a_control_message_is_shrugged_off(services):
    assert handle(delivery("hello", kind="CONTROL_MESSAGE"), services) == {"stored": 0, "known": 0, "junk": 0}


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"awslogs": {}},
        {"awslogs": {"data": "?"}},
        {"awslogs": {"data": base64.b64encode(b"no gzip").decode()}},
        {"awslogs": {"data": base64.b64encode(gzip.compress(b"no json")).decode()}},
        {"awslogs": {"data": base64.b64encode(gzip.compress(b"[]")).decode()}},
        {"awslogs": {"data": base64.b64encode(gzip.compress(b'{"messageType": "DATA_MESSAGE"}')).decode()}},
        {"awslogs": {"data": base64.b64encode(gzip.compress(b"{}")[:-4]).decode()}},
        {"awslogs": None},
        None,
    ],
)
def test_what_is_no_delivery_is_not_asked_for_again(services, event):
    with pytest.raises(BadDelivery):
        unpack(event)
    assert handle(event, services) == {"stored": 0, "known": 0, "junk": 1}


def test_a_bomb_is_not_unpacked():
    packed = gzip.compress(b"0" * (65 * 1024 * 1024), 1)

    with pytest.raises(BadDelivery):
        unpack({"awslogs": {"data": base64.b64encode(packed).decode()}})


def test_postgresql_away_raises_so_that_lambda_delivers_again(services):
    url = "postgresql+psycopg://nobody@127.0.0.1:1/none"
    services.database = Database(create_engine(url, connect_args={"connect_timeout": 2}))

    with pytest.raises(Unavailable):
        handle(delivery(some_record().line()), services)


def test_the_sample_events_are_what_their_names_say(services):
    results = {path.stem: handle(json.loads(path.read_text()), services) for path in EVENTS.glob("*.json")}

    assert results["records"] == {"stored": 2, "known": 0, "junk": 1}
    assert results["control_message"] == {"stored": 0, "known": 0, "junk": 0}
    assert results["not_a_delivery"] == {"stored": 0, "known": 0, "junk": 1}


# --- partitions


def test_partitions_are_made_ahead_and_old_ones_dropped(database, engine):
    with database.transaction() as session:
        session.execute(text("SELECT ensure_prediction_partitions(current_date - 120, 2)"))

    report = roll(database, ahead=20)

    assert report.made == 6  # the first migration made 14
    assert report.dropped == 2
    assert roll(database, ahead=20).made == 0
