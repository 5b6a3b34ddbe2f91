"""The report: what is wrong is named, opens its images, and can be mended and taken back there."""

import json
from pathlib import Path

import pytest
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.testing.v1 import AppTest

from core.jobs.worker import run_job
from core.report.subsets import (
    CameTwice,
    HasFlag,
    HasSize,
    InCell,
    InConflict,
    InRange,
    Part,
    decode,
    encode,
)
from core.state import catalog, job_rows, labels, near_duplicates
from core.state.workspace import Workspace, create_workspace
from tests import samples
from tests.factories import fill, new_image
from tests.pages.conftest import OpenPage, checked, click, send, shown_ids, texts


@pytest.fixture
def flawed(small: Workspace, tmp_path: Path) -> Workspace:
    """24 flat images of one size, and of another: a black one, twice, under two labels."""
    samples.save_image(tmp_path / "more" / "dirt" / "black.png", (0, 0, 0), size=(64, 64))
    samples.save_image(tmp_path / "more" / "drop" / "twin.png", (0, 0, 0), size=(64, 64))
    samples.import_folder(small, tmp_path / "more")
    return small


def black(workspace: Workspace) -> int:
    return catalog.list_images(workspace)[0].id


def open_report(open_page: OpenPage, *subset: Part, **query: str) -> AppTest:
    if subset:
        query["shown"] = encode(subset)
    return open_page("dataset", dataset__view="Report", **query)


def findings(at: AppTest) -> list[str]:
    buttons = [b for b in at.button if (b.key or "").startswith("dataset.report.finding.")]
    return [button.label.replace("\\", "") for button in buttons]


def press(at: AppTest, text: str) -> AppTest:
    """Open a finding."""
    place = next(i for i, finding in enumerate(findings(at)) if text in finding)
    return click(at, f"dataset.report.finding.{place}")


def charts(at: AppTest) -> list[str]:
    """The names of the charts that are shown."""
    ids = [chart.proto.id for chart in at.get("plotly_chart")]
    return [each.split("dataset.report.")[1].rpartition(".")[0] for each in ids]


def click_bars(at: AppTest, chart: str, *parts: Part | str) -> AppTest:
    """Click bars of a chart, by what they stand for; AppTest drives no charts itself."""
    (shown,) = [c for c in at.get("plotly_chart") if f"dataset.report.{chart}." in c.proto.id]
    points = [{"customdata": p if isinstance(p, str) else encode((p,))} for p in parts]
    selection = {"points": points, "point_indices": [0], "box": [], "lasso": []}
    states = at._tree.get_widget_states()
    value = json.dumps({"selection": selection})
    states.widgets.append(WidgetState(id=shown.proto.id, string_value=value))
    return checked(at._run(states))


def all_charts() -> list[str]:
    measures = ["aspect_ratio", "shorter_side", *catalog.QUALITY_MEASURES]
    return sorted(["by_class", "by_split", "sizes", *measures])


def test_at_first_findings_and_every_chart_are_seen(open_page: OpenPage, flawed: Workspace) -> None:
    at = open_report(open_page)
    found = findings(at)
    assert "1 image came with different labels from different files" in found[0]
    assert any("25 images are nearly uniform" in each for each in found)
    assert any("1 image is too dark" in each for each in found)
    assert "1 image came from several files" in found[-1]
    assert sorted(charts(at)) == all_charts()
    assert not [each for each in at.get("bidi_component") if "gallery" in (each.key or "")]


