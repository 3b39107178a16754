"""The README, with nothing but curl."""

from __future__ import annotations

import json
import secrets
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.e2e.conftest import Cloud
from tests.support.estimators import dumped, forest, iris


class Curl:
    """Runs curl and keeps the token, as a shell session would."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.headers: list[str] = []

    def run(self, path: str, *arguments: str) -> str:
        place = path if path.startswith("http") else self.url + path
        command = ["curl", "--silent", "--show-error", "--max-time", "60", place, *self.headers, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def json(self, path: str, *arguments: str) -> Any:
        return json.loads(self.run(path, *arguments))

    def post(self, path: str, body: Any, *arguments: str) -> str:
        return self.run(path, "-H", "Content-Type: application/json", "-d", json.dumps(body), *arguments)

    def until(self, path: str, statuses: set[str]) -> Any:
        deadline = time.monotonic() + 240
        while (found := self.json(path))["status"] not in statuses:
            assert time.monotonic() < deadline, found
            time.sleep(1)
        return found


def test_a_newcomer_needs_nothing_but_curl(cloud: Cloud, tmp_path: Path):
    curl, x = Curl(cloud.url), iris()[0]
    login = {"email": f"curl-{secrets.token_hex(5)}@example.com", "password": secrets.token_urlsafe(12)}
    file = tmp_path / "model.joblib"
    file.write_bytes(dumped(forest()))

    # register, log in
    assert json.loads(curl.post("/auth/register", {**login, "name": "Newcomer"}))["email"] == login["email"]
    token = json.loads(curl.post("/auth/login", login))["access_token"]
    curl.headers = ["-H", f"Authorization: Bearer {token}"]

    # upload as multipart, and through the presigned form
    along = curl.json("/models/upload", "-F", "name=along", "-F", f"file=@{file}")
    order = {"name": "presigned", "filename": file.name, "size": file.stat().st_size}
    created = json.loads(curl.post("/models/upload", order))
    fields = [
        word for name, value in created["upload"]["fields"].items() for word in ("-F", f"{name}={value}")
    ]
    bare = Curl("")
    status = bare.run(created["upload"]["url"], *fields, "-F", f"file=@{file}", "-w", "%{http_code}")
    assert status[-3:] in ("200", "201", "204")

    # wait until both are ready
    for upload in (along, created):
        version = curl.until(upload["status_url"], {"ready", "failed"})
        assert version["status"] == "ready", version["reason"]

    # predict, twice
    expected = forest().predict(x[::10]).tolist()
    answers = [
        curl.post(f"/predict/{along['model_id']}", {"inputs": x[::10].tolist()}, "-i") for _ in range(2)
    ]
    caches = []
    for answer in answers:
        head, _, body = answer.rpartition("\n\n")
        assert json.loads(body)["predictions"] == expected
        caches += [line.split(": ")[1] for line in head.splitlines() if line.lower().startswith("x-cache")]
    assert caches == ["MISS", "HIT"]

    # 1,000 rows as a job
    rows = tmp_path / "rows.json"
    many = x[[i % len(x) for i in range(1000)]]
    rows.write_text(json.dumps({"inputs": many.tolist()}))
    submitted = curl.json(
        f"/predict/batch/{created['model_id']}", "-H", "Content-Type: application/json", "-d", f"@{rows}"
    )
    job = curl.until(submitted["status_url"], {"succeeded", "failed"})
    assert job["status"] == "succeeded", job["reason"]
    page = curl.json(f"{job['results_url']}?limit=1000")
    assert [item["prediction"] for item in page["items"]] == forest().predict(many).tolist()
