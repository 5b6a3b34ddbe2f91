"""The view Label errors: labels that are probably wrong, judged one by one or many at once.

A person's decision is a label given or confirmed by a human, like any other; what was decided does
not come again. Near-duplicates that bear different labels need no model to be found.
"""

import pandas as pd
import streamlit as st

from core.analysis.label_errors import LabelErrors, list_conflicts, read_label_errors
from core.analysis.label_review import LabelReview, plan_review
from core.errors import OperatorError
from core.jobs.configs import FindLabelErrors
from core.palette import class_colour
from core.state import catalog, label_reviews, labels
from core.state.catalog import ImageFilter
from core.state.label_book import keys_in_triage
from core.state.runs import Run
from core.state.workspace import Workspace
from core.vocabulary import RESERVED_KEYS
from pages._access import current_person, require
from pages._analyses import find_or_offer, offer_again
from pages._gallery import Badge
from pages._images import image_actions, show_gallery
from pages._label_review import (
    MAX_ITEMS,
    LabelKey,
    ReviewEntry,
    ReviewItem,
    label_review,
    parse_log,
)
from pages._shared import acting, changed, counted, image_urls, plain

_KEY = "clusters_and_anomalies.label_errors"
_ACKED = f"{_KEY}.acked"  # number of the last entry written, by the name of its log
_LATEST = f"{_KEY}.latest"  # name of the log last received
_N_LIKE = 5
MAX_ROWS = 500  # of the table


def show_label_errors(workspace: Workspace, embedding: Run) -> None:
    """The doubtful labels, and the copies with different labels."""
    config = FindLabelErrors(embedding.id)
    standing = find_or_offer(
        workspace,
        embedding,
        "label_errors",
        config,
        missing="The labels have not been checked yet.",
        label="Check the labels",
    )
    if standing:
        offer_again(
            workspace,
            standing,
            config,
            "Labels have changed since they were checked; what was decided here is left out.",
        )
        st.fragment(show_doubtful)(workspace, standing.run)
    show_conflicts(workspace, embedding)


def show_doubtful(workspace: Workspace, run: Run) -> None:
    """The labels that a model which never saw them would have given otherwise."""
    errors = read_label_errors(workspace, run)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        mode = st.segmented_control(
            "How",
            ("One by one", "All in a table"),
            default="One by one",
            required=True,
            key=f"{_KEY}.mode",
            bind="query-params",
        )
        all_doubtful = st.segmented_control(
            "Which",
            ("Likely wrong", "All doubtful"),
            default="Likely wrong",
            required=True,
            key=f"{_KEY}.which",
            help="Likely wrong: as many as confident learning estimates. All doubtful: every image "
            "to which another label is more probable than its own.",
        )
        with_people = st.toggle("Labels that people gave too", key=f"{_KEY}.with_people")
    review = plan_review(
        workspace,
        errors,
        all_doubtful=all_doubtful == "All doubtful",
        with_people=with_people,
        skipped=_skipped(workspace),
    )
    if mode == "One by one":
        show_review(workspace, run, errors, review)
    else:
        show_table(workspace, errors, review)
    st.caption(
        "Each image was judged by a model that had seen neither it nor its copies. Doubt from 0 to "
        "1, higher = more likely mislabelled; above 0.5 another label is more probable."
    )
    for note in errors.notes:
        st.caption(plain(note))


