"""The README's code and the examples run as they stand."""

import re
import runpy
from pathlib import Path

import pytest
from PIL import Image

import jaxlatent
from benchmarks.parity.goldens import OWN
from converters import formats_page

ROOT = Path(__file__).parents[1]


def test_the_readmes_python_blocks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 3
    names: dict = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    assert names["images"].shape == (4, 6, 5, 64, 64, 3)
    assert names["gradient"].shape == (4, 10, 128)
    assert abs(names["gradient"]).max() > 0
    assert names["edited"].shape == (4, 64, 64, 3)
    with Image.open("sweep.png") as sheet:
        assert sheet.height > 24 * 128


def test_the_readme_names_only_what_exists():
    text = (ROOT / "README.md").read_text()
    for link in re.findall(r"\]\((?!http)([^)]+)\)", text):
        assert (ROOT / link).exists(), link
    for name in re.findall(r"jaxlatent\.(\w+)\(", text):
        assert hasattr(jaxlatent, name)


def test_the_example(tmp_path):
    script = runpy.run_path(str(ROOT / "examples" / "first_directions.py"))
    with pytest.warns(UserWarning, match="mapping_lr_multiplier is not in the file"):
        script["main"](str(OWN / "rosinality_res32" / "checkpoint.pt"), str(tmp_path / "a.png"))
    with Image.open(tmp_path / "a.png") as sheet:
        assert sheet.height > 15 * 128


def test_the_page_of_formats_is_up_to_date():
    assert (ROOT / "docs" / "formats.md").read_text() == formats_page()
