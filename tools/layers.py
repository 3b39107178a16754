"""Builds Lambda layers and function archives without Docker: for Lambda (arm64, Python 3.13) or this machine.

    python -m tools.layers build --for lambda     # what dev and prod deploy
    python -m tools.layers build --for host       # what the local cloud runs
    python -m tools.layers lock                   # after editing layers/*/requirements.in

A layer is the wheels of `layers/<name>/requirements.txt`, trimmed, compiled for its interpreter and zipped.
Results live in `build/layers/<target>/<name>-<key>`; the key covers lock, recipe and sources: a second build
costs nothing.
"""

from __future__ import annotations

import argparse
import ast
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

from tools import docs_assets, elf
from tools.recipes import LAYERS, OPENMP, RECIPES, TRIM_EVERYWHERE

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / "build" / "layers"
LAMBDA_PYTHON = "3.13"
LAMBDA_PLATFORM = "aarch64-manylinux_2_28"
PATIENCE = 900  # seconds for one download or compilation
KEEP_DAYS = 7  # older results of another key are removed
FORMAT = "4"  # part of every key: raise it when this file changes what it makes

Target = Literal["lambda", "host"]
# A transfer is worth time to AWS, and nothing to an emulator on the same disk.
COMPRESSION: dict[Target, int] = {"lambda": 4, "host": 1}


class BuildError(RuntimeError):
    """A layer could not be built; the message carries the tool's own words."""


@dataclass(frozen=True, slots=True)
class Built:
    """A finished layer or function: `folder` as Lambda unpacks it, and `archive`, the same zipped."""

    name: str
    key: str
    folder: Path
    archive: Path

    @property
    def size(self) -> int:
        """Bytes, unzipped."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())


# --- locks -------------------------------------------------------------------------------------------------


def lock_path(name: str) -> Path:
    return ROOT / "layers" / name / "requirements.txt"


def lock_text(name: str) -> str:
    """What requirements.in resolves to, in the versions of requirements/dev.txt, less the layers above it."""
    recipe = RECIPES[name]
    resolved = _uv(
        *("pip", "compile", "--quiet", str(lock_path(name).with_suffix(".in"))),
        *("--constraint", str(ROOT / "requirements" / "dev.txt"), "--python-version", "3.11", "--universal"),
        *("--no-header", "--no-annotate", "--no-emit-index-url"),
    )
    absent = {*recipe.without, *(package for below in recipe.above for package in locked(below))}
    return "".join(f"{line}\n" for line in resolved.splitlines() if line and package_name(line) not in absent)


def locked(name: str) -> set[str]:
    """Names of the packages in a layer's lock."""
    return {package_name(line) for line in lock_path(name).read_text().splitlines() if line.strip()}


def package_name(requirement: str) -> str:
    """`Foo_Bar==1 ; marker` → `foo-bar`."""
    return re.sub(r"[-_.]+", "-", re.split(r"[=<>!~;\[ ]", requirement, maxsplit=1)[0]).lower()


