"""Odd files: what cameras, phones and people leave is read right, or refused with its reason."""

import os
import re
from pathlib import Path

import pytest

from core.images.reading import ImageRejected, image_size, load_for_import, read_image
from core.jobs.configs import ImportImages
from core.settings import PROJECT_ROOT, Settings
from core.state import catalog
from core.state.workspace import create_workspace
from tests.odd_files import OddFile, Refused, Taken, odd_files
from tests.samples import do

MAX_PIXELS = Settings.max_image_pixels
SIDE_PX = 320

FILES = odd_files()
READ = [file for file in FILES if isinstance(file.outcome, Taken)]
REFUSED = [file for file in FILES if isinstance(file.outcome, Refused)]
IN_DOCS = (PROJECT_ROOT / "docs" / "image-files.md").read_text(encoding="utf-8")

pytestmark = [
    pytest.mark.filterwarnings("ignore:Corrupt EXIF"),
    pytest.mark.filterwarnings("ignore:Possibly corrupt EXIF"),
]


def name_of(file: OddFile) -> str:
    return file.name


def test_there_are_many_and_no_two_are_the_same() -> None:
    assert len(FILES) >= 60
    assert len({file.name for file in FILES}) == len({file.data for file in FILES}) == len(FILES)


@pytest.mark.parametrize("file", READ, ids=name_of)
def test_it_is_read_with_its_size_and_its_colours(file: OddFile) -> None:
    expected = file.outcome
    assert isinstance(expected, Taken)
    is_huge = expected.size[0] * expected.size[1] > 100_000_000
    facts, image = load_for_import(
        file.data, max_pixels=MAX_PIXELS, side=SIDE_PX if is_huge else None
    )
    assert (facts.format, facts.width, facts.height) == (expected.format, *expected.size)
    assert facts.first_frame_only == expected.first_frame_only
    assert image.mode == "RGB"
    assert max(image.size) == (SIDE_PX if is_huge else max(expected.size))
    for (x, y), colour in expected.pixels.items():
        place = (x * image.width // expected.size[0], y * image.height // expected.size[1])
        found = image.getpixel(place)
        assert isinstance(found, tuple)
        difference = max(abs(a - b) for a, b in zip(found, colour, strict=True))
        assert difference <= expected.tolerance, f"{found} at {x}, {y}"


@pytest.mark.parametrize("file", READ, ids=name_of)
def test_its_size_is_known_from_its_header(file: OddFile, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(file.data)
    assert isinstance(file.outcome, Taken)
    assert image_size(path) == file.outcome.size


@pytest.mark.parametrize("file", REFUSED, ids=name_of)
def test_it_is_refused_with_its_reason(file: OddFile) -> None:
    assert isinstance(file.outcome, Refused)
    for side in (None, SIDE_PX):
        with pytest.raises(ImageRejected) as caught:
            load_for_import(file.data, max_pixels=MAX_PIXELS, side=side)
        assert file.outcome.words in caught.value.reason


def test_an_import_takes_or_refuses_every_one_of_them_and_loses_none(tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    for file in FILES:
        (folder / file.name).write_bytes(file.data)
    (folder / "folder.jpg").mkdir()
    (folder / "folder.jpg" / "inside.bmp").write_bytes(b"")
    os.mkfifo(folder / "pipe.jpg")
    (folder / "round.jpg").symlink_to("round.jpg")
    (folder / "photo.heic").write_bytes(b"\x00\x00\x00\x18ftypheic")
    workspace = create_workspace(tmp_path / "w", settings=Settings(home=tmp_path))
    job = do(workspace, ImportImages(source=str(folder)))
    assert job.status == "succeeded", job.error
    assert job.result is not None

    images = {image.name: image for image in catalog.list_images(workspace)}
    assert set(images) == {file.name for file in READ}
    for file in READ:
        assert isinstance(file.outcome, Taken)
        image = images[file.name]
        assert (image.format, image.width, image.height) == (
            file.outcome.format,
            *file.outcome.size,
        ), file.name

    reasons = {each["path"]: each["reason"] for each in job.result["rejected"]}
    words = {file.name: file.outcome.words for file in REFUSED if isinstance(file.outcome, Refused)}
    words |= {
        "folder.jpg/inside.bmp": "empty",
        "round.jpg": "symbolic link",
        "photo.heic": ".heic images are not read",
    }
    assert set(reasons) == set(words)
    assert [name for name, reason in reasons.items() if words[name] not in reason] == []
    assert job.result["ignored"] == ["pipe.jpg"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "locked.png"
    path.write_bytes(READ[0].data)
    path.chmod(0)
    with pytest.raises(ImageRejected, match="Permission denied"):
        read_image(path, max_pixels=MAX_PIXELS)


# What the documentation says


def test_what_the_documentation_says_of_a_file_is_what_becomes_of_it() -> None:
    rows = re.findall(r"^\| .* \| (read|refused)\b.* \| (`.*`) \|$", IN_DOCS, flags=re.MULTILINE)
    said = {name: verdict for verdict, names in rows for name in re.findall("`([^`]+)`", names)}
    known = {file.name: "read" if file in READ else "refused" for file in FILES}
    assert len(said) >= 40
    assert said == {name: known.get(name) for name in said}


def test_the_documentation_names_every_format_that_is_read() -> None:
    formats = {file.outcome.format for file in READ if isinstance(file.outcome, Taken)}
    named = re.search(r"^Read are (.*)\.$", IN_DOCS, flags=re.MULTILINE)
    assert named is not None
    assert formats == {name.upper() for name in re.findall(r"\w+", named[1])} - {"AND"}
