"""Where Node.js and the CDK command line are: the machine's, or those that `make setup` brought."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


class NotSetUp(RuntimeError):
    """`make setup` has not run."""


# jsii prints a screenful about Node.js releases that it has not tested, or that are past their support.
RELEASES = ",".join(map(str, range(20, 40)))
QUIET = {
    "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION": RELEASES,
    "JSII_SILENCE_WARNING_DEPRECATED_NODE_VERSION": RELEASES,
    "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": RELEASES,
}


def search_path() -> str:
    """`PATH` with our own Node.js first where `make setup` installed one."""
    own = ROOT / ".node" / "tools"
    path = os.environ.get("PATH", os.defpath)
    return f"{own}{os.pathsep}{path}" if own.is_dir() else path


def cdk_command() -> list[str]:
    """The pinned CDK command line."""
    node = shutil.which("node", path=search_path())
    cdk = ROOT / "node_modules" / "aws-cdk" / "bin" / "cdk"
    if node is None or not cdk.exists():
        raise NotSetUp("Node.js or the CDK command line is missing: run `make setup`")
    return [node, str(cdk)]
