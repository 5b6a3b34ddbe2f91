"""Uploaded weights are kept under clean names, listed for their network alone, and never opened."""

import io
import pickle
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import OperatorError
from core.state import own_weights
from core.state.workspace import Workspace, create_workspace

ARCHIVE = b"PK\x03\x04 what torch.save writes"
OLDER = b"\x80\x02 what torch.save wrote once"
SAFETENSORS = b"\x02\x00\x00\x00\x00\x00\x00\x00{}"


@pytest.fixture
def small(home: Path) -> Workspace:
    return create_workspace(home / "small", name="Small")


def add(
    workspace: Workspace,
    name: str,
    content: bytes = ARCHIVE,
    *,
    backbone: str = "resnet50",
    max_bytes: int = 1000,
) -> str:
    return own_weights.add_weights(
        workspace, backbone, name, io.BytesIO(content), max_bytes=max_bytes
    )


def files(workspace: Workspace) -> list[str]:
    return sorted(path.name for path in own_weights.folder(workspace).iterdir())


@pytest.mark.parametrize(
    ("name", "content", "kept"),
    [
        ("paint.pth", ARCHIVE, "resnet50-paint.pth"),
        ("paint.pt", OLDER, "resnet50-paint.pth"),
        ("paint.pth", SAFETENSORS, "resnet50-paint.safetensors"),
        ("resnet50-paint.pth", ARCHIVE, "resnet50-paint.pth"),
        ("Décapé n° 3 (final).pth", ARCHIVE, "resnet50-Decape-n-3-final.pth"),
        ("../../etc/passwd.pth", ARCHIVE, "resnet50-passwd.pth"),
        ("..\\..\\boot.ini.pth", ARCHIVE, "resnet50-boot-ini.pth"),
    ],
)
def test_a_file_is_kept_after_its_network_and_by_what_it_is(
    small: Workspace, name: str, content: bytes, kept: str
) -> None:
    assert add(small, name, content) == kept
    assert files(small) == [kept]
    assert (own_weights.folder(small) / kept).read_bytes() == content
    assert own_weights.list_weights(small, "resnet50") == [kept]


@given(name=st.text(max_size=300))
@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_name_leads_out_of_the_folder_or_past_the_list(small: Workspace, name: str) -> None:
    kept = add(small, name)
    assert (own_weights.folder(small) / kept).is_file()
    assert own_weights.list_weights(small, "resnet50") == [kept]
    own_weights.remove_weights(small, "resnet50", kept)
    assert files(small) == []


@pytest.mark.parametrize("content", [b"", b"GIF89a", pickle.dumps([], protocol=4), b"x" * 20])
def test_what_is_no_weights_file_is_refused(small: Workspace, content: bytes) -> None:
    with pytest.raises(OperatorError, match="no weights file"):
        add(small, "paint.pth", content)
    assert files(small) == []


def test_a_file_too_large_is_refused_and_nothing_of_it_stays(small: Workspace) -> None:
    with pytest.raises(OperatorError, match="more than"):
        add(small, "paint.pth", ARCHIVE, max_bytes=10)
    assert files(small) == []


def test_a_name_that_is_taken_is_refused_and_the_file_stays(small: Workspace) -> None:
    add(small, "paint.pth")
    with pytest.raises(OperatorError, match=r"resnet50-paint\.pth already"):
        add(small, "paint.pth", ARCHIVE + b"other")
    assert (own_weights.folder(small) / "resnet50-paint.pth").read_bytes() == ARCHIVE


def test_each_network_has_its_own_files(small: Workspace) -> None:
    for name in (
        "resnet50.pth",
        "paint-resnet50.safetensors",
        "ResNet50-line-4.PT",
        "wide_resnet50_2-x.pth",
        "fasterrcnn_resnet50_fpn-x.pth",
        "swin_t-resnet50_taught.pth",
        "resnet50.txt",
        ".resnet50.pth.abc.part",
    ):
        (own_weights.folder(small) / name).write_bytes(ARCHIVE)
    (own_weights.folder(small) / "resnet50-folder.pth").mkdir()
    assert own_weights.list_weights(small, "resnet50") == [
        "ResNet50-line-4.PT",
        "paint-resnet50.safetensors",
        "resnet50.pth",
    ]
    assert own_weights.list_weights(small, "fasterrcnn_resnet50_fpn") == [
        "fasterrcnn_resnet50_fpn-x.pth"
    ]


@pytest.mark.parametrize("name", ["resnet50-gone.pth", "../workspace.json", "swin_t-paint.pth"])
def test_only_what_is_listed_can_be_removed(small: Workspace, name: str) -> None:
    add(small, "paint.pth", backbone="swin_t")
    with pytest.raises(OperatorError, match="no longer there"):
        own_weights.remove_weights(small, "resnet50", name)
    assert files(small) == ["swin_t-paint.pth"]
    assert (small.path / "workspace.json").is_file()
