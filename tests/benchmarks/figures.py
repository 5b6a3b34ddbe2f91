"""What a benchmark prints: its figures, each with the limit that it keeps or misses."""

import os
import sys
from collections.abc import Callable
from pathlib import Path


def row(
    name: str,
    value: float,
    *,
    at_most: float | None = None,
    at_least: float | None = None,
    **details: float,
) -> dict:
    """A figure, and whether it keeps its limit."""
    holds = (at_most is None or value <= at_most) and (at_least is None or value >= at_least)
    limits = {"at_most": at_most, "at_least": at_least}
    given = {side: limit for side, limit in limits.items() if limit is not None}
    return {"name": name, "value": round(float(value), 3), **given, "holds": bool(holds), **details}


def report(bench: Callable[[Path, Path], list[dict]]) -> None:
    """Run a benchmark of real data, print its rows, and end with 1 where one does not hold."""
    data, weights = os.environ.get("LACQUER_TEST_DATA"), os.environ.get("LACQUER_WEIGHTS_DIR")
    if not (data and weights):
        print("LACQUER_TEST_DATA and LACQUER_WEIGHTS_DIR name no real data: nothing measured")
        sys.exit()
    rows = bench(Path(data), Path(weights))
    for each in rows:
        print(each)
    sys.exit(not all(each["holds"] for each in rows))