def test_where_all_is_well_the_report_says_so(
    open_page: OpenPage, small: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pages._dataset_report.find_problems", lambda facts, with_excluded: ())
    at = open_report(open_page)
    assert "Nothing stands out" in at.success[0].value
    assert findings(at) == []


def test_a_finding_opens_exactly_its_images_and_the_address_keeps_them(
    open_page: OpenPage, flawed: Workspace
) -> None:
    at = press(open_report(open_page), "too dark")
    assert shown_ids(at, "dataset.report.gallery") == [black(flawed)]
    assert decode(at.query_params["shown"]) == (HasFlag("too_dark"),)
    assert "1 image judged too dark" in texts(at).replace("\\", "")
    assert "Judged by brightness: below 0.06" in texts(at)
    assert charts(at) == ["brightness"]
    again = open_report(open_page, HasFlag("too_dark"))
    assert shown_ids(again, "dataset.report.gallery") == [black(flawed)]


def test_going_back_shows_the_whole_report(open_page: OpenPage, flawed: Workspace) -> None:
    at = click(press(open_report(open_page), "too dark"), "dataset.report.close")
    assert "shown" not in at.query_params
    assert sorted(charts(at)) == all_charts()


def test_a_bar_opens_its_images(open_page: OpenPage, flawed: Workspace) -> None:
    at = click_bars(open_report(open_page), "sizes", HasSize(64, 64))
    assert shown_ids(at, "dataset.report.gallery") == [black(flawed)]
    assert "1 image of 64 × 64 pixels" in texts(at)


def test_a_piece_of_a_bar_opens_its_label_and_split(open_page: OpenPage, small: Workspace) -> None:
    chosen = catalog.ImageFilter(labels=("dirt",), splits=("train",))
    ids = catalog.image_ids(small, chosen).tolist()
    for chart in ("by_class", "by_split"):
        at = click_bars(open_report(open_page), chart, InCell("dirt", "train"))
        assert sorted(shown_ids(at, "dataset.report.gallery")) == ids
        assert charts(at) == ["by_class"]


def test_bars_of_a_histogram_open_the_range_from_first_to_last(
    open_page: OpenPage, flawed: Workspace
) -> None:
    at = open_report(open_page)
    bars = (InRange("brightness", 0.0, 0.02), InRange("brightness", 0.3, 0.4))
    at = click_bars(at, "brightness", *bars)
    assert decode(at.query_params["shown"]) == (InRange("brightness", 0.0, 0.4),)
    ids, table = catalog.image_ids(flawed), catalog.column
    values = table(flawed, ids, "brightness")
    inside = [i for i, value in zip(ids.tolist(), values, strict=True) if value < 0.4]
    assert sorted(shown_ids(at, "dataset.report.gallery")) == inside


def test_a_range_is_narrowed_by_its_handles(open_page: OpenPage, flawed: Workspace) -> None:
    at = open_report(open_page, InRange("brightness", 0.0, 1.0))
    (slider,) = at.select_slider
    checked(slider.set_range(0.0, 0.02).run())
    assert shown_ids(at, "dataset.report.gallery") == [black(flawed)]
    assert decode(at.query_params["shown"]) == (InRange("brightness", 0.0, 0.02),)


@pytest.mark.parametrize("forged", ["", "no json", '[["flag","nothing"]]', 7, None, ["x"]])
def test_a_forged_click_opens_nothing(
    forged: object, open_page: OpenPage, flawed: Workspace
) -> None:
    at = open_report(open_page)
    (shown,) = [c for c in at.get("plotly_chart") if "dataset.report.sizes." in c.proto.id]
    states = at._tree.get_widget_states()
    value = json.dumps({"selection": {"points": [{"customdata": forged}, {}]}})
    states.widgets.append(WidgetState(id=shown.proto.id, string_value=value))
    checked(at._run(states))
    assert "shown" not in at.query_params


def test_a_link_that_names_nothing_shows_the_report(open_page: OpenPage, small: Workspace) -> None:
    at = open_report(open_page, shown='[["flag","nothing"]]')
    assert "This link names nothing" in texts(at)
    assert sorted(charts(at)) == all_charts()


def test_all_are_excluded_in_one_action_that_is_undone_in_one(
    open_page: OpenPage, flawed: Workspace
) -> None:
    at = press(open_report(open_page), "nearly uniform")
    click(at, "dataset.report.exclude_all")
    assert catalog.summarise(flawed).n_excluded == 25
    batch = labels.list_batches(flawed)[0]
    assert (batch.n_changes, batch.actor) == (25, "Ada")
    assert "No image is left here" in texts(at)
    assert findings(open_report(open_page)) == []
    click(at, f"shared.undo.{batch.id}")
    assert catalog.summarise(flawed).n_excluded == 0
    assert len(shown_ids(at, "dataset.report.gallery")) == 25


def test_excluding_asks_for_a_name_first(open_page: OpenPage, flawed: Workspace) -> None:
    at = open_page("dataset", person=None, dataset__view="Report", shown='[["flag","too_dark"]]')
    click(at, "dataset.report.exclude_all")
    assert at.text_input(key="shared.dialog.name")
    assert catalog.summarise(flawed).n_excluded == 0


def test_excluded_images_can_be_counted_too(open_page: OpenPage, flawed: Workspace) -> None:
    labels.set_excluded(flawed, [black(flawed)], True, actor="Ada")
    at = open_report(open_page)
    assert not any("too dark" in each for each in findings(at))
    checked(at.toggle(key="dataset.report.excluded").set_value(True).run())
    assert shown_ids(press(at, "too dark"), "dataset.report.gallery") == [black(flawed)]


def test_a_conflict_is_settled_by_a_person_who_relabels(
    open_page: OpenPage, flawed: Workspace
) -> None:
    at = open_report(open_page, InConflict())
    row = at.dataframe[0].value.iloc[0]
    assert list(row["different labels"]) == ["dirt", "drop"]
    assert list(row["files"]) == ["dirt/black.png", "drop/twin.png"]
    send(at, "dataset.report.gallery", selection=[black(flawed)])
    at.selectbox(key="dataset.report.act.label").select("drop")
    checked(at.run())
    click(at, "dataset.report.act.relabel")
    assert catalog.get_image(flawed, black(flawed)).label == "drop"
    assert "No image is left here" in texts(at)
    assert shown_ids(open_report(open_page, CameTwice()), "dataset.report.gallery") == [
        black(flawed)
    ]


def test_what_is_called_unusable_is_dealt_with(open_page: OpenPage, flawed: Workspace) -> None:
    at = open_report(open_page, HasFlag("too_dark"))
    at.toggle(key="dataset.report.whole").set_value(True)
    checked(at.run())
    at.selectbox(key="dataset.report.act.label").select("unusable")
    checked(at.run())
    click(at, "dataset.report.act.relabel")
    assert catalog.get_image(flawed, black(flawed)).label == "unusable"
    assert not any("too dark" in each for each in findings(open_report(open_page)))


def test_to_act_on_all_is_chosen_anew_for_other_images(
    open_page: OpenPage, flawed: Workspace
) -> None:
    at = press(open_report(open_page), "too dark")
    checked(at.toggle(key="dataset.report.whole").set_value(True).run())
    press(click(at, "dataset.report.close"), "nearly uniform")
    assert at.toggle(key="dataset.report.whole").value is False
    assert at.button(key="dataset.report.act.exclude").disabled


def test_a_check_finds_files_that_are_gone(open_page: OpenPage, small: Workspace) -> None:
    gone = catalog.list_images(small)[0]
    catalog.image_path(small, gone).unlink()
    at = open_report(open_page)
    assert not any("missing" in each for each in findings(at))
    click(at, "dataset.check")
    (job,) = job_rows.list_jobs(small, statuses=("queued",))
    assert run_job(small, job.id).result["missing"] == 1
    at = open_report(open_page)
    assert "The file of 1 image is missing" in findings(at)[0]
    assert shown_ids(press(at, "missing"), "dataset.report.gallery") == [gone.id]


def test_with_every_image_excluded_the_report_still_opens(
    open_page: OpenPage, small: Workspace
) -> None:
    labels.set_excluded(small, catalog.image_ids(small).tolist(), True, actor="Ada")
    at = open_report(open_page)
    assert "Every image is excluded" in texts(at)
    assert charts(at) == []


def test_a_measure_that_nobody_took_is_said_to_be_missing(open_page: OpenPage, home: Path) -> None:
    workspace = create_workspace(home / "old", name="Old")
    fill(workspace, new_image(1, label="dirt"))
    at = open_report(open_page)
    assert "Sharpness: no image has been measured." in texts(at)
    assert sorted(charts(at)) == ["aspect_ratio", "by_class", "by_split", "shorter_side", "sizes"]


def test_look_alikes_in_two_splits_are_united_and_taken_back(
    open_page: OpenPage, small: Workspace
) -> None:
    train, test = (
        next(image.id for image in catalog.list_images(small) if image.split == split)
        for split in ("train", "test")
    )
    near_duplicates.replace_groups(small, [[train, test]])
    at = press(open_report(open_page), "look alike in several splits")
    assert "dataset.report.exclude_all" not in {button.key for button in at.button}
    assert sorted(shown_ids(at, "dataset.report.gallery")) == sorted([train, test])
    at = click(at, "dataset.report.unite")
    assert "shown" not in at.query_params  # mended: the whole report again
    assert {catalog.get_image(small, each).split for each in (train, test)} == {"train"}
    assert not any("several splits" in each for each in findings(open_report(open_page)))
    labels.undo(small, labels.list_batches(small)[0].id, actor="Ada")
    assert catalog.get_image(small, test).split == "test"


def test_calibration_is_split_off_where_it_is_missing(
    open_page: OpenPage, small: Workspace
) -> None:
    ids = catalog.image_ids(small).tolist()
    labels.set_splits(small, {i: "train" if i % 2 else "validation" for i in ids}, actor="Ada")
    at = press(open_report(open_page), "no calibration split")
    at = click(at, "dataset.report.calibrate")
    assert "shown" not in at.query_params
    splits = catalog.summarise(small).n_by_split
    assert splits["calibration"] > 0
    assert splits["train"] == sum(i % 2 for i in ids)


def test_near_duplicates_are_searched_again_on_demand(
    open_page: OpenPage, small: Workspace
) -> None:
    click(open_report(open_page), "dataset.find_alike")
    assert job_rows.list_jobs(small)[0].kind == "find_near_duplicates"
    (bar,) = open_report(open_page).get("progress")
    assert "Find near-duplicates" in bar.proto.text
