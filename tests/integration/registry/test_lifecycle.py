"""Stages, deletion and return, what is said of models, over the Lambda handler; and what predictions see."""

from __future__ import annotations

import json
from datetime import timedelta
from email.utils import parsedate_to_datetime

import pytest
from modelyard.db.tables import AuditEntry, Model, ModelVersion
from modelyard.kit.clock import isoformat, utc_now
from modelyard.registry.notifications import Arrival
from modelyard.serving.errors import ModelNotFound, VersionArchived
from modelyard.serving.route import GONE, answer_key, route_key
from sqlalchemy import select, update

ANY = {"If-Match": "*"}


def etag(api, path):
    return {"If-Match": api.get(path).headers["etag"]}


# Preconditions


@pytest.mark.parametrize("tail", ["", "/versions/v2"])
@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_changes_name_what_they_are_based_on(mine, make, method, tail):
    path = f"/models/{make(versions=2)}{tail}"
    body = {"description": "new"} if method == "PATCH" else None
    missing = mine.request(method, path, json=body)
    assert (missing.status, missing.json()["code"]) == (428, "precondition_required")
    old = etag(mine, path)
    assert mine.patch(path, json={"description": "somebody was faster"}, headers=old).status == 200
    stale = mine.request(method, path, json=body, headers=old)
    assert (stale.status, stale.json()["code"]) == (412, "precondition_failed")
    weak = {"If-Match": "W/" + etag(mine, path)["If-Match"]}
    assert mine.request(method, path, json=body, headers=weak).status == 412
    assert mine.get(path).json()["description"] == "somebody was faster"
    assert mine.request(method, path, json=body, headers=etag(mine, path)).status == 200


@pytest.mark.parametrize("tail", ["", "/versions/v1"])
def test_foreign_models_cannot_be_changed(mine, theirs, make, rows, tail):
    path = f"/models/{make()}{tail}"
    assert theirs.patch(path, json={"description": "x"}, headers=ANY).status == 404
    assert theirs.delete(path, headers=ANY).status == 404
    assert theirs.post(f"{path}/restore").status == 404
    mine.delete(f"/models/{rows.models()[0].id}", headers=ANY)
    assert theirs.post(f"{path}/restore").status == 404


# What may not be said


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"description": "x" * 2001}, "/description"),
        ({"tags": ["a"] * 21}, "/tags"),
        ({"tags": [""]}, "/tags/0"),
        ({"tags": ["a\n"]}, "/tags/0"),
        ({"tags": "a"}, "/tags"),
        ({"metadata": []}, "/metadata"),
        ({"metadata": {"a": "x" * 17_000}}, "/metadata"),
        ({"metadata": {"a": ["\0"]}}, "/metadata"),
        ({"metadata": {"\0": 1}}, "/metadata"),
        ({"card": "\0"}, "/card"),
        ({"card": "x" * 65_537}, "/card"),
        ({"name": "other"}, "/name"),
        ({"description": None}, ""),
        ({"cache": None}, ""),
        ({"cache": {"enabled": "no"}}, "/cache/enabled"),
        ({"cache": {"ttl_seconds": 0}}, "/cache/ttl_seconds"),
        ({"cache": {"ttl_seconds": 86_401}}, "/cache/ttl_seconds"),
        ({"cache": {"ttl_seconds": 60, "enabled": False}}, "/cache"),
        ({"cache": {"size": 1}}, "/cache/size"),
        ({}, ""),
    ],
)
def test_changes_of_a_model_that_do_not_fit(mine, make, change, pointer):
    model = make()
    answer = mine.patch(f"/models/{model}", json=change, headers=ANY)
    assert answer.status == 422, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"stage": "gone"}, "/stage"),
        ({"stage": None}, ""),
        ({"sunset_at": "2099-01-01T00:00:00Z"}, "/sunset_at"),
        ({"stage": "archived", "sunset_at": "2099-01-01T00:00:00Z"}, "/sunset_at"),
        ({"stage": "deprecated", "sunset_at": "2020-01-01T00:00:00Z"}, "/sunset_at"),
        ({"stage": "deprecated", "sunset_at": "2099-01-01T00:00:00"}, "/sunset_at"),
        ({"stage": "deprecated", "sunset_at": "soon"}, "/sunset_at"),
        ({"stage": "deprecated", "sunset_at": 4_070_908_800}, "/sunset_at"),
        ({"stage": "deprecated", "sunset_at": "4070908800"}, "/sunset_at"),
        ({"stage": "deprecated", "sunset_at": "2099-01-01"}, "/sunset_at"),
        ({"status": "ready"}, "/status"),
        ({"card": "x"}, "/card"),
        ({}, ""),
    ],
)
def test_changes_of_a_version_that_do_not_fit(mine, make, change, pointer):
    model = make(versions=2)
    answer = mine.patch(f"/models/{model}/versions/v2", json=change, headers=ANY)
    assert answer.status == 422, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


