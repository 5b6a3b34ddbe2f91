"""Do the documents agree with the code, and with each other?"""

import argparse
import functools
import re
import sqlite3
import subprocess
import sys
import tomllib
from contextlib import closing
from pathlib import Path

import pytest

from core.__main__ import build_parser
from core.settings import PROJECT_ROOT
from core.state import catalog
from core.state.workspace import create_workspace, open_workspace
from tests.samples import import_folder, write_images

README = (PROJECT_ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (PROJECT_ROOT / "Makefile").read_text(encoding="utf-8")
DOCS = PROJECT_ROOT / "docs"
DECISIONS = DOCS / "decisions"  # notes of their day: they keep the words that held then
FILES = sorted([*PROJECT_ROOT.glob("*.md"), *DOCS.rglob("*.md")])
CURRENT = [file for file in FILES if file.parent != DECISIONS and file.name != "CHANGELOG.md"]
OF_THE_TESTS = {"LACQUER_TEST_DATABASE_URL", "LACQUER_TEST_DATA", "LACQUER_CHROMIUM"}


def _name(file: Path) -> str:
    return file.relative_to(PROJECT_ROOT).as_posix()


every_file = pytest.mark.parametrize("file", FILES, ids=_name)
every_current_file = pytest.mark.parametrize("file", CURRENT, ids=_name)


def test_the_readme_lists_every_variable_that_the_settings_read_and_no_other() -> None:
    assert _settings() == set(re.findall(r"^\| `(LACQUER_[A-Z_]+)` \|", README, flags=re.MULTILINE))


@every_current_file
def test_every_variable_that_is_named_is_one_that_is_read(file: Path) -> None:
    named = set(re.findall(r"LACQUER_[A-Z][A-Z_]*[A-Z]", _text(file)))
    assert named <= _settings() | OF_THE_TESTS


@every_current_file
def test_every_make_target_that_is_named_exists(file: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", MAKEFILE, flags=re.MULTILINE))
    named = set(re.findall(r"(?:`|^)make ([a-z]+)", _text(file), flags=re.MULTILINE))
    assert named <= targets


def test_the_readme_opens_with_the_two_commands() -> None:
    first = re.search(r"^```sh\n(.*?)```", README, flags=re.MULTILINE | re.DOTALL)
    assert first is not None
    assert re.findall(r"^make (\w+)", first[1], flags=re.MULTILINE) == ["demo", "test"]


def test_every_make_target_is_explained_by_make_help_or_serves_another() -> None:
    listed = set(re.findall(r"^([a-z]+):.* ## ", MAKEFILE, flags=re.MULTILINE))
    phony = re.search(r"^\.PHONY: (.*)$", MAKEFILE, flags=re.MULTILINE)
    assert phony is not None
    assert set(phony[1].split()) - listed == {"browser"}


@pytest.mark.parametrize("file", ["requirements.txt", "requirements-dev.txt"])
def test_every_requirement_is_pinned_to_one_version(file: str) -> None:
    lines = (PROJECT_ROOT / file).read_text(encoding="utf-8").splitlines()
    pins = [line.partition("#")[0].strip() for line in lines]
    loose = [pin for pin in pins if pin and not re.fullmatch(r"[\w.-]+(\[\w+\])?==[\d.]+", pin)]
    assert loose == []


def test_the_readme_gets_the_cpu_build_of_the_pinned_torch() -> None:
    requirements = (PROJECT_ROOT / "requirements.txt").read_text(encoding="utf-8")
    pins = re.findall(r"^(torch(?:vision)?==\S+)$", requirements, flags=re.MULTILINE)
    assert len(pins) == 2
    assert f"--index-url https://download.pytorch.org/whl/cpu {' '.join(pins)}\n" in README


def test_the_changelog_begins_with_this_version() -> None:
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    changelog = (PROJECT_ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (\S+)", changelog, flags=re.MULTILINE)
    assert newest is not None
    assert newest[1] == project["project"]["version"]


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("Queue: one image at a time", "queue-one-image-at-a-time"),
        ("`export DIR`", "export-dir"),
        ("Calibration, and why", "calibration-and-why"),
    ],
)
def test_an_anchor_is_made_as_a_reader_on_the_web_gets_it(heading: str, anchor: str) -> None:
    assert _anchor(heading) == anchor


@every_file
def test_every_link_leads_to_a_file_and_to_a_heading_in_it(file: Path) -> None:
    dead = []
    for path, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)#?([^)\s]*)\)", _text(file)):
        target = (file.parent / path).resolve() if path else file
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            dead.append(f"{path}#{anchor}")
    assert dead == []


