"""A data scientist puts weights of their own beside a network, embeds with them, removes them."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.settings import PROJECT_ROOT
from core.state import job_rows, own_weights
from core.state.job_rows import Job
from core.state.workspace import Workspace
from tests.login import OPERATOR, configured
from tests.pages.conftest import TIMEOUT_S, OpenPage, checked, click, texts

pytestmark = pytest.mark.usefixtures("online")

KEY = "latent_space.weights.resnet50"
ARCHIVE = b"PK\x03\x04 what torch.save writes"


@pytest.fixture
def placed(small: Workspace) -> list[str]:
    """Names of two files of ResNet-50's and none of one of Swin-T's."""
    for name in ("resnet50-line-4.pth", "resnet50-line-5.pth", "swin_t-line-4.pth"):
        (own_weights.folder(small) / name).write_bytes(ARCHIVE)
    return ["resnet50-line-4.pth", "resnet50-line-5.pth"]


def upload(at: AppTest, name: str, content: bytes) -> AppTest:
    uploader = next(each for each in at.file_uploader if each.key.startswith(f"{KEY}.upload"))
    uploader.upload(name, content, "application/octet-stream")
    return click(checked(at.run()), f"{KEY}.add")


def has_choice(at: AppTest) -> bool:
    return KEY in [box.key for box in at.selectbox]


def submitted(workspace: Workspace) -> Job:
    waiting = job_rows.list_jobs(workspace, statuses=("queued",))
    assert len(waiting) == 1
    return waiting[0]


def test_without_weights_of_ones_own_there_is_nothing_to_choose(
    open_page: OpenPage, small: Workspace
) -> None:
    at = open_page("latent_space")
    assert not has_choice(at)
    click(at, "latent_space.embed")
    assert submitted(small).config["weights"] == ""


def test_an_uploaded_file_is_kept_and_chosen(open_page: OpenPage, small: Workspace) -> None:
    at = upload(open_page("latent_space"), "my line.pth", ARCHIVE)
    assert own_weights.list_weights(small, "resnet50") == ["resnet50-my-line.pth"]
    assert at.selectbox(key=KEY).value == "resnet50-my-line.pth"
    click(at, "latent_space.embed")
    assert submitted(small).config["weights"] == "resnet50-my-line.pth"


def test_a_file_that_is_no_weights_is_refused_and_the_page_goes_on(
    open_page: OpenPage, small: Workspace
) -> None:
    at = upload(open_page("latent_space"), "cat.pth", b"GIF89a")
    assert "This is no weights file" in texts(at)
    assert list(own_weights.folder(small).iterdir()) == []
    assert not has_choice(at)
    assert not at.button(key="latent_space.embed").disabled


def test_a_file_beyond_the_limit_is_refused(
    open_page: OpenPage, small: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LACQUER_MAX_UPLOAD_MB", "1")
    at = upload(open_page("latent_space"), "large.pth", ARCHIVE + bytes(1_000_000))
    assert "more than 1 MB" in texts(at)
    assert list(own_weights.folder(small).iterdir()) == []


def test_the_files_of_the_chosen_network_are_offered_and_no_others(
    open_page: OpenPage, small: Workspace, placed: list[str]
) -> None:
    at = open_page("latent_space")
    assert at.selectbox(key=KEY).options == ["Found by itself", *placed]
    at.selectbox(key=KEY).select(placed[1])
    click(checked(at.run()), "latent_space.embed")
    assert submitted(small).config["weights"] == placed[1]
    at.selectbox(key="latent_space.backbone").select("swin_t")
    at = checked(at.run())
    assert not has_choice(at)
    assert at.selectbox(key="latent_space.weights.swin_t").options == [
        "Found by itself",
        "swin_t-line-4.pth",
    ]


def test_a_removed_file_is_no_longer_chosen(
    open_page: OpenPage, small: Workspace, placed: list[str]
) -> None:
    at = open_page("latent_space")
    at.selectbox(key=KEY).select(placed[0])
    at = click(checked(at.run()), f"{KEY}.remove.{placed[0]}")
    assert own_weights.list_weights(small, "resnet50") == placed[1:]
    assert at.selectbox(key=KEY).value == ""


def test_what_the_features_were_made_with_is_named(open_page: OpenPage, small: Workspace) -> None:
    at = open_page("latent_space")
    assert "resnet50-fake.pth" in at.selectbox(key="latent_space.features").options[0]


def test_a_name_is_shown_as_it_is(open_page: OpenPage, small: Workspace) -> None:
    name = "resnet50-**bold**<b>.pth"
    (own_weights.folder(small) / name).write_bytes(ARCHIVE)
    at = open_page("latent_space")
    assert Path(name).stem not in texts(at)
    assert "bold" in texts(at)


def test_an_operator_neither_adds_nor_removes_weights(
    small: Workspace, placed: list[str], tmp_path: Path
) -> None:
    with configured(tmp_path):
        at = AppTest.from_file(PROJECT_ROOT / "pages" / "_main.py", default_timeout=TIMEOUT_S)
        at.user = {"is_logged_in": True, "email": OPERATOR, "name": "anyone"}
        at.switch_page("latent_space.py")
        at = click(checked(at.run()), f"{KEY}.remove.{placed[0]}")
        assert "needs the role data scientist" in at.error[0].value.replace("\\", "")
        at = upload(checked(at.run()), "mine.pth", ARCHIVE)
        assert "needs the role data scientist" in at.error[0].value.replace("\\", "")
    assert own_weights.list_weights(small, "resnet50") == placed
