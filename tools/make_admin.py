"""Makes the first administrator: `python -m tools.make_admin ada@example.com --stage dev`.

It invokes the function `make_admin`, so it takes the right to invoke it and nothing else, and it works once:
as long as there is no administrator. He then makes others with `PATCH /api/users/{id}`. Credentials, region
and `AWS_ENDPOINT_URL` come from the environment, as for `tools.deploy`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from tools.deploy import clients


def invoke(client: Any, stage: str, email: str) -> dict[str, str]:
    """The function's answer: `user_id` or `error`."""
    answer = client.invoke(
        FunctionName=f"modelyard-{stage}-make_admin", Payload=json.dumps({"email": email}).encode()
    )
    body: dict[str, str] = json.loads(answer["Payload"].read())
    if answer.get("FunctionError"):
        return {"error": "The function failed; its log says why."}
    return body


def main(arguments: Sequence[str] | None = None, make: Callable[[str], Any] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("email", help="of a user who has registered")
    parser.add_argument("--stage", default="local")
    given = parser.parse_args(arguments)
    answer = invoke((make or clients(os.environ))("lambda"), given.stage, given.email)
    if "user_id" in answer:
        print(f"{answer['user_id']} is an administrator from the next login on")
        return 0
    print(answer.get("error", "no answer"), file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
