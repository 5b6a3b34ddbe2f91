"""The view Import: choose a source, see what it holds, decide, import, and read the report.

Which look through a source is shown stands in the page's address as `look`, the number of its job,
or that of the job that draws synthetic images; all else is in the rows of the jobs, so that a
reload or another tab finds it again.
"""

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from core.errors import OperatorError
from core.jobs import looks
from core.jobs.configs import GenerateImages, LookThrough
from core.jobs.findings import has_findings
from core.settings import load_settings
from core.state import catalog, job_rows, uploads
from core.state.job_rows import Job
from core.state.workspace import Workspace
from pages._import_choices import choose_import
from pages._import_findings import findings_of, show_findings, source_name
from pages._import_formats import show_formats, title
from pages._import_report import show_imports, show_report
from pages._shared import acting, counted, plain, show_error, submit

_STEPS = ("Choose a source", "Look through it", "Decide", "Import", "Report")
_STEPS_OF_SYNTHETIC = ("Choose a source", "Generate", "Report")
_FOLDER = "Folder or CSV on this machine"
_SOURCES = {
    "Archive (zip)": ":material/folder_zip:",
    _FOLDER: ":material/hard_drive:",
    "Synthetic paint defects": ":material/auto_awesome:",
}


def show_import(workspace: Workspace) -> None:
    """The step that this import is at."""
    look = _chosen_job(workspace)
    if look and look.kind == GenerateImages.kind and (look.is_active or look.result):
        _show_generation(workspace, look)
        return
    if look is None or look.kind != LookThrough.kind:
        _show_steps(0)
        _choose_source(workspace)
        _show_open_looks(workspace)
        show_imports(workspace)
        return
    taken = looks.import_of(workspace, look)
    if look.is_active:
        _show_steps(1)
        _wait_for_look(look)
    elif taken and taken.is_active:
        _show_steps(3)
        _wait_for_import(look)
    elif taken and taken.status == "succeeded":
        _show_steps(4)
        headline = f"{source_name(look)} is in"
        show_report(workspace, taken, headline=headline, on_close=_close_look)
    elif look.status == "succeeded" and has_findings(workspace, look.id):
        _show_steps(2)
        _decide(workspace, look, taken)
    else:
        _show_steps(1)
        _show_failed_look(workspace, look)


def _chosen_job(workspace: Workspace) -> Job | None:
    """The job that the address names, of whatever kind."""
    try:
        return job_rows.get_job(workspace, int(st.query_params.get("look", "")))
    except (ValueError, OperatorError):
        return None


def _show_steps(current: int, steps: Sequence[str] = _STEPS) -> None:
    with st.container(horizontal=True, gap="medium", vertical_alignment="center"):
        for number, step in enumerate(steps):
            if number < current:
                text = f":green[:material/check_circle:] {step}"
            elif number == current:
                text = f":primary[:material/radio_button_checked:] **{step}**"
            else:
                text = f":gray[:material/radio_button_unchecked: {step}]"
            st.markdown(text, width="content")


def _choose_source(workspace: Workspace) -> None:
    is_empty = not catalog.count_images(workspace)
    if is_empty:
        st.subheader("Bring your images in", anchor=False)
        st.markdown(
            "Whatever you give is looked through first: you see what it holds and what will come "
            "of it, and nothing is taken before you say so."
        )
    with st.container(border=True):
        source = st.segmented_control(
            "Source",
            list(_SOURCES),
            default=next(iter(_SOURCES)),
            required=True,
            format_func=lambda name: f"{_SOURCES[name]} {name}",
            key="dataset.source",
        )
        choose = (_choose_archive, _choose_path, _generate)[list(_SOURCES).index(source)]
        choose(workspace)
    show_formats(expanded=is_empty)


def _choose_archive(workspace: Workspace) -> None:
    file = st.file_uploader(
        "A zip of images, with or without labels", type="zip", key="dataset.upload"
    )
    if _look_button(disabled=file is None) and file is not None:
        acting("data scientist")  # before anything is written
        archive = uploads.store_upload(workspace, file)
        _look(workspace, LookThrough(source=str(archive), shown_as=file.name, is_upload=True))


def _choose_path(workspace: Workspace) -> None:
    roots = load_settings().import_roots
    if not roots:
        st.info(
            "No folder of this machine may be imported from here. Name the allowed ones in the "
            "variable `LACQUER_IMPORT_ROOTS` and start again, or use `python -m core import PATH`."
        )
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        root = st.selectbox("Allowed folder", roots, format_func=str, key="dataset.root")
        below = st.text_input(
            "Folder, table or zip below it", key="dataset.below", placeholder="all of it"
        )
    if _look_button():
        path = (root / (below or "")).resolve()
        if not path.is_relative_to(root):
            raise OperatorError(f"{path} lies outside the allowed folder.")
        _look(workspace, LookThrough(source=str(path), within=str(root)))


def _look_button(*, disabled: bool = False) -> bool:
    return st.button(
        "Look through it",
        type="primary",
        icon=":material/search:",
        disabled=disabled,
        key="dataset.look",
    )


def _look(workspace: Workspace, config: LookThrough) -> None:
    job = submit(workspace, config)
    st.query_params["look"] = str(job.id)
    st.rerun()


