"""A user of the platform who has nothing but its URL: registers, uploads, waits, predicts."""

from __future__ import annotations

import secrets
import time
from typing import Any

import httpx

READY_WITHIN = 240.0  # seconds; a first inspection on two busy cores unpacks and imports scikit-learn
POLL = 1.0  # seconds; every user has 100 requests a minute


class Account:
    """One registered, logged-in user. `api` carries the token; its base URL ends with `/api`."""

    def __init__(self, url: str, *, email: str | None = None) -> None:
        self.email = email or f"user-{secrets.token_hex(6)}@example.com"
        self.password = secrets.token_urlsafe(16)
        self.api = httpx.Client(base_url=url, timeout=60.0, trust_env=False)
        body = {"email": self.email, "password": self.password, "name": "Tester"}
        expect(self.api.post("/auth/register", json=body), 201)
        self.log_in()
        self.user_id: str = expect(self.api.get("/users/me"), 200)["id"]

    def log_in(self) -> dict[str, Any]:
        """Begins a session, whose access token goes with all further requests; returns the tokens."""
        self.api.headers.pop("Authorization", None)
        given = {"email": self.email, "password": self.password}
        tokens = expect(self.api.post("/auth/login", json=given), 200)
        self.token: str = tokens["access_token"]
        self.api.headers["Authorization"] = f"Bearer {self.token}"
        return tokens

    def close(self) -> None:
        self.api.close()

    def announce(self, name: str, filename: str, size: int, **more: Any) -> dict[str, Any]:
        order = {"name": name, "filename": filename, "size": size, **more}
        return expect(self.api.post("/models/upload", json=order), 201)

    def upload(
        self, name: str, content: bytes, *, filename: str = "model.joblib", **more: Any
    ) -> dict[str, Any]:
        """Announces the file and sends it to the form that came back, as a browser would."""
        created = self.announce(name, filename, len(content), **more)
        sent = send_form(created["upload"], content)
        assert sent.status_code in (200, 201, 204), sent.text
        return created

    def upload_multipart(
        self, name: str, content: bytes, *, filename: str = "model.joblib"
    ) -> dict[str, Any]:
        answer = self.api.post("/models/upload", data={"name": name}, files={"file": (filename, content)})
        return expect(answer, 202)

    def wait(self, created: dict[str, Any]) -> dict[str, Any]:
        """The version, once it is `ready` or `failed`."""
        return self.poll(created["status_url"], lambda version: version["status"] in ("ready", "failed"))

    def ready(self, created: dict[str, Any]) -> dict[str, Any]:
        version = self.wait(created)
        assert version["status"] == "ready", version["reason"]
        return version

    def predict(self, model_id: str, body: dict[str, Any], **parameters: str) -> httpx.Response:
        return self.api.post(f"/predict/{model_id}", json=body, params=parameters)

    def poll(self, url: str, done: Any, *, seconds: float = READY_WITHIN) -> dict[str, Any]:
        """GETs `url` until `done(body)`; fails with the last answer at the deadline."""
        deadline = time.monotonic() + seconds
        while True:
            body = expect(self.api.get(url), 200)
            if done(body):
                return body
            assert time.monotonic() < deadline, f"not done after {seconds:.0f} s: {body}"
            time.sleep(POLL)


def send_form(form: dict[str, Any], content: bytes) -> httpx.Response:
    return httpx.post(
        form["url"], data=form["fields"], files={"file": content}, timeout=60.0, trust_env=False
    )


def expect(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The JSON body of an answer that must have this status."""
    assert answer.status_code == status, (
        f"{answer.request.method} {answer.url}: {answer.status_code} {answer.text}"
    )
    body: dict[str, Any] = answer.json()
    return body
