"""Dataset: look through the images, relabel them, import more, judge them, take them out."""

from pathlib import Path

import pandas as pd
import streamlit as st

from core import figures, queries
from core.errors import OperatorError
from core.images.splits import parse_ratios
from core.jobs.configs import CheckFiles, ExportImages, GenerateImages, ImportImages
from core.routes import PREFIX
from core.settings import load_settings
from core.state import catalog, job_rows
from core.state.catalog import ImageFilter
from core.state.workspace import Workspace
from pages._images import filter_images, image_actions, paged_gallery, show_gallery
from pages._shared import (
    acting,
    current_workspace,
    page_header,
    plain,
    show_error,
    show_job_result,
    show_jobs,
    submit,
)

SPLIT_RULES = {
    "auto": "Keep the source's; draw one where there is none",
    "keep": "Keep the source's; none where there is none",
    "draw": "Draw all anew, stratified by label",
}


def show_images(workspace: Workspace) -> None:
    """The gallery with its filter, and what can be done with the images picked."""
    chosen = filter_images(workspace, key="dataset")
    actions = st.container()
    picked, n_images = paged_gallery(workspace, chosen, key="dataset")
    with actions:
        whole = st.toggle(
            f"Act on all {n_images:,} images that match", key="dataset.whole", disabled=not n_images
        )
        ids = catalog.image_ids(workspace, chosen).tolist() if whole else picked.selected
        image_actions(
            workspace,
            ids,
            key="dataset",
            what="picked in the gallery",
            queue_reason="picked by a person in the gallery",
        )


def show_import(workspace: Workspace) -> None:
    """Take images in from an archive, or from a folder or table on the server."""
    sources = ["Archive (zip)", "Folder or CSV on this machine", "Synthetic paint defects"]
    source = st.segmented_control(
        "Source", sources, default=sources[0], required=True, key="dataset.source"
    )
    if source == sources[0]:
        import_archive(workspace)
    elif source == sources[1]:
        import_path(workspace)
    else:
        generate(workspace)
    show_imports(workspace)


def import_archive(workspace: Workspace) -> None:
    """Upload a zip and import it."""
    file = st.file_uploader(
        "A zip of images: a folder a class, with train, valid and test above it or not, "
        "or with a CSV (path, label, split, and further columns)",
        type="zip",
        key="dataset.upload",
    )
    split = choose_split("dataset.archive")
    if st.button("Import", type="primary", disabled=file is None or not split, key="dataset.go"):
        acting("data scientist")
        if file is not None:
            path = workspace.folder("uploads") / f"{file.file_id}.zip"
            path.write_bytes(file.getbuffer())
            submit(
                workspace,
                ImportImages(source=str(path), split=split, shown_as=file.name, is_upload=True),
            )
            st.rerun()


def import_path(workspace: Workspace) -> None:
    """Import from one of the folders that this installation allows."""
    roots = load_settings().import_roots
    if not roots:
        st.info(
            "No folder of this machine may be imported from here. Name the allowed ones in the "
            "variable `LACQUER_IMPORT_ROOTS` and start again, or use `python -m core import PATH`."
        )
        return
    root = st.selectbox("Allowed folder", roots, format_func=str, key="dataset.root")
    below = st.text_input("Folder or CSV below it", key="dataset.below", placeholder="all of it")
    reference = st.checkbox(
        "Leave the files where they are",
        help="They are shown as missing or changed when they are moved or edited later.",
        key="dataset.reference",
    )
    split = choose_split("dataset.path")
    if st.button("Import", type="primary", disabled=not split, key="dataset.go_path"):
        path = (root / (below or "")).resolve()
        if not path.is_relative_to(root):
            raise OperatorError(f"{path} lies outside the allowed folder.")
        submit(workspace, ImportImages(source=str(path), split=split, reference=reference))
        st.rerun()


def generate(workspace: Workspace) -> None:
    """Add synthetic images: a data set of their own, or training images for a real one."""
    n_images = st.number_input("Images", 1, 100_000, 344, key="dataset.n")
    seed = st.number_input("Seed", 0, 2**31 - 1, 0, key="dataset.seed")
    training_only = st.checkbox(
        "For training only",
        value=catalog.count_images(workspace) > 0,
        help="Beside real images, synthetic ones join the training split and no other.",
        key="dataset.training_only",
    )
    if st.button("Generate", type="primary", key="dataset.generate"):
        submit(workspace, GenerateImages(int(n_images), int(seed), training_only))
        st.rerun()


def choose_split(key: str) -> str:
    """The rule for splits; empty while the numbers given for a draw are no shares."""
    rule = st.selectbox(
        "Splits", list(SPLIT_RULES), format_func=SPLIT_RULES.__getitem__, key=f"{key}.rule"
    )
    if rule != "draw":
        return rule
    shares = st.text_input(
        "Training / validation / calibration / test", value="70/10/10/10", key=f"{key}.shares"
    )
    try:
        parse_ratios(shares or "")
    except ValueError as error:
        st.error(plain(str(error)))
        return ""
    return shares or ""