@pytest.mark.parametrize(
    "query",
    ["sort=size", "ready=x", "q=", "q=%00", "tag=", "tag=%00", "&".join(["tag=a"] * 21), "deleted=2"],
)
def test_filters_that_cannot_be(mine, query):
    assert mine.get(f"/models?{query}").status == 422


@pytest.mark.parametrize("query", ["sort=name", "status=x", "stage=x", "tag=%00"])
def test_filters_of_versions_that_cannot_be(mine, make, query):
    assert mine.get(f"/models/{make()}/versions?{query}").status == 422


# What is said of models and versions


def test_a_model_is_described(mine, make):
    path = f"/models/{make()}"
    said = {
        "description": "Who leaves",
        "tags": ["team:growth", "weekly", "weekly"],
        "metadata": {"owner": {"name": "Ada"}, "auc": 0.93, "größe": None},
        "card": "# Churn\n\nTrained weekly.",
    }
    changed = mine.patch(path, json=said, headers=etag(mine, path))
    assert changed.status == 200
    assert changed.json() == mine.get(path).json()
    assert changed.headers["etag"] == mine.get(path).headers["etag"]
    body = changed.json()
    assert body["tags"] == ["team:growth", "weekly"]
    assert {key: body[key] for key in ("description", "metadata", "card")} == {
        key: said[key] for key in ("description", "metadata", "card")
    }
    only = mine.patch(path, json={"tags": []}, headers=ANY).json()
    assert (only["tags"], only["card"], only["metadata"]) == ([], said["card"], said["metadata"])
    listed = mine.get("/models").json()["items"][0]
    assert listed["metadata"] == said["metadata"]
    assert "card" not in listed


def test_a_version_is_described_and_stays_what_it_is(mine, make, rows):
    path = f"/models/{make()}/versions/v1"
    before = mine.get(path).json()
    said = {"description": "Without postcodes", "tags": ["q3"], "metadata": {"run": 7}}
    after = mine.patch(path, json=said, headers=etag(mine, path)).json()
    assert after == before | said


# Searching


@pytest.fixture
def some_models(mine, make):
    make("churn_eu", description="Who leaves, 100% of the time")
    made = make("price", arrive=False)
    mine.patch(f"/models/{made}", json={"tags": ["a", "b"]}, headers=ANY)
    made = make("Churn-us")
    mine.patch(f"/models/{made}", json={"tags": ["b"]}, headers=ANY)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("q=CHURN", ["Churn-us", "churn_eu"]),
        ("q=who+leaves", ["churn_eu"]),
        ("q=100%25", ["churn_eu"]),
        ("q=n_e", ["churn_eu"]),
        ("q=%25", ["churn_eu"]),
        ("q=%5C", []),
        ("tag=b", ["Churn-us", "price"]),
        ("tag=b&tag=a", ["price"]),
        ("tag=c", []),
        ("ready=true", ["Churn-us", "churn_eu"]),
        ("ready=false", ["price"]),
        ("ready=true&q=churn&tag=b", ["Churn-us"]),
        ("sort=created", ["churn_eu", "price", "Churn-us"]),
        ("sort=-updated", ["Churn-us", "price", "churn_eu"]),
        ("deleted=true", []),
    ],
)
def test_filters(mine, some_models, query, names):
    answer = mine.get(f"/models?{query}")
    assert answer.status == 200, answer.text
    assert [item["name"] for item in answer.json()["items"]] == names


@pytest.mark.parametrize("sort", ["created", "-created", "updated", "-updated", "name", "-name"])
def test_every_order_comes_in_pages(mine, make, sort):
    for name in ("delta", "alpha", "charlie", "bravo"):
        make(name, arrive=False)
    make("alpha", arrive=False)  # touched last
    whole = [item["name"] for item in mine.get(f"/models?sort={sort}").json()["items"]]
    path, found = f"/models?sort={sort}&limit=1&ready=false", []
    while path:
        answer = mine.get(path)
        found += [item["name"] for item in answer.json()["items"]]
        link = answer.headers.get("link")
        path = link and link.partition(">")[0].removeprefix("<https://api.example.com")
    assert found == whole
    expected = {
        "name": ["alpha", "bravo", "charlie", "delta"],
        "created": ["delta", "alpha", "charlie", "bravo"],
        "updated": ["delta", "charlie", "bravo", "alpha"],
    }[sort.lstrip("-")]
    assert whole == (expected[::-1] if sort.startswith("-") else expected)


