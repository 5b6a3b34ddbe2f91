"""Take one file in: read it once, copy it in by its hash; or say why it is refused.

A file gives one image, or with `crops="boxes"` one for each box that is drawn on it.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import file_digest
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from core.annotations import Box
from core.images.crops import crop_box
from core.images.formats.scanning import Candidate
from core.images.near_duplicates import perceptual_hash
from core.images.quality import WORKING_SIDE_PX, measure_quality
from core.images.reading import ImageRejected, load_for_import, read_file, read_image
from core.images.thumbnails import make_thumbnail
from core.jobs.configs import ImportImages
from core.state.files import replace_file
from core.state.intake import NewImage
from core.state.workspace import Workspace
from core.vocabulary import QUALITY_MEASURES

_SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "BMP": ".bmp", "WEBP": ".webp", "TIFF": ".tif"}


@dataclass(frozen=True)
class Taken:
    """What one file gave: images with their thumbnails, or reasons (path, reason).

    Attributes:
        whole: the decoded image, where the file is one that was decoded at its full size.
    """

    images: tuple[tuple[NewImage, bytes], ...] = ()
    refused: tuple[tuple[str, str], ...] = ()
    n_known: int = 0
    whole: Image.Image | None = None


@dataclass(frozen=True)
class Taker:
    """Takes the files of one import in; threads may share it.

    Attributes:
        name: what the files' paths are recorded under.
        known: fingerprint by path, of what earlier imports brought.
        groups: group of shots by `Candidate.relative`, of those that stand in one.
        more_attributes: given to every image of the import.
        max_pixels: of one image.
        keeps_whole: hand small images on decoded, to whoever looks at them at once.
    """

    workspace: Workspace
    config: ImportImages
    name: str
    known: Mapping[str, str]
    groups: Mapping[str, str]
    more_attributes: Mapping[str, str | float]
    max_pixels: int
    keeps_whole: bool = False

    def take(self, candidate: Candidate) -> Taken:
        """Read one file; one that is refused costs nothing but its reason."""
        try:
            if self.config.crops == "boxes":
                return self._take_boxes(candidate)
            return self._take_whole(candidate)
        except ImageRejected as error:
            reason = error.reason
        except OSError as error:
            reason = f"the file cannot be read: {error.strerror or error}"
        return Taken(refused=((candidate.relative, reason),))

    def _take_whole(self, candidate: Candidate) -> Taken:
        source = self._source(candidate.relative)
        if source in self.known and _sha256(candidate.path) == self.known[source]:
            return Taken(n_known=1)
        # What is hashed, decoded and kept is what was read, for the source may change meanwhile.
        content = read_file(candidate.path, max_pixels=self.max_pixels)
        facts, pixels = load_for_import(content, max_pixels=self.max_pixels, side=WORKING_SIDE_PX)
        is_copied = not self.config.reference
        location = candidate.path
        if is_copied:
            location = self._keep(facts.sha256, facts.format, content)
        thumbnail = make_thumbnail(pixels)
        image = NewImage(
            **self._facts(candidate),
            **_measures(pixels, thumbnail),
            source=source,
            sha256=facts.sha256,
            fingerprint=facts.sha256,
            name=candidate.name or candidate.relative,
            storage="copied" if is_copied else "referenced",
            location=str(location),
            format=facts.format,
            width=facts.width,
            height=facts.height,
            n_bytes=facts.n_bytes,
            label=candidate.label,
            label_origin=candidate.label_origin,
            decisions=candidate.decisions,
            queued=candidate.queued,
            boxes=candidate.boxes,
            crop=candidate.crop,
        )
        is_whole = self.keeps_whole and pixels.size == (facts.width, facts.height)
        return Taken(images=((image, thumbnail),), whole=pixels if is_whole else None)

    def _take_boxes(self, candidate: Candidate) -> Taken:
        if not candidate.boxes:
            raise ImageRejected("no box is drawn on it that could be cut out")
        content = read_file(candidate.path, max_pixels=self.max_pixels)
        sha256 = hashlib.sha256(content).hexdigest()
        numbered = {
            f"{candidate.relative}/box-{number}.png": box
            for number, box in enumerate(candidate.boxes, start=1)
        }
        wanted = {
            relative: box
            for relative, box in numbered.items()
            if self.known.get(self._source(relative)) != self._fingerprint(sha256, box)
        }
        n_known = len(numbered) - len(wanted)
        if not wanted:
            return Taken(n_known=n_known)
        whole = read_image(content, max_pixels=self.max_pixels)
        images, refused = [], []
        for relative, box in wanted.items():
            try:
                images.append(self._cut(candidate, whole, relative, box, sha256))
            except ValueError as error:
                refused.append((relative, str(error)))
        return Taken(tuple(images), tuple(refused), n_known)

    def _cut(
        self, candidate: Candidate, whole: Image.Image, relative: str, box: Box, sha256: str
    ) -> tuple[NewImage, bytes]:
        pixels, place, inside = crop_box(
            whole,
            box,
            margin=self.config.crop_margin,
            source=candidate.name or candidate.relative,
            source_sha256=sha256,
        )
        packed = BytesIO()
        pixels.save(packed, "PNG", compress_level=1)  # noise hardly shrinks, and takes long
        content = packed.getvalue()
        of_crop = hashlib.sha256(content).hexdigest()
        location = self._keep(of_crop, "PNG", content)
        thumbnail = make_thumbnail(pixels)
        image = NewImage(
            **self._facts(candidate),
            **_measures(pixels, thumbnail),
            source=self._source(relative),
            sha256=of_crop,
            fingerprint=self._fingerprint(sha256, box),
            name=relative,
            storage="copied",
            location=str(location),
            format="PNG",
            width=pixels.width,
            height=pixels.height,
            n_bytes=len(content),
            label=box.label,
            boxes=(inside,),
            crop=place,
        )
        return image, thumbnail

    def _facts(self, candidate: Candidate) -> dict[str, Any]:
        """What a whole image and a crop of it have in common."""
        return {
            "modified_ns": candidate.path.stat().st_mtime_ns,
            "split": candidate.split if self.config.split in ("auto", "keep") else None,
            "excluded": candidate.excluded,
            "shot_group": self._group(candidate),
            "attributes": {**candidate.attributes, **self.more_attributes},
        }

    def _group(self, candidate: Candidate) -> str | None:
        group = self.groups.get(candidate.relative)
        if group is None and self.config.crops == "boxes":
            return self._source(candidate.relative)  # the crops of one image show one surface
        return group

    def _keep(self, sha256: str, format: str, content: bytes) -> Path:
        """Write a file under its name by content; the path below the workspace."""
        suffix = _SUFFIXES.get(format, f".{format.lower()}")
        location = Path("images", sha256[:2], f"{sha256}{suffix}")
        try:
            replace_file(self.workspace.path / location, content)
        except FileNotFoundError:  # the first of its folder: asking before each file takes longer
            self.workspace.folder("images", sha256[:2])
            replace_file(self.workspace.path / location, content)
        return location

    def _source(self, relative: str) -> str:
        return f"{self.name}/{relative}"

    def _fingerprint(self, sha256: str, box: Box) -> str:
        cut = f"{sha256} {box.x} {box.y} {box.width} {box.height} {self.config.crop_margin}"
        return hashlib.sha256(cut.encode()).hexdigest()


def sources_of(candidates: Iterable[Candidate], *, name: str, crops: str) -> Iterator[str]:
    """The paths under which images of these files are recorded."""
    for candidate in candidates:
        if crops == "boxes":
            for number in range(1, len(candidate.boxes) + 1):
                yield f"{name}/{candidate.relative}/box-{number}.png"
        else:
            yield f"{name}/{candidate.relative}"


def _measures(pixels: Image.Image, thumbnail: bytes) -> dict[str, Any]:
    measured = measure_quality(pixels)
    return {
        "quality": {name: getattr(measured, name) for name in QUALITY_MEASURES},
        "perceptual_hash": perceptual_hash(thumbnail),
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