def show_imports(workspace: Workspace) -> None:
    """What earlier imports brought, and what they refused."""
    imports = catalog.list_imports(workspace)
    if not imports:
        return
    st.subheader("Imports so far", anchor=False)
    for done in imports[:20]:
        title = f"{done.at[:16].replace('T', ' ')} · {plain(Path(done.source).name)} · "
        title += f"{done.n_imported:,} imported, {done.n_duplicates:,} duplicates, "
        title += f"{done.n_known:,} known before, {done.n_rejected:,} refused"
        with st.expander(title if done.finished_at else f"{title} · not finished"):
            st.caption(f"{plain(done.source)} · {done.format} · by {plain(done.actor)}")
            if done.n_rejected:
                refused = pd.DataFrame(
                    catalog.list_rejections(workspace, done.id), columns=["file", "reason"]
                )
                st.dataframe(refused, hide_index=True, key=f"dataset.refused.{done.id}")
                st.download_button(
                    "Download what was refused",
                    refused.to_csv(index=False),
                    file_name=f"refused-{done.id}.csv",
                    mime="text/csv",
                    on_click="ignore",
                    key=f"dataset.refused_csv.{done.id}",
                )


def show_report(workspace: Workspace) -> None:
    """Balance of classes and splits, the quality of the images, duplicates, lost files."""
    summary = catalog.summarise(workspace)
    classes = catalog.list_classes(workspace)
    left, right = st.columns(2)
    with left:
        st.subheader("Images by class", anchor=False)
        chart = figures.images_by_class(summary.by_label_and_split, classes=classes)
        st.plotly_chart(chart, key="dataset.by_class")
    with right:
        st.subheader("Classes by split", anchor=False)
        chart = figures.classes_by_split(summary.by_label_and_split, classes=classes)
        st.plotly_chart(chart, key="dataset.by_split")
    show_quality(workspace)
    show_duplicates(workspace)
    st.subheader("Files", anchor=False)
    st.markdown(f"{summary.n_unreachable:,} images have a missing or changed file.")
    if st.button("Check all files now", icon=":material/fact_check:", key="dataset.check"):
        submit(workspace, CheckFiles(), role="operator")
        st.rerun()


def show_quality(workspace: Workspace) -> None:
    """Histograms of the quality measures, and the images that stand out."""
    st.subheader("Image quality", anchor=False)
    _, table = catalog.quality_table(workspace)
    columns = st.columns(3)
    for column, name in zip(columns, ("brightness", "contrast", "sharpness"), strict=True):
        chart = figures.histogram(table[name], title=name, log_scale=name == "sharpness")
        column.plotly_chart(chart, key=f"dataset.quality.{name}")
    flags = queries.quality_flags(workspace)
    ids = list(dict.fromkeys(image_id for image_id, _ in flags))
    st.markdown(f"{len(ids):,} images stand out." if ids else "No image stands out.")
    if ids:
        reasons = {image_id: flag.reason for image_id, flag in reversed(flags)}
        images = catalog.list_images(workspace, ImageFilter(ids=tuple(ids[:48])), sort="oldest")
        picked = show_gallery(
            workspace,
            images,
            key="dataset.flagged",
            captions=[reasons[image.id] for image in images],
        )
        image_actions(
            workspace,
            picked.selected,
            key="dataset.flagged",
            what="stood out in the quality report",
            queue_reason="stood out in the quality report",
        )


def show_duplicates(workspace: Workspace) -> None:
    """Files with the same bytes: one image here, however many paths it came from."""
    groups = catalog.list_duplicates(workspace)
    st.subheader("Exact duplicates", anchor=False)
    if not groups:
        st.markdown("No file came twice.")
        return
    st.markdown(f"{len(groups):,} images came from several files; each is kept once.")
    table = pd.DataFrame(
        [{"image": image_id, "files": "\n".join(paths)} for image_id, paths in groups]
    )
    st.dataframe(table, hide_index=True, key="dataset.duplicates")


def show_export(workspace: Workspace) -> None:
    """Take images and labels out as an archive."""
    format = st.segmented_control(
        "Format",
        ("folder", "csv", "parquet"),
        default="folder",
        required=True,
        format_func={
            "folder": "A folder a class",
            "csv": "Images and a CSV",
            "parquet": "Images and a Parquet table",
        }.__getitem__,
        key="dataset.format",
    )
    if st.button("Make an archive", type="primary", key="dataset.export"):
        submit(workspace, ExportImages(format=format))
        st.rerun()
    for job in job_rows.list_jobs(workspace, statuses=("succeeded",), limit=200):
        if job.kind == "export" and job.result and "archive" in job.result:
            name = job.result["archive"]
            if (workspace.path / "exports" / name).exists():
                url = f"{PREFIX}/{workspace.uid}/export/{name}"
                text = f"{name} · {job.result['n_exported']:,} images"
                st.link_button(text, url, icon=":material/download:", type="tertiary")


VIEWS = {
    "Images": show_images,
    "Import": show_import,
    "Report": show_report,
    "Export": show_export,
}

workspace = current_workspace()
page_header("Dataset", "Preparation: images in, their labels and splits in order")
is_empty = not catalog.count_images(workspace)
view = st.segmented_control(
    "View",
    list(VIEWS),
    default="Import" if is_empty else "Images",
    required=True,
    label_visibility="collapsed",
    key="dataset.view",
    bind="query-params",
)
show_jobs(workspace, ("import", "generate", "export", "check_files"))
for kind in ("import", "generate", "export", "check_files"):
    show_job_result(workspace, kind)
if is_empty and view != "Import":
    show_error(
        OperatorError("There are no images yet.", next_step="Import some, or generate them.")
    )
else:
    VIEWS[view](workspace)
