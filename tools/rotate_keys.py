"""Rotates the keys that sign tokens, now: `python -m tools.rotate_keys --stage dev [--emergency]`.

Without `--emergency` it does what the schedule does every 30 days: nobody notices. With it every key is
thrown away, for when one has leaked: all tokens end, within the five minutes that warm functions keep the
secret, and everybody logs in again; API keys go on. It takes the right to invoke `rotate_keys`. Credentials,
region and `AWS_ENDPOINT_URL` come from the environment, as for `tools.deploy`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from tools.deploy import clients


def main(arguments: Sequence[str] | None = None, make: Callable[[str], Any] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stage", default="local")
    parser.add_argument(
        "--emergency", action="store_true", help="throw every key away; everybody logs in again"
    )
    given = parser.parse_args(arguments)
    answer = (make or clients(os.environ))("lambda").invoke(
        FunctionName=f"modelyard-{given.stage}-rotate_keys",
        Payload=json.dumps({"emergency": given.emergency}).encode(),
    )
    body = json.loads(answer["Payload"].read())
    if answer.get("FunctionError"):
        print("The function failed; its log says why.", file=sys.stderr)
        return 1
    print("rotated" if body["rotated"] else "not rotated: the last time was less than 8 days ago")
    return 0


if __name__ == "__main__":
    sys.exit(main())
