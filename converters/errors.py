"""What can be wrong with a checkpoint file, one class for each remedy."""

from jaxlatent.errors import UserError


class CheckpointError(UserError):
    """A checkpoint cannot be used; the base of all errors of this package."""


class UnsafeCheckpointError(CheckpointError):
    """The file asks for code that no stored network needs. Nothing was executed."""


class CorruptCheckpointError(CheckpointError):
    """The file is truncated, damaged or not a checkpoint at all."""


class ConversionError(CheckpointError):
    """The file is sound but its contents do not fit the network family asked for."""
