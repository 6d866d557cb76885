"""The mistakes a caller can mend, told apart from defects of the library."""


class UserError(ValueError):
    """Something the caller gave is wrong; the message says what, what was expected, what to do.

    The command line prints these in one line and exits with status 2. Any other exception is a
    defect of the library and keeps its traceback.

    Example:
        >>> raise UserError("k must be in [1, 8], got 9")
        Traceback (most recent call last):
        jaxlatent.errors.UserError: k must be in [1, 8], got 9
    """


def printable(text: str) -> str:
    r"""Escapes what is not printable, so that no file's text can steer the terminal.

    Example:
        >>> printable("\x1b[2Jname")
        '\\x1b[2Jname'
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def listed(items: list[str], limit: int = 12) -> str:
    """Joins mismatches into one readable line, counting what does not fit.

    Example:
        >>> listed(["a", "b", "c"], limit=2)
        'a, b and 1 more'
    """
    if len(items) <= limit:
        return ", ".join(items)
    return f"{', '.join(items[:limit])} and {len(items) - limit} more"
