"""`jaxlatent` and `python -m jaxlatent`: the command line as a process."""

import signal
import sys

from jaxlatent import compile_cache, keep_memory
from jaxlatent.cli import main


def run() -> None:
    """Runs the command line; a termination or a lost terminal cleans up as an interruption does."""
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):  # Windows has no SIGHUP
            signal.signal(getattr(signal, name), signal.default_int_handler)
    compile_cache.switch_on()
    keep_memory()
    sys.exit(main())


if __name__ == "__main__":
    run()
