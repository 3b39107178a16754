"""Layers: what is in them, how large they are, and that functions run on them alone."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import multiprocessing
import os
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import onnxruntime
import pytest

from infra import catalogue
from tests.support.boosters import boosted
from tests.support.estimators import iris
from tests.support.presigned import object_store
from tools import elf, layers as builders
from tools.layers import Builder, BuildError, Built, locked, package_name
from tools.node import ROOT
from tools.recipes import LAYERS, OPENMP, RECIPES

MB = 1_000_000
# What Lambda calls 250 MB: 250 * 1024 * 1024 bytes, unzipped, a function with its layers. Two million stay
# free, so that an update of a library fails here and not in a deployment.
LIMIT = 262_144_000 - 2 * MB
LIMITS = {"predict": 130 * MB}
AARCH64 = 183
Build = Callable[[str], dict[str, Built]]


@pytest.fixture(scope="session")
def arm(layers: Build) -> dict[str, Built]:
    """What dev and prod deploy: the real wheels for arm64 and Python 3.13."""
    return layers("lambda")


# --- locks


@pytest.mark.parametrize("name", RECIPES)
def test_a_lock_is_pinned_and_without_addresses(name: str) -> None:
    for line in builders.lock_path(name).read_text().splitlines():
        assert "==" in line
        assert "://" not in line
        assert not line.startswith("-")


@pytest.mark.parametrize("name", RECIPES)
def test_a_lock_has_the_versions_that_the_tests_run_with(name: str) -> None:
    tested = {line.strip() for line in (ROOT / "requirements" / "dev.txt").read_text().splitlines()}
    versions = {line.split(" ;")[0] for line in tested}
    for line in builders.lock_path(name).read_text().splitlines():
        assert line.split(" ;")[0] in versions, f"run: python -m tools.layers lock ({line})"


@pytest.mark.parametrize("name", RECIPES)
def test_a_lock_holds_everything_that_its_recipe_asks_for(name: str) -> None:
    asked = (ROOT / "layers" / name / "requirements.in").read_text().splitlines()
    below = {package for layer in RECIPES[name].above for package in locked(layer)}
    wanted = {package_name(line) for line in asked if line.strip() and not line.startswith("#")}
    assert wanted <= locked(name) | below


@pytest.mark.parametrize("combination", catalogue.LAYER_SETS.values(), ids=list(catalogue.LAYER_SETS))
def test_no_package_comes_twice_within_a_function(combination: tuple[str, ...]) -> None:
    packages = [package for layer in combination if layer != "core" for package in sorted(locked(layer))]
    assert sorted(set(packages)) == sorted(packages)


def test_boto3_comes_from_the_runtime() -> None:
    for name in RECIPES:
        assert not {"boto3", "botocore", "s3transfer"} & locked(name)


# --- contents, on the real wheels


@pytest.mark.parametrize("function", catalogue.FUNCTIONS, ids=lambda function: function.name)
def test_a_function_with_its_layers_fits(arm: dict[str, Built], function: catalogue.Function) -> None:
    parts = [arm[name].size for name in function.layer_names]
    size = sum(parts) + Builder("lambda").function(function.name).size
    assert len(parts) <= 5
    assert size <= LIMITS.get(function.name, LIMIT), f"{size / MB:.1f} MB unzipped"


@pytest.mark.parametrize("name", RECIPES)
def test_libraries_are_for_arm64_and_stripped(arm: dict[str, Built], name: str) -> None:
    for path in arm[name].folder.rglob("*.so*"):
        head = path.read_bytes()[:64]
        assert head[:4] == b"\x7fELF", path.name
        assert struct.unpack_from("<H", head, 18) == (AARCH64,), path.name
        assert struct.unpack_from("<Q", head, 40) == (0,), f"{path.name} still has section headers"


@pytest.mark.parametrize("name", LAYERS)
def test_byte_code_is_lambdas_and_never_checked(arm: dict[str, Built], name: str) -> None:
    python = Builder("lambda").interpreter
    files = list(arm[name].folder.rglob("*.pyc"))
    if python is None:
        assert not files, "no Python 3.13 here: sources are shipped"
        assert list(arm[name].folder.rglob("*.py"))
        return
    probe = "import importlib.util, sys; sys.stdout.write(importlib.util.MAGIC_NUMBER.hex())"
    magic = bytes.fromhex(
        subprocess.run([python, "-I", "-c", probe], capture_output=True, text=True, check=True).stdout
    )
    assert files
    for path in files:
        head = path.read_bytes()[:8]
        assert head[:4] == magic, path
        assert head[4:] == b"\x01\x00\x00\x00", f"{path}: not an unchecked hash-based file"


@pytest.mark.parametrize("name", LAYERS)
def test_nothing_useless_is_shipped(arm: dict[str, Built], name: str) -> None:
    files = [path.relative_to(arm[name].folder) for path in arm[name].folder.rglob("*") if path.is_file()]
    assert files
    assert {path.parts[0] for path in files} == {"python"}
    for path in files:
        assert "tests" not in path.parts[:-1], path
        assert path.suffix not in {".pyi", ".pyx", ".pxd", ".c", ".h", ".a"}, path
        assert path.parts[1] != "bin"
    if name != "core":
        bare = [path for path in files if path.suffix == ".py"]
        assert not bare or Builder("lambda").interpreter is None


def test_the_archive_holds_exactly_the_folder(arm: dict[str, Built]) -> None:
    for built in arm.values():
        with zipfile.ZipFile(built.archive) as archive:
            zipped = {entry.filename: entry.file_size for entry in archive.infolist()}
            assert all(entry.external_attr >> 16 & 0o444 == 0o444 for entry in archive.infolist())
        folder = {
            str(path.relative_to(built.folder)): path.stat().st_size
            for path in built.folder.rglob("*")
            if path.is_file()
        }
        assert zipped == folder


def test_numpy_stands_in_one_layer_only(arm: dict[str, Built]) -> None:
    assert [name for name in LAYERS if (arm[name].folder / "python" / "numpy").exists()] == ["onnx"]


def test_core_is_our_package_with_sources(arm: dict[str, Built]) -> None:
    shipped = {str(p.relative_to(arm["core"].folder / "python")) for p in arm["core"].folder.rglob("*.py")}
    ours = ROOT / "layers" / "core" / "python"
    assert shipped == {str(p.relative_to(ours)) for p in ours.rglob("*.py") if "egg-info" not in str(p)}


# --- functions on their layers alone


def modules_of(handler: Path) -> set[str]:
    """What a handler imports later: the imports inside the composition's members that it uses, and theirs."""
    source = ROOT / "layers" / "core" / "python" / "modelyard" / "composition.py"
    members = {
        node.name: node
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.FunctionDef)
    }
    tree = ast.parse(handler.read_text())
    waiting = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)} & set(members)
    seen: set[str] = set()
    modules: set[str] = set()
    while waiting:
        name = waiting.pop()
        seen.add(name)
        for node in ast.walk(members[name]):
            if isinstance(node, ast.ImportFrom) and node.module:
                modules.add(node.module)
            elif isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
            elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "self":
                waiting |= ({node.attr} & set(members)) - seen
    return modules


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Lambda's Python brings: boto3 and what it stands on."""
    folder = tmp_path_factory.mktemp("runtime")
    for name in ("boto3", "botocore", "s3transfer", "jmespath", "urllib3", "dateutil", "six"):
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        origin = Path(spec.origin)
        found = origin.parent if spec.submodule_search_locations else origin
        (folder / found.name).symlink_to(found)
    return folder


