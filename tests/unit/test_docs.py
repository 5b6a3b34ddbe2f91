"""Does what the README and the pins say agree with the code?"""

import re
import tomllib

import pytest

from core.settings import PROJECT_ROOT

README = (PROJECT_ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (PROJECT_ROOT / "Makefile").read_text(encoding="utf-8")


def test_the_readme_lists_every_variable_that_the_settings_read_and_no_other() -> None:
    source = (PROJECT_ROOT / "core" / "settings.py").read_text(encoding="utf-8")
    read = set(re.findall(r'"(LACQUER_[A-Z_]+)"', source))
    assert read == set(re.findall(r"^\| `(LACQUER_[A-Z_]+)` \|", README, flags=re.MULTILINE))


def test_every_make_target_that_the_readme_names_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", MAKEFILE, flags=re.MULTILINE))
    named = set(re.findall(r"(?:`|^)make ([a-z]+)", README, flags=re.MULTILINE))
    assert {"demo", "test"} <= named <= targets


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


def test_links_in_the_readme_lead_to_files() -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", README)
    assert [link for link in links if not (PROJECT_ROOT / link).exists()] == []
