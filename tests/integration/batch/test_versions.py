"""Which version a job asks: the one that is named, or the champion, whatever becomes of single requests."""

from __future__ import annotations

import pytest
from modelyard.db.tables import Model, ModelAlias, ModelVersion
from modelyard.kit.ids import new_id
from sqlalchemy import select

from tests.support.serving import forest


@pytest.fixture(scope="module")
def trained():
    return forest(trees=5)


@pytest.fixture
def model(composition, cloud, user, trained, model_of):
    """v1 is the champion, v2 the challenger, and 99 % of the requests go to v2."""
    model_id = model_of(user, trained)
    folder = f"models/{user.id}/{model_id}"
    cloud.put(f"{folder}/v2/metadata.json", cloud.read(f"{folder}/v1/metadata.json"))
    with composition.database.transaction() as session:
        first = session.scalars(select(ModelVersion).where(ModelVersion.model_id == model_id)).one()
        columns = {column.key: getattr(first, column.key) for column in ModelVersion.__mapper__.column_attrs}
        second = {"id": new_id("ver"), "number": 2, "upload_key": first.upload_key + "2"}
        session.add(ModelVersion(**(columns | second)))
        session.add(ModelAlias(model_id=model_id, alias="challenger", user_id=user.id, number=2))
        session.get_one(Model, model_id).traffic = {"1": 1, "2": 99}
    return model_id


@pytest.mark.parametrize(
    ("query", "version"),
    [("", "v1"), ("?alias=champion", "v1"), ("?alias=challenger", "v2"), ("?version=v2", "v2")],
)
def test_a_job_asks_one_version(api, model, trained, deliver, query, version):
    answer = api.post(f"/predict/batch/{model}{query}", json={"inputs": trained.rows[:3]})
    assert answer.status == 202, answer.text
    assert deliver() == []
    job = api.get(f"/jobs/{answer.json()['job_id']}").json()
    assert (job["status"], job["model_version"]) == ("succeeded", version)


def test_an_alias_of_a_file_is_told_apart_from_a_version(api, model):
    answer = api.post(f"/predict/batch/{model}?alias=v2", json={"input": {"upload": "none"}})
    assert (answer.status, answer.json()["code"]) == (404, "alias_not_found")
    wrong = api.post(f"/predict/batch/{model}?alias=champion&version=2", json={"inputs": [[1, 2, 3, 4]]})
    assert wrong.json()["errors"] == [
        {"pointer": "query:alias", "detail": "expected either version or alias"}
    ]
