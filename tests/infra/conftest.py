"""Every stage is synthesised once per test run, by the command of cdk.json, without a network."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from infra.stages import STAGES, stage_named
from tests.infra.template import Synthesised
from tools.layers import Builder, Built
from tools.node import QUIET, ROOT, search_path
from tools.recipes import LAYERS

# Where a synthesis that asks anybody anything would hang or fail
NOWHERE = "http://127.0.0.1:9"
OFFLINE = {
    **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"), NOWHERE),
    "AWS_EC2_METADATA_DISABLED": "true",
    "UV_OFFLINE": "1",
}


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    with lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _shared(factory: pytest.TempPathFactory) -> Path:
    """A folder that the workers of one run share."""
    base = factory.getbasetemp()
    return base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base


def _synthesise(stage: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = json.loads((ROOT / "cdk.json").read_text())["app"].split()
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CDK_"))}
    return subprocess.run(
        command,
        cwd=ROOT,
        env={
            **clean,
            **QUIET,
            **OFFLINE,
            "PATH": search_path(),
            "CDK_OUTDIR": str(folder),
            "CDK_CONTEXT_JSON": json.dumps({"stage": stage}),
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.fixture(scope="session")
def layers() -> Callable[[str], dict[str, Built]]:
    """All layers of a target, built where they are not there yet."""

    def build(target: str) -> dict[str, Built]:
        builder = Builder(target)  # type: ignore[arg-type]
        return {name: builder.layer(name) for name in LAYERS}

    return build


@pytest.fixture(scope="session")
def synthesised(
    tmp_path_factory: pytest.TempPathFactory, layers: Callable[[str], dict[str, Built]]
) -> Callable[[str], Synthesised]:
    """The assembly of a stage by the stage's name."""
    home = _shared(tmp_path_factory)
    made: dict[str, Synthesised] = {}

    def of(stage: str) -> Synthesised:
        if stage not in made:
            layers(stage_named(stage).layers_for)
            folder = home / f"cdk-{stage}"
            with _alone(home / f"cdk-{stage}.lock"):
                if not (folder / "done.json").exists():
                    done = _synthesise(stage, folder)
                    folder.mkdir(exist_ok=True)
                    output = {"status": done.returncode, "output": done.stdout + done.stderr}
                    (folder / "done.json").write_text(json.dumps(output))
            made[stage] = Synthesised.read(stage, folder)
        return made[stage]

    return of


@pytest.fixture(scope="session", params=sorted(STAGES))
def each_stage(request: pytest.FixtureRequest, synthesised: Callable[[str], Synthesised]) -> Synthesised:
    """The test runs once per stage."""
    return synthesised(request.param)
