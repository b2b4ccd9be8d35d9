"""The house: import direction, start-up, documents that follow the code, adding a recipe in one file and one line."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ganloom
from ganloom import recipes, testing

ROOT = Path(__file__).resolve().parent.parent
SOURCE = Path(ganloom.__file__).parent

BASE = {"errors", "batch", "randomness", "precision", "config", "__init__"}
ALLOWED: dict[str, set[str]] = {
    "errors": set(), "batch": set(), "randomness": set(), "precision": set(), "stats": set(), "allocator": set(),
    "config": {"errors"}, "device": {"errors", "precision"}, "images": {"errors"}, "checkpoint": {"errors"},
    "gan": BASE, "listening": set(), "seen": {"errors"}, "losses": {"errors", "listening"}, "penalties": BASE | {"listening"},
    "layers": BASE, "norms": set(), "augment": BASE,
    "stabilisers": BASE | {"augment"},
    "inserts": BASE | {"gan", "layers", "norms", "stabilisers"},
    "compose": BASE | {"ada", "augment", "gan", "inserts", "layers", "listening", "losses", "penalties", "seen", "stabilisers"},
    "looking": BASE | {"compose", "gan", "listening", "optim", "stabilisers", "trainer"},
    "lint": BASE | {"gan", "layers", "looking", "losses", "optim", "trainer"},
    "networks": {"errors", "layers", "norms"},
    "adversarial": {"gan", "losses"}, "pool": set(),
    "bands": {"networks"}, "perceptual": {"errors", "metrics"},
    "translator": BASE | {"bands", "gan", "layers", "losses", "networks", "perceptual"},
    "listing": set(), "baselines": BASE | {"gan", "layers", "listing"},
    "growing": BASE | {"gan", "layers"}, "styled": BASE | {"ada", "gan"},
    "ada": BASE | {"adversarial", "gan"},
    "recipes": BASE
    | {"ada", "adversarial", "augment", "baselines", "gan", "growing", "layers", "listing", "losses", "networks", "norms"}
    | {"penalties", "perceptual", "pool", "styled", "translator"},
    "data": {"errors", "batch"}, "metrics": {"errors"}, "report": {"errors", "images"},
    "optim": BASE | {"gan"}, "guard": {"errors"}, "processes": {"randomness"},
    "observers": {"errors", "images", "report", "stats", "metrics"},
    "trainer": BASE | {"gan", "guard", "optim", "processes", "stats"},
    "judge": {"metrics", "observers"},
    "doctor": {"errors"},
    "asking": {"doctor", "seen"}, "facts": BASE | {"asking", "compose", "doctor", "gan", "optim"},
    "probing": BASE | {"asking", "doctor", "metrics", "optim"},
    "watching": BASE | {"checkpoint", "doctor", "facts", "observers", "probing", "report"},
    "healing": BASE | {"asking", "checkpoint", "compose", "doctor", "folder", "gan", "stabilisers", "watching"},
    "augmenting": {"errors"}, "plans": {"layers"},
    "starting": {"checkpoint", "errors", "folder", "gan", "looking", "trainer"},
    "folder": {"errors", "checkpoint", "__init__"},
    "session": {"errors", "checkpoint", "folder", "guard", "trainer"},
    "making": BASE | {"augmenting", "compose", "data", "gan", "plans", "recipes", "stabilisers", "starting", "trainer"},
    "record": BASE
    | {"compose", "data", "folder", "gan", "healing", "making", "recipes", "stabilisers", "starting", "trainer"},
}  # fmt: skip


def imports(path: Path) -> set[str]:
    """The top-level parts of ganloom that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "ganloom":
            parts = node.module.split(".")[1:]
            names = [parts[0]] if parts else [alias.name for alias in node.names]
            found |= {
                name if (SOURCE / f"{name}.py").exists() or (SOURCE / name).is_dir() else "__init__" for name in names
            }
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("ganloom.")}
    return found


def part_of(path: Path) -> str:
    first = path.relative_to(SOURCE).parts[0]
    return first.removesuffix(".py")


