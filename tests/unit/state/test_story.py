"""The story's templates and copies: private, small, thrown away in time."""

import os
import time
from pathlib import Path

import pytest

from core.errors import OperatorError
from core.jobs.configs import CheckFiles, to_json
from core.jobs.processes import this_process
from core.settings import Settings, load_settings
from core.state import catalog, job_rows, labels, story
from core.state.workspace import Workspace, find_workspace, list_workspaces
from tests.factories import copy_in, fill

LABEL = "drop"


@pytest.fixture
def shop(workspace: Workspace) -> Workspace:
    """Three labelled images with files, on each database in turn."""
    found = [copy_in(workspace, number, b"pixels %d" % number) for number in range(3)]
    ids = fill(workspace, *found)
    labels.relabel(workspace, ids, LABEL, actor="Ada")
    return workspace


@pytest.fixture
def settings(shop: Workspace) -> Settings:
    """Those of a home that has both templates."""
    found = load_settings()
    for stage in story.STAGES:
        story.keep_template(shop, stage, found)
    return found


def first_image(workspace: Workspace) -> catalog.Image:
    return catalog.list_images(workspace, sort="oldest")[0]


def file_of(workspace: Workspace) -> Path:
    return catalog.image_path(workspace, first_image(workspace))


def forgotten_for(copy: Workspace, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(copy.path / "workspace.json", (then, then))


def test_a_copy_holds_what_the_template_holds_and_shares_its_files(
    shop: Workspace, settings: Settings
) -> None:
    copy = story.new_copy(settings)
    assert catalog.column(copy, catalog.image_ids(copy), "label") == [LABEL] * 3
    assert file_of(copy).samefile(file_of(shop))
    assert story.stage_of(copy) == story.START
    assert copy.database_url is None


def test_what_is_changed_in_a_copy_changes_nowhere_else(
    shop: Workspace, settings: Settings
) -> None:
    mine, yours = story.new_copy(settings), story.new_copy(settings)
    labels.relabel(mine, [first_image(mine).id], "dirt", actor="a visitor")
    file_of(mine).unlink()
    for other in (yours, story.new_copy(settings), shop):
        assert first_image(other).label == LABEL
        assert file_of(other).is_file()


def test_a_copy_is_listed_nowhere_and_found_by_its_uid(shop: Workspace, settings: Settings) -> None:
    copy = story.new_copy(settings)
    assert [each.uid for each in list_workspaces()] == [shop.uid]
    assert find_workspace(copy.uid) == copy
    assert story.find_copy(copy.uid, settings) == copy


@pytest.mark.parametrize("uid", ["", "..", "../start", "0" * 16, "not a uid"])
def test_what_is_no_uid_of_a_copy_finds_none(uid: str, settings: Settings) -> None:
    assert story.find_copy(uid, settings) is None
    assert find_workspace(uid) is None


def test_without_both_templates_there_is_no_story(workspace: Workspace) -> None:
    settings = load_settings()
    story.keep_template(workspace, story.START, settings)
    assert not story.has_templates(settings)
    with pytest.raises(OperatorError, match="no story"):
        story.new_copy(settings)


def test_a_template_is_replaced_by_a_newer_one(shop: Workspace, settings: Settings) -> None:
    old = story.new_copy(settings)
    labels.relabel(shop, [first_image(shop).id], "scratch", actor="Ada")
    story.keep_template(shop, story.START, settings)
    assert first_image(story.new_copy(settings)).label == "scratch"
    assert first_image(old).label == LABEL


def test_copies_that_nobody_looks_at_go_when_the_next_is_made(settings: Settings) -> None:
    idle, looked_at = story.new_copy(settings), story.new_copy(settings)
    for copy in (idle, looked_at):
        forgotten_for(copy, 2 * story.LONGEST_IDLE_S)
    story.find_copy(looked_at.uid, settings)
    story.new_copy(settings)
    assert not idle.path.exists()
    assert story.find_copy(looked_at.uid, settings) is not None


def test_of_too_many_copies_those_go_that_were_looked_at_first(settings: Settings) -> None:
    copies = [story.new_copy(settings) for _ in range(4)]
    for age, copy in enumerate(copies):
        forgotten_for(copy, 60.0 * age)
    story.sweep(settings, keep=2)
    assert [copy.path.exists() for copy in copies] == [True, True, False, False]


def test_half_a_copy_is_swept(settings: Settings) -> None:
    story.new_copy(settings)
    half = settings.home / ".story" / "copies" / ("a" * 16)
    half.mkdir()
    story.sweep(settings)
    assert not half.exists()


def test_a_discarded_copy_is_gone_at_once(settings: Settings) -> None:
    copy = story.new_copy(settings)
    story.discard(copy)
    assert not copy.path.exists()
    assert find_workspace(copy.uid) is None


def test_a_copy_with_a_job_at_work_stops_it_and_goes_with_a_later_sweep(
    settings: Settings,
) -> None:
    copy = story.new_copy(settings)
    config = CheckFiles()
    made = job_rows.add_job(
        copy, kind=config.kind, lane=config.lane, config=to_json(config), actor="a visitor"
    )
    job = job_rows.claim(copy, made.id, this_process())
    story.discard(copy)
    assert copy.path.exists()
    assert job_rows.get_job(copy, job.id).cancel_requested
    job_rows.finish(copy, job, "cancelled")
    story.sweep(settings)
    assert not copy.path.exists()


def test_only_a_copy_can_be_discarded(shop: Workspace) -> None:
    with pytest.raises(ValueError, match="no copy"):
        story.discard(shop)
    assert shop.path.exists()
