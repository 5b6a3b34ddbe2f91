"""The report as one file: everything is in it, escaped, and it asks nobody for anything."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from core.analysis.html_page import Picture, page, paragraph, pictures, table
from core.analysis.html_report import build_report
from core.jobs.configs import AnalyseSpace, ClusterImages, CompareSets
from core.state import labels, selections
from core.state.workspace import Workspace
from tests.blobs import Blobs, add_blobs
from tests.factories import fill, new_image
from tests.samples import do, fake_projection, keep_embedding

UNTRUSTED = "<img src=x onerror=alert(1)>"


class Reader(HTMLParser):
    """Elements and their attributes, and the text outside of scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._within: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._within.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._within and self._within[-1] == tag:
            self._within.pop()

    def handle_data(self, data: str) -> None:
        if not self._within:
            self.text += data


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    return reader


def charts(text: str) -> list[dict]:
    found = re.findall(r"<script type='application/json'>(.*?)</script>", text, re.DOTALL)
    return [json.loads(each) for each in found]


@pytest.fixture
def blobs(workspace: Workspace) -> Blobs:
    return add_blobs(workspace)


@pytest.fixture
def analysed(workspace: Workspace, blobs: Blobs) -> Blobs:
    """Every analysis made."""
    fake_projection(workspace, blobs.embedding)
    first, second = (
        selections.save_selection(workspace, np.array(blobs.ids[start : start + 20]))
        for start in (0, 20)
    )
    for config in (
        ClusterImages(blobs.embedding.id, parameters=(("n_clusters", 3),)),
        AnalyseSpace(blobs.embedding.id),
        CompareSets(blobs.embedding.id, first, second, "the dirt", "the drops"),
    ):
        job = do(workspace, config)
        assert job.status == "succeeded", job.error
    return blobs


def test_every_result_has_its_section(workspace: Workspace, analysed: Blobs) -> None:
    text = build_report(workspace, analysed.embedding)
    shown = read(text).text
    for title in (
        "The images",
        "Map",
        "Clusterings",
        "Silhouettes by metric",
        "Anomalies",
        "Label errors",
        "Classes and splits",
        "Comparisons of two sets",
    ):
        assert title in shown
    assert "Not in this report" not in shown
    assert "the dirt (20) against the drops (20)" in shown
    assert "Squared Euclidean" in shown
    assert "sha256" in shown
    assert "Python" in shown
    assert "1 groups of images show the same thing" in shown
    assert "Neighbours are exact" in shown
    assert len(charts(text)) >= 8


def test_it_asks_nobody_for_anything(workspace: Workspace, analysed: Blobs) -> None:
    text = build_report(workspace, analysed.embedding)
    reader = read(text)
    assert not [tag for tag, _ in reader.tags if tag in ("link", "iframe", "object", "base")]
    sources = [attrs["src"] for _, attrs in reader.tags if "src" in attrs]
    assert all(str(source).startswith("data:image/jpeg;base64,") for source in sources)
    (policy,) = [attrs["content"] for _, attrs in reader.tags if "http-equiv" in attrs]
    assert "default-src 'none'" in str(policy)
    assert text.count("plotly.js v") == 1  # inside once, however many charts


def test_what_was_not_computed_is_named(workspace: Workspace, blobs: Blobs) -> None:
    shown = read(build_report(workspace, blobs.embedding)).text
    assert "Not computed: Map, Clusterings, Silhouettes by metric, Anomalies" in shown


def test_results_that_no_longer_hold_say_so(workspace: Workspace, analysed: Blobs) -> None:
    assert "have changed since" not in read(build_report(workspace, analysed.embedding)).text
    labels.relabel(workspace, [analysed.slip], "scratch", actor="Ada")
    shown = read(build_report(workspace, analysed.embedding)).text
    assert "Labels or splits have changed since this was measured." in shown
    assert "settled: scratch" in shown


def test_names_are_text_wherever_they_stand(workspace: Workspace) -> None:
    label = UNTRUSTED.replace("/", "")
    images = [new_image(n, label=label if n % 2 else "b", split="train") for n in range(20)]
    ids = np.array(fill(workspace, *images), np.int64)
    vectors = np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32)
    embedding = keep_embedding(workspace, ids, vectors, notice=UNTRUSTED)
    assert do(workspace, AnalyseSpace(embedding.id)).status == "succeeded"
    text = build_report(workspace, embedding)
    assert UNTRUSTED in read(text).text
    assert "<img src=x" not in text
    assert not [attrs for _, attrs in read(text).tags if "onerror" in attrs]


def test_parts_escape_what_they_are_given() -> None:
    parts = [
        paragraph(UNTRUSTED),
        table([UNTRUSTED], [[UNTRUSTED]]),
        pictures([Picture(None, (UNTRUSTED,))]),
    ]
    assert not [part for part in parts if UNTRUSTED in part]
    assert f"<title>{UNTRUSTED}" not in page(UNTRUSTED, [])


def test_numbers_in_a_table_are_written_for_people() -> None:
    assert "<td>1,351</td><td>0.123</td><td>–</td>" in table("abc", [[1351, 0.12345, None]])


def test_a_map_of_many_images_shows_a_subset_and_says_so(
    workspace: Workspace, blobs: Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.analysis.html_report.MAX_POINTS", 10)
    fake_projection(workspace, blobs.embedding)
    text = build_report(workspace, blobs.embedding)
    assert "10 of 61 images, drawn at random." in read(text).text
    (drawn,) = [each for each in charts(text) if each["layout"].get("hovermode") == "closest"]
    assert sum(len(trace["x"]) for trace in drawn["data"]) == 10
