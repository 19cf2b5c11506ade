"""A command's options, and what it says when it can't go on: one sentence for the person at the keyboard."""

import argparse
import functools
import os
import sys
from collections.abc import Callable
from typing import Any, ParamSpec

P = ParamSpec("P")
INTERRUPTED = 130


class CitystreamError(Exception):
    """What is wrong and what to change, in a sentence. Each part of the suite has its own kinds of it."""


class Parser(argparse.ArgumentParser):
    """A command line whose options are written in full: a shortened one may come to mean another."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - those of its base
        super().__init__(**options, allow_abbrev=False)


def command(main: Callable[P, int]) -> Callable[P, int]:
    """A `main` whose errors are sentences on standard error.

    Returns:
        the exit code: that of `main`; 1 after a `CitystreamError` or where a file may not be used; 130 after Ctrl-C or
        when nobody reads any more.
    """

    @functools.wraps(main)
    def run(*args: P.args, **kwargs: P.kwargs) -> int:
        try:
            return main(*args, **kwargs)
        except CitystreamError as error:
            print(error, file=sys.stderr)
            return 1
        except PermissionError as error:
            print(f"{error.filename} can't be used ({error.strerror}): change who may write there.", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return INTERRUPTED
        except BrokenPipeError:
            # Python flushes standard output once more at its end, and would complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return INTERRUPTED

    return run
