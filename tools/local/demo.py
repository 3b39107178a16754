"""What a newcomer would do first: an account, a model trained on the spot, an upload, a prediction.

Everything goes over HTTP through the front door, with the calls that the printed commands repeat. The second
time it finds account and model as it left them.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

EMAIL = "demo@modelyard.example"
MODEL = "iris-forest"
READY_WITHIN = 180.0  # seconds; the first inspection unpacks and imports scikit-learn


class DemoFailed(RuntimeError):
    """The platform answered what a newcomer should not see; the message says what and where to look."""


@dataclass(frozen=True)
class Demo:
    """What came of it: enough to print commands that work."""

    token: str
    model_id: str
    version: str
    rows: list[list[float]]
    predictions: list[Any]
    uploaded: bool


def show(url: str, password: str, *, say: Callable[[str], None] = lambda _: None) -> Demo:
    """Registers or logs in, uploads or finds the model, predicts. `url` ends with `/api`."""
    with httpx.Client(base_url=url, timeout=60.0, trust_env=False) as api:
        say("account")
        token = _log_in(api, password)
        api.headers["Authorization"] = f"Bearer {token}"
        model_id = _find(api)
        uploaded = model_id is None
        if model_id is None:
            say("training a random forest")
            content, _ = train()
            say("upload")
            model_id = _upload(api, content)
        say("waiting until the version is ready")
        version = _wait(api, model_id)
        say("prediction")
        rows = [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]
        answer = _check(api.post(f"/predict/{model_id}", json={"inputs": rows}), 200)
        return Demo(token, model_id, version, rows, answer["predictions"], uploaded)


def train() -> tuple[bytes, Any]:
    """A forest of 100 trees on the iris data, saved by joblib, and the estimator itself."""
    import joblib
    from sklearn.datasets import load_iris
    from sklearn.ensemble import RandomForestClassifier

    data = load_iris()
    labels = data.target_names[data.target]
    forest = RandomForestClassifier(n_estimators=100, random_state=7).fit(data.data, labels)
    buffer = io.BytesIO()
    joblib.dump(forest, buffer)
    return buffer.getvalue(), forest


def _log_in(api: httpx.Client, password: str) -> str:
    account = {"email": EMAIL, "password": password}
    answer = api.post("/auth/register", json={**account, "name": "Demo"})
    _check(answer, 201)  # also where the account exists already: that is nobody else's business
    return str(_check(api.post("/auth/login", json=account), 200)["access_token"])


def _find(api: httpx.Client) -> str | None:
    models = _check(api.get("/models", params={"limit": 100}), 200)["items"]
    return next((m["model_id"] for m in models if m["name"] == MODEL and m.get("default_version")), None)


def _upload(api: httpx.Client, content: bytes) -> str:
    order = {
        "name": MODEL,
        "filename": "forest.joblib",
        "size": len(content),
        "description": "made by `make run`",
    }
    created = _check(api.post("/models/upload", json=order), 201)
    form = created["upload"]
    sent = httpx.post(
        form["url"], data=form["fields"], files={"file": content}, timeout=60.0, trust_env=False
    )
    if sent.status_code not in (200, 201, 204):
        raise DemoFailed(f"the upload was answered with {sent.status_code}; look into .local/logs/cloud.log")
    return str(created["model_id"])


def _wait(api: httpx.Client, model_id: str) -> str:
    deadline = time.monotonic() + READY_WITHIN
    while True:
        newest = _check(api.get(f"/models/{model_id}/versions"), 200)["items"][0]
        if newest["status"] == "ready":
            return str(newest["version"])
        if newest["status"] == "failed":
            raise DemoFailed(f"the demo's model was refused: {newest.get('reason')}")
        if time.monotonic() > deadline:
            raise DemoFailed(
                f"the demo's model was still {newest['status']} after {READY_WITHIN:.0f} s; "
                "look into .local/logs/cloud.log"
            )
        time.sleep(0.5)


def _check(answer: httpx.Response, status: int) -> dict[str, Any]:
    if answer.status_code != status:
        request = answer.request
        raise DemoFailed(
            f"{request.method} {request.url.path} answered {answer.status_code} instead of {status}: "
            f"{answer.text[:400]}\nThe functions' own words stand in .local/logs/cloud.log"
        )
    body: dict[str, Any] = answer.json()
    return body