def test_a_cursor_is_good_for_its_filters_only(mine, make):
    for name in ("a1", "a2"):
        make(name, arrive=False)
    cursor = mine.get("/models?limit=1&sort=name").json()["next_cursor"]
    assert mine.get(f"/models?limit=1&sort=name&cursor={cursor}").status == 200
    for other in ("sort=-name", "sort=name&ready=false", "sort=name&q=a"):
        assert mine.get(f"/models?limit=1&{other}&cursor={cursor}").json()["code"] == "bad_cursor"


def test_versions_are_filtered_and_sorted(mine, make):
    model = make(versions=2)
    make(arrive=False)
    mine.patch(f"/models/{model}/versions/v2", json={"stage": "deprecated", "tags": ["x"]}, headers=ANY)

    def found(query):
        body = mine.get(f"/models/{model}/versions?{query}").json()
        return [item["version"] for item in body["items"]]

    assert found("sort=number") == ["v1", "v2", "v3"]
    assert found("status=pending") == ["v3"]
    assert found("stage=deprecated") == ["v2"]
    assert found("tag=x") == ["v2"]
    assert found("stage=active&sort=number") == ["v1", "v3"]
    first = mine.get(f"/models/{model}/versions?sort=number&limit=2").json()
    assert found(f"sort=number&limit=2&cursor={first['next_cursor']}") == ["v3"]


@pytest.mark.parametrize(
    "path", ["", "/versions", "/promotions", "/shadow", "/traffic", "/aliases", "/openapi.json", "/snippets"]
)
def test_a_filter_that_there_is_not(mine, make, path):
    answer = mine.get(f"/models/{make()}{path}?tags=x")
    assert (answer.status, answer.json()["errors"][0]["pointer"]) == (422, "query:tags")


def test_links_lead_on_whatever_the_filters(mine, make):
    for name in ("a", "b"):
        path = f"/models/{make(name)}"
        assert mine.patch(path, json={"tags": ["x y", "z"]}, headers=ANY).status == 200
    link = mine.get("/models?tag=z&tag=x%20y&ready=true&limit=1&sort=name").headers["link"]
    following = link.partition(">")[0].removeprefix("<https://api.example.com/api")
    assert "tag=z&tag=x+y&ready=true" in following
    answer = mine.get(following)
    assert answer.status == 200, answer.text
    assert [item["name"] for item in answer.json()["items"]] == ["b"]


# Stages


def test_deprecated_versions_answer_with_a_notice(mine, make, route_of):
    model = make(versions=2)
    path = f"/models/{model}/versions/v1"
    end = utc_now().replace(microsecond=0) + timedelta(days=90)
    answer = mine.patch(path, json={"stage": "deprecated", "sunset_at": isoformat(end)}, headers=ANY)
    assert answer.status == 200, answer.text
    assert answer.json()["stage"] == "deprecated"
    assert answer.headers["deprecation"].startswith("@17")
    assert parsedate_to_datetime(answer.headers["sunset"]) == end
    version = route_of(model).pick(1)
    assert version.notices == {key: answer.headers[key] for key in ("deprecation", "sunset")}
    assert route_of(model).pick(2).notices == {}
    # which belongs to this stage alone, also where it is as it was
    for stage in ("active", "archived"):
        ended = mine.patch(path, json={"stage": stage, "sunset_at": isoformat(end)}, headers=ANY)
        assert (ended.status, ended.json()["errors"][0]["pointer"]) == (422, "/sunset_at")
    again = mine.patch(path, json={"stage": "deprecated", "sunset_at": isoformat(end)}, headers=ANY)
    assert again.json()["deprecated_at"] == answer.json()["deprecated_at"]
    # its end may move, and be taken back
    later = mine.patch(path, json={"sunset_at": isoformat(end + timedelta(days=1))}, headers=ANY)
    assert later.json()["deprecated_at"] == answer.json()["deprecated_at"]
    assert parsedate_to_datetime(later.headers["sunset"]) == end + timedelta(days=1)
    assert "sunset" not in mine.patch(path, json={"sunset_at": None}, headers=ANY).headers
    active = mine.patch(path, json={"stage": "active"}, headers=ANY)
    assert (active.json()["deprecated_at"], active.json()["sunset_at"]) == (None, None)
    assert "deprecation" not in active.headers
    assert route_of(model).pick(1).notices == {}