# --- building ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Builder:
    """Builds for one target, into `cache`."""

    target: Target
    cache: Path = field(default=CACHE)

    @cached_property
    def interpreter(self) -> Path | None:
        """The Python that compiles; `None` where this machine has none of the target's version."""
        return Path(sys.executable) if self.target == "host" else find_python(LAMBDA_PYTHON)

    def layer(self, name: str) -> Built:
        """The layer of that name, built unless it is there already."""
        if name == "core":
            source = ROOT / "layers" / "core" / "python"
            return self._build(name, _digest_of(source), lambda root: self._copy(source, root / "python"))
        if name not in RECIPES:
            raise BuildError(f"there is no layer {name!r}, only {', '.join(LAYERS)}")
        recipe = f"{lock_path(name).read_text()}{RECIPES[name]}{TRIM_EVERYWHERE}"
        return self._build(name, recipe, lambda root: self._install(name, root / "python"))

    def function(self, name: str) -> Built:
        """`functions/<name>` as an archive."""
        source = ROOT / "functions" / name
        if not (source / "handler.py").is_file():
            raise BuildError(
                f"functions/{name}/handler.py is missing, and infra/catalogue.py names that function"
            )
        if name == "docs":
            docs_assets.ensure()  # Swagger UI and ReDoc travel with the handler
        return self._build(f"function-{name}", _digest_of(source), lambda root: self._copy(source, root))

    def _build(self, name: str, recipe: str, make: Callable[[Path], None]) -> Built:
        version = _version(self.interpreter) if self.interpreter else "sources"
        key = hashlib.sha256(f"{FORMAT} {self.target} {version} {recipe}".encode()).hexdigest()
        home = self.cache / self.target
        place = home / f"{name}-{key[:16]}"
        built = Built(name, key, place / "content", place / "archive.zip")
        with _alone(home / f".{name}.lock"):
            if not place.exists():
                work = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=home))
                try:
                    make(work / "content")
                    _zip(work / "content", work / "archive.zip", level=COMPRESSION[self.target])
                    work.chmod(0o755)
                    work.rename(place)  # complete or absent: an interrupted build leaves nothing to trip over
                finally:
                    shutil.rmtree(work, ignore_errors=True)
            os.utime(place)
            _forget_old(home, name, keep=place)
        return built

    def _install(self, name: str, into: Path) -> None:
        """Wheels of the lock, trimmed. Compiled files replace the sources, to save a third of the space."""
        place = ["--python", sys.executable]
        if self.target == "lambda":
            place = ["--python-platform", LAMBDA_PLATFORM, "--python-version", LAMBDA_PYTHON]
        _uv(
            *("pip", "install", "--quiet", "--target", str(into), "--no-deps", "--only-binary", ":all:"),
            *("--link-mode", "copy", *place, "--requirements", str(lock_path(name))),
        )
        for pattern in (*TRIM_EVERYWHERE, *RECIPES[name].trim):
            for path in sorted(into.glob(pattern), reverse=True):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(
                    missing_ok=True
                )
        for package in RECIPES[name].undocumented:
            for source in (into / package).rglob("*.py"):
                source.write_bytes(without_docstrings(source.read_bytes()))
        if self.interpreter is not None:
            _compile(self.interpreter, into, "-b")
            for source in into.rglob("*.py"):
                if source.with_suffix(".pyc").exists():
                    source.unlink()
        for library in into.rglob("*.so*"):
            if library.is_file():
                elf.strip(library)
        for library in into.glob("*.libs/libgomp-*.so*"):
            elf.rename(library, OPENMP)

    def _copy(self, source: Path, into: Path) -> None:
        """Our own code keeps its sources, so that a trace shows the line."""
        into.mkdir(parents=True)
        for relative in _files(source):
            (into / relative).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / relative, into / relative)
        if self.interpreter is not None:
            _compile(self.interpreter, into)


def _complete_docs() -> None:
    from tools import docs_assets

    try:
        docs_assets.ensure()
    except docs_assets.AssetsMissing as error:
        raise BuildError(str(error)) from error


def find_python(version: str) -> Path | None:
    """An interpreter of that version on this machine; nothing is downloaded.

    `MODELYARD_PYTHON_3_13` names one explicitly.
    """
    candidates = [os.environ.get(f"MODELYARD_PYTHON_{version.replace('.', '_')}"), sys.executable]
    candidates += [shutil.which(f"python{version}")]
    candidates += map(str, sorted(Path.home().glob(f".pyenv/versions/{version}*/bin/python"), reverse=True))
    candidates += map(str, sorted(Path.home().glob(f".local/share/uv/python/cpython-{version}*/bin/python")))
    for candidate in filter(None, candidates):
        if _version(Path(candidate)).startswith(f"{version}."):
            return Path(candidate)
    return None


