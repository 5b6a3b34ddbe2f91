"""What several pages show: header, workspace, next step, jobs, one person's last change."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypedDict
from urllib.parse import urlencode

import streamlit as st

from core import actions
from core.errors import OperatorError
from core.jobs import queue
from core.jobs.configs import JobConfig
from core.jobs.steps import title as job_title
from core.routes import PREFIX
from core.settings import PROJECT_ROOT, load_settings
from core.state import job_rows
from core.state.change_log import Batch
from core.state.job_rows import Job
from core.state.workspace import Workspace, list_workspaces, open_workspace
from pages._access import Person, clean_person, current_person, login_is_configured, name_cookie
from pages._access import require as require_role

_write_cookie = st.components.v2.component(
    "lacquer.name_cookie",
    js="export default function ({ data }) { document.cookie = data.cookie; }",
)


def page_header(title: str, subtitle: str = "") -> None:
    """The page's title, which is Markdown, and who is at the screen."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.header(title, anchor=False)
        _show_person()
    if subtitle:
        st.caption(subtitle)
    _show_last_change()


def current_workspace() -> Workspace:
    """The workspace that this person works in; the page stops where there is none yet."""
    workspace = find_current_workspace()
    if workspace is None:
        next_step("There is no workspace yet.", page="overview.py", label="Make one")
        st.stop()
    return workspace


def find_current_workspace() -> Workspace | None:
    """The workspace of this session, of the link, of the settings, or the first by name."""
    known = {workspace.uid: workspace for workspace in list_workspaces()}
    first = load_settings().workspace
    preferred = [
        st.session_state.get("workspace_uid"),
        st.query_params.get("ws"),
        *(uid for uid, workspace in known.items() if workspace.path == first),
        *known,
    ]
    uid = next((uid for uid in preferred if uid in known), None)
    if uid is None:
        return None
    enter_workspace(uid)
    return open_workspace(known[uid].path)


def enter_workspace(uid: str) -> None:
    """Make this workspace the session's, and name it in the page's address."""
    st.session_state.workspace_uid = uid
    st.query_params["ws"] = uid


def show_sidebar() -> None:
    """The choice of workspace, below the navigation."""
    workspaces = {workspace.uid: workspace for workspace in list_workspaces()}
    known = told_apart(
        {uid: workspace.name for uid, workspace in workspaces.items()},
        lambda uid: workspaces[uid].path.name,
    )
    current = find_current_workspace()
    if current is None:
        return
    with st.sidebar:
        chosen = st.selectbox(
            "Workspace",
            list(known),
            index=list(known).index(current.uid),
            format_func=known.__getitem__,
            key=f"shared.workspace.{current.uid}",
        )
    if chosen != current.uid:
        forget_view()
        enter_workspace(chosen)
        st.rerun()


def told_apart(
    titles: Mapping[str, str], suffix: Callable[[str], str] = lambda key: key[-4:]
) -> dict[str, str]:
    """The titles by key, no two alike: a select box knows its options by their texts alone."""
    apart: dict[str, str] = {}
    for key, title in titles.items():
        apart[key] = f"{title} ({suffix(key)})" if title in apart.values() else title
    return apart


def go_to(page: str, workspace: Workspace, **query: str) -> None:
    """Open another page of the app, with these choices in its address."""
    # A switch without an address would drop the widgets' places in this one, which is refused.
    st.switch_page(PROJECT_ROOT / "pages" / page, query_params={"ws": workspace.uid, **query})


def clicked(chart_key: str) -> object:
    """What the clicked point of a chart carries, in a callback; None where it carries nothing."""
    try:
        return st.session_state[chart_key].selection.points[0]["customdata"]
    except (AttributeError, IndexError, KeyError, TypeError):
        return None


def forget_view() -> None:
    """Drop what was chosen for one workspace before another is shown."""
    pages = (
        "dataset",
        "latent_space",
        "clusters_and_anomalies",
        "fine_tuning",
        "evaluation",
        "triage",
        "defect_types",
        "inbox",
        "activity",
    )
    for key in list(st.session_state):
        if str(key).partition(".")[0] in (*pages, "last_change"):
            del st.session_state[key]
    shown = ("selected", "look", "shown", "clustering", "model", "cell", "type", "dropped")
    for parameter in shown:
        st.query_params.pop(parameter, None)


def acting(role: str = "operator") -> Person:
    """The person whose name goes on a change; asked for where it is not known yet.

    Raises:
        OperatorError: this person may not do what needs `role`.
    """
    if current_person() is None:
        _ask_name()
        st.stop()
    return require_role(role)