def test_archived_versions_are_gone_and_may_come_back(mine, make, route_of):
    model = make(versions=2)
    path = f"/models/{model}/versions/v2"
    assert mine.patch(path, json={"stage": "archived"}, headers=ANY).status == 200
    with pytest.raises(VersionArchived) as caught:
        route_of(model).pick(2)
    assert caught.value.status == 410
    assert route_of(model).pick(None).number == 1
    assert mine.patch(path, json={"stage": "active"}, headers=ANY).status == 200
    assert route_of(model).pick(2).number == 2


@pytest.mark.parametrize(("method", "body"), [("PATCH", {"stage": "archived"}), ("DELETE", None)])
def test_the_version_that_answers_cannot_go(mine, make, method, body):
    answer = mine.request(method, f"/models/{make(versions=2)}/versions/v1", json=body, headers=ANY)
    assert (answer.status, answer.json()["code"]) == (409, "version_in_use")


def test_what_is_not_ready_has_no_stage(mine, make):
    path = f"/models/{make(arrive=False)}/versions/v1"
    answer = mine.patch(path, json={"stage": "deprecated"}, headers=ANY)
    assert (answer.status, answer.json()["code"]) == (409, "version_not_ready")
    assert mine.patch(path, json={"stage": "active"}, headers=ANY).status == 200


def test_stages_are_in_the_audit_trail(mine, make, database, user):
    path = f"/models/{make(versions=2)}/versions/v2"
    mine.patch(path, json={"stage": "deprecated"}, headers=ANY)
    mine.patch(path, json={"description": "x"}, headers=ANY)
    with database.transaction() as session:
        (entry,) = session.scalars(select(AuditEntry).where(AuditEntry.action == "version.stage"))
        assert (entry.user_id, entry.details) == (user.id, {"before": "active", "after": "deprecated"})


# Deletion and return


def test_a_deleted_model_is_away_and_comes_back(mine, make, redis_client, user, route_of):
    model = make(versions=2)
    before = mine.get(f"/models/{model}").json()
    answer = mine.delete(f"/models/{model}", headers=etag(mine, f"/models/{model}"))
    assert answer.status == 200
    told = answer.json()
    assert told["restore_url"] == f"https://api.example.com/api/models/{model}/restore"
    assert told["version"] is None
    assert told["purge_at"] > told["deleted_at"]
    for path in ("", "/versions", "/versions/v1"):
        assert mine.get(f"/models/{model}{path}").status == 404
    assert mine.get("/models").json()["items"] == []
    (listed,) = mine.get("/models?deleted=true").json()["items"]
    assert (listed["model_id"], listed["purge_at"]) == (model, told["purge_at"])
    assert redis_client.get(route_key(user.id, model)) == GONE
    with pytest.raises(ModelNotFound):
        route_of(model)
    restored = mine.post(f"/models/{model}/restore")
    assert restored.status == 200
    unchanged = set(before) - {"updated_at"}
    assert {key: restored.json()[key] for key in unchanged} == {key: before[key] for key in unchanged}
    assert sorted(route_of(model).versions) == [1, 2]
    again = mine.post(f"/models/{model}/restore")
    assert (again.status, "deleted=true" in again.json()["detail"]) == (404, True)


def test_the_name_of_a_deleted_model_is_free(mine, make):
    model = make()
    mine.delete(f"/models/{model}", headers=ANY)
    again = make()
    assert again != model
    answer = mine.post(f"/models/{model}/restore")
    assert (answer.status, answer.json()["code"]) == (409, "name_taken")
    mine.delete(f"/models/{again}", headers=ANY)
    assert mine.post(f"/models/{model}/restore").status == 200


def test_a_deleted_version_is_away_and_comes_back(mine, make, route_of):
    model = make(versions=3)
    answer = mine.delete(f"/models/{model}/versions/v3", headers=ANY)
    assert answer.status == 200
    assert answer.json()["version"] == "v3"
    assert mine.get(f"/models/{model}/versions/v3").status == 404
    assert [item["version"] for item in mine.get(f"/models/{model}/versions").json()["items"]] == ["v2", "v1"]
    assert mine.get(f"/models/{model}").json()["latest_version"] == "v2"
    (deleted,) = mine.get(f"/models/{model}/versions?deleted=true").json()["items"]
    assert (deleted["version"], deleted["purge_at"]) == ("v3", answer.json()["purge_at"])
    assert sorted(route_of(model).versions) == [1, 2]
    make()
    assert mine.get(f"/models/{model}").json()["latest_version"] == "v4"  # numbers are never given twice
    assert mine.post(f"/models/{model}/versions/v3/restore").status == 200
    assert sorted(route_of(model).versions) == [1, 2, 3, 4]
    again = mine.post(f"/models/{model}/versions/v3/restore")
    assert (again.status, "deleted=true" in again.json()["detail"]) == (404, True)


