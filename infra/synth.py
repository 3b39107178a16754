"""`make synth`: the CloudFormation templates of every stage below `cdk.out/`, offline."""

from __future__ import annotations

import os
import subprocess
import sys

from infra.stages import STAGES
from tools.node import QUIET, ROOT, NotSetUp, cdk_command, search_path

PATIENCE = 1200  # seconds for one stage, layers included
# Synthesis must not look anything up: without an account, CDK would take the one of the shell.
OFFLINE = {"CDK_DEFAULT_ACCOUNT": "", "CDK_DEFAULT_REGION": ""}


def main() -> int:
    environment = {**os.environ, **QUIET, **OFFLINE, "PATH": search_path()}
    for stage in STAGES:
        try:
            command = [*cdk_command(), "synth", "--quiet", "--no-notices", "--no-lookups"]
        except NotSetUp as error:
            print(error, file=sys.stderr)
            return 1
        out = ROOT / "cdk.out" / stage
        command += ["--context", f"stage={stage}", "--output", str(out)]
        done = subprocess.run(command, cwd=ROOT, env=environment, check=False, timeout=PATIENCE)
        if done.returncode != 0:
            return done.returncode
        print(f"{stage}: {out.relative_to(ROOT)}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
