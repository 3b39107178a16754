"""Files that must not be opened, or cannot: each is refused with a reason, and none runs anything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import Cloud
from tests.support.account import Account, expect, send_form
from tests.support.estimators import command_joblib, command_pickle, dumped, forest

GOOD = "model.joblib"


@pytest.fixture(scope="module")
def user(account: Callable[[], Account]) -> Account:
    return account()


@pytest.mark.parametrize("craft", [command_pickle, command_joblib])
@pytest.mark.parametrize("filename", ["model.pkl", GOOD])
def test_a_pickle_that_would_run_a_command_is_refused_and_runs_nothing(
    user: Account, tmp_path: Path, craft: Callable[[Path], bytes], filename: str
):
    marker = tmp_path / "ran"

    version = user.wait(user.upload("hostile", craft(marker), filename=filename))

    assert version["status"] == "failed"
    assert version["reason"]["rule"] == "global"
    assert "names the global" in version["reason"]["detail"]
    assert not marker.exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("truncated", dumped(forest())[:-1000]),
        ("text", b"this is a note, not a model\n" * 20),
        ("html", b"<!doctype html><html><body>404</body></html>"),
        ("zeros", bytes(4096)),
    ],
)
def test_what_is_no_model_fails_with_a_reason_to_act_on(user: Account, name: str, content: bytes):
    version = user.wait(user.upload(name, content))

    assert version["status"] == "failed"
    assert len(version["reason"]["detail"]) > 20
    assert "Traceback" not in version["reason"]["detail"]


def test_an_empty_file_is_refused_at_once_or_fails(user: Account, cloud: Cloud):
    announced = user.api.post("/models/upload", json={"name": "empty", "filename": GOOD, "size": 0})
    along = user.api.post("/models/upload", data={"name": "empty"}, files={"file": (GOOD, b"")})

    assert announced.status_code == 422
    assert along.status_code == 422


def test_an_empty_file_in_the_bucket_fails_with_a_reason(user: Account, cloud: Cloud):
    key = f"uploads/{user.user_id}/empty-drop/{GOOD}"
    cloud.client("s3").put_object(Bucket=cloud.bucket, Key=key, Body=b"")

    models = user.poll("/models", lambda page: any(m["name"] == "empty-drop" for m in page["items"]))["items"]
    model_id = next(m["model_id"] for m in models if m["name"] == "empty-drop")
    version = user.wait({"status_url": f"/models/{model_id}/versions/v1"})

    assert version["status"] == "failed"
    assert "empty" in version["reason"]["detail"]


def test_a_file_larger_than_declared_is_refused_by_storage(user: Account):
    created = user.announce("larger", GOOD, 1000)

    sent = send_form(created["upload"], b"x" * 5000)

    assert sent.status_code in (400, 403)
    assert "EntityTooLarge" in sent.text
    assert expect(user.api.get(created["status_url"]), 200)["status"] == "pending"


def test_a_wrong_checksum_is_refused(user: Account):
    content = dumped(forest())
    created = user.announce("checksum", GOOD, len(content), sha256="0" * 64)

    sent = send_form(created["upload"], content)

    if sent.status_code < 300:  # storage that does not check leaves it to the registration
        version = user.wait(created)
        assert (version["status"], version["reason"]["rule"]) == ("failed", "checksum_mismatch")
    else:
        assert sent.status_code in (400, 403)


def test_a_failed_version_predicts_nothing(user: Account):
    created = user.upload("hopeless", b"nothing that anybody could load")
    user.wait(created)

    answer = user.predict(created["model_id"], {"inputs": [[1.0]]})

    assert answer.status_code in (404, 409)
    assert answer.headers["content-type"] == "application/problem+json"
