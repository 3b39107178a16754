"""A creating POST that is sent again is answered again, and done once."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from modelyard.db.engine import Database
from modelyard.db.tables import IdempotentRequest, User
from modelyard.kit.clock import utc_now
from modelyard.kit.errors import Conflict
from modelyard.web.app import create_app, lambda_handler
from modelyard.web.dependencies import AnyCaller, ServicesDep, SessionDep
from modelyard.web.routing import IDEMPOTENT, IDEMPOTENT_SECRET, PUBLIC, Router
from pydantic import BaseModel
from sqlalchemy import select, update
from starlette.responses import Response

from tests.support.composition import LocalComposition, make_user
from tests.support.http import ApiGateway

KEY = {"Idempotency-Key": "4f6c1a52-1f1b-4a4f-9f7e-0c3d2a8e55d1"}


class Wish(BaseModel):
    name: str


class Maker:
    """Two creating routes, with and without a unit of work, and what they did."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.fail: Exception | None = None
        self.pause = threading.Event()
        self.entered = threading.Event()
        self.pause.set()
        self.router = router = Router()

        @router.post("/things", status_code=201, dependencies=[IDEMPOTENT])
        async def make(
            wish: Wish, caller: AnyCaller, session: SessionDep, response: Response
        ) -> dict[str, object]:
            self.entered.set()
            self.pause.wait(20)
            session.execute(update(User).where(User.id == caller.user_id).values(name=wish.name))
            if self.fail is not None:
                raise self.fail
            self.made.append(wish.name)
            response.headers["Location"] = f"/api/things/{len(self.made)}"
            return {"number": len(self.made), "name": wish.name}

        @router.post("/others", status_code=202, dependencies=[IDEMPOTENT])
        async def other(wish: Wish, caller: AnyCaller, services: ServicesDep) -> dict[str, int]:
            self.made.append(wish.name)
            return {"number": len(self.made)}

        @router.post("/secrets", status_code=201, dependencies=[IDEMPOTENT_SECRET])
        async def secret(wish: Wish, caller: AnyCaller, session: SessionDep) -> dict[str, str]:
            self.made.append(wish.name)
            return {"secret": "swordfish"}


@pytest.fixture
def maker():
    return Maker()


@pytest.fixture
def api(composition, maker, user):
    return ApiGateway(lambda_handler(create_app(maker.router, composition)), headers=user.headers)


def test_nothing_is_claimed_without_a_caller(api, maker, database):
    stranger = ApiGateway(api.handler)
    assert stranger.post("/things", json={"name": "a"}, headers=KEY).status == 401
    with database.transaction() as session:
        assert session.execute(select(IdempotentRequest)).first() is None


@pytest.mark.parametrize("key", ["", "x" * 256, "a b", "a\0b", "schlüssel"])
def test_a_key_must_be_printable(api, maker, key):
    answer = api.post("/things", json={"name": "a"}, headers={"Idempotency-Key": key})
    assert answer.status == 422
    assert answer.json()["errors"][0]["pointer"] == "header:Idempotency-Key"
    assert maker.made == []


@pytest.mark.parametrize(("path", "status"), [("/things", 201), ("/others", 202)])
def test_the_same_request_gets_the_same_answer(api, maker, path, status):
    first, again = (api.post(path, json={"name": "a"}, headers=KEY) for _ in range(2))
    assert first.status == again.status == status
    assert first.body == again.body
    assert first.headers.get("location") == again.headers.get("location")
    assert again.headers["content-type"] == "application/json"
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert maker.made == ["a"]


def test_without_a_key_each_request_counts(api, maker):
    for _ in range(2):
        assert api.post("/things", json={"name": "a"}).status == 201
    assert maker.made == ["a", "a"]