def test_every_document_is_reached_from_the_readme() -> None:
    reached, waiting = set(), [PROJECT_ROOT / "README.md"]
    while waiting:
        file = waiting.pop()
        if file in reached:
            continue
        reached.add(file)
        links = re.findall(r"\]\((?!https?:)([^)#\s]+\.md)", _text(file))
        waiting += [(file.parent / link).resolve() for link in links]
    assert set(FILES) - reached == set()


def test_every_page_has_a_guide_and_every_guide_a_page() -> None:
    pages = {path.stem for path in (PROJECT_ROOT / "pages").glob("[a-z]*.py")}
    guides = {path.stem for path in (DOCS / "guide").glob("[a-z]*.md")}
    assert guides == {page.replace("_", "-") for page in pages}
    index = _text(DOCS / "guide" / "README.md")
    for guide in guides:
        assert f"docs/guide/{guide}.md" in README
        assert f"({guide}.md)" in index


def test_a_guide_bears_the_title_of_its_page_and_names_each_of_its_views() -> None:
    script = _text(PROJECT_ROOT / "pages" / "_main.py")
    titles = dict(re.findall(r'PAGES / "(\w+)\.py",\s+title="([^"]+)"', script))
    assert len(titles) > 1
    for page, title in titles.items():
        guide = _text(DOCS / "guide" / f"{page.replace('_', '-')}.md")
        assert guide.startswith(f"# {title}\n")
        source = _text(PROJECT_ROOT / "pages" / f"{page}.py")
        views = re.search(r"^VIEWS = \{(.*?)^\}", source, flags=re.MULTILINE | re.DOTALL)
        for view in re.findall(r'^    "([^"]+)":', views[1] if views else "", flags=re.MULTILINE):
            assert re.search(rf"[*#|`] ?{view}\b|\b{view}\*", guide), f"{title}: {view}"


def test_every_guide_says_what_can_go_wrong() -> None:
    for guide in (DOCS / "guide").glob("[a-z]*.md"):
        if guide.stem != "README":
            assert "\n## What can go wrong\n" in _text(guide), guide.name


@every_current_file
def test_every_command_that_is_written_out_can_be_read(file: Path) -> None:
    """As far as its verb, and each of its options."""
    for line in re.findall(r"python -m core ([^\n`'|]+)", _text(file)):
        words = line.partition("#")[0].split()
        parser = build_parser()
        while words:
            option = words[0].partition("=")[0]
            subcommands = _subcommands(parser)
            if option.startswith("-"):
                assert option in _options(parser), f"{option} in: {line}"
            elif option in subcommands:
                parser = subcommands[option]
            elif subcommands and re.fullmatch(r"[a-z]+", option):  # folders here have a slash
                pytest.fail(f"{option} in: {line}")
            words.pop(0)


