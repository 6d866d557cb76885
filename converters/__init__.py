"""Checkpoint files of other projects -> named arrays -> our generators, exactly and safely."""

from converters.convert import Converted, convert
from converters.detect import FORMATS, describe_formats, detect, formats_page
from converters.directions import import_directions
from converters.errors import (
    CheckpointError,
    ConversionError,
    CorruptCheckpointError,
    UnsafeCheckpointError,
)
from converters.reader import Checkpoint, read_checkpoint

__all__ = [
    "FORMATS",
    "Checkpoint",
    "CheckpointError",
    "ConversionError",
    "Converted",
    "CorruptCheckpointError",
    "UnsafeCheckpointError",
    "convert",
    "describe_formats",
    "detect",
    "formats_page",
    "import_directions",
    "read_checkpoint",
]
