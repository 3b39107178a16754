"""The pieces of the local cloud that need no cloud: what is kept, what is found, what is ended."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tools.local.cloud import LocalCloud, Settings
from tools.local.demo import Demo
from tools.local.processes import descendants
from tools.local.run import what_next
from tools.local.services import Process, ServiceFailed, free_port, wait_until

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


def test_settings_stay_the_same_and_private(tmp_path: Path):
    file = tmp_path / "settings.json"
    first = Settings(file)
    kept = (first.secret("redis_password"), first.port("redis"))

    again = Settings(file)

    assert (again.secret("redis_password"), again.port("redis")) == kept
    assert file.stat().st_mode & 0o077 == 0


def test_a_port_that_somebody_took_is_replaced(tmp_path: Path):
    settings = Settings(tmp_path / "settings.json")
    before = settings.port("redis")
    with socket.create_server(("127.0.0.1", before)):
        assert settings.port("redis") != before


def test_a_port_that_was_asked_for_and_is_taken_says_which_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("MODELYARD_REDIS_PORT", str(taken.getsockname()[1]))

        with pytest.raises(ServiceFailed, match="MODELYARD_REDIS_PORT"):
            Settings(tmp_path / "settings.json").port("redis")


@pytest.mark.parametrize("missing", ["settings.json", "postgres/data", "cloud/state"])
def test_part_of_the_data_gone_makes_all_of_it_anew(tmp_path: Path, missing: str):
    data = tmp_path / "data"
    for part in {"settings.json", "postgres/data", "cloud/state"} - {missing}:
        (data / part).mkdir(parents=True)
    cloud = LocalCloud(tmp_path, port=free_port())

    cloud._settle_data()

    assert list(data.iterdir()) == []


def test_complete_data_stays(tmp_path: Path):
    data = tmp_path / "data"
    for part in ("settings.json", "postgres/data", "cloud/state"):
        (data / part).mkdir(parents=True)

    LocalCloud(tmp_path, port=free_port())._settle_data()

    assert len(list(data.iterdir())) == 3


def test_one_folder_serves_one_process(tmp_path: Path):
    first, second = (LocalCloud(tmp_path, port=free_port()) for _ in range(2))
    first._take()

    with pytest.raises(ServiceFailed, match="already runs"):
        second._take()

    first.stop()
    second._take()
    second.stop()


def test_a_process_that_ends_at_once_shows_its_log(tmp_path: Path):
    process = Process(
        [sys.executable, "-c", "print('no such option'); raise SystemExit(3)"], tmp_path / "log"
    )
    process.start()

    with pytest.raises(ServiceFailed, match=r"status 3(.|\n)*no such option"):
        wait_until(lambda: False, seconds=20, what="It", process=process)

    process.stop()


def test_waiting_has_an_end():
    with pytest.raises(ServiceFailed, match="It was not ready"):
        wait_until(lambda: False, seconds=0.1, what="It")


def test_a_stopped_process_takes_its_group_along(tmp_path: Path):
    parent = f"import subprocess, time; subprocess.Popen({SLEEP!r}); print('up', flush=True); time.sleep(60)"
    process = Process([sys.executable, "-c", parent], tmp_path / "log")
    process.start()
    wait_until(lambda: "up" in process.log_tail(), seconds=20, what="It", process=process)
    below = descendants(process.pid)

    process.stop()
    process.stop()

    assert len(below) == 1
    wait_until(lambda: below[0] not in descendants(1), seconds=10, what="The end of its child")
    assert not process.running


def test_descendants_are_found_by_generation():
    child = subprocess.Popen(
        [sys.executable, "-c", f"import subprocess; subprocess.run({SLEEP!r})"], start_new_session=True
    )
    try:
        wait_until(lambda: len(descendants(child.pid)) == 1, seconds=20, what="Its child")
        assert {child.pid, *descendants(child.pid)} <= set(descendants())
    finally:
        for pid in descendants(child.pid):
            subprocess.run(["kill", str(pid)], check=False, timeout=10)
        child.wait(10)


def test_what_is_printed_names_the_running_model():
    demo = Demo("tok", "mdl_1", "v1", [[1.0, 2.0]], ["setosa"], uploaded=True)

    text = what_next("http://localhost:8000/api", demo)

    assert "export TOKEN=tok\n" in text
    assert "export MODEL=mdl_1\n" in text
    assert '{"inputs": [[1.0, 2.0]]}' in text
