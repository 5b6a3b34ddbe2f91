"""A log-in as an installation configures it, for tests of what it keeps out."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import streamlit as st
from streamlit import config

COOKIE_SECRET = "a secret of more than thirty-two characters"
ADMIN, SCIENTIST, OPERATOR = "root@example.com", "sci@example.com", "anyone@example.com"
_SECRETS = f"""
[auth]
redirect_uri = "https://lacquer.example/oauth2callback"
cookie_secret = "{COOKIE_SECRET}"
client_id = "id"
client_secret = "secret"
server_metadata_url = "https://login.example/.well-known/openid-configuration"

[lacquer.roles]
admin = ["{ADMIN}"]
data_scientist = ["{SCIENTIST}"]
"""


@contextmanager
def configured(folder: Path) -> Iterator[None]:
    """Within, Streamlit finds a secrets file with a log-in and roles."""
    (folder / "secrets.toml").write_text(_SECRETS)
    before = config.get_option("secrets.files")
    config.set_option("secrets.files", [str(folder / "secrets.toml")])
    st.secrets._reset()
    try:
        yield
    finally:
        config.set_option("secrets.files", before)
        st.secrets._reset()
