"""`python -m tests.benchmarks`: measures the hot path and writes the tables of docs/PERFORMANCE.md.

`--calls N` and `--starts N` make it quicker or steadier; `--print` leaves the page alone.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from tests.benchmarks.measure import MODELS, Cold, Warm, cold, rows, warm
from tests.benchmarks.runtime_api import ROOT
from tests.benchmarks.scenario import Scenario, scenario

PAGE = ROOT / "docs/PERFORMANCE.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"

# The targets of docs/PERFORMANCE.md.
ABOVE_EMPTY_US = 350
FOREST_SPEEDUP = 8.0
COLD_SECONDS = 0.4
MEMORY_MB = 120


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--starts", type=int, default=7)
    parser.add_argument("--print", action="store_true", dest="only_print")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, scenario(Path(folder)) as place:
        warm_results = []
        for name, make in MODELS.items():
            print(f"warm: {name} …", flush=True)
            warm_results.append(warm(place, name, make(), calls=options.calls))
        print("cold starts …", flush=True)
        cold_results = cold_starts(place, options.starts)
    text = report(warm_results, cold_results)
    print(text)
    if not options.only_print:
        write(text)


def cold_starts(place: Scenario, times: int) -> dict[str, Cold]:
    trained = MODELS["LogisticRegression"]()
    registered = place.add(trained)
    event = place.event(registered, rows(1))
    return {
        "empty function": cold(place.empty, event, times=times),
        "`predict`": cold(place.predict, event, times=times),
        "FastAPI + joblib": cold(lambda: place.plain(trained), event, times=times),
    }


def report(results: list[Warm], starts: dict[str, Cold]) -> str:
    lines = [
        f"Measured {datetime.now(UTC):%Y-%m-%d} on {os.cpu_count()} cores ({platform.machine()}), "
        f"Python {platform.python_version()}, load {os.getloadavg()[0]:.1f} at the end.",
        "",
        "**Warm, one row a request, µs** (p50; in brackets p99). The last two do without a Runtime API:",
        "",
        "| model | empty function | `predict`, uncached | `predict`, cached | FastAPI + joblib | "
        "FastAPI + joblib, bare server | scikit-learn alone |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for r in results:
        measured = (r.empty, r.uncached, r.cached, r.plain, r.served, r.sklearn)
        cells = [f"{q.p50:.0f} ({q.p99:.0f})" for q in measured]
        lines.append(f"| {r.model} | {' | '.join(cells)} |")
    lines += [
        "",
        "| model | above empty, uncached | above empty, cached | faster than FastAPI + joblib | "
        "faster than its bare server | answers equal |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for r in results:
        lines.append(
            f"| {r.model} | {r.above_empty:.0f} | {r.cached_above_empty:.0f} | {r.speedup:.1f}× | "
            f"{r.served_speedup:.1f}× | {'yes' if r.predictions_equal else 'NO'} |"
        )
    lines += [
        "",
        "**Cold, interpreter start to first prediction, ms** (median):",
        "",
        "| function | initialised | first answer |",
    ]
    lines.append("| --- | --- | --- |")
    for name, start in starts.items():
        initialised = sorted(start.initialised)[len(start.initialised) // 2]
        lines.append(f"| {name} | {initialised * 1000:.0f} | {start.median * 1000:.0f} |")
    lines += [
        "",
        "**Against the targets:**",
        "",
        "| what | target | measured | held |",
        "| --- | --- | --- | --- |",
    ]
    for what, target, measured, held in judged(results, starts):
        lines.append(f"| {what} | {target} | {measured} | {'yes' if held else '**no**'} |")
    return "\n".join(lines)


def judged(results: list[Warm], starts: dict[str, Cold]) -> list[tuple[str, str, str, bool]]:
    """Each target, what was measured, and whether it holds."""
    found = [
        (
            f"{r.model}: everything switched on, uncached, above an empty handler",
            f"≤ {ABOVE_EMPTY_US} µs",
            f"{r.above_empty:.0f} µs",
            r.above_empty <= ABOVE_EMPTY_US,
        )
        for r in results
    ]
    found += [
        (
            f"{r.model}: whole, against the bare server of the same run",
            "> 1×",
            f"{r.served_speedup:.1f}×",
            r.served_speedup > 1,
        )
        for r in results
    ]
    forest = next(r for r in results if r.model.startswith("RandomForest"))
    found.append(
        (
            "RandomForest(100), whole, against FastAPI + joblib",
            f"≥ {FOREST_SPEEDUP:.0f}×",
            f"{forest.speedup:.1f}×",
            forest.speedup >= FOREST_SPEEDUP,
        )
    )
    start = starts["`predict`"].median
    found.append(
        ("cold start", f"≤ {COLD_SECONDS * 1000:.0f} ms", f"{start * 1000:.0f} ms", start <= COLD_SECONDS)
    )
    memory = max(r.memory for r in results)
    found.append(
        ("memory of a warm environment", f"≤ {MEMORY_MB} MB", f"{memory:.0f} MB", memory <= MEMORY_MB)
    )
    return found


def write(text: str) -> None:
    """Replaces what stands between the two marks of the page."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


if __name__ == "__main__":
    main()
