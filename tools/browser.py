"""A headless browser for the test of the documentation pages: found, or installed where we may.

`python -m tools.browser` (part of `make test`) installs Chromium on Debian and Ubuntu when run as root and
finds none. `MODELYARD_BROWSER` and `MODELYARD_DRIVER` name others.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
DRIVERS = ("chromedriver", "chromium.chromedriver")
DRIVER_PLACES = "/usr/lib/chromium:/usr/lib/chromium-browser:/snap/bin"
PATIENCE = 600  # seconds for the package manager
HOW = "install Chromium and its driver (Debian, Ubuntu: apt-get install chromium chromium-driver)"


class NoBrowser(RuntimeError):
    """There is no browser to test with; the message says what to install."""


@dataclass(frozen=True)
class Browser:
    """Paths of a Chromium and of the driver that speaks to it."""

    binary: str
    driver: str


def find() -> Browser:
    """The browser of this machine; raises `NoBrowser`."""
    binary = os.environ.get("MODELYARD_BROWSER") or _first(BROWSERS)
    driver = os.environ.get("MODELYARD_DRIVER") or _first(DRIVERS)
    if binary is None or driver is None:
        missing = "browser" if binary is None else "driver for " + binary
        raise NoBrowser(f"no {missing} found: {HOW}")
    return Browser(binary, driver)


def _first(names: tuple[str, ...]) -> str | None:
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), DRIVER_PLACES])
    return next((found for name in names if (found := shutil.which(name, path=path))), None)


def install() -> None:
    """Debian's Chromium, where we are root and apt-get is there; raises `NoBrowser`."""
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise NoBrowser(f"no browser found, and this user cannot install one: {HOW}")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    print("setup: Chromium, for the test of the documentation pages", flush=True)
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-qq", "-y", "--no-install-recommends", "chromium", "chromium-driver"],
    ):
        done = subprocess.run(
            command, env=quiet, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        if done.returncode != 0 and command[1] == "install":
            raise NoBrowser(f"apt-get could not install Chromium; {HOW}:\n{done.stderr[-2000:]}")


def main() -> int:
    try:
        find()
    except NoBrowser:
        try:
            install()
            find()
        except (NoBrowser, subprocess.TimeoutExpired) as error:
            print(error)
            return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
