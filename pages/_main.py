"""The script that Streamlit runs: page set-up, log-in, navigation, then the chosen page."""

import streamlit as st

from core.errors import OperatorError
from core.settings import PROJECT_ROOT, load_settings
from core.state.story import has_templates
from pages._access import current_person, login_is_configured
from pages._shared import keep_name, show_error, show_sidebar

ASSETS = PROJECT_ROOT / "assets"
PAGES = PROJECT_ROOT / "pages"

# A local icon: with the page's own, the browser would ask a font host for it.
st.set_page_config(page_title="Lacquer", page_icon=str(ASSETS / "favicon.png"), layout="wide")
st.logo(str(ASSETS / "logo.svg"), icon_image=str(ASSETS / "icon.svg"), size="large")

overview = st.Page(PAGES / "overview.py", title="Overview", icon=":material/home:", default=True)
story = st.Page(PAGES / "story.py", title="Story", icon=":material/auto_stories:", url_path="story")
must_log_in = login_is_configured() and current_person() is None
page = st.navigation(  # before the log-in too, else a link to a page would be "not found"
    {
        "": [overview, *([story] if has_templates(load_settings()) else [])],
        "Analyse": [
            st.Page(
                PAGES / "dataset.py",
                title="Dataset",
                icon=":material/photo_library:",
                url_path="dataset",
            ),
            st.Page(
                PAGES / "latent_space.py",
                title="Latent space",
                icon=":material/scatter_plot:",
                url_path="latent_space",
            ),
            st.Page(
                PAGES / "clusters_and_anomalies.py",
                title="Clusters and anomalies",
                icon=":material/bubble_chart:",
                url_path="clusters_and_anomalies",
            ),
        ],
        "Learn": [
            st.Page(
                PAGES / "fine_tuning.py",
                title="Fine-tuning",
                icon=":material/model_training:",
                url_path="fine_tuning",
            ),
            st.Page(
                PAGES / "evaluation.py",
                title="Evaluation",
                icon=":material/fact_check:",
                url_path="evaluation",
            ),
        ],
        "Decide": [
            st.Page(
                PAGES / "triage.py",
                title="Triage",
                icon=":material/rule:",
                url_path="triage",
            ),
            st.Page(
                PAGES / "defect_types.py",
                title="Defect types",
                icon=":material/category:",
                url_path="defect_types",
            ),
            st.Page(
                PAGES / "inbox.py",
                title="Inbox",
                icon=":material/inbox:",
                url_path="inbox",
            ),
        ],
        "Follow": [
            st.Page(
                PAGES / "activity.py",
                title="Activity",
                icon=":material/history:",
                url_path="activity",
            )
        ],
    },
    position="hidden" if must_log_in else "sidebar",
)
if must_log_in:
    st.header("Lacquer")
    st.write("Surface defects, triaged by eye and by latent space.")
    st.button("Log in", type="primary", on_click=st.login, key="main.login")
    st.stop()
st.html(ASSETS / "pages.css")
keep_name()
if page.url_path != story.url_path:  # it has a workspace of its own for each visitor
    show_sidebar()
try:
    page.run()
except OperatorError as error:
    show_error(error)