def next_step(text: str, *, page: str = "", label: str = "") -> None:
    """An empty state: what is missing, and the one thing to do about it."""
    with st.container(border=True):
        st.markdown(f"##### {text}")
        if page:
            st.page_link(
                PROJECT_ROOT / "pages" / page, label=label, icon=":material/arrow_forward:"
            )


def show_error(error: OperatorError) -> None:
    """A problem that the person can mend."""
    st.error(f"**{plain(error.title)}**  \n{plain(error.detail)}", icon=":material/error:")
    if error.next_step:
        st.caption(f"Next: {plain(error.next_step)}")


def noted_metric(title: str, value: str, note: str | None = None, *, help: str = "") -> None:
    """A value in a box, and below it a word on how it is to be read."""
    st.metric(
        title,
        value,
        note,
        delta_color="off",
        delta_arrow="off",
        border=True,
        help=help or None,
    )


class ImageUrls(TypedDict):
    """Addresses of one image's pictures and facts, with `{id}` for its id."""

    thumbnail_url: str
    preview_url: str
    card_url: str


def routes_of(workspace: Workspace) -> str:
    """What the app's routes of a workspace begin with, seen from any page.

    Relative, so that a path that the app is served below stays in front.
    """
    return f"{PREFIX.lstrip('/')}/{workspace.uid}"


def image_urls(workspace: Workspace, **card: str) -> ImageUrls:
    """Addresses of thumbnails, previews and cards; `card` is what a card is asked besides."""
    base = routes_of(workspace)
    query = urlencode(card)
    return {
        "thumbnail_url": f"{base}/thumbnail/{{id}}",
        "preview_url": f"{base}/preview/{{id}}",
        "card_url": f"{base}/card/{{id}}" + (f"?{query}" if query else ""),
    }


def submit(workspace: Workspace, config: JobConfig, *, role: str = "data scientist") -> Job:
    """Start a job in this person's name."""
    job = queue.submit(workspace, config, actor=acting(role).name)
    st.toast(f"{config.title}: job {job.id} is in the queue", icon=":material/play_circle:")
    return job


def show_jobs(workspace: Workspace, kinds: Sequence[str] = ()) -> None:
    """Progress of the active jobs of these kinds (of all, where none is named), by itself.

    When one ends, the whole page runs again, so that its result appears.
    """
    active = [job for job in queue.look_after(workspace) if _is_shown(job, kinds)]
    if not active:
        return
    st.fragment(_poll_jobs, run_every=1.0)(workspace, tuple(kinds), frozenset(j.id for j in active))


def show_job_result(workspace: Workspace, kind: str) -> None:
    """Say so where the newest job of a kind failed, until another is started."""
    newest = next(
        (job for job in job_rows.list_jobs(workspace, limit=50) if job.kind == kind), None
    )
    if newest and newest.status == "failed" and newest.error:
        error = newest.error
        show_error(OperatorError(error["title"], error["detail"], error["next_step"]))


def changed(workspace: Workspace, batch: Batch, text: str) -> None:
    """Remember a change, so that the page offers to undo it."""
    st.session_state["last_change"] = (workspace.uid, batch.id, batch.n_changes, text)


def _poll_jobs(workspace: Workspace, kinds: tuple[str, ...], before: frozenset[int]) -> None:
    active = [job for job in queue.look_after(workspace) if _is_shown(job, kinds)]
    if before - {job.id for job in active}:
        st.rerun()
    for job in active:
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            st.progress(job.progress, text=describe_progress(job))
            st.button(
                "Cancel",
                icon=":material/stop_circle:",
                key=f"shared.cancel.{job.id}",
                on_click=cancel_job,
                args=(workspace, job.id),
                disabled=job.cancel_requested,
            )


def cancel_job(workspace: Workspace, job_id: int) -> None:
    """Ask a job to stop; for use as a callback."""
    queue.cancel(workspace, job_id)


def resume_job(workspace: Workspace, job_id: int) -> None:
    """Let a job go on that has stopped; for use as a callback."""
    try:
        queue.resume(workspace, job_id)
    except OperatorError as error:
        st.toast(plain(str(error)), icon=":material/error:")


def describe_progress(job: Job) -> str:
    """What a job is at, in a line."""
    if job.cancel_requested:
        return f"**{job_title(job.kind)}** · stopping"
    if job.status == "running":
        return f"**{job_title(job.kind)}** · {job.step or 'starting'} · {job.progress:.0%}"
    return f"**{job_title(job.kind)}** · waiting"


