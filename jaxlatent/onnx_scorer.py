"""Scorers from ONNX files, run by ONNX Runtime: any classifier, whatever it was trained with."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float

from jaxlatent.errors import UserError

_TINY = 1e-6  # keeps the log-odds of a certain answer finite


class OnnxScorer:
    """Scores images by one output of a classifier in an ONNX file; it has no gradient.

    Images are resized, turned into bytes' values (0 to 255), shifted by `mean`, multiplied by
    `scale`, and passed with channels first. ONNX Runtime comes with `jaxlatent[onnx]`.

    Args:
        path: the file; it must have one input [n, 3, height, width] of float32.
        output: the column of the first output that scores.
        mean: of each channel, in byte values.
        scale: by which the shifted values are multiplied; 1/255 for networks that read [0, 1].
        probabilities: whether outputs are probabilities, which become log-odds so that scores are
            not all near 0 or 1; if not, they are taken as they are.

    Raises:
        UserError: if ONNX Runtime is missing, or the file is not such a classifier.
        FileNotFoundError: if there is no such file.

    Example:
        >>> OnnxScorer("no-such-file.onnx", output=1)
        Traceback (most recent call last):
        FileNotFoundError: no such file: no-such-file.onnx
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        output: int,
        mean: Sequence[float] = (0.0, 0.0, 0.0),
        scale: float = 1 / 255,
        probabilities: bool = True,
    ) -> None:
        if not Path(path).is_file():
            raise FileNotFoundError(f"no such file: {path}")
        if len(mean) != 3:
            raise UserError(f"mean must have one number for each of 3 channels, got {len(mean)}")
        self._session = _session(path)
        self._output, self._scale, self._probabilities = output, scale, probabilities
        self._mean = np.asarray(mean, np.float32)
        (self._input,) = self._session.get_inputs()
        self.size = self._sides(path)

    def _sides(self, path: str | os.PathLike[str]) -> tuple[int, int]:
        """Returns height and width of the input, and checks it and the output."""
        shape, columns = self._input.shape, self._session.get_outputs()[0].shape
        if len(shape) != 4 or shape[1] != 3 or not all(isinstance(s, int) for s in shape[2:]):
            raise UserError(f"{path}: the input must be [n, 3, height, width], got {shape}")
        if len(columns) != 2 or not isinstance(columns[1], int):
            raise UserError(f"{path}: the first output must be [n, classes], got {columns}")
        if not 0 <= self._output < columns[1]:
            raise UserError(f"{path} has outputs 0 to {columns[1] - 1}, got output={self._output}")
        return shape[2], shape[3]

    def __call__(self, images: Float[Array | np.ndarray, "n h w 3"]) -> Float[np.ndarray, " n"]:
        """Returns the score of each image.

        Args:
            images: in [-1, 1]; what is beyond is clipped, as in a picture.
        """
        n, _, _, channels = images.shape
        sized = jax.image.resize(images, (n, *self.size, channels), "linear")
        pixels = np.clip(np.round((np.asarray(sized) + 1) * 127.5), 0, 255).astype(np.float32)
        batch = np.ascontiguousarray((pixels - self._mean).transpose(0, 3, 1, 2))
        (found, *_) = self._session.run(None, {self._input.name: batch * np.float32(self._scale)})
        values = np.asarray(found[:, self._output], np.float32)
        if not self._probabilities:
            return values
        return np.log(values + _TINY) - np.log(1 - values + _TINY)


def _session(path: str | os.PathLike[str]) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise UserError("ONNX Runtime is not installed: pip install 'jaxlatent[onnx]'") from None
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has a class for each of its statuses
        raise UserError(f"{path} is no ONNX network: {str(error).splitlines()[0]}") from None
    if len(session.get_inputs()) != 1:
        raise UserError(f"{path} must have one input, got {len(session.get_inputs())}")
    return session
