"""README says what is true: its Python blocks run, its commands and files exist."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ganloom.cli import COMMANDS
from ganloom.recipes import RECIPES

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.S)


@pytest.mark.parametrize("index", range(len(BLOCKS)))
def test_python_blocks_run(index: int, tmp_path: Path) -> None:
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", BLOCKS[index]], cwd=tmp_path, capture_output=True, text=True, timeout=300, env=env
    )
    assert done.returncode == 0, done.stderr
    if "print(" in BLOCKS[index]:
        assert done.stdout.strip() == "(16, 1, 28, 28) True True"


def test_commands_recipes_and_files_exist() -> None:
    assert set(re.findall(r"\$ ganloom (\w+)", TEXT)) <= set(COMMANDS)
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"`?make (\w+)`?", TEXT):
        assert re.search(rf"^{target}:", makefile, re.M), target
    for name in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (ROOT / name).exists(), name
    assert set(re.findall(r"^\| `([\w-]+)` \|", TEXT, re.M)) == set(RECIPES)