def _generate(workspace: Workspace) -> None:
    """Add synthetic images: a data set of their own, or training images for a real one."""
    st.caption(
        "Painted panels with dirt, drops, scratches and watermarks, drawn by the computer in the "
        "proportions of the paper's data set: to try everything without images of one's own."
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        n_images = st.number_input("Images", 1, 100_000, 344, key="dataset.n", width=200)
        seed = st.number_input("Seed", 0, 2**31 - 1, 0, key="dataset.seed", width=200)
        training_only = st.checkbox(
            "For training only",
            value=catalog.count_images(workspace) > 0,
            help="Beside real images, synthetic ones join the training split and no other.",
            key="dataset.training_only",
        )
    if st.button("Generate", type="primary", key="dataset.generate"):
        job = submit(workspace, GenerateImages(int(n_images), int(seed), training_only))
        st.query_params["look"] = str(job.id)
        st.rerun()


def _show_generation(workspace: Workspace, job: Job) -> None:
    """Synthetic images on their way in, then the report on them."""
    _show_steps(1 if job.is_active else 2, _STEPS_OF_SYNTHETIC)
    if job.is_active:
        st.markdown(
            f"{counted(job.config['n_images'], 'image')} are being drawn. You may leave this page: "
            "the report waits here, and on the page Activity."
        )
    else:
        headline = "Synthetic paint defects are in"
        show_report(workspace, job, headline=headline, on_close=_close_look)


def _show_open_looks(workspace: Workspace) -> None:
    """What was looked through and waits for a decision, whoever left it."""
    waiting = looks.open_looks(workspace)
    if not waiting:
        return
    st.subheader("Looked through, not imported yet", anchor=False)
    for look in waiting:
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            st.markdown(
                f"**{plain(source_name(look))}**  \n:small[{_state_of(look)} · "
                f"{plain(look.actor)} · {look.created_at[:16].replace('T', ' ')}]",
                width="stretch",
            )
            if st.button("Go on", type="primary", key=f"dataset.open.{look.id}"):
                st.query_params["look"] = str(look.id)
                st.rerun()
            _discard_button(workspace, look)
    if any(look.config["is_upload"] for look in waiting):
        st.caption("An upload that nobody uses for a day is removed.")


def _state_of(look: Job) -> str:
    if look.status == "succeeded" and look.result:
        return counted(look.result["n_images"], "image")
    return "being looked through" if look.is_active else look.status


def _wait_for_look(look: Job) -> None:
    st.markdown(
        f"**{plain(source_name(look))}** is being looked through. You may leave this page: what "
        "is found waits here."
    )


def _wait_for_import(look: Job) -> None:
    st.markdown(
        f"**{plain(source_name(look))}** is being imported. You may leave this page: the report "
        "waits here, and on the page Activity."
    )


def _decide(workspace: Workspace, look: Job, taken: Job | None) -> None:
    findings = findings_of(workspace, look)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.subheader(plain(source_name(look)), anchor=False)
        chosen = st.selectbox(
            "Read as",
            findings.formats,
            index=findings.formats.index(findings.format),
            format_func=title,
            help="The layouts that the source matches, the one guessed first.",
            key=f"dataset.format.{look.id}",
            width=220,
        )
        if chosen != findings.format and _again_button():
            _look_again(workspace, look, chosen)
    if taken is not None:
        st.warning(f"The import was begun and has {taken.status}. Files taken in already stay.")
    show_findings(look, findings)
    config, n_images = None, 0
    if findings.n_images:
        config, n_images = choose_import(workspace, look, findings)
    else:
        st.info("No image was found here: there is nothing to import.", icon=":material/block:")
    with st.container(horizontal=True):
        what = "crop" if config and config.crops == "boxes" else "image"
        if (
            st.button(
                f"Import {counted(n_images, what)}" if config else "Import",
                type="primary",
                icon=":material/download:",
                disabled=not n_images,
                key="dataset.go",
            )
            and config
        ):
            submit(workspace, config)
            st.rerun()
        _discard_button(workspace, look)


def _show_failed_look(workspace: Workspace, look: Job) -> None:
    st.subheader(plain(source_name(look)), anchor=False)
    if look.error:
        error = look.error
        show_error(OperatorError(error["title"], error["detail"], error["next_step"]))
    elif look.status == "cancelled":
        st.info("Looking through it was cancelled.")
    else:
        st.info("What was found is no longer kept.")
    with st.container(horizontal=True):
        is_there = looks.is_open(workspace, look) or not look.config["is_upload"]
        if is_there and _again_button():
            _look_again(workspace, look, look.config["format"])
        _discard_button(workspace, look, "Choose another source")


def _again_button() -> bool:
    return st.button("Look again", icon=":material/search:", key="dataset.again")


def _look_again(workspace: Workspace, look: Job, format: str) -> None:
    config = look.config
    _look(
        workspace,
        LookThrough(
            source=config["source"],
            format=format,
            within=config["within"],
            shown_as=config["shown_as"],
            is_upload=config["is_upload"],
        ),
    )


def _discard_button(workspace: Workspace, look: Job, label: str = "Discard") -> None:
    in_use = look.config["is_upload"] and any(
        job.id != look.id or look.is_active
        for job in uploads.jobs_using(workspace, Path(look.config["source"]))
    )
    if st.button(
        label,
        icon=":material/delete:",
        disabled=in_use or look.is_active,
        help="Forget what was found; an upload is deleted. Files on this machine stay.",
        key=f"dataset.discard.{look.id}",
    ):
        acting("data scientist")
        looks.discard_look(workspace, look)
        if not look.config["is_upload"]:
            st.session_state["dataset.source"] = _FOLDER  # where the next one is likely chosen
        _close_look()
        st.rerun()


def _close_look() -> None:
    st.query_params.pop("look", None)
