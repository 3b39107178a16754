"""Prints what a function of the running local cloud logged: `python -m tools.local.logs predict`."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime

from tools.deploy import clients
from tools.local.cloud import STAGE
from tools.local.emulator import operator_environment
from tools.local.run import FOLDER


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.local.logs")
    parser.add_argument("function", help="a folder of functions/")
    parser.add_argument("--lines", type=int, default=50)
    arguments = parser.parse_args()
    settings = FOLDER / "data" / "settings.json"
    if not settings.exists():
        print("no local cloud here: run `make run` first")
        return 1
    port = json.loads(settings.read_text())["cloud_port"]
    logs = clients(operator_environment(port))("logs")
    group = f"/aws/lambda/modelyard-{STAGE}-{arguments.function}"
    try:
        events = logs.filter_log_events(logGroupName=group)["events"]
    except logs.exceptions.ResourceNotFoundException:
        print(f"there is no log group {group}")
        return 1
    for event in events[-arguments.lines :]:
        moment = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
        print(moment.strftime("%H:%M:%S"), event["message"].rstrip())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
