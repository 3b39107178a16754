"""The way to the first administrator."""

from __future__ import annotations

import io
import json
import threading

import pytest
from modelyard.db.engine import Database
from modelyard.db.tables import User
from sqlalchemy import update

from functions.make_admin.handler import handle
from tests.support.composition import LocalComposition, make_user
from tools.make_admin import main


class Lambda:
    """boto3's Lambda client, whose one function runs here."""

    def __init__(self, services, error=None):
        self.services, self.error = services, error
        self.names = []

    def invoke(self, *, FunctionName, Payload):
        self.names.append(FunctionName)
        if self.error:
            return {"Payload": io.BytesIO(b'{"errorMessage": "boom"}'), "FunctionError": self.error}
        return {"Payload": io.BytesIO(json.dumps(handle(json.loads(Payload), self.services)).encode())}


@pytest.mark.parametrize(
    "event", [{}, {"email": ""}, {"email": 5}, {"email": "nobody"}, {"email": "no@example.com"}]
)
def test_nobody_is_made_administrator_by_mistake(composition, event):
    assert set(handle(event, composition)) == {"error"}


def test_the_first_is_made_and_no_second(composition, user, stranger, capsys):
    client = Lambda(composition)
    assert main([user.email.upper(), "--stage", "dev"], lambda _service: client) == 0
    assert user.id in capsys.readouterr().out
    assert client.names == ["modelyard-dev-make_admin"]
    assert main([stranger.email], lambda _service: client) == 1
    assert "already" in capsys.readouterr().err
    with composition.database.transaction() as session:
        assert session.get(User, user.id).role == "admin"
        assert session.get(User, stranger.id).role == "user"


def test_a_function_that_fails_is_not_a_success(composition, user, capsys):
    assert main([user.email], lambda _service: Lambda(composition, error="Unhandled")) == 1
    assert "log" in capsys.readouterr().err


def test_a_suspended_administrator_does_not_count(composition, user, stranger):
    handle({"email": user.email}, composition)
    with composition.database.transaction() as session:
        session.execute(update(User).where(User.id == user.id).values(status="suspended"))
    assert handle({"email": stranger.email}, composition) == {"user_id": stranger.id}


def test_of_two_at_once_one_becomes_administrator(engine, redis_client):
    services = [LocalComposition(database=Database(engine), redis=redis_client) for _ in range(2)]
    users = [make_user(each) for each in services]
    answers = []
    threads = [
        threading.Thread(target=lambda pair=pair: answers.append(handle({"email": pair[1].email}, pair[0])))
        for pair in zip(services, users, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    with Database(engine).transaction() as session:
        for each in users:
            session.delete(session.get(User, each.id))
    assert sorted("error" in answer for answer in answers) == [False, True]