@pytest.mark.parametrize("part", ALLOWED)
def test_import_direction(part: str) -> None:
    files = [p for p in SOURCE.rglob("*.py") if part_of(p) == part]
    for path in files:
        extra = imports(path) - ALLOWED[part] - {part}
        assert not extra, f"{path.relative_to(SOURCE)} imports {sorted(extra)}"


def test_no_recipe_imports_another() -> None:
    for path in (SOURCE / "recipes").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert path.name == "__init__.py" or "ganloom.recipes" not in text, path.name


def test_everything_below_the_top_has_its_place() -> None:
    """A new top-level part must be given its direction here."""
    top = {"apps", "bench", "cli", "__main__", "run", "testing", "weights", "serve", "export", "web", "__init__", "py"}
    known = set(ALLOWED) | top
    assert {part_of(p) for p in SOURCE.rglob("*.py")} <= known


def test_names_of_files() -> None:
    assert not [p for p in SOURCE.rglob("*.py") if p.stem in ("utils", "helpers", "common")]
    assert all(ast.get_docstring(ast.parse(p.read_text())) for p in SOURCE.rglob("*.py")), "a file says what it is"


def python(code: str, *args: str, cwd: Path | None = None) -> str:
    done = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, cwd=cwd, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_and_help_need_no_torch() -> None:
    python("import ganloom, sys; assert 'torch' not in sys.modules and 'numpy' not in sys.modules")
    python(
        "import sys; from ganloom.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as e: assert not e.code\n"
        "assert 'torch' not in sys.modules"
    )


def test_nothing_imports_torchvision_or_dynamo() -> None:
    python(
        "import sys, ganloom, ganloom.run, ganloom.apps.evaluate\n"
        "assert 'torchvision' not in sys.modules and 'torch._dynamo' not in sys.modules, 'slow or missing imports'"
    )


def test_public_names_whatever_the_order() -> None:
    python(
        "import ganloom\n"
        "try: ganloom.load('nowhere')\n"
        "except ValueError: pass\n"
        "assert callable(ganloom.train) and callable(ganloom.resume) and callable(ganloom.evaluate)\n"
        "assert set(dir(ganloom)) >= {'train', 'load', 'RECIPES', 'GAN', 'Phase', 'Batch'}"
    )


def test_docs_follow_the_docstrings() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "build_docs.py"), "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_registry_host_or_path_of_a_machine_in_the_project() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    for name in tracked:
        if Path(name).suffix in (".py", ".md", ".toml", ".txt", ".css", ".js", "") and name != "tests/test_house.py":
            text = (ROOT / name).read_text(encoding="utf-8", errors="ignore")
            assert not re.search(r"/work/|/root/|pythonhosted|files\.python|/opt/wheels", text), name


TEMPLATE_TEST = """
import sys
from pathlib import Path
from ganloom import recipes, testing
from ganloom.cli import main
assert "fresh" in recipes.RECIPES
testing.check_recipe("fresh", Path(sys.argv[1]))
"""


def test_a_recipe_is_one_file_and_one_line(tmp_path: Path) -> None:
    """The template, copied under a new name into a copy of the package, passes everything and is listed everywhere."""
    import shutil

    package = tmp_path / "ganloom"
    shutil.copytree(SOURCE, package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(package / "recipes" / "_template.py", package / "recipes" / "fresh.py")
    listing = package / "recipes" / "__init__.py"
    listing.write_text(
        listing.read_text().replace('"wgan-gp": "wgan_gp",', '"wgan-gp": "wgan_gp",\n    "fresh": "fresh",')
    )
    python(TEMPLATE_TEST, str(tmp_path / "checks"), cwd=tmp_path)
    call = "from ganloom.cli import main; main()"
    assert re.search(r"fresh +What it is in a few words", python(call, "recipes", cwd=tmp_path))
    assert "--n-critic" in python(call, "train", "fresh", "--help", cwd=tmp_path)
    table = f"import sys; sys.path.insert(0, {str(ROOT / 'tools')!r}); import build_docs; print(build_docs.recipes())"
    assert "| [fresh](recipes/fresh.md) |" in python(table, cwd=tmp_path)


def test_the_template_is_a_recipe(tmp_path: Path) -> None:
    from ganloom.recipes import _template

    testing.check_shapes(_template, tmp_path)
    assert "_template" not in recipes.RECIPES
