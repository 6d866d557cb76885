"""`jaxlatent` and `python -m jaxlatent`: the command line as a process."""

import signal
import sys

from jaxlatent.cli import main


def run() -> None:
    """Runs the command line; a termination cleans up as an interruption does."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())


if __name__ == "__main__":
    run()
