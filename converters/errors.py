"""What can be wrong with a checkpoint file, one class for each remedy."""

from jaxlatent.errors import UserError, printable

MALFORMED = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What Python raises on values of a type, size or depth that no sound file has."""

_MAX_MESSAGE = 4000


class CheckpointError(UserError):
    r"""A checkpoint cannot be used; the base of all errors of this package.

    Messages quote names from the file; what is not printable in them is escaped, so that no file
    can steer the terminal.

    Example:
        >>> raise CheckpointError("unexpected: \x1b[2J.weight")
        Traceback (most recent call last):
        converters.errors.CheckpointError: unexpected: \x1b[2J.weight
    """

    def __init__(self, message: str) -> None:
        if len(message) > _MAX_MESSAGE:
            message = f"{message[:_MAX_MESSAGE]} ..."
        super().__init__(printable(message))


class UnsafeCheckpointError(CheckpointError):
    """The file asks for code that no stored network needs. Nothing was executed."""


class CorruptCheckpointError(CheckpointError):
    """The file is truncated, damaged or not a checkpoint at all."""


class ConversionError(CheckpointError):
    """The file is sound but its contents do not fit the network family asked for."""


def described(error: Exception) -> str:
    """Says what one of `MALFORMED` found, for a message to the user.

    Example:
        >>> described(KeyError("conv1.conv.weight"))
        "'conv1.conv.weight' is missing"
    """
    if isinstance(error, KeyError):
        return f"{error} is missing"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
