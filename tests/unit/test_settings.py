"""Settings are read from the environment once, and wrong ones are named."""

import os
import pickle
import re
from pathlib import Path

import pytest

from core.errors import OperatorError
from core.settings import PROJECT_ROOT, Settings, load_settings


def test_an_empty_environment_gives_the_defaults() -> None:
    assert load_settings({}) == Settings(home=PROJECT_ROOT / "workspaces")


def test_every_variable_is_read() -> None:
    settings = load_settings(
        {
            "LACQUER_HOME": "/srv/home",
            "LACQUER_WORKSPACE": "/srv/one",
            "LACQUER_DATABASE_URL": " postgresql://db/lacquer ",
            "LACQUER_WEIGHTS_DIR": "/srv/weights",
            "LACQUER_IMPORT_ROOTS": os.pathsep.join(["/data/a", "", "/data/b"]),
            "LACQUER_MAX_IMAGE_PIXELS": "1e6",
            "LACQUER_MAX_UPLOAD_MB": "50",
            "LACQUER_OFFLINE": "Yes",
            "LACQUER_WORKER_IDLE_S": "2.5",
        }
    )
    assert settings == Settings(
        home=Path("/srv/home"),
        workspace=Path("/srv/one"),
        database_url="postgresql://db/lacquer",
        weights_dir=Path("/srv/weights"),
        import_roots=(Path("/data/a"), Path("/data/b")),
        max_image_pixels=1_000_000,
        max_upload_mb=50,
        offline=True,
        worker_idle_s=2.5,
    )


def test_blank_variables_count_as_unset() -> None:
    names = re.findall(r"LACQUER_[A-Z_]+", (PROJECT_ROOT / "core" / "settings.py").read_text())
    assert load_settings(dict.fromkeys(names, "  ")) == load_settings({})


def test_relative_and_home_paths_become_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/operator")
    settings = load_settings({"LACQUER_HOME": "here", "LACQUER_WEIGHTS_DIR": "~/weights"})
    assert settings.home == tmp_path / "here"
    assert settings.weights_dir == Path("/home/operator/weights")


@pytest.mark.parametrize("value", ["many", "0", "-1", "nan", "inf", "1e999"])
@pytest.mark.parametrize(
    "name", ["LACQUER_MAX_IMAGE_PIXELS", "LACQUER_MAX_UPLOAD_MB", "LACQUER_WORKER_IDLE_S"]
)
def test_a_number_that_is_none_or_not_positive_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be .*{re.escape(value)}"):
        load_settings({name: value})


@pytest.mark.parametrize("value", ["", "0", "no", "false"])
def test_downloads_are_allowed_unless_offline_is_said(value: str) -> None:
    assert not load_settings({"LACQUER_OFFLINE": value}).offline


def test_nothing_of_the_outer_environment_reaches_a_test(home: Path) -> None:
    ours = {name for name in os.environ if re.match("LACQUER_(?!TEST_)", name)}
    assert ours == {"LACQUER_HOME", "LACQUER_OFFLINE", "LACQUER_WORKER_IDLE_S"}
    assert load_settings().home == home


def test_an_operator_error_reads_as_one_line_and_leaves_out_what_is_empty() -> None:
    assert str(OperatorError("It broke.", next_step="Mend it.")) == "It broke. Mend it."


def test_an_operator_error_survives_the_way_between_processes() -> None:
    error = pickle.loads(pickle.dumps(OperatorError("a", "b", "c")))  # noqa: S301
    assert (error.title, error.detail, error.next_step) == ("a", "b", "c")
