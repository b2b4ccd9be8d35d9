"""Pages of recipes: docs/recipes.md and docs/recipes/NAME.md from docstrings, and from figures that `bench recipes` left."""

import ast
import dataclasses
import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FIGURES = ROOT / "docs" / "results" / "recipes.json"
WORDS = {
    "coverage": "coverage", "precision": "precision", "recall": "recall", "density": "density", "fd": "Frechet distance",
    "kd": "kernel distance",
}  # fmt: skip
OF_TRANSLATION = {
    "l1": "L1 from the truth", "psnr": "PSNR, dB", "ssim": "SSIM", "called_b": "taken for the target domain",
    "cycle_l1": "L1 there and back",
}  # fmt: skip


def rows() -> dict[str, Any]:
    """What `ganloom bench recipes --out docs` measured, by recipe."""
    if not FIGURES.exists():
        return {}
    return {row["recipe"]: row for row in json.loads(FIGURES.read_text(encoding="utf-8"))["recipes"]}


def measured() -> str:
    """The file that `ganloom recipes` shows speeds from."""
    kept = {
        name: {
            "kimg": row["kimg"],
            "seconds": row["seconds"],
            **{key: row["figures"][key][0] for key in ("coverage", "l1") if key in row["figures"]},
            **row["speed"],
        }
        for name, row in rows().items()
        if row["speed"]
    }
    return json.dumps(kept, indent=1) + "\n"


