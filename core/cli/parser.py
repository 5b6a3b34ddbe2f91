"""How is a command line read? argparse, with its errors as exceptions."""

import argparse
import getpass
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from core.cli.session import Answer, Session

Commands = Any  # what `ArgumentParser.add_subparsers` returns has no public name
Handler = Callable[[Session, argparse.Namespace], Answer]


class UsageError(Exception):
    """The command line is wrong; `usage` says how it is meant."""

    def __init__(self, message: str, usage: str = "") -> None:
        super().__init__(message)
        self.usage = usage


class Parser(argparse.ArgumentParser):
    """A parser that raises where argparse would end the process."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """Called by argparse for everything it cannot read."""
        raise UsageError(f"{message}.", f"See `{self.prog} --help`.")

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse's; the common options have their defaults wherever they may stand."""
        defaults = argparse.Namespace(workspace=None, actor=_user_name(), json=False)
        return super().parse_args(args, namespace or defaults)


def common_options() -> argparse.ArgumentParser:
    """The options that stand before or after every command."""
    # SUPPRESS: a command's own default would overwrite what was given before it.
    options = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    group = options.add_argument_group("everywhere")
    group.add_argument(
        "--workspace",
        metavar="DIR",
        type=a_path,
        help="the workspace's folder (default: LACQUER_WORKSPACE, else `default` in LACQUER_HOME)",
    )
    group.add_argument("--json", action="store_true", help="answer with one JSON object")
    group.add_argument(
        "--as", dest="actor", metavar="NAME", type=_name, help="who does it (default: your login)"
    )
    return options


def add_command(commands: Commands, name: str, run: Handler | None, *, summary: str) -> Parser:
    """One more command. Without a function it is a group of others."""
    description = f"{summary[0].upper()}{summary[1:]}."
    parser = commands.add_parser(
        name, help=summary, description=description, parents=[common_options()]
    )
    if run:
        parser.set_defaults(run=run)
    return parser


@contextmanager
def wrong_usage() -> Iterator[None]:
    """Where a value was typed by a person, a `ValueError` about it is about the command line."""
    try:
        yield
    except ValueError as error:
        raise UsageError(f"{error}.") from error


def share(*, with_ends: bool) -> Callable[[str], float]:
    """A type for argparse: a number between 0 and 1, these two among them or not."""
    interval = "[0, 1]" if with_ends else "(0, 1)"

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is no number") from None
        if not (0 <= value <= 1 if with_ends else 0 < value < 1):
            raise argparse.ArgumentTypeError(f"must lie in {interval}, got {text}")
        return value

    return read


def whole_number(minimum: int) -> Callable[[str], int]:
    """A type for argparse: a whole number, at least `minimum`."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None
        if value < minimum:
            raise argparse.ArgumentTypeError(f"must be at least {minimum}, got {value}")
        return value

    return read


def a_path(text: str) -> Path:
    """A type for argparse: an absolute path, for jobs may run in another folder."""
    if not text:
        raise argparse.ArgumentTypeError("must not be empty")
    return Path(text).expanduser().resolve()


def _name(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("must not be empty")
    return text.strip()


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "command line"
