"""Who is at the screen, and what may they do? One place for pages and routes alike.

With a log-in configured (`[auth]` in `.streamlit/secrets.toml`), the log-in says who it is, and
`[lacquer.roles]` there what each may do. Without one, the app serves this machine alone, and a name
is asked for once a browser, so that every change has somebody's name on it.
"""

import ipaddress
import json
from dataclasses import dataclass
from urllib.parse import quote, unquote

import streamlit as st
from starlette.requests import Request

from core.errors import OperatorError

ROLES = ("operator", "data scientist", "admin")  # each may do what those before it may
NAME_COOKIE = "lacquer_name"
_NAME_LIMIT = 60


@dataclass(frozen=True)
class Person:
    """The name that goes on every change, and the role."""

    name: str
    role: str

    def may(self, role: str) -> bool:
        """Whether this person may do what needs `role`."""
        return ROLES.index(self.role) >= ROLES.index(role)


def authorised(request: Request) -> bool:
    """Whether a request to one of the app's own routes may be answered.

    With a log-in: the browser holds a valid log-in cookie. Without: the request was made to an
    address of this machine, so that no foreign web page can reach the images through a name of its
    own that resolves here; a server address set on purpose opens the app to its network.
    """
    if login_is_configured():
        return _login_cookie(request) is not None
    host = request.url.hostname or ""
    return _is_local(host) or _serves_network()


def login_is_configured() -> bool:
    """Whether `.streamlit/secrets.toml` has an `[auth]` section."""
    from streamlit.auth_util import get_secrets_auth_section

    return bool(get_secrets_auth_section())


def current_person() -> Person | None:
    """Who is at this screen; None until they have logged in or given a name."""
    if login_is_configured():
        if not st.user.is_logged_in:
            return None
        email = str(st.user.get("email") or "")
        # Some providers let people claim any address: one that was not verified earns no role.
        verified = email if st.user.get("email_verified", True) else ""
        return Person(str(st.user.get("name") or email or "unnamed"), _role_of(verified))
    name = st.session_state.get("person") or unquote(st.context.cookies.get(NAME_COOKIE, ""))
    name = clean_person(name)
    return Person(name, "admin") if name else None


def require(role: str) -> Person:
    """The person at the screen, if they may do what needs `role`; checked where the action is.

    Raises:
        OperatorError: nobody is known, or they may not.
    """
    person = current_person()
    if person is None:
        raise OperatorError("Nobody is logged in.", next_step="Log in, then try again.")
    if not person.may(role):
        raise OperatorError(
            f"This needs the role {role}.",
            f"You are here as {person.role}.",
            "Ask an administrator of this installation.",
        )
    return person


def clean_person(name: str) -> str:
    """The name as it is recorded: printable, without outer blanks, at most 60 characters."""
    return "".join(c for c in name if c.isprintable()).strip()[:_NAME_LIMIT]


def name_cookie(name: str) -> str:
    """The cookie that keeps a name in this browser for a year."""
    return f"{NAME_COOKIE}={quote(name)}; path=/; max-age=31536000; SameSite=Lax"


def _role_of(email: str) -> str:
    roles = st.secrets.get("lacquer", {}).get("roles", {})
    for role in reversed(ROLES):
        if email and email in roles.get(role.replace(" ", "_"), ()):
            return role
    return "operator"


def _login_cookie(request: Request) -> dict | None:
    # Streamlit checks its cookie only on its own routes; these are the parts that it checks with.
    from streamlit.auth_util import get_cookie_with_chunks
    from streamlit.web.server.server_util import AUTH_COOKIE_NAME, get_cookie_secret
    from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value

    def read(name: str) -> bytes | None:
        value = request.cookies.get(name)
        return decode_signed_value(get_cookie_secret(), name, value) if value else None

    decoded = get_cookie_with_chunks(read, AUTH_COOKIE_NAME)
    if not decoded:
        return None
    try:
        payload = json.loads(decoded)
    except ValueError:
        return None
    return payload if payload.get("is_logged_in") else None


def _is_local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _serves_network() -> bool:
    address = st.get_option("server.address")
    return bool(address) and not _is_local(str(address))