def recipes() -> str:
    """The table of all recipes, and the baselines below it."""
    from ganloom.baselines import BASELINES
    from ganloom.recipes import RECIPES

    found = rows()
    lines = [
        "# The recipes\n",
        "Each is one file that reads from top to bottom; its page has the equations, an image, figures and every field. "
        "Figures: trained on `fashion-10k` in minutes by `ganloom bench recipes`, most of them cut down for it (the page says "
        "how), so the table says how a recipe starts on a small machine and not which is best.\n",
        "| recipe | what | paper | needs labels | coverage | Frechet distance | training, s |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, module in RECIPES.items():
        needs = "yes" if getattr(module.Config(), "n_classes", 0) else "no"
        row = found.get(name)
        cells = [""] * 3 if row is None else [short(row, "coverage"), short(row, "fd"), f"{row['seconds']:.0f}"]
        if row is not None and row.get("trivial"):  # of other data than the rest: its figures stand on its page
            cells[:2] = "", ""
        lines.append(
            f"| [{name}](recipes/{name}.md) | {module.TITLE} | {module.PAPER} | {needs} | " + " | ".join(cells) + " |"
        )
    lines += [
        "\n## Baselines\n",
        "No GANs, but trained, sampled and measured alike: `ganloom train vae DATA`; "
        "[compare.md](compare.md) has them beside GANs at equal time.\n",
        "| baseline | what | paper |",
        "|---|---|---|",
        *(f"| {name} | {module.TITLE} | {module.PAPER} |" for name, module in BASELINES.items()),
    ]
    return "\n".join(lines) + "\n"


def recipe(name: str) -> str:
    """One recipe's page."""
    from ganloom.recipes import RECIPES
    from ganloom.recipes.presets import command, plan

    module, row = RECIPES[name], rows().get(name)
    file = Path(str(module.__file__)).name
    said = parts((module.__doc__ or "").strip())
    lines = [
        f"# {name}: {module.TITLE}\n",
        f"{module.PAPER} · its numbers are for {module.DATA} · [`recipes/{file}`](../../src/ganloom/recipes/{file})\n",
        said["about"] + "\n",
        "## What it computes\n",
        f"```text\n{said['body']}\n```\n",
        "## Here\n",
    ]
    if row is None:
        lines += [f"```sh\nganloom train {name} DATA\n```\n"]
    else:
        cut = plan(name)
        lines += shown(name, row, cut.why if row["command"] == command(name, cut.options, row["seed"]) else "")
    if said["departures"]:
        lines += ["## Departures\n", said["departures"] + "\n"]
    lines += ["## Fields\n", f"`ganloom train {name} --help`\n", "| field | default | what |", "|---|---|---|"]
    return "\n".join([*lines, *fields(module)]) + "\n"


def shown(name: str, row: dict[str, Any], why: str) -> list[str]:
    """The command, the image and the figures."""
    real, made, protocol = row["floor"], row["figures"], row["protocol"]
    speed = row["speed"]
    lines = [
        f"```sh\n{row['command']}\n```\n",
        (f"{why} `ganloom bench recipes --recipe {name}` does this and what follows. " if why else "")
        + f"{row['kimg']:.0f} kimg in {row['seconds'] / 60:.1f} minutes with {threads(row['threads'])}, "
        f"{row['precision']}, "
        f"G {row['parameters']['G'] / 1e6:.2g} M and D {row['parameters']['D'] / 1e6:.2g} M parameters"
        + (f"; {speed['img_per_s']:g} images a second on {speed['machine']} (load {speed['load']:g})" if speed else "")
        + ".\n",
        f"![samples of {name}](../images/recipes/{name}.png)\n",
    ]
    if row.get("trivial"):
        return [
            *lines,
            f"*Images that training did not see, the first ones: {row['image']}.*\n",
            *translation(name, row),
        ]
    lines += [
        f"*Samples of the first seeds, nothing picked{'; ' + row['image'] if row['image'] else ''}.*\n",
        f"| {protocol['backbone']} features, {protocol['n_fake']:,} samples, k = {protocol['k']} | {name} | real images |",
        "|---|---|---|",
    ]
    return lines + [f"| {words} | {cell(made[key])} | {cell(real[key])} |" for key, words in WORDS.items()] + [""]


def translation(name: str, row: dict[str, Any]) -> list[str]:
    """The figures of a translator, and beside it what needs no training."""
    columns = {name: row["figures"], **row["trivial"]}
    keys = [key for key in OF_TRANSLATION if any(key in figures for figures in columns.values())]
    lines = [f"| on pairs that training did not see | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for key in keys:
        cells = (cell(figures[key]) if key in figures else "" for figures in columns.values())
        lines.append(f"| {OF_TRANSLATION[key]} | {' | '.join(cells)} |")
    return [*lines, ""]


def threads(count: int) -> str:
    """So many of them."""
    return "one thread" if count == 1 else f"{count} threads"


def cell(values: list[float]) -> str:
    """A value and its 95 % interval, where it has one."""
    return f"{values[0]:.3g}" if values[1] == values[2] else "{:.3g} [{:.3g}, {:.3g}]".format(*values)


def short(row: dict[str, Any], key: str) -> str:
    """The value alone."""
    return f"{row['figures'][key][0]:.3g}"


def parts(text: str) -> dict[str, str]:
    """The docstring's paragraphs: what begins with About, with Departures, and the rest as it stands."""
    found: dict[str, list[str]] = {"about": [], "departures": [], "body": []}
    for paragraph in text.split("\n\n"):
        word = paragraph.split()[0] if paragraph.split() else ""
        kind = "about" if word == "About:" else "departures" if word.rstrip(":") == "Departures" else "body"
        found[kind].append(paragraph if kind == "body" else " ".join(paragraph.split()))
    return {
        "about": re.sub(r"^About: ", "", " ".join(found["about"])),
        "departures": " ".join(found["departures"]),
        "body": "\n\n".join(found["body"]),
    }


def fields(module: Any) -> list[str]:
    """The config's fields, a table row each."""
    from ganloom.core.config import to_dict

    docs: dict[str, str] = {}
    for kind in reversed(module.Config.__mro__[:-1]):  # what several recipes share stands in a class above
        docs |= field_docs(Path(str(sys.modules[kind.__module__].__file__)), kind.__name__)
    plain, lines = to_dict(module.Config()), []
    for field in dataclasses.fields(module.Config):
        value = plain[field.name]
        told = value if not isinstance(value, dict) else optimizer(value)
        lines.append(f"| `{field.name}` | `{told}` | {docs.get(field.name, '').replace('|', '/')} |")
    return lines


def optimizer(value: dict[str, object]) -> str:
    """An optimizer in a table's cell: its kind, rate and betas."""
    said = [f"lr={value['lr']}"] + [f"{k}={value[k]}" for k in ("betas", "momentum") if k in value]
    return f"{value['type']}({', '.join(said)}{', schedule' if value.get('schedule') else ''})"


def field_docs(path: Path, name: str) -> dict[str, str]:
    """The docstrings that stand below a dataclass's fields."""
    found: dict[str, str] = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            for field, text in zip(node.body, node.body[1:], strict=False):
                if (
                    isinstance(field, ast.AnnAssign)
                    and isinstance(text, ast.Expr)
                    and isinstance(text.value, ast.Constant)
                ):
                    found[ast.unparse(field.target)] = " ".join(str(text.value.value).split())
    return found
