"""What a command says when it can't go on: one sentence for the person at the keyboard, and no traceback."""

import functools
import os
import sys
from collections.abc import Callable
from typing import ParamSpec

P = ParamSpec("P")
INTERRUPTED = 130


class CitystreamError(Exception):
    """What is wrong and what to change, in a sentence. Each part of the suite has its own kinds of it."""


def command(main: Callable[P, int]) -> Callable[P, int]:
    """A `main` whose errors are sentences on standard error.

    Returns:
        the exit code: that of `main`; 1 after a `CitystreamError`; 130 after Ctrl-C or when nobody reads any more.
    """

    @functools.wraps(main)
    def run(*args: P.args, **kwargs: P.kwargs) -> int:
        try:
            return main(*args, **kwargs)
        except CitystreamError as error:
            print(error, file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return INTERRUPTED
        except BrokenPipeError:
            # Python flushes standard output once more at its end, and would complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return INTERRUPTED

    return run
