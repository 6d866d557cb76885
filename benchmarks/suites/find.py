"""Finders against what the originals call: numpy's eig, IncrementalPCA, libsvm."""

import importlib
from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import numpy as np
from sklearn.decomposition import IncrementalPCA
from sklearn.linear_model import Ridge
from sklearn.svm import SVC

from benchmarks import models
from benchmarks.boundaries import problem
from benchmarks.harness import Work, compare, with_torch
from benchmarks.peers.device import torch_device
from benchmarks.suites import Case, Size
from jaxlatent import find
from jaxlatent.find.boundary import automatic
from jaxlatent.generators import Generator, StyleGAN2

_TOP = 80  # components, as GANSpace keeps
_MANY = 14_000  # samples of large boundaries: 70% of 2% at each end of 500,000


def _angle(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Returns 1 less the worst cosine of rows with their counterparts, whatever their signs."""
    lengths = np.linalg.norm(ours, axis=-1) * np.linalg.norm(theirs, axis=-1)
    return 1 - float((np.abs((ours * theirs).sum(-1)) / lengths).min())


def _eig(matrices: list[np.ndarray], k: int) -> np.ndarray:
    """SeFa as it is published: rows of unit length, then the solver for any matrix."""
    weight = np.concatenate(matrices)
    weight = weight / np.linalg.norm(weight, axis=1, keepdims=True)
    values, vectors = np.linalg.eig(weight.T @ weight)
    return vectors.real[:, np.argsort(-values.real)[:k]].T


def _sefa(name: str, config: Any, apart: bool, size: Size) -> dict[str, Any]:
    affines = models.random(config).affines()
    matrices = [np.asarray(m) for m in affines]
    sets = [[m] for m in matrices] if apart else [matrices]

    def ours() -> np.ndarray:
        found = find.sefa(affines, 5, per_layer=apart).vectors
        return np.asarray(found).swapaxes(0, 1)

    def theirs() -> np.ndarray:
        return np.stack([_eig(part, 5) for part in sets])

    row = compare(name, len(sets), ours, {"eig": theirs}, size.rounds, 1e-3, _angle)
    return row | {"error_of": "1 - worst cosine"}


def _components(name: str, n: int, device: str) -> dict[str, Any]:
    """Maps n samples to w and decomposes them, as GANSpace does in batches."""
    generator = models.random(models.stylegan2(64))
    assert isinstance(generator, StyleGAN2)
    z = np.asarray(generator.sample_z(jax.random.key(0), n))
    batches, own = ([z[i : i + size] for i in range(0, n, size)] for size in (10_000, 2048))
    kept: dict[str, np.ndarray] = {}

    def ours() -> np.ndarray:
        kept["ours"] = np.asarray(find.ganspace((_map(generator, b) for b in own), _TOP).vectors)
        return np.zeros(1)

    def theirs(network: Any) -> np.ndarray:
        model = IncrementalPCA(_TOP, batch_size=max(100, 2 * _TOP))
        for batch in batches:
            model.partial_fit(network(batch))
        kept["theirs"] = model.components_
        return np.zeros(1)

    def others() -> dict[str, Work]:
        return {"IncrementalPCA": partial(theirs, _mapping(generator, torch_device(device)))}

    row = compare(name, n, ours, with_torch(others), 3 if n <= 100_000 else 1)
    mean, products = np.zeros(512), np.zeros((512, 512))
    for batch in batches:  # the exact components, in float64
        w = np.asarray(_map(generator, batch)).astype(np.float64)
        mean += w.sum(axis=0) / n
        products += w.T @ w / n
    exact = np.linalg.eigh(products - np.outer(mean, mean))[1][:, ::-1].T[:_TOP]
    worst = {k: np.linalg.svd(v.reshape(_TOP, -1) @ exact.T)[1].min() for k, v in kept.items()}
    row |= {"error": 1 - float(worst["ours"]), "tolerance": 1e-4}
    row["error_of"] = "1 - worst cosine of the subspace to the exact one"
    if not row["error"] <= row["tolerance"]:
        row |= {"ratio": None, "note": "parity failed"}
    return row | ({"error_peer": 1 - float(worst["theirs"])} if "theirs" in worst else {})


@jax.jit
def _map(generator: Generator, z: Any) -> Any:
    return generator.map(z)


def _mapping(generator: StyleGAN2, place: str) -> Any:
    """Returns the mapping network in torch, from and to the host's memory."""
    torch: Any = importlib.import_module("torch")
    layers = [
        (
            torch.tensor(np.array(layer.matrix()).T.copy(), device=place),
            torch.tensor(np.array(layer.bias[...]) * layer.lr, device=place),
        )
        for layer in generator.mapping.layers
    ]

    def call(z: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            x = torch.tensor(z, device=place)
            x = x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()
            for weight, bias in layers:
                x = torch.nn.functional.leaky_relu(torch.addmm(bias, x, weight.T), 0.2) * 2**0.5
            return np.asarray(x.cpu().numpy())

    return call


def _map_to_scores(name: str, n: int, scores: int, rounds: int) -> dict[str, Any]:
    """Fits scores of codes by least squares, all at once; the ridge is next to nothing."""
    draw = np.random.RandomState(0)
    codes = draw.standard_normal((n, 512)).astype(np.float32)
    noise = draw.standard_normal((n, scores)).astype(np.float32)
    targets = codes @ draw.standard_normal((512, scores)).astype(np.float32) + noise

    def ours() -> np.ndarray:
        return find.linear_map_sweep(codes, targets, [0.0], kind="raw").weights[0]

    def theirs() -> np.ndarray:
        return np.asarray(Ridge(1e-6).fit(codes, targets).coef_)

    return compare(name, scores, ours, {"Ridge": theirs}, rounds, 1e-4)


def _svm(name: str, n: int, attributes: int, rounds: int) -> dict[str, Any]:
    """Fits planes for all attributes, by the solver that `find.boundary` takes for so many samples.

    libsvm's time is that of the first, times their number.
    """
    codes, rows, signs = problem(n, 512, attributes)

    def ours() -> np.ndarray:
        if automatic(n) == "sklearn":
            return theirs()
        return np.asarray(find.linear_svm(codes, rows, signs).weight[:1])

    def theirs() -> np.ndarray:
        return np.asarray(SVC(kernel="linear").fit(codes[rows[0]], signs[0]).coef_)

    row = compare(name, attributes, ours, {"SVC": theirs}, rounds, 1e-4, _angle)
    row["error_of"] = "1 - worst cosine"
    if attributes > 1 and row["ratio"] is not None:
        for value in ("ratio", "ratio_min", "ratio_max", "other_s"):
            row[value] *= attributes
        row["ratios"] = {name: value * attributes for name, value in row["ratios"].items()}
        row["note"] = f"SVC's time is that of one attribute times {attributes}, the error its"
    return row


def cases(size: Size) -> Iterator[Case]:
    """Yields SeFa, principal components, a linear map and boundaries."""
    config = models.stylegan2(64 if size.quick else 1024, 4096 if size.quick else 32768)
    for apart, which in ((False, "all layers"), (True, "per layer")):
        name = f"SeFa, {4 << (len(config.channels) - 1)} px, {which}, against numpy's eig"
        yield Case("find", name, partial(_sefa, name, config, apart, size))
    n = 2000 if size.quick else size.pca_samples
    name = f"PCA of w, {n} x 512 with mapping, against IncrementalPCA"
    yield Case("find", name, partial(_components, name, n, size.device))
    n, scores = (2000, 4) if size.quick else (70_000, 40)
    name = f"Linear map, {n} x 512 to {scores} scores, against Ridge"
    yield Case("find", name, partial(_map_to_scores, name, n, scores, size.rounds))
    full = [(size.svm_samples, 1)]
    if size.device == "cpu":  # where all of them run, which takes minutes
        full += [(_MANY, 1), (_MANY, 40)]
    for n, attributes in [(2500, 1), (2500, 4)] if size.quick else dict.fromkeys(full):
        which = "" if attributes == 1 else f"{attributes} attributes of "
        name = f"SVM, {which}{n} x 512, against SVC"
        yield Case("find", name, partial(_svm, name, n, attributes, 3 if n <= 5000 else 1))
