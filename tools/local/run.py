"""`make run`: starts the local cloud, deploys, shows a model being served, and stays until Ctrl-C."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from rich.console import Console

from tools.deploy import DeploymentFailed
from tools.layers import BuildError
from tools.local.cloud import LocalCloud
from tools.local.demo import Demo, DemoFailed, show
from tools.local.processes import adopt_orphans, end_descendants, end_with_parent
from tools.local.services import ServiceFailed
from tools.node import ROOT, NotSetUp

FOLDER = Path(os.environ.get("MODELYARD_LOCAL_FOLDER") or ROOT / ".local")
console = Console(highlight=False, soft_wrap=True)


class Stopped(BaseException):
    """Ctrl-C, or a signal that means the same."""


@contextmanager
def step(title: str) -> Iterator[Callable[[str], None]]:
    """Shows that something is under way and how long it took; the log keeps every line."""
    started = time.monotonic()
    log = FOLDER / "logs" / "run.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as lines, console.status(f"{title} …") as status:

        def say(line: str) -> None:
            print(line, file=lines, flush=True)
            if line.strip():
                status.update(
                    f"{title} … [dim]{line.strip()[: max(20, console.width - len(title) - 8)]}[/dim]"
                )

        yield say
    console.print(f"[green]✓[/green] {title} [dim]{time.monotonic() - started:.1f} s[/dim]")


def stop_on_signals() -> None:
    def handle(_: int, __: FrameType | None) -> None:
        for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(sign, signal.SIG_IGN)  # we are stopping: once is enough
        raise Stopped

    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sign, handle)


def what_next(url: str, demo: Demo) -> str:
    """Commands that can be pasted as they stand."""
    body = json.dumps({"inputs": demo.rows})
    logs = FOLDER / "logs"
    shown = logs.relative_to(ROOT) if logs.is_relative_to(ROOT) else logs
    return f"""
The model "iris-forest" is served; it just predicted {", ".join(map(str, demo.predictions))}. Paste this:

  export API={url}
  export TOKEN={demo.token}
  export MODEL={demo.model_id}

  # predict; send it twice, and the second answer says X-Cache: HIT
  curl -si $API/predict/$MODEL -H "Authorization: Bearer $TOKEN" \\
    -H 'Content-Type: application/json' -d '{body}'

  # your models, and what became of each version
  curl -s $API/models -H "Authorization: Bearer $TOKEN"
  curl -s $API/models/$MODEL/versions -H "Authorization: Bearer $TOKEN"

  # upload a model of your own (saved by joblib), then look at its versions
  curl -s $API/models/upload -H "Authorization: Bearer $TOKEN" -F name=mine -F file=@model.joblib

In the browser: {url}/docs
The token is good for 30 minutes; a new one: POST {url}/auth/login. Logs: {shown}. Stop with Ctrl-C.
"""


def stay(cloud: LocalCloud) -> None:
    """Until a signal ends us, or the emulator ends by itself. PostgreSQL and Redis may come and go."""
    away: set[str] = set()
    while cloud.emulator.process.running:
        for name, service in (("PostgreSQL", cloud.postgres), ("Redis", cloud.redis)):
            if service.process.running:
                away.discard(name)
            elif name not in away:
                away.add(name)
                command = f"python -m tools.local.service start {service.folder.name}"
                console.print(f"[yellow]{name} has ended.[/yellow] It comes back with: .venv/bin/{command}")
        _obey(cloud)
        time.sleep(0.25)
    raise ServiceFailed(f"the cloud emulator has ended:\n{cloud.emulator.process.log_tail()}")


def _obey(cloud: LocalCloud) -> None:
    """Carries out what `python -m tools.local.service` asked for."""
    for service in (cloud.postgres, cloud.redis):
        order = cloud.folder / f"order-{service.folder.name}"
        with contextlib.suppress(FileNotFoundError):
            wish = order.read_text().strip()
            running = service.process.running
            if wish == "stop" and running:
                service.stop()
            elif wish == "start" and not running:
                service.stop()  # clears what is left of the old process
                service.start()
            order.unlink()


def main() -> int:
    port = os.environ.get("PORT") or "8000"
    if not port.isdigit():
        console.print("PORT must be a number, such as PORT=8001", style="red")
        return 2
    if "MAKELEVEL" in os.environ:
        end_with_parent()
    adopt_orphans()
    stop_on_signals()
    cloud = LocalCloud(FOLDER, port=int(port), step=step)
    status = 0
    try:
        cloud.start()
        with step("A model, trained and served") as say:
            demo = show(cloud.url, cloud.settings.secret("demo_password"), say=say)
        print(what_next(cloud.url, demo))
        print(f"ready: {cloud.url}", flush=True)
        stay(cloud)
    except Stopped:
        pass
    except (ServiceFailed, BuildError, DeploymentFailed, DemoFailed, NotSetUp) as error:
        console.print(str(error), style="red", markup=False)
        status = 1
    finally:
        with contextlib.suppress(Stopped), step("Stopped"):
            cloud.stop()
            end_descendants()
    return status


if __name__ == "__main__":
    sys.exit(main())