@pytest.mark.parametrize("function", catalogue.FUNCTIONS, ids=lambda function: function.name)
def test_a_function_imports_with_its_layers_alone(
    layers: Build, runtime: Path, tmp_path: Path, function: catalogue.Function
) -> None:
    """Handler and everything it imports later, without this checkout, its packages and its environment."""
    host = layers("host")
    code = Builder("host").function(function.name).folder
    path = [str(code), *(str(host[name].folder / "python") for name in function.layer_names), str(runtime)]
    later = sorted(modules_of(code / "handler.py"))
    script = (
        f"import sys, json, importlib; sys.path[:0] = {path!r}\n"
        f"import handler\n[importlib.import_module(name) for name in {later!r}]\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script],
        cwd=tmp_path,
        env={"PATH": os.defpath, "HOME": str(tmp_path), "AWS_DEFAULT_REGION": "us-east-1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    imported = set(json.loads(done.stdout.splitlines()[-1]))
    if "sklearn" not in function.layer_names:
        assert not imported & {"sklearn", "scipy", "pandas"}


def test_what_inspect_and_native_open_is_all_there(layers: Build, tmp_path: Path) -> None:
    """Every public estimator of scikit-learn, and the compiler, from trimmed and sourceless files."""
    host = layers("host")
    path = [str(host[name].folder / "python") for name in catalogue.LAYER_SETS["compile"]]
    script = (
        f"import sys; sys.path[:0] = {path!r}\n"
        "import joblib, lz4.frame, numpy as np, onnxruntime, pandas as pd, skl2onnx, skops.io\n"
        "from sklearn.utils import all_estimators\n"
        "from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier\n"
        "assert len(all_estimators()) > 180\n"
        "X = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32); y = X[:, 0] > 0\n"
        "for kind in (RandomForestClassifier(5), HistGradientBoostingClassifier(max_iter=5)):\n"
        "    model = kind.fit(X, y)\n"
        "    compiled = skl2onnx.to_onnx(model, X[:1], options={'zipmap': False})\n"
        "    session = onnxruntime.InferenceSession(compiled.SerializeToString())\n"
        "    assert (session.run(None, {'X': X})[0] == model.predict(X)).all()\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script],
        cwd=tmp_path,
        env={"PATH": os.defpath, "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def inspected(path: list[str], upload: Path, onnx: Path) -> dict[str, Any]:
    """What the handler of inspect_model answers with `path` alone: `onnx` becomes the compiled form."""
    with object_store() as store:
        store.objects["/source"] = upload.read_bytes()
        event = json.loads((ROOT / "events" / "inspect_model" / "valid.json").read_text()) | {
            "filename": upload.name,
            "source_url": f"{store.url}/source",
            "onnx_url": f"{store.url}/onnx",
            "size": upload.stat().st_size,
            "sha256": hashlib.sha256(upload.read_bytes()).hexdigest(),
        }
        script = (
            f"import sys, json; sys.path[:0] = {path!r}\nimport handler\n"
            "print(json.dumps(handler.handler(json.loads(sys.stdin.read()), None)))"
        )
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", script],
            input=json.dumps(event),
            cwd=upload.parent,
            env={"PATH": os.defpath, "HOME": str(upload.parent)},
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        onnx.write_bytes(store.objects.get("/onnx", b""))
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


@pytest.mark.parametrize("library", ["lightgbm", "xgboost"])
def test_boosters_are_compiled_by_the_layers_of_inspect_model(
    layers: Build, tmp_path: Path, library: str
) -> None:
    """From the upload to predictions of the compiled form that are the original's."""
    model = boosted(library)
    x = iris()[0]
    upload, onnx = tmp_path / "m.joblib", tmp_path / "m.onnx"
    joblib.dump(model, upload)
    function = catalogue.BY_NAME["inspect_model"]
    path = [str(Builder("host").function(function.name).folder)]
    path += [str(layers("host")[name].folder / "python") for name in function.layer_names]
    answer = inspected(path, upload, onnx)
    assert answer["verdict"] == "accepted", answer
    signature = answer["signature"]
    assert signature["runtime"] == "onnx", signature["reason"]
    assert signature["served_with"][library]
    session = onnxruntime.InferenceSession(onnx.read_bytes())
    (asked,) = session.get_inputs()
    numbers = x.astype(np.float64 if "double" in asked.type else np.float32)
    outputs = signature["onnx"]["outputs"]
    labels, shares = session.run([outputs["predict"], outputs["predict_proba"]], {asked.name: numbers})
    assert (labels == model.predict(x)).all()
    assert np.allclose(shares, model.predict_proba(x), atol=1e-5)


def test_boosters_bring_no_openmp_of_the_system(layers: Build, tmp_path: Path) -> None:
    """Lambda has none. What is loaded stands in the layers, and once: two pools would fight over a core."""
    host = layers("host")
    path = [str(host[name].folder / "python") for name in catalogue.LAYER_SETS["native"]]
    upload = tmp_path / "m.joblib"
    joblib.dump(boosted("lightgbm"), upload)
    script = (
        f"import sys; sys.path[:0] = {path!r}\n"
        "from pathlib import Path\n"
        "from modelyard.intake import gate, loading\n"
        "from modelyard.intake.verdict import Limits\n"
        f"upload = Path({str(upload)!r})\n"
        "loading.load(upload, gate.scan(upload, Limits()), Limits())\n"
        "import xgboost\n"
        "print(*{line.split()[-1] for line in open('/proc/self/maps') if 'libgomp' in line}, sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script],
        cwd=tmp_path,
        env={"PATH": os.defpath, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (loaded,) = map(Path, done.stdout.splitlines())
    assert loaded.is_relative_to(host["sklearn"].folder)


def test_openmp_has_the_name_that_lightgbm_asks_for(arm: dict[str, Built]) -> None:
    found = [path for built in arm.values() for path in built.folder.rglob("libgomp*")]
    assert found
    assert {elf.name_of(path) for path in found} == {OPENMP}
    lightgbm = arm["boosters"].folder / "python" / "lightgbm" / "lib" / "lib_lightgbm.so"
    assert b"\0" + OPENMP.encode() + b"\0" in lightgbm.read_bytes()


# --- the builder


def test_a_second_build_changes_nothing(layers: Build) -> None:
    first = layers("host")["core"]
    made = first.archive.stat()
    again = Builder("host").layer("core")
    assert again == first
    assert again.archive.stat().st_mtime_ns == made.st_mtime_ns


def test_the_same_sources_give_the_same_bytes(tmp_path: Path) -> None:
    one, other = (Builder("host", tmp_path / name).layer("core") for name in "ab")
    assert one.key == other.key
    assert one.archive.read_bytes() == other.archive.read_bytes()


def _build_core(cache: Path) -> None:
    Builder("host", cache).layer("core")


def test_two_builders_at_once_make_one_layer(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_build_core, args=(tmp_path,)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert [path.name.partition("-")[0] for path in (tmp_path / "host").iterdir() if path.is_dir()] == [
        "core"
    ]


def test_a_failed_build_leaves_nothing_behind_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / "requirements.txt"
    lock.write_text("no-such-package-of-modelyard==0.0.0\n")
    monkeypatch.setattr(builders, "lock_path", lambda name: lock)
    monkeypatch.setenv("UV_OFFLINE", "1")
    with pytest.raises(BuildError, match="no-such-package-of-modelyard"):
        Builder("host", tmp_path / "cache").layer("web")
    assert [path for path in (tmp_path / "cache" / "host").iterdir() if path.is_dir()] == []


def test_an_unknown_layer_and_a_missing_handler_name_themselves(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="no layer 'torch', only core"):
        Builder("host", tmp_path).layer("torch")
    with pytest.raises(BuildError, match=r"functions/nothing/handler\.py is missing"):
        Builder("host", tmp_path).function("nothing")


def test_results_of_other_sources_are_forgotten_after_a_week(tmp_path: Path) -> None:
    home = tmp_path / "host"
    for name, age in (("core-0000000000000000", 8), ("core-1111111111111111", 6), ("core-other-thing", 8)):
        (home / name).mkdir(parents=True)
        moment = (home / name).stat().st_mtime - age * 86400
        os.utime(home / name, (moment, moment))
    kept = Builder("host", tmp_path).layer("core")
    left = {path.name for path in home.iterdir() if path.is_dir()}
    assert left == {f"core-{kept.key[:16]}", "core-1111111111111111", "core-other-thing"}


def test_an_interpreter_is_taken_by_its_version_and_not_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "python9.99"
    broken.write_text("#!/bin/sh\nexit 127\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert builders.find_python("9.99") is None
    monkeypatch.setenv("MODELYARD_PYTHON_9_99", str(tmp_path / "absent"))
    assert builders.find_python("9.99") is None
    broken.write_text("#!/bin/sh\necho 9.99.1\n")
    assert builders.find_python("9.99") == broken


def test_without_an_interpreter_sources_are_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builders, "find_python", lambda version: None)
    built = Builder("lambda", tmp_path).layer("core")
    assert not list(built.folder.rglob("*.pyc"))
    assert (built.folder / "python" / "modelyard" / "composition.py").exists()


def test_docstrings_become_empty_and_lines_stay_where_they_are() -> None:
    source = b"""
class A:
    '''One.

    More.
    '''

    def f(self):
        "short"  # a comment
        return "kept"

    def g(self):
        "two"; return 1

    async def h(self):
        ("three"
         "four")

def only(): "it"
x = "no docstring"
"""
    shorter = builders.without_docstrings(source)
    scope: dict[str, Any] = {}
    exec(compile(shorter, "shorter", "exec"), scope)
    made = scope["A"]
    assert (made.__doc__, made.f.__doc__, made.h.__doc__) == ("", "", "")
    assert made.g.__doc__ == "two"  # something stands behind it
    assert scope["only"].__doc__ == ""
    assert (made().f(), made().g(), scope["x"]) == ("kept", 1, "no docstring")
    before, after = (ast.parse(text) for text in (source, shorter))
    places = [
        [node.lineno for node in ast.walk(tree) if isinstance(node, ast.stmt)] for tree in (before, after)
    ]
    assert places[0] == places[1]


def test_what_does_not_parse_stays_as_it_is() -> None:
    assert builders.without_docstrings(b"def f(:\n") == b"def f(:\n"


def test_stripping_leaves_other_files_alone(tmp_path: Path) -> None:
    script = tmp_path / "libgcc.so"
    script.write_bytes(b"/* a linker script */ GROUP ( libgcc_s.so.1 )")
    elf.strip(script)
    assert script.read_bytes().startswith(b"/* a linker script")


def test_a_library_is_not_given_a_name_that_it_does_not_hold(arm: dict[str, Built], tmp_path: Path) -> None:
    source = next((arm["sklearn"].folder / "python" / "scikit_learn.libs").glob("libgomp*"))
    library = tmp_path / source.name
    library.write_bytes(source.read_bytes())
    with pytest.raises(elf.NotRenamed, match=r"does not hold the name libother\.so"):
        elf.rename(library, "libother.so")
    assert library.read_bytes() == source.read_bytes()
    elf.rename(library, "libgomp.so.1")
    assert elf.name_of(library) == "libgomp.so.1"


def test_a_library_without_a_name_gets_none(arm: dict[str, Built], tmp_path: Path) -> None:
    source = next((arm["sklearn"].folder / "python" / "sklearn").rglob("*.so"))
    library = tmp_path / source.name
    library.write_bytes(source.read_bytes())
    with pytest.raises(elf.NotRenamed, match="no name of its own"):
        elf.rename(library, "libgomp.so.1")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Foo_Bar==1 ; python_version < '4'", "foo-bar"),
        ("psycopg[binary]", "psycopg"),
        ("protobuf<7", "protobuf"),
    ],
)
def test_package_names_are_normalised(text: str, name: str) -> None:
    assert package_name(text) == name


def test_the_command_line_says_what_failed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(target: str) -> dict[str, Built]:
        raise BuildError("the disk is full")

    monkeypatch.setattr(builders, "build_all", fail)
    assert builders.main(["build", "--for", "host"]) == 1
    assert "the disk is full" in capsys.readouterr().err
