"""What an import has brought: the newest in full, the earlier ones in a line each."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import streamlit as st

from core.jobs.configs import ImportImages
from core.report.subsets import HasLookAlikes
from core.state import catalog, intake
from core.state.job_rows import Job
from core.state.workspace import Workspace
from pages._dataset_report import open_images
from pages._import_findings import show_counts
from pages._shared import counted, next_step, plain

_N_IMPORTS = 20
_N_NAMES = 5  # of files left alone


def show_report(
    workspace: Workspace, taken: Job, *, headline: str, on_close: Callable[[], None]
) -> None:
    """What came in, what did not and why, how the workspace stands now, and the next step."""
    result = taken.result or {}
    st.subheader(plain(headline), anchor=False)
    with st.container(horizontal=True):
        st.metric("Imported", f"{result['n_imported']:,}", border=True)
        st.metric("Exact duplicates", f"{result['n_duplicates']:,}", border=True)
        if result["n_known"]:
            st.metric("Known before", f"{result['n_known']:,}", border=True)
        st.metric("Refused", f"{len(result['rejected']):,}", border=True)
        if "near_duplicates" in result:
            st.metric(
                "Groups that look alike",
                f"{result['near_duplicates']['n_groups']:,}",
                border=True,
                help="Near-duplicates in the whole workspace, by perceptual hash.",
            )
    if "near_duplicates" in result:
        _show_near_duplicates(result["near_duplicates"])
    if result["rejected"]:
        refused = [(each["path"], each["reason"]) for each in result["rejected"]]
        with st.expander(f"What was refused ({len(refused):,})", icon=":material/block:"):
            show_refused(refused, key=f"dataset.report.{taken.id}", file_name=f"job-{taken.id}")
    if result["ignored"] and taken.kind == ImportImages.kind:  # else a file of ours
        names = [plain(Path(each).name) for each in result["ignored"][:_N_NAMES]]
        more = len(result["ignored"]) - len(names)
        listed = ", ".join(names) + (f" and {more:,} more" if more else "")
        st.caption(f"Left alone, as no images: {listed}.")
    next_step(
        "Next: compute what the network sees in them.",
        page="latent_space.py",
        label="Embed the images",
    )
    with st.container(horizontal=True):
        st.button("See them in the gallery", icon=":material/photo_library:", on_click=_show_images)
        st.button(
            "Import more", icon=":material/add:", on_click=on_close, key="dataset.import_more"
        )
    st.markdown("##### Classes and splits now")
    rows = catalog.summarise(workspace).by_label_and_split
    show_counts(rows, catalog.list_classes(workspace), key="dataset.now")


def show_imports(workspace: Workspace) -> None:
    """What earlier imports brought, and what they refused."""
    imports = intake.list_imports(workspace)
    if not imports:
        return
    st.subheader("Imports so far", anchor=False)
    for done in imports[:_N_IMPORTS]:
        title = f"{done.at[:16].replace('T', ' ')} · {plain(Path(done.source).name)} · "
        title += f"{done.n_imported:,} imported, {done.n_duplicates:,} duplicates, "
        title += f"{done.n_known:,} known before, {done.n_rejected:,} refused"
        with st.expander(title if done.finished_at else f"{title} · not finished"):
            st.caption(f"{plain(done.source)} · {done.format} · by {plain(done.actor)}")
            if done.n_rejected:
                show_refused(
                    intake.list_rejections(workspace, done.id),
                    key=f"dataset.refused.{done.id}",
                    file_name=str(done.id),
                )


def show_refused(refused: list[tuple[str, str]], *, key: str, file_name: str) -> None:
    """(path, reason) as a table to read and to download."""
    table = pd.DataFrame(refused, columns=["file", "reason"])
    st.dataframe(table, hide_index=True, key=key)
    st.download_button(
        "Download what was refused",
        lambda: table.to_csv(index=False),
        file_name=f"refused-{file_name}.csv",
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
        key=f"{key}.csv",
    )


def _show_near_duplicates(found: dict[str, int]) -> None:
    if not found["n_groups"]:
        return
    groups = counted(found["n_groups"], "group")
    text = f"{found['n_images']:,} images look like another, in {groups}. "
    if found["n_straddling"]:
        st.warning(
            f"{text}**In several splits: {counted(found['n_straddling'], 'group')}**. What is "
            "trained on is asked again in the test.",
            icon=":material/call_split:",
        )
        st.button(
            "See and mend them",
            icon=":material/call_merge:",
            on_click=_show_straddling,
            key="dataset.see_straddling",
        )
    else:
        st.info(f"{text}Each group stands in one split.", icon=":material/check_circle:")


def _show_images() -> None:
    st.session_state["dataset.view"] = "Images"


def _show_straddling() -> None:
    st.session_state["dataset.view"] = "Report"
    open_images((HasLookAlikes("splits"),))
