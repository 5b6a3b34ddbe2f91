"""What a look through a source has found, for a person to see before anything is taken."""

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from pathlib import Path

import pandas as pd
import streamlit as st

from core import figures
from core.jobs.findings import Findings, Picture, load_findings
from core.report.counts import LabelCount, LabelTable, tabulate
from core.state.job_rows import Job
from core.state.workspace import Workspace
from core.vocabulary import RESERVED_LABELS
from pages._shared import as_size, counted, plain

_N_VALUES = 6  # of a column, shown as examples
_MOST_BARS = 30  # of a chart; more classes stand in a table

_TILES = """<style>
.lq-tiles { display: grid; grid-template-columns: repeat(var(--n), minmax(0, 1fr)); gap: 8px; }
.lq-tiles figure { margin: 0; min-width: 0; }
.lq-tiles img, .lq-tiles p { display: block; width: 100%; aspect-ratio: 1; margin: 0;
  object-fit: contain; border-radius: 4px;
  background: color-mix(in srgb, currentColor 8%, transparent); }
.lq-tiles p { padding: 6px; overflow: hidden; font-size: 11px; line-height: 1.3;
  box-sizing: border-box; }
.lq-tiles figcaption { display: flex; gap: 4px; white-space: nowrap; font-size: 12px;
  margin-top: 2px; }
.lq-tiles figcaption span:first-child { overflow: hidden; text-overflow: ellipsis; }
</style>"""


def source_name(look: Job) -> str:
    """What a person calls the source."""
    return look.config["shown_as"] or Path(look.config["source"]).name


def findings_of(workspace: Workspace, look: Job) -> Findings:
    """What this look has found, read once."""
    return _load(workspace, workspace.uid, look.id)


@st.cache_resource(max_entries=8, show_spinner=False)
def _load(_workspace: Workspace, uid: str, job_id: int) -> Findings:
    return load_findings(_workspace, job_id)


def show_findings(look: Job, findings: Findings) -> None:
    """Counts, the first images, classes by split, columns, and what is turned down."""
    _show_numbers(findings)
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("##### The first images")
        show_tiles(findings.pictures, n_columns=4)
    with right:
        st.markdown("##### Images by class and split")
        show_counts(findings.by_label_and_split, list(findings.classes), key="dataset.found")
    _show_attributes(findings)
    _show_refused(look, findings)


def show_tiles(pictures: Sequence[Picture], *, n_columns: int) -> None:
    """Pictures in squares with their label and split; one that cannot be read says why."""
    tiles = "".join(_tile(picture) for picture in pictures)
    st.html(f'{_TILES}<div class="lq-tiles" style="--n: {n_columns}">{tiles}</div>')


def show_counts(rows: Sequence[LabelCount], classes: Sequence[str], *, key: str) -> None:
    """Images by class and split: bars, or a table where the classes are many."""
    classes = [name for name in classes if name not in RESERVED_LABELS]
    if len(classes) <= _MOST_BARS:
        st.plotly_chart(
            figures.images_by_class(rows, classes=classes),
            key=key,
            config={"displayModeBar": False},  # it would lie upon the legend
        )
    else:
        st.dataframe(as_table(tabulate(rows, classes=classes)), height=400, key=key)


def as_table(table: LabelTable) -> pd.DataFrame:
    """A row a class, a column a split."""
    return pd.DataFrame(
        table.counts,
        index=pd.Index([label or "unlabelled" for label in table.labels], name="class"),
        columns=[split or "no split" for split in table.splits],
    )


def _show_numbers(findings: Findings) -> None:
    with st.container(horizontal=True):
        st.metric("Images", f"{findings.n_images:,}", border=True)
        st.metric("Classes", len(findings.classes.keys() - set(RESERVED_LABELS)), border=True)
        if findings.n_boxes:
            st.metric("Boxes", f"{findings.n_boxes:,}", border=True)
            st.metric("Images without a box", f"{findings.n_without_boxes:,}", border=True)
        st.metric("Refused", f"{len(findings.refused):,}", border=True)
        st.metric("Size", as_size(findings.n_bytes), border=True)
    notes = []
    if findings.n_decisions:
        notes.append(
            f"{counted(findings.n_decisions, 'decision')} of {len(findings.people):,} people come "
            "along."
        )
    if findings.n_excluded:
        notes.append(f"{counted(findings.n_excluded, 'image')} come excluded from training.")
    if findings.n_queued:
        notes.append(f"{findings.n_queued:,} come waiting for an operator.")
    if findings.n_ignored:
        notes.append(f"Left alone, as no images: {findings.n_ignored:,}.")
    if notes:
        st.caption(" ".join(notes))
    same = _alike(list(findings.classes))
    if same:
        st.warning(
            f"{plain(', '.join(same))} differ in case alone: they come as classes of their own.",
            icon=":material/match_case:",
        )


def _alike(names: Sequence[str]) -> list[str]:
    folded = [name.casefold() for name in names]
    return [name for name in names if folded.count(name.casefold()) > 1]


def _show_attributes(findings: Findings) -> None:
    if not findings.attributes:
        return
    with st.expander(f"Columns ({len(findings.attributes)})", icon=":material/table_chart:"):
        rows = []
        for name, column in findings.attributes.items():
            values = list(dict.fromkeys(value for value in column if value is not None))
            is_text = any(isinstance(value, str) for value in values)
            rows.append(
                {
                    "column": name,
                    "kind": "text" if is_text else "number",
                    "images": sum(value is not None for value in column),
                    "different values": len(values),
                    "such as": ", ".join(str(value) for value in values[:_N_VALUES]),
                }
            )
        st.dataframe(pd.DataFrame(rows), hide_index=True, key="dataset.columns")


def _show_refused(look: Job, findings: Findings) -> None:
    if not findings.refused:
        st.caption(
            "Nothing is refused by its name, its table or its boxes. Damaged pixels show only when "
            "the files are read: the report lists those."
        )
        return
    with st.expander(
        f"What will be refused ({len(findings.refused):,})", icon=":material/block:", expanded=True
    ):
        st.caption(
            "By its name, its table or its boxes. Damaged pixels show only when the files are "
            "read: the report lists those."
        )
        refused = pd.DataFrame(findings.refused, columns=["file", "reason"])
        st.dataframe(refused, hide_index=True, height=220, key="dataset.will_refuse")
        st.download_button(
            "Download what will be refused",
            lambda: refused.to_csv(index=False),
            file_name=f"refused-look-{look.id}.csv",
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
            key="dataset.will_refuse_csv",
        )


def _tile(picture: Picture) -> str:
    words = [picture.label or "unlabelled", *([picture.split] if picture.split else [])]
    if picture.refused:
        shown = f"<p>cannot be read: {escape(picture.refused)}</p>"
    else:
        source = f"data:image/jpeg;base64,{b64encode(picture.jpeg).decode()}"
        shown = f'<img src="{source}" alt="{escape(picture.name)}">'
    spans = "<span>·</span>".join(f"<span>{escape(word)}</span>" for word in words)
    caption = f"<figcaption>{spans}</figcaption>"
    title = " · ".join([picture.name, *words, *([picture.refused] if picture.refused else [])])
    return f'<figure title="{escape(title)}">{shown}{caption}</figure>'