def test_a_version_deleted_while_it_is_on_its_way_is_not_registered(mine, make, cloud, registration, rows):
    announced = mine.post("/models/upload", json={"name": "x", "filename": "m", "size": 7}).json()
    assert mine.delete(f"/models/{announced['model_id']}/versions/v1", headers=ANY).status == 200
    key = announced["upload"]["fields"]["key"]
    assert registration.register(Arrival(key, cloud.put(key, b"a model"))) == "ignored"
    assert rows.versions()[0].status == "pending"


def test_a_dropped_file_whose_version_was_deleted_is_not_registered_again(
    mine, user, cloud, registration, rows
):
    key = f"uploads/{user.id}/churn/m.joblib"
    first = Arrival(key, cloud.put(key, b"a model"))
    registration.register(first)
    second = Arrival(key, cloud.put(key, b"another"))
    registration.register(second)
    model = rows.models()[0].id
    assert mine.delete(f"/models/{model}/versions/v2", headers=ANY).status == 200
    assert registration.register(second) == "ignored"
    assert len(rows.versions()) == 2


@pytest.mark.parametrize(("table", "tail"), [(Model, ""), (ModelVersion, "/versions/v2")])
def test_after_the_stated_time_nothing_comes_back(mine, make, database, table, tail):
    path = f"/models/{make(versions=2)}{tail}"
    mine.delete(path, headers=ANY)
    with database.transaction() as session:
        session.execute(
            update(table)
            .where(table.deleted_at.is_not(None))
            .values(deleted_at=utc_now() - timedelta(days=30, seconds=1))
        )
    assert mine.post(f"{path}/restore").status == 404


# Cached answers


@pytest.mark.parametrize(
    ("tail", "method", "body", "left"),
    [
        ("/versions/v2", "PATCH", {"stage": "archived"}, {1, 3}),
        ("/versions/v2", "DELETE", None, {1, 3}),
        ("/versions/v2", "PATCH", {"stage": "deprecated"}, {1, 2, 3}),
        ("", "DELETE", None, {3}),
    ],
)
def test_answers_do_not_outlive_what_gave_them(
    mine, make, rows, redis_client, user, tail, method, body, left
):
    model = make(versions=2)
    other = make("other")
    ids = {version.number: version.id for version in rows.versions() if version.model_id == model}
    ids[3] = next(version.id for version in rows.versions() if version.model_id == other)
    keys = {number: answer_key(user.id, f"{version_id}:{'0' * 40}") for number, version_id in ids.items()}
    for key in keys.values():
        redis_client.set(key, json.dumps({}))
    assert mine.request(method, f"/models/{model}{tail}", json=body, headers=ANY).status == 200
    assert {number for number, key in keys.items() if redis_client.exists(key)} == left


# The cache of a model's answers


def test_the_cache_is_as_its_owner_wants_it(mine, make, route_of):
    model = make()
    path = f"/models/{model}"
    assert mine.get(path).json()["cache"] == {"enabled": True, "ttl_seconds": 3600}
    for change, shown, seconds in (
        ({"ttl_seconds": 60}, {"enabled": True, "ttl_seconds": 60}, 60),
        ({"enabled": False}, {"enabled": False, "ttl_seconds": None}, 0),
        ({}, {"enabled": True, "ttl_seconds": 3600}, 3600),
    ):
        answer = mine.patch(path, json={"cache": change}, headers=etag(mine, path))
        assert (answer.status, answer.json()["cache"]) == (200, shown)
        assert mine.get(path).json()["cache"] == mine.get("/models").json()["items"][0]["cache"] == shown
        assert route_of(model).answer_seconds == seconds  # published at once


def test_switching_the_cache_off_forgets_what_was_kept(mine, make, rows, user, redis_client):
    model, other = make(versions=2), make("other")
    keys = {
        version.model_id + str(version.number): answer_key(user.id, f"{version.id}:{'0' * 40}")
        for version in rows.versions()
    }
    for key in keys.values():
        redis_client.set(key, b"x")
    shorter = mine.patch(f"/models/{model}", json={"cache": {"ttl_seconds": 5}}, headers=ANY)
    assert shorter.status == 200
    assert all(redis_client.exists(key) for key in keys.values())
    mine.patch(f"/models/{model}", json={"cache": {"enabled": False}}, headers=ANY)
    assert [name for name, key in keys.items() if redis_client.exists(key)] == [other + "1"]
