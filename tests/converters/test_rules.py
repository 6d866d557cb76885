"""Rules are applied strictly, and everything wrong is told at once."""

import ml_dtypes
import numpy as np
import pytest

from converters import ConversionError
from converters.rules import (
    Rule,
    apply_rules,
    chain,
    channels_last,
    conv,
    first,
    flat,
    flipped_conv,
    scalar,
    transpose,
    transposed_conv,
)

SHAPES = {"weight": (2, 3), "bias": (3,)}
RULES = [Rule("w", "weight", transpose), Rule("b", "bias")]
ARRAYS = {"w": np.arange(6.0).reshape(3, 2), "b": np.ones(3)}


def test_arrays_arrive_transformed_in_float32_and_writable():
    found = apply_rules(RULES, ARRAYS, SHAPES)
    np.testing.assert_array_equal(found["weight"], ARRAYS["w"].T)
    assert found["weight"].dtype == np.float32
    assert found["weight"].flags.c_contiguous
    assert found["weight"].flags.writeable


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.int64, np.uint8, np.bool_])
def test_numbers_of_every_real_type_are_weights(dtype):
    found = apply_rules([Rule("b", "bias")], {"b": np.ones(3, dtype)}, {"bias": (3,)})
    np.testing.assert_array_equal(found["bias"], np.ones(3, np.float32))


def test_unneeded_arrays_are_allowed_by_name_only():
    arrays = ARRAYS | {"steps": np.ones(())}
    assert set(apply_rules(RULES, arrays, SHAPES, ["steps"])) == set(SHAPES)
    with pytest.raises(ConversionError, match="unexpected: steps"):
        apply_rules(RULES, arrays, SHAPES)


@pytest.mark.parametrize(
    ("rules", "arrays", "shapes", "message"),
    [
        (RULES, {"w": ARRAYS["w"]}, SHAPES, "missing: b"),
        (RULES, ARRAYS | {"x": np.ones(1)}, SHAPES, "unexpected: x"),
        ([*RULES, Rule("b", "other")], ARRAYS, SHAPES | {"other": (3,)}, "used twice: b"),
        ([*RULES, Rule("c", "bias")], ARRAYS | {"c": np.ones(3)}, SHAPES, "filled twice: bias"),
        (RULES, ARRAYS, SHAPES | {"gain": (1,)}, "not filled: gain"),
        (RULES, ARRAYS, {"bias": (3,)}, "no such parameter: weight"),
        (RULES, ARRAYS | {"b": np.ones(4)}, SHAPES, r"b gives \[4\], bias needs \[3\]"),
        (RULES, ARRAYS | {"b": np.full(3, np.nan)}, SHAPES, "not finite .*: b"),
        (RULES, ARRAYS | {"b": np.full(3, 1e300)}, SHAPES, "not finite .*: b"),
        (
            RULES,
            ARRAYS | {"b": np.full(3, 1j, np.complex64)},
            SHAPES,
            r"not numbers: b \(complex64",
        ),
        (RULES, ARRAYS | {"b": np.full(3, "1")}, SHAPES, r"not numbers: b \(<U1"),
        (RULES, ARRAYS | {"b": np.full(3, b"1")}, SHAPES, "not numbers: b"),
        (
            [RULES[0], Rule("b", "bias", nonnegative=True)],
            ARRAYS | {"b": np.array([1, 0, -1e-9])},
            SHAPES,
            "negative: b",
        ),
        ([Rule("w", "weight", conv), RULES[1]], ARRAYS, SHAPES, r"w gives \[3, 2\]"),
    ],
)
def test_each_mismatch_is_refused(rules, arrays, shapes, message):
    with pytest.raises(ConversionError, match=message):
        apply_rules(rules, arrays, shapes)


def test_all_mismatches_are_in_one_error():
    arrays = {"w": np.ones((9, 9)), "x": np.ones(1)}
    with pytest.raises(ConversionError) as caught:
        apply_rules(RULES, arrays, SHAPES)
    for part in ("missing: b", "unexpected: x", "wrong shape: w gives [9, 9]"):
        assert part in str(caught.value)


def test_transforms():
    kernel = np.arange(2 * 3 * 2 * 2.0).reshape(2, 3, 2, 2)
    assert conv(kernel)[0, 1, 2, 1] == kernel[1, 2, 0, 1]
    assert flipped_conv(kernel)[0, 1, 2, 1] == kernel[1, 2, 1, 0]
    assert transposed_conv(kernel)[0, 1, 1, 2] == kernel[1, 2, 1, 0]
    assert channels_last(kernel[0]).shape == (2, 2, 3)
    assert first(kernel[:1]).shape == (3, 2, 2)
    assert first(kernel).shape == kernel.shape
    assert flat(np.ones((1, 4, 1, 1))).shape == (4,)
    assert flat(kernel).shape == kernel.shape
    assert scalar(np.ones((1,))).shape == ()
    assert scalar(np.ones(2)).shape == (2,)
    np.testing.assert_array_equal(chain(first, channels_last)(kernel[:1]), channels_last(kernel[0]))
