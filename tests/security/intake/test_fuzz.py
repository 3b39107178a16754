"""Mutated honest files: the gate neither crashes nor hangs, and never lets a changed global through.

The suite spends seconds; `MODELYARD_FUZZ_SECONDS=600 pytest tests/security/intake/test_fuzz.py` spends ten
minutes.
"""

from __future__ import annotations

import bz2
import io
import os
import pickle
import random
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from modelyard.intake import allowlist
from modelyard.intake.gate import scan
from modelyard.intake.verdict import Limits, Refused

from tests.support.hostile_archives import honest_skops, onnx_model, pack

SECONDS = float(os.environ.get("MODELYARD_FUZZ_SECONDS", "3"))
INTERESTING = (
    b"\x00",
    b"\xff",
    b"R",
    b"\x81",
    b"\x93",
    b"b",
    b"c",
    b"i",
    b"o",
    b"2",
    b"Q",
    b"\x82",
    b"\x95",
    b".",
    b"(",
    b"0",
)
WORDS = (b"os", b"system", b"builtins", b"eval", b"posix", b"subprocess", b"load", b"getattr", b"numpy.load")


def seeds() -> dict[str, bytes]:
    """One honest file per form."""
    from scipy.stats import randint
    from sklearn.ensemble import GradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import RandomizedSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    X, y = np.arange(80.0).reshape(40, 2), [0, 1] * 20
    boosted = GradientBoostingClassifier(n_estimators=2).fit(X, y)
    search = RandomizedSearchCV(LogisticRegression(), {"max_iter": randint(50, 90)}, n_iter=1, cv=2).fit(X, y)
    piped = make_pipeline(FunctionTransformer(np.log1p), LogisticRegression()).fit(X, y)

    def dumped(model: Any, **options: Any) -> bytes:
        buffer = io.BytesIO()
        joblib.dump(model, buffer, **options)
        return buffer.getvalue()

    return {
        **{f"p{protocol}.pkl": pickle.dumps(boosted, protocol) for protocol in (0, 2, 4, 5)},
        "search.pkl": pickle.dumps(search),
        "piped.pkl": pickle.dumps(piped, 4),
        "raw.joblib": dumped(boosted),
        "zlib.joblib": dumped(boosted, compress=3),
        "bz2.joblib": dumped(boosted, compress=("bz2", 3)),
        "model.skops": pack(*honest_skops()),
        "forest.onnx": onnx_model("forest").SerializeToString(),
        "svc.onnx": onnx_model("svc").SerializeToString(),
    }


def mutate(data: bytes, chance: random.Random, words: list[bytes]) -> bytes:
    """A few random edits: bits, bytes, blocks, numbers, names."""
    result = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 4, 8))):
        at = chance.randrange(len(result) + 1)
        kind = chance.randrange(8)
        if kind == 0 and at < len(result):
            result[at] ^= 1 << chance.randrange(8)
        elif kind == 1 and at < len(result):
            result[at] = chance.randrange(256)
        elif kind == 2:
            result[at:at] = chance.choice(INTERESTING)
        elif kind == 3:
            del result[at : at + chance.choice((1, 2, 4, 8, 64))]
        elif kind == 4:
            source = chance.randrange(len(result) + 1)
            result[at:at] = result[source : source + chance.choice((1, 4, 16, 64, 256))]
        elif kind == 5:
            result[at : at + 4] = chance.choice(
                (b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"\xff\xff\xff\x7f")
            )
        elif kind == 6:
            found = result.find(chance.choice(words))
            if found >= 0:
                word = chance.choice(WORDS)
                result[found : found + len(word)] = word
        else:
            result = result[:at]
        if not result:
            return b"\0"
    return bytes(result)


def wrapped(name: str, data: bytes) -> tuple[bytes, Callable[[bytes], bytes]]:
    """The bytes worth changing and how to pack them again: compressed streams are changed inside."""
    if name.startswith("zlib"):
        return zlib.decompress(data), zlib.compress
    if name.startswith("bz2"):
        return bz2.decompress(data), bz2.compress
    return data, bytes


def known(path: str) -> bool:
    module, _, name = path.rpartition(".")
    tables = (
        allowlist.CALL,
        allowlist.NEW,
        allowlist.VALUE,
        allowlist.BASE,
        allowlist.MEMMAP,
        allowlist.SKOPS,
    )
    return any(allowlist.has(table, module, name) for table in tables)


@pytest.mark.timeout(SECONDS * 2 + 120)
def test_mutated_files_neither_crash_nor_hang_the_gate(tmp_path: Path, limits: Limits) -> None:
    chance = random.Random(int(os.environ.get("MODELYARD_FUZZ_SEED", "20240601")))
    corpus = {name: wrapped(name, data) for name, data in seeds().items()}
    words = [b"sklearn", b"numpy", b"_reconstruct", b"ndarray", b"dtype", b"linear_model", b"log1p", b"tree"]
    path, runs, accepted = tmp_path / "upload", 0, 0
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        inner, outer = corpus[chance.choice(list(corpus))]
        changed = outer(mutate(inner, chance, words))
        path.write_bytes(changed)
        start = time.monotonic()
        try:
            report = scan(path, limits)
        except Refused as refused:
            if refused.rule == "unexpected":
                (Path(os.environ.get("MODELYARD_FUZZ_KEEP", str(tmp_path))) / "crash").write_bytes(changed)
                raise AssertionError("the gate met something it did not foresee") from refused
        else:
            accepted += 1
            assert all(known(item) for item in report.globals)
        runs += 1
        assert time.monotonic() - start < 20, "the gate takes long over a small file"
    print(f"{runs} files, {accepted} accepted")
    assert runs > 5 * SECONDS
    assert accepted < runs
