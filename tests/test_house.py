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

ORDER = (
    "core", "report", "imaging", "optim", "losses", "scoring", "penalties", "sampling", "gan", "volumes", "data", "metrics", "nn",
    "texts", "augment", "networks", "robust",
    "training", "stabilisers", "baselines", "recipes", "lint", "doctor", "weights", "runs",
    "evaluation", "api", "tables", "export", "anomaly", "apps", "testing", "bench", "cli", "__main__",
)  # fmt: skip
"""The whole import rule: a package (or a file of the root) imports itself and what stands before it."""


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path): path for path in SOURCE.rglob("*.py")}


def imports(path: Path) -> set[str]:
    """The modules of ganloom that a file imports, inside functions too; dotted, without "ganloom."."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "ganloom":
            base = node.module.removeprefix("ganloom").removeprefix(".")
            dotted = [f"{base}.{alias.name}".removeprefix(".") for alias in node.names]
            found |= {name if name in MODULES else base for name in dotted}
        elif isinstance(node, ast.Import):
            found |= {alias.name[8:] for alias in node.names if alias.name.startswith("ganloom.")}
    return found - {""}


@pytest.mark.parametrize("module", sorted(MODULES))
def test_import_direction(module: str) -> None:
    if module == "__init__":
        return  # it names what it offers and imports it only when asked
    here = ORDER.index(module.split(".")[0])
    late = [name for name in imports(MODULES[module]) if ORDER.index(name.split(".")[0]) > here]
    assert not late, f"{module} imports {sorted(late)}, which stand after it in ORDER"


def test_no_import_cycle_between_modules() -> None:
    graph = {
        name: {m for m in imports(path) if m in MODULES} - {name}
        for name, path in MODULES.items()
        if name != "__init__"
    }
    while leaves := [name for name, needed in graph.items() if not needed & graph.keys()]:
        for name in leaves:
            del graph[name]
    assert not graph, f"modules in a cycle, or that import one: {sorted(graph)}"


def test_the_root_holds_few_files() -> None:
    assert len([p for p in SOURCE.iterdir() if p.is_file()]) <= 12


def test_no_recipe_imports_another() -> None:
    for path in (SOURCE / "recipes").glob("*.py"):
        others = {
            name for name in imports(path) if name.startswith("recipes.") and not name.startswith("recipes.base.")
        }
        assert path.name == "__init__.py" or not others, f"{path.name} imports {sorted(others)}"


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
        "import sys, ganloom, ganloom.api, ganloom.evaluation.evaluate\n"
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
for words in (["recipes"], ["train", "fresh", "--help-all"]):
    sys.argv[1:] = words
    try:
        main()
    except SystemExit as left:
        assert not left.code
from ganloom.bench.recipes.recipe_page import recipes as table
print(table({}))
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
    printed = python(TEMPLATE_TEST, str(tmp_path / "checks"), cwd=tmp_path)
    assert re.search(r"fresh +What it is in a few words", printed)
    assert "--n-critic" in printed
    assert "| [fresh](recipes/fresh.md) |" in printed


def test_the_template_is_a_recipe(tmp_path: Path) -> None:
    from ganloom.recipes import _template

    testing.check_shapes(_template, tmp_path)
    assert "_template" not in recipes.RECIPES
