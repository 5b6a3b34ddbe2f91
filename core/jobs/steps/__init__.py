"""The kinds of job and the function that does each, named here and imported only where it runs."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from core.jobs import configs
from core.jobs.configs import JobConfig

STEPS: dict[type[JobConfig], str] = {
    configs.LookThrough: "core.jobs.steps.look_through:run",
    configs.ImportImages: "core.jobs.steps.import_images:run",
    configs.FindNearDuplicates: "core.jobs.steps.find_near_duplicates:run",
    configs.GenerateImages: "core.jobs.steps.generate_images:run",
    configs.EmbedImages: "core.jobs.steps.embed_images:run",
    configs.ProjectEmbedding: "core.jobs.steps.project_embedding:run",
    configs.ClusterImages: "core.jobs.steps.cluster_images:run",
    configs.MeasureKDistances: "core.jobs.steps.measure_k_distances:run",
    configs.MeasureSeparability: "core.jobs.steps.measure_separability:run",
    configs.MeasureStability: "core.jobs.steps.measure_stability:run",
    configs.FindAnomalies: "core.jobs.steps.find_anomalies:run",
    configs.FindLabelErrors: "core.jobs.steps.find_label_errors:run",
    configs.ReadLayout: "core.jobs.steps.read_layout:run",
    configs.CompareSets: "core.jobs.steps.compare_sets:run",
    configs.AnalyseSpace: "core.jobs.steps.analyse_space:run",
    configs.FineTune: "core.jobs.steps.fine_tune:run",
    configs.ForecastTraining: "core.jobs.steps.forecast_training:run",
    configs.CompareBackbones: "core.jobs.steps.compare_backbones:run",
    configs.EvaluateModel: "core.jobs.steps.evaluate_model:run",
    configs.CompareModels: "core.jobs.steps.compare_models:run",
    configs.CompareMaps: "core.jobs.steps.compare_maps:run",
    configs.ExplainImage: "core.jobs.steps.explain_image:run",
    configs.Predict: "core.jobs.steps.predict:run",
    configs.ExportModel: "core.jobs.steps.export_model:run",
    configs.ImportModel: "core.jobs.steps.import_model:run",
    configs.PlanTriage: "core.jobs.steps.plan_triage:run",
    configs.ApplyTriage: "core.jobs.steps.apply_triage:run",
    configs.DescribeQueue: "core.jobs.steps.apply_triage:describe_queue",
    configs.GroupStrange: "core.jobs.steps.find_types:group_strange",
    configs.FindCandidates: "core.jobs.steps.find_types:find_candidates",
    configs.WatchFolder: "core.jobs.steps.watch_folder:run",
    configs.AnswerDropped: "core.jobs.steps.answer_dropped:run",
    configs.CheckDrift: "core.jobs.steps.watch_drift:run",
    configs.CheckFiles: "core.jobs.steps.check_files:run",
    configs.ExportImages: "core.jobs.steps.export_images:run",
}
_BY_KIND = {config_class.kind: config_class for config_class in STEPS}


def config_class(kind: str) -> type[JobConfig]:
    """The config class of a kind of job.

    Raises:
        ValueError: there is no such kind.
    """
    if kind not in _BY_KIND:
        raise ValueError(f"kind must be one of {', '.join(sorted(_BY_KIND))}, got {kind!r}")
    return _BY_KIND[kind]


def title(kind: str) -> str:
    """What a person calls this kind of job; kinds of an older version keep their own name."""
    return _BY_KIND[kind].title if kind in _BY_KIND else kind


def load_function(config: JobConfig) -> Callable[..., Mapping[str, Any]]:
    """The function of a kind: `run(context, config)` returns the job's result as JSON values."""
    module, _, name = STEPS[type(config)].partition(":")
    return getattr(importlib.import_module(module), name)
