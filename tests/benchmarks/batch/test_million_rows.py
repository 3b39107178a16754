"""A million rows as a job, CSV in and CSV out, against pandas and scikit-learn on the same file.

What is measured is the work of one worker without queue and network: split, read, predict, store,
put together. Jobs spread over workers; here one does everything.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pandas as pd
from modelyard.batch.layout import SAMPLE_BYTES, inspect
from modelyard.batch.limits import Limits
from modelyard.batch.parsing import parse_chunk
from modelyard.batch.predicting import BatchPredictor
from modelyard.batch.results import ChunkResult, item_keys, render
from modelyard.batch.splitting import split
from modelyard.batch.store import READ_SIZE
from modelyard.serving.decoding import Decoder
from modelyard.serving.runtime import OnnxRuntime

from tests.support.serving import Trained, logistic

ROWS, WIDTH, RUNS = 1_000_000, 4, 2
MOST = 3.0


def reference(trained: Trained, source: Path, target: Path) -> float:
    """One vectorised predict plus reading and writing the file, in seconds."""
    started = time.perf_counter()
    predicted = trained.estimator.predict(pd.read_csv(source).to_numpy())
    pd.DataFrame({"prediction": predicted}).to_csv(target)
    return time.perf_counter() - started


def job(trained: Trained, source: Path, folder: Path) -> float:
    """The same as a job, in seconds."""
    started = time.perf_counter()
    limits, decoder = Limits(), Decoder(trained.signature)
    runtime = OnnxRuntime(trained.signature, trained.onnx)
    with source.open("rb") as file:
        layout = inspect(file.read(SAMPLE_BYTES), trained.signature, name=source.name)
        file.seek(0)
        pieces = list(
            split(
                iter(lambda: file.read(READ_SIZE), b""),
                first_byte=layout.first_byte,
                delimiter=layout.delimiter,
                most_rows=limits.chunk_rows,
                most_bytes=limits.chunk_bytes,
                row_bytes=limits.row_bytes,
            )
        )
    for number, piece in enumerate(pieces):
        with source.open("rb") as file:
            file.seek(piece.first_byte)
            data = file.read(piece.end_byte - piece.first_byte)
        batch, errors, rows = parse_chunk(data, layout, decoder)
        predictor = BatchPredictor(runtime, ["predict"], time.monotonic() + 60, native=False)
        values, _ = predictor.predict(batch)
        result = ChunkResult.of(piece.first_row, rows, values, errors)
        (folder / f"{number}.json").write_bytes(result.dump())
    stored = (ChunkResult.load((folder / f"{number}.json").read_bytes()) for number in range(len(pieces)))
    with (folder / "results.csv").open("wb") as target:
        names = item_keys(["predict"], trained.signature)
        for part in render(stored, "csv", names, trained.signature):
            target.write(part)
    return time.perf_counter() - started


def test_a_job_takes_at_most_three_times_the_bare_work(tmp_path: Path, record_property) -> None:
    trained = logistic(width=WIDTH)
    source = tmp_path / "rows.csv"
    rows = np.random.default_rng(0).normal(size=(ROWS, WIDTH)).astype(np.float32).astype(np.float64)
    pd.DataFrame(rows, columns=[f"x{index}" for index in range(WIDTH)]).to_csv(source, index=False)

    # Runs alternate, so that a busy moment of the machine meets both.
    times = [
        (reference(trained, source, tmp_path / "out.csv"), job(trained, source, tmp_path))
        for _ in range(RUNS)
    ]
    bare, ours = (min(column) for column in zip(*times, strict=True))
    record_property("reference_seconds", bare)
    record_property("job_seconds", ours)

    expected = pd.read_csv(tmp_path / "out.csv")["prediction"]
    assert pd.read_csv(tmp_path / "results.csv")["prediction"].equals(expected)
    assert ours <= MOST * bare, f"{ours:.2f} s against {bare:.2f} s"