def _is_shown(job: Job, kinds: Sequence[str]) -> bool:
    return job.is_active and (not kinds or job.kind in kinds)


def _show_person() -> None:
    person = current_person()
    label = plain(person.name) if person else "Your name"
    with st.popover(label, icon=":material/person:", width="content"):
        if login_is_configured():
            st.write(f"Logged in as {plain(person.role if person else '')}.")
            st.button("Log out", on_click=st.logout, key="shared.logout")
        else:
            _name_form("shared.person")


def _name_form(key: str) -> None:
    with st.form(f"{key}.form", border=False):
        person = current_person()
        name = st.text_input(
            "Your name", value=person.name if person else "", max_chars=60, key=f"{key}.name"
        )
        st.caption("It stands on every change you make, on this browser.")
        if st.form_submit_button("Keep", type="primary", key=f"{key}.keep") and clean_person(name):
            st.session_state.person = clean_person(name)
            st.rerun()


@st.dialog("Who are you?")
def _ask_name() -> None:
    st.write("Every change is recorded with a name. Give yours once, then do it again.")
    _name_form("shared.dialog")


def keep_name() -> None:
    """Write a name given in this session into the browser, for the next."""
    name = st.session_state.get("person")
    if name and not login_is_configured():
        with st.sidebar:
            _write_cookie(key="shared.cookie", data={"cookie": name_cookie(name)}, height=1)


def _show_last_change() -> None:
    uid, batch_id, n_changes, text = st.session_state.get("last_change", ("", 0, 0, ""))
    workspace = find_current_workspace()
    if workspace is None or workspace.uid != uid:
        return
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.markdown(f":material/check_circle: {plain(text)} · {n_changes:,} images")
        st.button(
            "Undo",
            icon=":material/undo:",
            key=f"shared.undo.{batch_id}",
            on_click=_undo,
            args=(workspace, batch_id),
        )
        st.button(
            "",
            icon=":material/close:",
            type="tertiary",
            key=f"shared.dismiss.{batch_id}",
            on_click=lambda: st.session_state.pop("last_change"),
            help="Dismiss",
        )


def _undo(workspace: Workspace, batch_id: int) -> None:
    st.session_state.pop("last_change", None)
    undo_change(workspace, batch_id)


def choose_view(page: str, views: Iterable[str], *, default: str | None = None) -> str:
    """Which of a page's views is shown: kept in the address, so that it can be sent on.

    Args:
        page: the page's name in addresses and in the state of the session.
        views: their titles, in order.
        default: the one that opens at first; None for the first of them.
    """
    titles, key = list(views), f"{page}.view"
    first = default or titles[0]
    view = st.segmented_control(
        "View",
        titles,
        # A default beside a value that a button has set is a contradiction to Streamlit.
        default=None if key in st.session_state else first,
        required=True,
        label_visibility="collapsed",
        key=key,
        bind="query-params",
    )
    return view or first


def undo_change(workspace: Workspace, batch_id: int) -> None:
    """Take a change back and say what became of it."""
    try:
        person = require_role(actions.role_to_undo(workspace, batch_id))
        done = actions.undo(workspace, batch_id, actor=person.name)
    except OperatorError as error:
        st.toast(plain(str(error)), icon=":material/error:")
        return
    kept = f"; {done.n_kept:,} changed since then stay" if done.n_kept else ""
    st.toast(f"{done.n_restored:,} images are as before{kept}", icon=":material/undo:")


def counted(n: int, thing: str) -> str:
    """`1 group`, `412 groups`."""
    return f"{n:,} {thing}" if n == 1 else f"{n:,} {thing}s"


def as_duration(seconds: float) -> str:
    """Seconds as a person reads them: `0.84 s`, `42 s`, `12 min`, `3 h 20 min`."""
    if seconds < 10:
        return f"{seconds:.2g} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def as_size(n_bytes: int) -> str:
    """Bytes as a person reads them, in decimal units."""
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if n_bytes >= size:
            return f"{n_bytes / size:,.1f} {unit}"
    return f"{n_bytes / 1e3:,.1f} kB"


def plain(text: str) -> str:
    """Text from files and people, shown as it is: nothing in it is read as markup."""
    # Links and emoji are found after escapes are undone: an invisible joiner keeps them apart.
    joined = re.sub(r"(?i)(?<=www)(?=\.)|(?<=[:@])", "\u2060", text)
    return "".join(f"\\{c}" if c in r"\`*_{}[]()#+-.!|<>:$~" else c for c in joined)
