"""Who may ask the app's own routes, and what each role may do."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from starlette.requests import Request
from streamlit import config
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value

from core.errors import OperatorError
from pages import _access
from pages._access import ROLES, Person, authorised, clean_person, name_cookie, require
from tests.login import ADMIN, COOKIE_SECRET, OPERATOR, SCIENTIST, configured

COOKIE = "_streamlit_user"


@pytest.fixture
def login(tmp_path: Path) -> Iterator[None]:
    """A log-in is configured."""
    with configured(tmp_path):
        yield


@pytest.fixture
def server_address() -> Iterator[None]:
    """Puts the server's address back that a test sets."""
    before = config.get_option("server.address")
    yield
    config.set_option("server.address", before)


def asked(host: str = "localhost:8501", cookie: str | None = None) -> Request:
    headers = [(b"host", host.encode())]
    if cookie is not None:
        headers.append((b"cookie", f"{COOKIE}={cookie}".encode()))
    return Request(
        {
            "type": "http",
            "method": "GET",
            "path": "/lacquer/x",
            "query_string": b"",
            "scheme": "http",
            "server": ("127.0.0.1", 8501),
            "headers": headers,
        }
    )


def signed(value: object, *, secret: str = COOKIE_SECRET, name: str = COOKIE) -> str:
    return create_signed_value(secret, name, json.dumps(value)).decode()


@pytest.mark.parametrize("host", ["localhost", "localhost:8501", "127.0.0.1:80", "[::1]:8501"])
def test_without_a_login_this_machine_is_answered(host: str) -> None:
    assert authorised(asked(host))


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",  # a name of a foreign page that resolves to this machine
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil.example:8501",
        "192.168.0.7",
        "0.0.0.0",
    ],
)
def test_without_a_login_any_other_host_is_refused(host: str) -> None:
    assert not authorised(asked(host))


@pytest.mark.usefixtures("server_address")
def test_a_server_address_set_on_purpose_opens_the_app_to_its_network() -> None:
    config.set_option("server.address", "0.0.0.0")
    assert authorised(asked("line-3.factory.example"))
    config.set_option("server.address", "127.0.0.1")
    assert not authorised(asked("line-3.factory.example"))


@pytest.mark.usefixtures("login")
class TestWithALogin:
    def test_a_valid_cookie_is_answered_under_any_name_of_the_server(self) -> None:
        cookie = signed({"is_logged_in": True, "email": "a@example.com"})
        assert authorised(asked("lacquer.example", cookie))

    def test_nobody_without_a_cookie_is_answered_not_even_here(self) -> None:
        assert not authorised(asked("localhost"))
        assert not authorised(asked("localhost", ""))

    @pytest.mark.parametrize(
        "cookie",
        [
            json.dumps({"is_logged_in": True}).replace('"', "%22"),
            signed({"is_logged_in": True}, secret="another secret, just as long as the true one"),
            signed({"is_logged_in": True}, name="_streamlit_user_tokens"),
            signed({"is_logged_in": True})[:-2] + "xx",
            signed({"is_logged_in": False}),
            signed({"email": "a@example.com"}),
        ],
        # Cookies hold the time, and every process must call the tests by the same names.
        ids=["unsigned", "another secret", "another name", "another signature", "out", "no word"],
    )
    def test_a_forged_or_logged_out_cookie_is_refused(self, cookie: str) -> None:
        assert not authorised(asked("localhost", cookie))

    def test_a_cookie_older_than_the_login_lasts_is_refused(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import itsdangerous.timed

        long_ago = SimpleNamespace(time=lambda: 1_000_000_000.0)
        with monkeypatch.context() as then:
            then.setattr(itsdangerous.timed, "time", long_ago)
            cookie = signed({"is_logged_in": True})
        assert not authorised(asked("localhost", cookie))

    @pytest.mark.parametrize(
        ("email", "role"),
        [
            (ADMIN, "admin"),
            (SCIENTIST, "data scientist"),
            (OPERATOR, "operator"),
            ("", "operator"),
        ],
    )
    def test_the_secrets_say_which_role_an_address_has(
        self, email: str, role: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sign_in(monkeypatch, email=email, name="Ada")
        assert require("operator") == Person("Ada", role)

    def test_an_address_that_the_provider_has_not_verified_has_no_role(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sign_in(monkeypatch, email=ADMIN, email_verified=False)
        assert require("operator").role == "operator"

    def test_what_a_role_may_not_do_is_refused_where_it_is_done(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sign_in(monkeypatch, email=OPERATOR)
        with pytest.raises(OperatorError, match="needs the role data scientist"):
            require("data scientist")

    def test_nobody_logged_in_may_do_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_access.st, "user", SimpleNamespace(is_logged_in=False))
        with pytest.raises(OperatorError, match="Nobody is logged in"):
            require("operator")


def sign_in(monkeypatch: pytest.MonkeyPatch, **claims: object) -> None:
    user = SimpleNamespace(is_logged_in=True, get=claims.get)
    monkeypatch.setattr(_access.st, "user", user)


def test_each_role_may_do_what_those_before_it_may() -> None:
    may = [[Person("Ada", has).may(needed) for needed in ROLES] for has in ROLES]
    assert may == [[True, False, False], [True, True, False], [True, True, True]]


@pytest.mark.parametrize(
    ("given", "kept"),
    [("  Ada ", "Ada"), ("A\nd\x00a", "Ada"), ("\u200b \t", ""), ("x" * 99, "x" * 60)],
)
def test_a_name_is_printable_and_short(given: str, kept: str) -> None:
    assert clean_person(given) == kept


def test_a_name_cannot_break_out_of_its_cookie() -> None:
    assert name_cookie("Ada; path=/evil\n").startswith("lacquer_name=Ada%3B%20path%3D/evil%0A; ")
