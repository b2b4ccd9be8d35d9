"""Write the generated pages of docs/ (overview, recipes, gallery, stabilisers, api, commands); --check only compares."""

import ast
import importlib
import json
import keyword
import os
import subprocess
import sys
from pathlib import Path

from stabiliser_page import stabilisers

from ganloom.bench.recipes import pages as recipe_pages

ROOT = Path(__file__).resolve().parent.parent
SOURCE, DOCS = ROOT / "src" / "ganloom", ROOT / "docs"
NOTE = recipe_pages.NOTE
PUBLIC = (
    "api.py",
    "gan.py",
    "optim.py",
    "scoring.py",
    "sampling.py",
    "core/schedules.py",
    "losses.py",
    "penalties.py",
    "training",
    "data",
    "metrics",
    "texts",
    "robust",
    "doctor",
    "evaluation",
    "apps",
    "weights",
    "baselines",
    "testing.py",
    "imaging",
)


def overview() -> str:
    """One line per source file."""
    lines = [
        "# Overview: one line per file\n",
        "[architecture.md](architecture.md) describes how the parts work together.\n",
    ]
    for folder in sorted({path.parent for path in SOURCE.rglob("*.py")}):
        lines.append(f"## {folder.relative_to(ROOT)}/\n")
        for path in sorted(folder.glob("*.py")):
            text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            lines.append(f"- `{path.name}`: {first_paragraph(text)}")
        lines.append("")
    return "\n".join(lines)


def first_paragraph(text: str) -> str:
    """The first paragraph of a docstring, on one line."""
    return " ".join(text.split("\n\n")[0].split())


def api() -> str:
    """All public functions and classes, with signatures and docstrings."""
    lines = ["# The Python API\n"]
    files = [
        p
        for name in PUBLIC
        for p in ([SOURCE / name] if name.endswith(".py") else sorted((SOURCE / name).rglob("*.py")))
    ]
    for path in files:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        parts = [part for node in tree.body if (part := entry(node))]
        if parts:
            module = ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__")
            lines += [f"## {module}\n", first_paragraph(ast.get_docstring(tree) or "") + "\n", *parts]
    return "\n".join(lines) + "\n"


def entry(node: ast.stmt) -> str:
    """The entry of one function or class; empty if it is private."""
    if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
        return ""
    text = ast.get_docstring(node) or ""
    if isinstance(node, ast.FunctionDef):
        returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        head = f"{node.name}({ast.unparse(node.args)}){returns}"
    else:
        head = f"class {node.name}"
    methods = []
    for inner in node.body if isinstance(node, ast.ClassDef) else []:
        if isinstance(inner, ast.FunctionDef) and not inner.name.startswith("_") and ast.get_docstring(inner):
            methods.append(
                f"- `{inner.name}({ast.unparse(inner.args)})`: {first_paragraph(ast.get_docstring(inner) or '')}"
            )
    return f"### `{head}`\n\n{as_markdown(text)}\n" + ("\n" + "\n".join(methods) + "\n" if methods else "")


SECTIONS = ("Args:", "Returns:", "Raises:", "Attributes:")


def as_markdown(text: str) -> str:
    """A docstring with its Args, Returns and Raises as Markdown lists."""
    lines: list[str] = []
    inside = False
    for line in text.splitlines():
        if line in SECTIONS:
            inside = True
            lines += [f"**{line[:-1]}**", ""]
        elif inside and line.startswith("    ") and not line.startswith("     "):
            name, colon, rest = line.strip().partition(": ")
            lines.append(f"- `{name}`: {rest}" if colon and " " not in name else f"- {line.strip()}")
        elif inside and line.startswith("     "):
            lines.append(f"  {line.strip()}")
        else:
            inside = inside and not line.strip()
            lines.append(line)
    return "\n".join(lines)


def commands() -> str:
    """The --help page of every command, with all options."""
    from ganloom.cli import COMMANDS

    several = {"doctor": [["doctor"], ["doctor", "sensitivity"]]}
    for name in COMMANDS:
        module = importlib.import_module(f"ganloom.cli.{name}{'_' if keyword.iskeyword(name) else ''}")
        if hasattr(module, "SUBCOMMANDS"):
            several[name] = [[name], *([name, word] for word in module.SUBCOMMANDS)]
    pages = [words for name in COMMANDS for words in several.get(name, [[name]])]
    first, *texts = help_pages([[], *pages])
    lines = ["# The commands\n", "```text", first, "```\n"]
    for words, text in zip(pages, texts, strict=True):
        lines += [f"## ganloom {' '.join(words)}\n", "```text", text, "```\n"]
    return "\n".join(lines)


HELP = """
import contextlib, io, json, sys
from ganloom.cli import main
texts = []
for words in json.loads(sys.argv[1]):
    page = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with contextlib.redirect_stdout(page), contextlib.suppress(SystemExit):
        main([*words, "--help-all"])
    page.flush()
    texts.append(page.buffer.getvalue().decode())
print(json.dumps(texts))
"""


def help_pages(commands: list[list[str]]) -> list[str]:
    """The output of ``ganloom WORDS --help-all`` for each command, 100 columns wide, without colours, from one process."""
    env = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
    done = subprocess.run(
        [sys.executable, "-c", HELP, json.dumps(commands)], capture_output=True, text=True, env=env, check=True
    )
    return ["\n".join(line.rstrip() for line in text.strip().splitlines()) for text in json.loads(done.stdout)]


def pages() -> dict[Path, str]:
    """The text of every generated file, by path."""
    texts = {"overview.md": overview(), "api.md": api(), "commands.md": commands(), "stabilisers.md": stabilisers()}
    files = {DOCS / name: NOTE + text.rstrip() + "\n" for name, text in texts.items()}
    files |= {DOCS / name: text for name, text in recipe_pages.texts(DOCS).items()}
    files[SOURCE / "recipes" / "measured.json"] = recipe_pages.measured(DOCS)
    return files | {SOURCE / "recipes" / "small_data.json": recipe_pages.small_data(DOCS)}


def main() -> int:
    """Write the pages. With --check, print which pages are out of date instead."""
    stale = []
    for path, text in pages().items():
        if "--check" not in sys.argv:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(path.name)
    if stale:
        print(f"docs are out of date: {', '.join(stale)}; run `make docs`")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