@every_current_file
def test_every_option_that_is_named_is_one_of_some_command(file: Path) -> None:
    known = _all_options(build_parser()) | {
        *("--index-url", "--dist"),  # pip's and pytest's
        *("--system", "--create-home", "--home-dir", "--pwprompt", "--owner"),  # of the system
        *("--format", "--schema", "--file", "--dbname", "--exclude"),  # of PostgreSQL and tar
    }
    prose = re.sub(r"^```.*?^```", "", _text(file), flags=re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", prose)) <= known


@every_current_file
def test_every_module_and_file_of_ours_that_is_named_exists(file: Path) -> None:
    rooms = "core|pages|assets|tests|docs"
    named = re.findall(rf"`((?:{rooms})/[\w./-]*|(?:app|Makefile)\.py)`", _text(file))
    missing = [path for path in named if not (PROJECT_ROOT / path).exists()]
    assert missing == []


def test_every_source_that_the_methods_cite_is_cited_where_it_is_computed_and_the_reverse() -> None:
    methods = set()
    for file in (DOCS / "methods").glob("*.md"):
        methods |= _sources(file)
    everywhere, computed = set(), set()
    for file in (PROJECT_ROOT / "core").rglob("*.py"):
        everywhere |= _sources(file)
        if file.parent.name in ("latent", "learning", "triage", "images"):
            computed |= _sources(file)
    assert len(methods) > 20
    assert methods - everywhere == set()
    assert computed - methods == set()


def test_every_row_of_the_method_notes_leads_to_its_explanation_and_its_module() -> None:
    index = _text(DOCS / "methods" / "README.md")
    rows = [line for line in index.splitlines() if re.match(r"\| [^-n]|\| n(?!umber)", line)]
    assert len(rows) > 20
    for row in rows:
        assert re.search(r"\]\([\w-]+\.md(#[\w-]+)?\) \| `core/[\w/]+\.py`", row), row


def test_what_is_vendored_is_named_in_the_notice_with_its_licence() -> None:
    notice = (PROJECT_ROOT / "NOTICE").read_text(encoding="utf-8")
    vendored = list((PROJECT_ROOT / "assets" / "vendor").iterdir())
    assert vendored
    for file in vendored:
        assert f"assets/vendor/{file.name}" in notice
    licence = (PROJECT_ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in licence.splitlines()[0] + licence.splitlines()[1]


def test_the_backup_of_the_deployment_guide_makes_a_workspace_that_opens(
    home: Path, tmp_path: Path
) -> None:
    workspace = create_workspace(home / "line")
    import_folder(workspace, write_images(tmp_path / "photos", n_per_class=1))
    guide = _text(DOCS / "deployment.md")
    script = re.search(r"```sh\n(#!/bin/sh\n.*?)```", guide, flags=re.DOTALL)
    assert script is not None
    backup, restored = tmp_path / "backup", tmp_path / "restored"
    places = {"WORKSPACE": str(workspace.path), "BACKUP": str(backup), "PYTHON": sys.executable}
    subprocess.run(["sh", "-c", script[1]], env={"PATH": "/usr/bin:/bin", **places}, check=True)
    restored.mkdir()
    subprocess.run(["tar", "-C", restored, "-xf", backup / "files.tar"], check=True)
    (backup / "lacquer.db").rename(restored / "lacquer.db")
    again = open_workspace(restored)
    assert again.uid == workspace.uid
    assert catalog.fingerprint(again) == catalog.fingerprint(workspace)
    images = catalog.list_images(again)
    assert images
    assert all(catalog.image_path(again, image).is_file() for image in images)
    with closing(sqlite3.connect(restored / "lacquer.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def _settings() -> set[str]:
    source = (PROJECT_ROOT / "core" / "settings.py").read_text(encoding="utf-8")
    return set(re.findall(r'"(LACQUER_[A-Z_]+)"', source))


@functools.cache
def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def _anchors(file: Path) -> set[str]:
    prose = re.sub(r"^```.*?^```", "", _text(file), flags=re.MULTILINE | re.DOTALL)
    return {_anchor(heading) for heading in re.findall(r"^#+ (.+)$", prose, flags=re.MULTILINE)}


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def _sources(file: Path) -> set[str]:
    """DOIs and arXiv numbers; a long DOI with brackets by its first part."""
    found = re.findall(r"(?:doi:|arXiv:|doi\.org/)(10\.[\w./()-]+|\d{4}\.\d{4,5})", _text(file))
    return {source.rstrip(".)") for source in found}


def _subcommands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def _options(parser: argparse.ArgumentParser) -> set[str]:
    return {option for action in parser._actions for option in action.option_strings}


def _all_options(parser: argparse.ArgumentParser) -> set[str]:
    below = (_all_options(each) for each in _subcommands(parser).values())
    return _options(parser).union(*below)
