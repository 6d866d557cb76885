"""With torch: our reader against torch's own, and the real checkpoint against torch's layers."""

import argparse

import jax.numpy as jnp
import numpy as np
import pytest

from converters import convert, read_checkpoint
from jaxlatent import UserError, demo

torch = pytest.importorskip("torch")
DTYPES = [
    *("float64", "float32", "float16", "bfloat16"),
    *("int64", "int32", "int16", "int8", "uint8", "bool"),
]


def numpy_of(tensor):
    return tensor.view(torch.int16).numpy() if tensor.dtype == torch.bfloat16 else tensor.numpy()


@pytest.mark.parametrize("zipped", [True, False])
def test_the_reader_agrees_with_torch(tmp_path, zipped):
    generator = torch.Generator().manual_seed(0)
    tree = {}
    for name in DTYPES:
        values = (torch.randn(3, 4, 5, generator=generator) * 50).to(getattr(torch, name))
        tree[name] = {
            "plain": values,
            "permuted": values.permute(2, 0, 1),
            "sliced": values[1:, ::2, 3],
            "expanded": values[:1, :1, :1].expand(2, 3, 4),
            "scalar": values[0, 0, 0],
            "empty": values[:0],
        }
    tree["channels_last"] = {"a": torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last)}
    tree["parameter"] = {"p": torch.nn.Parameter(torch.ones(2, 2))}
    tree["args"] = argparse.Namespace(lr=0.1, size=(1, 2), name="x")
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    tree["state"] = network.state_dict()
    tree["optimizer"] = torch.optim.Adam(network.parameters()).state_dict()
    torch.save(tree, tmp_path / "t.pt", _use_new_zipfile_serialization=zipped)
    ours = read_checkpoint(tmp_path / "t.pt").tree
    assert ours["args"] == {"lr": 0.1, "size": (1, 2), "name": "x"}
    assert ours["optimizer"]["param_groups"][0]["lr"] == 0.001
    for group in [*DTYPES, "channels_last", "parameter", "state"]:
        assert list(ours[group]) == list(tree[group])
        for key, tensor in tree[group].items():
            expected = numpy_of(tensor.detach())
            array = ours[group][key]
            array = array.view(np.int16) if group == "bfloat16" else array
            assert array.dtype == expected.dtype
            np.testing.assert_array_equal(array, expected)


def test_stacks_of_any_geometry_agree_with_torch(tmp_path):
    layers = torch.nn
    torch.manual_seed(0)
    network = layers.Sequential(
        layers.ConvTranspose2d(7, 6, 3, bias=True),
        layers.BatchNorm2d(6, eps=1e-3),
        layers.LeakyReLU(0.2),
        layers.ConvTranspose2d(6, 5, 5, stride=2, padding=2, output_padding=1),
        layers.LeakyReLU(0.2),
        layers.ConvTranspose2d(5, 4, 3, stride=1, padding=1, bias=False),
        layers.BatchNorm2d(4, eps=1e-3),
        layers.LeakyReLU(0.2),
        layers.ConvTranspose2d(4, 2, 6, stride=2, padding=2),
        layers.Sigmoid(),
    ).eval()
    with torch.no_grad():
        for norm in (network[1], network[6]):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
            norm.weight.normal_()
            norm.bias.normal_()
        z = torch.randn(3, 7)
        expected = 2 * network(z[:, :, None, None]).permute(0, 2, 3, 1).numpy() - 1
    torch.save(network.state_dict(), tmp_path / "g.pth")
    options = {
        "strides": "1,2,1,2", "paddings": "0,2,1,2", "output_paddings": "0,1,0,0",
        "activation": "lrelu", "output_activation": "sigmoid", "norm_epsilon": "0.001",
    }  # fmt: skip
    generator = convert(tmp_path / "g.pth", options=options).model
    images = generator.synthesize(jnp.asarray(z.numpy())[:, None])
    np.testing.assert_allclose(images, expected, atol=1e-5)


def test_the_face_generator_agrees_with_torch():
    try:
        path = demo.find_checkpoint()
    except UserError:
        pytest.skip("the package generateme is not installed")
    state = torch.load(path, map_location="cpu", weights_only=True)
    functional = torch.nn.functional
    z = torch.randn(8, 100, generator=torch.Generator().manual_seed(1))
    x = z[:, :, None, None]
    for i in range(1, 6):
        stride, padding = (1, 0) if i == 1 else (2, 1)
        x = functional.conv_transpose2d(x, state[f"convTr{i}.weight"], None, stride, padding)
        if i < 5:
            names = ("running_mean", "running_var", "weight", "bias")
            x = functional.batch_norm(x, *(state[f"batchNorm{i}.{n}"] for n in names)).relu()
    generator = convert(path).model
    images = generator.synthesize(jnp.asarray(z.numpy())[:, None])
    np.testing.assert_allclose(images, x.tanh().permute(0, 2, 3, 1).numpy(), atol=1e-4)