def _version(python: Path) -> str:
    """`3.13.0`, or nothing where `python` does not run (pyenv's shims exist without their interpreter)."""
    if python == Path(sys.executable):
        return ".".join(map(str, sys.version_info[:3]))
    try:
        probe = "import sys; print('.'.join(map(str, sys.version_info[:3])))"
        done = subprocess.run(
            [python, "-I", "-c", probe], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def _compile(python: Path, folder: Path, *options: str) -> None:
    """Byte code that is never checked against its source: layers are read-only, and lose file times."""
    _run(
        *(
            str(python),
            "-m",
            "compileall",
            "-q",
            "-f",
            "-j",
            "0",
            "--invalidation-mode",
            "unchecked-hash",
            *options,
        ),
        *("-s", str(folder), "-p", "/opt/python", str(folder)),
        environment={"PYTHONHASHSEED": "0"},
    )


def without_docstrings(source: bytes) -> bytes:
    """The module with empty docstrings in its functions and classes, every statement on its line.

    Empty, not absent: code that formats `__doc__` still finds a string. What does not parse stays as it is.
    """
    lines = source.split(b"\n")
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return source
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        text = node.body[0]
        if ast.get_docstring(node, clean=False) is None or text.end_lineno is None:
            continue
        first, last = text.lineno - 1, text.end_lineno - 1
        behind = lines[last][text.end_col_offset :].strip()
        if not behind or behind.startswith(b"#"):
            blank = [b""] * (last - first)
            lines[first : last + 1] = [lines[first][: text.col_offset] + b'""', *blank]
    return b"\n".join(lines)


def _files(folder: Path) -> list[Path]:
    """Files of a source folder, relative and sorted, without byte code and editors' leftovers."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in found if not any(_UNWANTED.search(part) for part in path.parts))


_UNWANTED = re.compile(r"^\.|^__pycache__$|\.(pyc|swp|orig|egg-info)$")


def _digest_of(folder: Path) -> str:
    digest = hashlib.sha256()
    for relative in _files(folder):
        content = (folder / relative).read_bytes()
        digest.update(f"{relative}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _zip(folder: Path, archive: Path, *, level: int) -> None:
    """The same content gives the same bytes: sorted, without times, readable and executable for everyone."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as output:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(str(path.relative_to(folder)), (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o100755 if ".so" in path.suffixes else 0o100644) << 16
            output.writestr(entry, path.read_bytes(), compresslevel=level)


def _forget_old(home: Path, name: str, *, keep: Path) -> None:
    last_use = time.time() - KEEP_DAYS * 86400
    for place in home.glob(f"{name}-{'?' * 16}"):
        if place != keep and place.stat().st_mtime < last_use:
            shutil.rmtree(place, ignore_errors=True)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """One builder per layer at a time, across processes."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _uv(*arguments: str) -> str:
    from uv import find_uv_bin

    return _run(find_uv_bin(), *arguments)


def _run(*command: str, environment: dict[str, str] | None = None) -> str:
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            cwd=ROOT,
            env=os.environ | (environment or {}),
        )
    except subprocess.TimeoutExpired as error:
        raise BuildError(f"{Path(command[0]).name} did not end within {PATIENCE} s") from error
    if done.returncode != 0:
        what = f"{Path(command[0]).name} {' '.join(command[1:4])}"
        raise BuildError(f"{what} failed:\n{(done.stderr or done.stdout)[-3000:]}")
    return done.stdout


# --- command line ------------------------------------------------------------------------------------------


def build_all(target: Target, *, cache: Path = CACHE) -> dict[str, Built]:
    """Every layer, with progress in the terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    builder, built = Builder(target, cache), {}
    console = Console(stderr=True)
    if builder.interpreter is None:
        console.print(
            f"No Python {LAMBDA_PYTHON} on this machine: layers ship sources, and cold starts take two to "
            f"three times as long. Name one in MODELYARD_PYTHON_{LAMBDA_PYTHON.replace('.', '_')}.",
            style="yellow",
        )
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        for name in LAYERS:
            task = progress.add_task(f"layer {name:8}", total=None, note="")
            built[name] = builder.layer(name)
            progress.update(task, total=1, completed=1, note=f"{built[name].size / 1e6:6.1f} MB")
    return built


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tools.layers", description=__doc__.split("\n")[0] if __doc__ else None
    )
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="build every layer")
    build.add_argument("--for", dest="target", choices=get_args(Target), default="lambda")
    commands.add_parser("lock", help="write layers/*/requirements.txt")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.command == "lock":
            for name in RECIPES:
                lock_path(name).write_text(lock_text(name))
        else:
            build_all(chosen.target)
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
