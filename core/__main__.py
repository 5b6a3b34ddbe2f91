"""`python -m core`: every step without a browser.

Standard output carries the answer alone, as text or as one JSON object; progress, warnings and
complaints go to standard error. Exit codes: 0 done, 1 something a person can mend, 2 wrong usage,
130 stopped by Ctrl-C.
"""

import contextlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from core.cli import (
    analysis,
    clusters,
    demo,
    drift,
    evaluation,
    images,
    jobs,
    latent,
    models,
    prediction,
    splits,
    training,
    triage,
    types,
    watch,
    workspaces,
)
from core.cli.parser import Parser, UsageError, common_options, wrong_usage
from core.cli.session import Answer, Session
from core.errors import OperatorError
from core.settings import load_settings

DONE, MENDABLE, WRONG_USAGE, STOPPED = 0, 1, 2, 130


def build_parser() -> Parser:
    """The parser of the whole command line; each command carries the function that runs it."""
    parser = Parser(
        prog="python -m core",
        description="Find, explain and triage surface defects. Every step without a browser.",
        parents=[common_options()],
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for group in (
        demo,
        images,
        splits,
        latent,
        clusters,
        analysis,
        training,
        models,
        evaluation,
        prediction,
        triage,
        types,
        drift,
        watch,
        jobs,
        workspaces,
    ):
        group.add_commands(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in given
    try:
        answer = _run(given)
    except UsageError as error:
        return _complain("Wrong usage.", str(error), error.usage, code=WRONG_USAGE, as_json=as_json)
    except OperatorError as error:
        parts = (error.title, error.detail, error.next_step)
        return _complain(*parts, code=MENDABLE, as_json=as_json)
    except KeyboardInterrupt as stopped:
        return _complain("Stopped.", "", str(stopped), code=STOPPED, as_json=as_json)
    except Exception as error:
        if as_json:  # a fault of ours: whoever reads the output still gets an object
            detail = f"{type(error).__name__}: {error}"
            _write_json(_error("This command met a fault in the software.", detail, ""))
        raise
    if as_json:
        _write_json(answer.data)
    elif answer.text:
        sys.stdout.write(f"{answer.text}\n")
    return DONE if answer.is_well else MENDABLE


def _run(given: Sequence[str]) -> Answer:
    asked = build_parser().parse_args(given)
    with wrong_usage():
        session = Session(settings=load_settings(), folder=asked.workspace, actor=asked.actor)
    with contextlib.redirect_stdout(sys.stderr):  # some libraries print
        return asked.run(session, asked)


def _complain(title: str, detail: str, next_step: str, *, code: int, as_json: bool) -> int:
    line = " ".join(" ".join(part.split()) for part in (title, detail, next_step) if part)
    sys.stderr.write(f"{line}\n")
    if as_json:
        _write_json(_error(title, detail, next_step))
    return code


def _error(title: str, detail: str, next_step: str) -> Mapping[str, Any]:
    return {"error": {"title": title, "detail": detail, "next_step": next_step}}


def _write_json(value: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    exit_code = main()
    if exit_code == STOPPED:
        os._exit(exit_code)  # a step deep in a library's own loop would be waited for
    sys.exit(exit_code)
