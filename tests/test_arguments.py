"""The command line's notations, and what is no such notation."""

import jax.numpy as jnp
import numpy as np
import pytest
from conftest import STYLEGAN2_CONFIG, filled

from jaxlatent import UserError
from jaxlatent.arguments import indices, labels, layers, pairs, strengths
from jaxlatent.spaces import to_codes


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0", [0]), ("0-3", [0, 1, 2, 3]), ("5,1-2", [5, 1, 2]), (" 7 , 8", [7, 8]), ("3-3", [3])],
)
def test_indices(text, expected):
    assert indices(text, "seeds") == expected


@pytest.mark.parametrize(
    "text",
    ["", "a", "-1", "1-", "3-1", "1,,2", "1.5", "0-99999999", "9" * 5000, "4294967296", "\u0663"],
)
def test_what_is_no_list_of_indices(text):
    with pytest.raises(UserError, match=r"^seeds"):
        indices(text, "seeds")


def test_indices_out_of_range():
    with pytest.raises(UserError, match="runs backwards; write 2-5"):
        indices("5-2", "seeds")
    with pytest.raises(UserError, match="layers must be in 0 to 3, got 2-4"):
        indices("2-4", "layers", 4)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("-3:3:7", [-3, -2, -1, 0, 1, 2, 3]), ("1:1:1", [1]), ("-2,0,2.5", [-2, 0, 2.5])],
)
def test_strengths(text, expected):
    assert strengths(text) == expected


@pytest.mark.parametrize(
    "text", ["", "a", "1:2", "1:2:0", "1:2:9999", "nan", "1:inf:3", "1:2:3:4", "1e39"]
)
def test_what_are_no_strengths(text):
    with pytest.raises(UserError, match=r"^strengths"):
        strengths(text)


@pytest.mark.parametrize("text", ["image_size", "=28", ""])
def test_what_is_no_option(text):
    with pytest.raises(UserError, match="KEY=VALUE"):
        pairs([text])


def test_an_option_given_twice_is_refused():
    with pytest.raises(UserError, match="image_size is given twice"):
        pairs(["image_size=28", "image_size=32"])


def test_layers(stylegan2):
    assert layers(None, stylegan2) is None
    assert layers("1-3", stylegan2) == [1, 2, 3]
    with pytest.raises(UserError, match="layers must be in 0 to 5"):
        layers("6", stylegan2)


def test_labels(tmp_path, stylegan2):
    import dataclasses

    conditional = filled(dataclasses.replace(STYLEGAN2_CONFIG, c_dim=3, embed_dim=2))
    assert labels(None, 2, stylegan2) is None
    assert labels("2", 2, conditional).tolist() == [2, 2]
    assert labels("1-2", 2, conditional).tolist() == [1, 2]
    np.testing.assert_allclose(labels("0:0.25,2:.75", 2, conditional), [[0.25, 0, 0.75]] * 2)
    with pytest.raises(UserError, match=r"2 integers .* are needed, got \[3\]"):
        labels("0-2", 2, conditional)
    with pytest.raises(UserError, match="--label must be in 0 to 2"):
        labels("3:0.5,1:0.5", 2, conditional)
    np.save(tmp_path / "l.npy", np.array([0, 2]))
    assert labels(str(tmp_path / "l.npy"), 2, conditional).tolist() == [0, 2]
    np.save(tmp_path / "soft.npy", np.full((2, 3), 1 / 3))
    assert labels(str(tmp_path / "soft.npy"), 2, conditional).shape == (2, 3)
    with pytest.raises(UserError, match="not conditional"):
        labels("1", 2, stylegan2)
    with pytest.raises(UserError, match="give --label 0 to 2"):
        labels(None, 2, conditional)
    with pytest.raises(UserError, match="--label must be in 0 to 2"):
        labels("3", 2, conditional)
    with pytest.raises(UserError, match="3 integers or weights"):
        labels(str(tmp_path / "l.npy"), 3, conditional)
    assert labels(None, 2, conditional, needed=False) is None
    np.save(tmp_path / "l.npy", np.array([0.9, 1.7]))
    with pytest.raises(UserError, match="classes must be integers, got float64"):
        labels(str(tmp_path / "l.npy"), 2, conditional)
    np.save(tmp_path / "l.npy", np.array([0, 2]))
    with pytest.raises(UserError, match=r"neither a class, 0 to 2, nor .*a \.npy file"):
        labels("cat", 2, conditional)
    with pytest.raises(UserError, match="no such file"):
        labels("cat.npy", 2, conditional)
    np.save(tmp_path / "l.npy", np.array([0, 7]))
    with pytest.raises(UserError, match="--label must be in 0 to 2"):
        labels(str(tmp_path / "l.npy"), 2, conditional)


def test_spaces(stylegan2, dcgan):
    z = jnp.asarray(np.random.RandomState(0).standard_normal((2, 6)), jnp.float32)
    w = np.asarray(stylegan2.map(z))
    codes = to_codes(stylegan2, np.asarray(z), "z")
    np.testing.assert_allclose(to_codes(stylegan2, w, "w"), codes, atol=1e-6)
    np.testing.assert_allclose(to_codes(stylegan2, np.asarray(codes), "w+"), codes)
    assert to_codes(dcgan, z, "z").shape == (2, 1, 6)
    with pytest.raises(UserError, match="has the spaces z, not w"):
        to_codes(dcgan, z, "w")
    with pytest.raises(UserError, match=r"codes in w must be \[n, 7\], got \[2, 6\]"):
        to_codes(stylegan2, z, "w")
    with pytest.raises(UserError, match=r"codes in w\+ must be \[n, 6, 7\]"):
        to_codes(stylegan2, w, "w+")
