"""What is committed can be built anywhere: no registry, no machine's path, no command that does not exist."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Split, so that this file does not find itself.
FORBIDDEN = {
    "a package registry": re.compile(
        "|".join(["py" + r"pi\.org", "python" + r"hosted\.org", "npm" + r"js\.org", "yarn" + r"pkg\.com"])
    ),
    "a path of one machine": re.compile(r"(?<![\w.~-])/" + "(work|root|farm|home/[a-z]+)" + r"/[\w.]"),
}
BINARY = {".joblib", ".pkl", ".onnx", ".png", ".parquet", ".skops", ".gz", ".zip"}


def _tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
    )
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def _text_files() -> list[Path]:
    return [file for file in _tracked() if file.suffix not in BINARY]


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_committed_file_names(what: str):
    pattern = FORBIDDEN[what]
    found = [
        f"{file.relative_to(ROOT)}:{number}"
        for file in _text_files()
        for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1)
        if pattern.search(line)
    ]

    assert found == []


def test_lock_files_pin_everything_and_carry_no_url():
    locks = [
        *ROOT.glob("requirements/*.txt"),
        *ROOT.glob("layers/*/requirements.txt"),
        ROOT / "package-lock.json",
    ]

    assert len(locks) >= 5
    for lock in locks:
        assert "://" not in lock.read_text(), lock
    for lock in locks:
        if lock.suffix == ".txt":
            loose = [
                line
                for line in lock.read_text().splitlines()
                if line and not line.startswith("#") and not re.match(r"[\w.\[\]-]+==\S+", line)
            ]
            assert loose == [], lock


def test_layers_use_the_versions_that_the_tests_ran_with():
    tested = _pins(ROOT / "requirements" / "dev.txt")
    other = [
        f"{lock.parent.name}: {name} {version}, tested with {tested[name]}"
        for lock in sorted(ROOT.glob("layers/*/requirements.txt"))
        for name, version in _pins(lock).items()
        if tested.get(name, version) != version
    ]

    assert other == []


def _pins(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)(?:\[\w+\])?==([^\s;]+)", lock.read_text(), re.MULTILINE))


def test_every_make_target_that_the_documents_name_exists():
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    documents = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    named = {
        name
        for document in documents
        for name in re.findall(r"(?:^|`|\$ )(?:PORT=\d+ )?make ([a-z]+)", document.read_text(), re.MULTILINE)
    }

    assert named - targets == set()
    assert {"run", "test"} <= named


def test_the_first_command_stands_at_the_top_of_the_readme():
    top = (ROOT / "README.md").read_text().splitlines()[:12]

    assert any("make run" in line for line in top)


def test_modules_that_the_documents_run_exist():
    documents = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    modules = {m for d in documents for m in re.findall(r"python -m ((?:tools|infra)[\w.]*)", d.read_text())}
    missing = [m for m in modules if not (ROOT / (m.replace(".", "/") + ".py")).exists()]

    assert missing == []


def test_links_between_documents_lead_somewhere():
    broken = []
    for document in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for target in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", document.read_text()):
            if not (document.parent / target).exists():
                broken.append(f"{document.relative_to(ROOT)} → {target}")

    assert broken == []


def test_the_cdk_command_line_is_pinned():
    package = json.loads((ROOT / "package.json").read_text())

    assert re.fullmatch(r"2\.\d+\.\d+", package["devDependencies"]["aws-cdk"])


def test_continuous_integration_runs_make_test():
    script = ROOT / ".ci" / "run"

    assert script.stat().st_mode & 0o100
    assert "exec make test" in script.read_text()