def show_review(workspace: Workspace, run: Run, errors: LabelErrors, review: LabelReview) -> None:
    """One image large after the other, for a person whose name is known."""
    if not review.n_total:
        _say_that_nothing_is_doubtful(review)
        return
    if current_person() is None:
        st.markdown(f"**{counted(review.n_total, 'label')}** to look at.")
        if st.button("Begin", type="primary", key=f"{_KEY}.begin"):
            acting()  # keys that fall into a dialog would be lost
        return
    urls, key = image_urls(workspace), f"{_KEY}.review"
    label_review(
        review_items(workspace, errors, review),
        labels=label_keys(workspace),
        n_looked=review.n_looked,
        n_total=review.n_total,
        acked=_acked(),
        place=f"{workspace.uid}.{run.id}",
        thumbnail_url=urls["thumbnail_url"],
        preview_url=urls["preview_url"],
        key=key,
        on_log=lambda: take_log(workspace, key),
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        if n_skipped := len(_skipped(workspace)):
            st.button(
                f"Show the skipped again ({n_skipped:,})",
                icon=":material/replay:",
                key=f"{_KEY}.unskip",
                on_click=lambda: label_reviews.ask_again(workspace, actor=acting().name),
            )
        if review.n_by_people:
            st.caption(
                f"{counted(review.n_by_people, 'doubtful label')} given by people before the check "
                "left out."
            )


def review_items(
    workspace: Workspace, errors: LabelErrors, review: LabelReview
) -> list[ReviewItem]:
    """The next images, with what they are to be compared to."""
    order = catalog.list_classes(workspace)
    doubtful = [errors[place] for place in review.places[:MAX_ITEMS].tolist()]
    chosen = ImageFilter(ids=tuple(each.image_id for each in doubtful))
    names = {image.id: image.name for image in catalog.list_images(workspace, chosen)}
    return [
        ReviewItem(
            id=each.image_id,
            title=names[each.image_id],
            given=Badge(each.given, class_colour(each.given, order)),
            suggested=Badge(each.suggested, class_colour(each.suggested, order)),
            score=each.score,
            like_given=each.nearest_given[:_N_LIKE],
            like_suggested=each.nearest[:_N_LIKE],
        )
        for each in doubtful
    ]


def label_keys(workspace: Workspace) -> list[LabelKey]:
    """Every label that can be given: types by digit or their own key, reserved ones by letter."""
    order = catalog.list_classes(workspace)
    classes = [
        LabelKey(name, class_colour(name, order), key)
        for name, key in keys_in_triage(workspace).items()
    ]
    reserved = [
        LabelKey(name, class_colour(name, order), key) for name, key in RESERVED_KEYS.items()
    ]
    return [*classes, *reserved]


def take_log(workspace: Workspace, key: str) -> None:
    """Write what the review has decided since the last time; for use as a callback."""
    try:
        review, entries = parse_log(st.session_state[key].get("log"))
        actor = require("operator").name
    except (OperatorError, ValueError) as error:
        st.toast(plain(str(error)), icon=":material/error:")
        return
    written = st.session_state.setdefault(_ACKED, {})
    st.session_state[_LATEST] = review
    n_kept = 0
    for entry in entries:
        if entry.seq <= written.get(review, 0):
            continue
        try:
            n_kept += not _write(workspace, review, entry, actor=actor)
        except OperatorError as error:
            st.toast(plain(str(error)), icon=":material/error:")
        written[review] = entry.seq
    if n_kept:
        st.toast(
            f"{counted(n_kept, 'label')} changed by somebody else meanwhile: theirs stays.",
            icon=":material/group:",
        )


def show_table(workspace: Workspace, errors: LabelErrors, review: LabelReview) -> None:
    """All that is left to look at as a list, and many suggestions accepted at once."""
    if not len(review.places):
        _say_that_nothing_is_doubtful(review)
        return
    least = st.slider(
        "Doubt at least",
        0.0,
        1.0,
        0.5,
        0.01,
        key=f"{_KEY}.least",
        help="Only labels with this much doubt are listed.",
    )
    places = review.places[errors.scores[review.places] >= least]
    doubtful = [errors[place] for place in places.tolist()]
    actions = st.container(horizontal=True, vertical_alignment="center")
    thumbnail = image_urls(workspace)["thumbnail_url"]
    table = pd.DataFrame(
        {
            "image": [thumbnail.format(id=each.image_id) for each in doubtful],
            "label": [each.given for each in doubtful],
            "more likely": [each.suggested for each in doubtful],
            "doubt": [each.score for each in doubtful],
            **{
                f"like {place + 1}": [
                    thumbnail.format(id=each.nearest[place]) if place < len(each.nearest) else None
                    for each in doubtful
                ]
                for place in range(3)
            },
        }
    ).head(MAX_ROWS)
    picked = st.dataframe(
        table,
        hide_index=True,
        row_height=64,
        column_config={
            "image": st.column_config.ImageColumn(width=80),
            "doubt": st.column_config.ProgressColumn(format="%.2f", min_value=0.0, max_value=1.0),
            "like 1": st.column_config.ImageColumn("nearest of that", width=80),
            "like 2": st.column_config.ImageColumn("", width=80),
            "like 3": st.column_config.ImageColumn("", width=80),
        },
        on_select="rerun",
        selection_mode="multi-row",
        key=f"{_KEY}.table.{least}",
    ).selection.rows
    chosen = [doubtful[row] for row in picked] or doubtful
    what = "picked" if picked else f"with doubt from {least:.2f}"
    with actions:
        if st.button(
            f"Accept {counted(len(chosen), 'suggestion')} {what}",
            type="primary",
            icon=":material/done_all:",
            disabled=not chosen,
            key=f"{_KEY}.accept_all",
            help="Each image gets the label that is more likely, in one step that can be undone.",
        ):
            batch = labels.relabel_each(
                workspace,
                {each.image_id: each.suggested for each in chosen},
                actor=acting().name,
                reason="suggested labels accepted together",
            )
            changed(workspace, batch, "Relabelled as suggested")
            st.rerun()
        st.caption("Pick rows to accept only some of them.")
    if len(doubtful) > MAX_ROWS:
        st.caption(f"The worst {MAX_ROWS:,} of {len(doubtful):,} are listed.")


def show_conflicts(workspace: Workspace, embedding: Run) -> None:
    """Images that show the same thing under different labels; a row opens its images."""
    st.subheader("Near-duplicates with different labels", anchor=False)
    conflicts = list_conflicts(workspace, embedding)
    if not conflicts:
        st.markdown("No two images that show the same thing bear different labels.")
        return
    st.caption("At least one label of each of these is wrong. Choose a row to mend it.")
    thumbnail = image_urls(workspace)["thumbnail_url"]
    shown = conflicts[:MAX_ROWS]
    table = pd.DataFrame(
        {
            **{
                f"image {place + 1}": [
                    thumbnail.format(id=each.images[place][0]) if place < len(each.images) else None
                    for each in shown
                ]
                for place in range(4)
            },
            "images": [len(each.images) for each in shown],
            "labels": [list(dict.fromkeys(label for _, label in each.images)) for each in shown],
        }
    )
    picked = st.dataframe(
        table,
        hide_index=True,
        row_height=64,
        column_config={
            **{f"image {n}": st.column_config.ImageColumn("", width=80) for n in range(1, 5)},
            "images": st.column_config.NumberColumn(width="small"),
            "labels": st.column_config.ListColumn(width="large"),
        },
        on_select="rerun",
        selection_mode="single-row",
        key=f"{_KEY}.conflicts.{len(conflicts)}",
    ).selection.rows
    if picked:
        _show_conflict(workspace, [image_id for image_id, _ in shown[picked[0]].images])


def _show_conflict(workspace: Workspace, ids: list[int]) -> None:
    key = f"{_KEY}.conflict"
    actions = st.container()
    images = catalog.list_images(workspace, ImageFilter(ids=tuple(ids)))
    chosen = show_gallery(workspace, images, key=key)
    with actions:
        image_actions(
            workspace,
            chosen.selected or ids,
            key=key,
            what="copies with different labels",
            queue_reason="shows the same thing as an image with another label",
        )


def _say_that_nothing_is_doubtful(review: LabelReview) -> None:
    if review.n_total:
        text = f"All {review.n_total:,} doubtful labels have been looked at."
    else:
        text = "No label stands out as likely wrong."
    st.success(text, icon=":material/check_circle:")
    if review.n_by_people:
        st.caption(f"{counted(review.n_by_people, 'doubtful label')} given by people left out.")


def _write(workspace: Workspace, review: str, entry: ReviewEntry, *, actor: str) -> bool:
    """Do what one entry says; False where somebody else's label stays."""
    token = f"{review}/{entry.seq}"
    if entry.kind == "skip":
        label_reviews.pass_over(workspace, entry.image_id, actor=actor)
    elif entry.kind == "undo":
        label_reviews.ask_again(workspace, actor=actor, image_id=entry.image_id)
        label_reviews.take_back(
            workspace, entry.image_id, token=f"{review}/{entry.of}", actor=actor
        )
    else:
        return label_reviews.decide_label(
            workspace,
            entry.image_id,
            entry.label or "",
            seen=entry.seen or "",
            token=token,
            actor=actor,
        )
    return True


def _skipped(workspace: Workspace) -> set[int]:
    """Ids that this person passed over, now or earlier: nothing was decided of them."""
    person = current_person()
    return label_reviews.passed_over(workspace, actor=person.name) if person else set()


def _acked() -> tuple[str, int]:
    latest = st.session_state.get(_LATEST, "")
    return latest, st.session_state.get(_ACKED, {}).get(latest, 0)
