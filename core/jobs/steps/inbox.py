"""Take files in as they come: read and copied as an import does, answered, and kept at once.

A killed process leaves nothing half done: a file's copy, thumbnail and features are made before
its row and found again by its content, and the row comes with its label or its place in the queue
in one transaction (`core.state.arrivals.take`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from core.images.arrivals import Arrival as File
from core.images.formats.scanning import Candidate
from core.images.thumbnails import ThumbnailStore
from core.jobs.configs import ImportImages
from core.jobs.context import JobContext
from core.jobs.steps.answering import Answered, Responder, Seen
from core.jobs.steps.taking_in import Taker
from core.settings import load_settings
from core.state import arrivals, intake
from core.state.arrivals import Arrival, NewArrival
from core.state.intake import NewImage

FORMAT = "camera folder"  # of the import that holds what came in on a day


@dataclass(frozen=True)
class TakenIn:
    """What became of one file; `answered` is there for every image, whether it is new or not."""

    arrival: Arrival
    answered: Answered | None


@dataclass(frozen=True)
class _Read:
    """Files that were read and copied in, and those that could not be, with their reasons.

    Attributes:
        pictures: of the images, in their order: decoded where they are small, else their copies.
    """

    images: list[tuple[File, NewImage]]
    pictures: list[Path | Image.Image]
    refused: list[tuple[File, str]]


class Inbox:
    """Takes files of one source in, and answers them; made once, and kept.

    Args:
        source: the watched folder, or `core.state.arrivals.DROPPED`.
        device: `auto`, or a name that torch knows.
    """

    def __init__(self, context: JobContext, source: str, *, device: str = "auto") -> None:
        self._context, self._source = context, source
        self.workspace = context.workspace
        self.responder = Responder(context, device=device)
        self._thumbnails = ThumbnailStore(self.workspace.path / "thumbnails.db")
        self._taker = Taker(
            self.workspace,
            ImportImages(source=source, split="keep"),
            source,
            known={},
            groups={},
            more_attributes={},
            max_pixels=load_settings().max_image_pixels,
            keeps_whole=True,
        )

    def take(
        self, batches: Sequence[Sequence[File]], *, is_refused: Callable[[File], bool]
    ) -> Iterator[list[TakenIn]]:
        """Take in those files that can be read, and refuse those that never will be.

        While one batch is looked at by the network, the next is read and the one before is written,
        so that no core waits.

        Args:
            is_refused: whether a file that cannot be read is refused; else it is left for later.
                It is called by another thread.

        Yields:
            What was taken, known or refused of each batch.

        Raises:
            OperatorError: the model that is at work cannot be read.
        """
        self.responder.refresh()
        with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
            ahead = [reader.submit(self._read, files) for files in batches[:1]]
            behind: list[Future[list[TakenIn]]] = []
            for number in range(len(batches)):
                read = ahead.pop().result()
                if number + 1 < len(batches):
                    ahead.append(reader.submit(self._read, batches[number + 1]))
                seen = self.responder.look(read.pictures)
                if behind:
                    yield behind.pop().result()
                behind.append(writer.submit(self._finish, read, seen, is_refused))
            for each in behind:
                yield each.result()

    def _read(self, files: Sequence[File]) -> _Read:
        candidates = [Candidate(path=file.path, relative=file.relative) for file in files]
        taken = [self._taker.take(candidate) for candidate in candidates]
        pairs = list(zip(files, taken, strict=True))
        images = [
            (file, image, thumbnail, each.whole or self.workspace.path / image.location)
            for file, each in pairs
            for image, thumbnail in each.images
        ]
        if images:
            self._thumbnails.put_many((image.sha256, small) for _, image, small, _ in images)
        return _Read(
            images=[(file, image) for file, image, *_ in images],
            pictures=[picture for *_, picture in images],
            refused=[(file, reason) for file, each in pairs for _, reason in each.refused],
        )

    def _finish(self, read: _Read, seen: Seen, is_refused: Callable[[File], bool]) -> list[TakenIn]:
        from threadpoolctl import threadpool_limits

        # Small products of matrices: more threads would only wait, on cores that the network needs.
        with threadpool_limits(1, "blas"):
            said = self.responder.say(seen, [image.sha256 for _, image in read.images])
        found: list[tuple[NewArrival, Answered | None]] = []
        refused = list(read.refused)
        for (file, image), answered in zip(read.images, said, strict=True):
            if isinstance(answered, str):  # its pixels could be read a moment ago
                refused.append((file, answered))
            else:
                new = NewArrival(
                    file.relative, file.fingerprint, file.changed_at, image, answered.answer
                )
                found.append((new, answered))
        for file, reason in refused:
            if is_refused(file):
                new = NewArrival(file.relative, file.fingerprint, file.changed_at, reason=reason)
                found.append((new, None))
        return self._write(found)

    def _write(self, found: Sequence[tuple[NewArrival, Answered | None]]) -> list[TakenIn]:
        if not found:
            return []
        import_id = intake.import_of_day(
            self.workspace, source=self._source, format=FORMAT, actor=self._context.job.actor
        )
        rows = arrivals.take(
            self.workspace,
            self._source,
            [new for new, _ in found],
            import_id=import_id,
            application_id=self.responder.application_id,
            actor=self._context.job.actor,
        )
        done = [TakenIn(row, answered) for row, (_, answered) in zip(rows, found, strict=True)]
        fresh = [
            (each.arrival.image_id, each.answered)
            for each in done
            if each.arrival.status == "taken" and each.answered and each.arrival.image_id
        ]
        self.responder.keep([image_id for image_id, _ in fresh], [said for _, said in fresh])
        return done
