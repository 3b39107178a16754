"""How much a job may be. One place, so that messages and checks agree."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """`chunk_*` bound what a worker holds in memory; native models are slower and get smaller chunks."""

    inline_rows: int = 100_000
    file_bytes: int = 1024 * MIB
    rows: int = 10_000_000
    row_bytes: int = 2 * MIB
    chunk_rows: int = 50_000
    chunk_bytes: int = 12 * MIB
    native_chunk_rows: int = 5_000
    active_jobs: int = 20
    embedded_rows: int = 1_000  # results that GET /jobs/{id} shows by itself
    page_rows: int = 1_000
    retention: timedelta = timedelta(days=7)
    upload_seconds: int = 900
    download_seconds: int = 300

    def rows_per_chunk(self, runtime: str) -> int:
        return self.chunk_rows if runtime == "onnx" else self.native_chunk_rows
