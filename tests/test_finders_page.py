"""The page of finders names every finder and shows pictures that exist."""

import re
from pathlib import Path

import pytest
from PIL import Image

from jaxlatent import find

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "finders.md").read_text()
PICTURES = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", PAGE)
NO_FINDERS = {  # what finders are made from, or made into
    "TRANSFORMS",
    "channel_effects",
    "channel_statistics",
    "cosines",
    "covariance",
    "linear_svm",
    "sample",
}


def test_every_finder_is_named():
    finders = {name for name in find.__all__ if name[0].islower()} - NO_FINDERS
    assert [name for name in sorted(finders) if f"`{name}`" not in PAGE] == []


def test_every_section_says_when_and_what_it_costs():
    methods = PAGE[: PAGE.index("## Afterwards")].split("\n### ")[1:]
    assert len(methods) >= 13
    for section in methods:
        for part in ("$", "*When", "*Cost:*"):
            assert part in section, (section.splitlines()[0], part)
        assert "![" in section, section.splitlines()[0]


@pytest.mark.parametrize("path", PICTURES)
def test_every_picture_is_one(path):
    file = DOCS / path
    with Image.open(file) as image:
        image.load()
        assert min(image.size) >= 150
    if file.parent.name == "finders":
        assert file.stat().st_size <= 60_000


def test_no_picture_is_left_over():
    shown = {Path(path).name for path in PICTURES}
    assert {file.name for file in (DOCS / "images" / "finders").iterdir()} <= shown
