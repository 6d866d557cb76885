"""Pictures that no generator made, inverted and edited: `real_pictures.py OUT`.

Six rendered avatars that nothing was trained on, into w+ of the avatars' StyleGAN2; the astronaut
that comes with scikit-image, into z of the face DCGAN. Needs the packages scikit-image and
generateme; takes about ten minutes on two cores.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from PIL import Image

import jaxlatent
from jaxlatent import Edit, find
from jaxlatent.demo.faces import find_checkpoint
from jaxlatent.demo.unseen import RECIPE, clipped_psnr, picture, unseen
from jaxlatent.invert import Inversion, edit_image, invert, nearest, ssim
from jaxlatent.invert.presets import z_adam

_CROP = (126, 0, 326, 200)  # head and shoulders, as in the faces that the DCGAN learned from


def astronaut() -> Float[np.ndarray, "1 64 64 3"]:
    """Returns the face of scikit-image's astronaut (NASA, in the public domain), in [-1, 1]."""
    from skimage.data import astronaut as photograph

    face = Image.fromarray(photograph()).crop(_CROP).resize((64, 64), Image.Resampling.LANCZOS)
    return np.asarray(face, np.float32)[None] / 127.5 - 1


def figures(found: Inversion, images: Float[np.ndarray, "n h w c"]) -> dict[str, list[float]]:
    """Returns PSNR in dB and SSIM of each image."""
    alike = ssim(jnp.clip(found.images, -1, 1), jnp.asarray(images))
    return {
        "psnr": [round(value, 2) for value in clipped_psnr(found, images)],
        "ssim": [round(float(value), 3) for value in alike],
    }


def avatars(out: Path) -> dict[str, list[float]]:
    """Inverts rendered avatars into w+ and moves them along differences of means."""
    generator, net = jaxlatent.load("avatars"), jaxlatent.load_model("avatars-attributes")
    z = generator.sample_z(jax.random.key(7), 4000)
    w = generator.map(z)
    table = jaxlatent.scorers.score(generator, generator.broadcast(w), net)
    names = ("glasses", "skin: pale", "hair colour: blond", "hair colour: pink")
    scores = table[:, [net.names.index(name) for name in names]]
    directions = find.difference_of_means(np.asarray(w), scores, names, threshold=0.0)
    directions = directions.bind(generator, space="w")
    images = unseen()
    recipe = replace(RECIPE, steps=400)
    starts = nearest(generator, images, jax.random.key(5))
    found = invert(generator, images, recipe, jax.random.key(6), codes=starts)
    edits = [(one, 1.0) for one in directions]
    picture(generator, images, found, edits).save(out / "avatars.jpg", quality=90)
    return figures(found, images)


def faces(out: Path) -> dict[str, list[float]]:
    """Inverts the astronaut into z, moves her along SeFa's directions, and keeps the background."""
    generator = jaxlatent.load(find_checkpoint())
    directions = find.sefa(generator.affines(), 6).bind(generator)
    image = astronaut()
    y, x = np.mgrid[:64, :64]
    outside = np.clip((np.hypot((x - 32) / 22, (y - 34) / 30) - 0.9) / 0.2, 0, 1)
    longer_hair = Edit(directions[[2]], [-2.0])
    edited = edit_image(
        image, generator, longer_hair, z_adam(generator, 500, 16), jax.random.key(0), keep=outside
    )
    more = {"sefa 2 -2, rest kept": edited.images}
    moves = [(directions[[k]], step) for k, step in ((2, -2.0), (2, 2.0), (0, 1.4), (5, 2.0))]
    sheet = picture(generator, image, edited.inversion, moves, more)
    sheet.save(out / "astronaut.jpg", quality=90)
    return figures(edited.inversion, image)


def main(out: str) -> None:
    """Writes two sheets and their figures."""
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    told = {"avatars": avatars(folder), "astronaut": faces(folder)}
    (folder / "figures.json").write_text(json.dumps(told, indent=1) + "\n")
    print(json.dumps(told))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