def test_another_payload_under_the_same_key_is_a_mistake(api, maker):
    assert api.post("/things", json={"name": "a"}, headers=KEY).status == 201
    answer = api.post("/things", json={"name": "b"}, headers=KEY)
    assert (answer.status, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert api.post("/things?x=1", json={"name": "a"}, headers=KEY).status == 422
    assert maker.made == ["a"]


def test_keys_belong_to_a_user_and_a_route(api, maker, stranger):
    theirs = api.with_headers(stranger.headers)
    for gateway, path in ((api, "/things"), (theirs, "/things"), (api, "/others")):
        assert gateway.post(path, json={"name": "a"}, headers=KEY).status < 300
    assert len(maker.made) == 3


@pytest.mark.parametrize(("failure", "status"), [(Conflict("taken"), 409), (RuntimeError("boom"), 500)])
def test_what_failed_may_be_tried_again(api, maker, database, failure, status):
    maker.fail = failure
    assert api.post("/things", json={"name": "a"}, headers=KEY).status == status
    assert api.post("/things", json={}, headers=KEY).status == 422
    maker.fail = None
    assert api.post("/things", json={"name": "a"}, headers=KEY).status == 201
    assert maker.made == ["a"]


def test_after_a_day_the_key_is_free(api, maker, database):
    api.post("/things", json={"name": "a"}, headers=KEY)
    with database.transaction() as session:
        session.execute(update(IdempotentRequest).values(expires_at=utc_now() - timedelta(seconds=1)))
    assert api.post("/things", json={"name": "b"}, headers=KEY).status == 201
    assert maker.made == ["a", "b"]


def test_who_died_on_the_way_is_succeeded_after_a_minute(api, maker, database):
    api.post("/things", json={"name": "a"}, headers=KEY)
    with database.transaction() as session:
        session.execute(update(IdempotentRequest).values(status=None, body=None))
    busy = api.post("/things", json={"name": "a"}, headers=KEY)
    assert (busy.status, busy.json()["code"]) == (409, "request_in_progress")
    assert int(busy.headers["retry-after"]) > 0
    with database.transaction() as session:
        session.execute(update(IdempotentRequest).values(started_at=utc_now() - timedelta(seconds=61)))
    assert api.post("/things", json={"name": "a"}, headers=KEY).status == 201
    assert maker.made == ["a", "a"]


def test_a_secret_is_made_once_and_never_kept(api, maker, database):
    assert api.post("/secrets", json={"name": "a"}, headers=KEY).json() == {"secret": "swordfish"}
    again = api.post("/secrets", json={"name": "a"}, headers=KEY)
    assert (again.status, again.json()["code"]) == (409, "request_already_done")
    assert maker.made == ["a"]
    with database.transaction() as session:
        row = session.execute(select(IdempotentRequest)).scalar_one()
        assert "swordfish" not in str(row.__dict__)
        assert KEY["Idempotency-Key"] not in str(row.__dict__)


def test_of_two_at_once_one_is_done_and_the_other_waits(engine, redis_client, maker):
    """Over real transactions: the second request meets the first while it works."""
    services = [LocalComposition(database=Database(engine), redis=redis_client) for _ in range(2)]
    user = make_user(services[0])
    one, two = (
        ApiGateway(lambda_handler(create_app(maker.router, each)), headers=user.headers) for each in services
    )
    answers = []
    maker.pause.clear()
    first = threading.Thread(
        target=lambda: answers.append(one.post("/things", json={"name": "a"}, headers=KEY))
    )
    first.start()
    assert maker.entered.wait(20)
    busy = two.post("/things", json={"name": "a"}, headers=KEY)
    maker.pause.set()
    first.join(20)
    replayed = two.post("/things", json={"name": "a"}, headers=KEY)
    with Database(engine).transaction() as session:
        kept = session.get(User, user.id)
        name = kept.name
        session.delete(kept)
    assert busy.status == 409
    assert [answers[0].status, replayed.status] == [201, 201]
    assert replayed.body == answers[0].body
    assert (maker.made, name) == (["a"], "a")


def test_a_public_route_cannot_be_idempotent():
    router = Router()

    async def make() -> None: ...

    with pytest.raises(TypeError, match="per user"):
        router.post("/x", dependencies=[PUBLIC, IDEMPOTENT])(make)
