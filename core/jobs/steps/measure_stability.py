"""Repeat a clustering with other seeds and on other draws: would it come out again?"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from core.errors import OperatorError
from core.jobs.configs import MeasureStability
from core.jobs.context import JobContext
from core.jobs.steps.recording import Found, part, record
from core.jobs.steps.run_ids import analysis_id
from core.jobs.steps.spaces import choose_space
from core.latent.clustering_methods import read_config
from core.state import runs

VERSION = 1  # part of every run's id: raise it when the same input gives other values


def run(context: JobContext, config: MeasureStability) -> Mapping[str, Any]:
    """Measure the stability of one clustering, and of every k that it was chosen among.

    Raises:
        OperatorError: there is no such clustering, or it has too few images.
        ValueError: `n_runs` is below 2.
    """
    workspace = context.workspace
    clustering = runs.get_run(workspace, config.clustering)
    if clustering.kind != "clustering" or clustering.parent_id is None:
        raise OperatorError(f"{clustering.id} is no clustering.", next_step="Choose one that is.")
    asked = read_config(clustering.config)
    space = choose_space(
        workspace,
        clustering.parent_id,
        components=clustering.config.get("components", 0),
        seed=clustering.config.get("seed", 0),
    )
    settings = {"clustering": clustering.id, "n_runs": config.n_runs, "seed": config.seed}

    def compute() -> Found:
        from core.latent.stability import measure_stability, sweep_bands

        vectors, _ = space.load(workspace)
        sweep = clustering.result.get("sweep")
        found = measure_stability(
            vectors,
            asked,
            n_runs=config.n_runs,
            seed=config.seed,
            on_progress=part(context.report, 0.0, 0.5 if sweep else 1.0),
        )
        bands = sweep_bands(
            vectors,
            [row["k"] for row in sweep["rows"]] if sweep else [],
            n_runs=config.n_runs,
            seed=config.seed,
            on_progress=part(context.report, 0.5, 1.0),
        )
        ids = runs.load_array(workspace, clustering, "image_ids")
        return Found(ids, {}, {**asdict(found), "bands": [asdict(band) for band in bands]})

    done = record(
        context,
        kind="stability",
        id=analysis_id("stability", settings, run=space.run.id, version=VERSION),
        parent=space.run,
        config=settings,
        compute=compute,
    )
    return {"run": done.id, "clustering": clustering.id, **done.result}
