"""Every kind of job is stored and read back as it was asked, and its function is there."""

import inspect
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

import pytest

from core.jobs import steps
from core.jobs.configs import GenerateImages, JobConfig, ProjectEmbedding, from_json, to_json
from core.jobs.worker import LANES
from tests.unit.jobs.practice import Practice, PracticeNow

KINDS = sorted(steps.STEPS, key=lambda config_class: config_class.kind)


@pytest.fixture(params=KINDS, ids=lambda config_class: config_class.kind)
def config_class(request: pytest.FixtureRequest) -> type[JobConfig]:
    """Each kind of job in turn."""
    return request.param


def _filled(config_class: type[JobConfig]) -> JobConfig:
    values = {
        str: "text",
        int: 3,
        tuple[str, ...]: ("one", "two"),
        tuple[tuple[str, str], ...]: (("one", "two"),),
    }
    required = {f.name: values[f.type] for f in fields(config_class) if f.default is MISSING}
    return config_class(**required)


def test_a_config_comes_back_as_it_was_stored(config_class: type[JobConfig]) -> None:
    config = _filled(config_class)
    assert from_json(config_class, to_json(config)) == config


def test_every_kind_has_a_title_and_a_lane_that_a_worker_serves(
    config_class: type[JobConfig],
) -> None:
    assert is_dataclass(config_class)
    assert config_class.lane in LANES
    assert steps.title(config_class.kind) == config_class.title
    assert steps.config_class(config_class.kind) is config_class


def test_the_function_of_every_kind_takes_a_context_and_a_config(
    config_class: type[JobConfig],
) -> None:
    function = steps.load_function(_filled(config_class))
    assert list(inspect.signature(function).parameters) == ["context", "config"]


def test_lists_are_tuples_again_however_deep() -> None:
    config = ProjectEmbedding("run", parameters=(("n_neighbors", 15), ("metric", "cosine")))
    stored: dict[str, Any] = {
        **to_json(config),
        "parameters": [["n_neighbors", 15], ["metric", "cosine"]],
    }
    assert from_json(ProjectEmbedding, stored) == config


def test_what_a_later_version_dropped_is_passed_over() -> None:
    assert from_json(Practice, {"do": "count", "gone": 1}) == Practice("count")


def test_an_unknown_kind_is_refused_but_keeps_its_name_on_the_page() -> None:
    with pytest.raises(ValueError, match=r"kind must be one of .* got 'dance'"):
        steps.config_class("dance")
    assert steps.title("dance") == "dance"


def test_a_practice_job_has_the_lane_of_its_kind() -> None:
    assert (Practice("count").lane, PracticeNow("count").lane) == ("batch", "interactive")


def test_images_are_added_to_training_or_come_off_a_line_not_both() -> None:
    with pytest.raises(ValueError, match="exclude each other"):
        GenerateImages(training_only=True, of_line=True)
