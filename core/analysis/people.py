"""What people did in triage: how they agree, how fast they are, what the model had wrong."""

import csv
import io
import json
from dataclasses import dataclass

from core.images.formats.csv_cells import guarded
from core.state import decisions
from core.state.decisions import Decision
from core.state.workspace import Workspace
from core.triage.agreement import (
    AgreementMeasure,
    DecisionRow,
    Judgement,
    SessionFigures,
    measure_agreement,
    measure_people,
    measure_session,
)

# In the order of the file's columns.
COLUMNS = (
    "id",
    "at",
    "actor",
    "kind",
    "image_id",
    "image",
    "label",
    "old_label",
    "old_origin",
    "suggested",
    "model",
    "scores",
    "seconds",
    "comment",
    "item_id",
    "opinion",
    "item_kind",
    "reason",
    "truth",
    "standing",
    "undoes",
    "undone_by",
)


@dataclass(frozen=True)
class PeopleReading:
    """The work of all people, and of each.

    Attributes:
        agreement: between those who judged the same images.
        together: figures of all decisions.
        by_person: of each person's.
    """

    agreement: AgreementMeasure
    together: SessionFigures
    by_person: dict[str, SessionFigures]


def read_people(workspace: Workspace, *, since: str = "") -> PeopleReading:
    """Figures of the decisions that stand.

    Args:
        since: ISO 8601 in UTC; only what was decided then or later.
    """
    standing = [
        each
        for each in reversed(decisions.list_decisions(workspace, kinds=("label",), since=since))
        if each.undone_by is None
    ]
    rows = [_row(each) for each in standing]
    return PeopleReading(
        measure_agreement(
            Judgement(each.item_id, each.actor, each.label) for each in standing if each.label
        ),
        measure_session(rows),
        measure_people(rows),
    )


def decisions_as_csv(workspace: Workspace) -> tuple[str, int]:
    """The whole log of decisions as a table, the oldest first, and how many there are."""
    found = decisions.list_decisions(workspace)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for each in reversed(found):
        writer.writerow([_cell(getattr(each, name)) for name in COLUMNS])
    return text.getvalue(), len(found)


def _row(decision: Decision) -> DecisionRow:
    return DecisionRow(
        at=decision.at,
        person=decision.actor,
        suggested=decision.suggested,
        decided=decision.label or "",
        kind=decision.item_kind,
        seconds=decision.seconds,
        truth=decision.truth if decision.item_kind == "gold" else None,
    )


def _cell(value: object) -> object:
    """A value as a table holds it; a spreadsheet must not take a text for a formula."""
    if isinstance(value, dict):
        return json.dumps(value)
    return guarded(value) if isinstance(value, str) else value
