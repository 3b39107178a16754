"""Stops and starts PostgreSQL or Redis below a running `make run`, to see how the platform takes it.

python -m tools.local.service stop redis
python -m tools.local.service start postgres
"""

from __future__ import annotations

import argparse
import time

from tools.local.run import FOLDER

PATIENCE = 40.0  # seconds; a start may have to recover


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.local.service")
    parser.add_argument("wish", choices=("start", "stop"))
    parser.add_argument("service", choices=("postgres", "redis"))
    arguments = parser.parse_args()
    order = FOLDER / f"order-{arguments.service}"
    order.write_text(arguments.wish)
    deadline = time.monotonic() + PATIENCE
    while order.exists():
        if time.monotonic() > deadline:
            order.unlink(missing_ok=True)
            print("nobody carried it out: is `make run` active in this folder?")
            return 1
        time.sleep(0.05)
    print(f"{arguments.service}: {'started' if arguments.wish == 'start' else 'stopped'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
