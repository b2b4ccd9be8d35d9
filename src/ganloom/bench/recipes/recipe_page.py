"""Text of docs/recipes.md and docs/recipes/NAME.md, from docstrings and the figures of `ganloom bench recipes`."""

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
    "l1": "L1 from the truth", "psnr": "PSNR, dB", "ssim": "SSIM", "called_b": "classified as target domain",
    "cycle_l1": "L1 after both directions",
}  # fmt: skip


def rows() -> dict[str, Any]:
    """The measurements of `ganloom bench recipes --out docs`, by recipe."""
    if not FIGURES.exists():
        return {}
    return {row["recipe"]: row for row in json.loads(FIGURES.read_text(encoding="utf-8"))["recipes"]}


def measured() -> str:
    """The text of measured.json, from which `ganloom recipes` shows speeds."""
    speeds = {
        name: {
            "kimg": row["kimg"],
            "seconds": row["seconds"],
            **{key: row["figures"][key][0] for key in ("coverage", "l1") if key in row["figures"]},
            **row["speed"],
        }
        for name, row in rows().items()
        if row["speed"]
    }
    return json.dumps(speeds, indent=1) + "\n"


def recipes() -> str:
    """The text of docs/recipes.md: the table of all recipes, then the baselines."""
    from ganloom.baselines import BASELINES
    from ganloom.recipes import RECIPES

    measurements = rows()
    lines = [
        "# The recipes\n",
        "Each recipe is one file that can be read from top to bottom. Its page has the equations, an image, measured results and "
        "every setting.\n",
        "The results come from `ganloom bench recipes`: each recipe was trained on `fashion-10k` for some minutes. Most recipes "
        "were made smaller for this, and their pages say how. So the table shows what a recipe reaches on a small machine. It "
        "does not show which recipe is best. Coverage (higher is better) and Frechet distance (lower is better) use the built-in "
        "Fashion-MNIST features ([metrics.md](metrics.md)). An empty cell was not measured.\n",
        "| recipe | what | paper | needs labels | coverage | Frechet distance | training, s |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, module in RECIPES.items():
        needs = "yes" if getattr(module.Config(), "n_classes", 0) else "no"
        row = measurements.get(name)
        cells = [""] * 3 if row is None else [short(row, "coverage"), short(row, "fd"), f"{row['seconds']:.0f}"]
        if row is not None and row.get("trivial"):  # measured on other data: the figures are on its own page
            cells[:2] = "", ""
        lines.append(
            f"| [{name}](recipes/{name}.md) | {module.TITLE} | {module.PAPER} | {needs} | " + " | ".join(cells) + " |"
        )
    lines += [
        "\n## Baselines\n",
        "Baselines are not GANs, but they are trained, sampled and measured in the same way: `ganloom train vae DATA`. "
        "[compare.md](compare.md) compares them with GANs at equal training time.\n",
        "| baseline | what | paper |",
        "|---|---|---|",
        *(f"| {name} | {module.TITLE} | {module.PAPER} |" for name, module in BASELINES.items()),
    ]
    return "\n".join(lines) + "\n"


def recipe(name: str) -> str:
    """The text of one recipe's page."""
    from ganloom.recipes import RECIPES
    from ganloom.recipes.presets import command, plan

    module, row = RECIPES[name], rows().get(name)
    file = Path(str(module.__file__)).name
    text = parts((module.__doc__ or "").strip())
    lines = [
        f"# {name}: {module.TITLE}\n",
        f"{module.PAPER} · default settings for {module.DATA} · [`recipes/{file}`](../../src/ganloom/recipes/{file})\n",
        text["about"] + "\n",
        "## What it computes\n",
        f"```text\n{text['body']}\n```\n",
        "## Example\n",
    ]
    if row is None:
        lines += [f"```sh\nganloom train {name} DATA\n```\n"]
    else:
        preset = plan(name)
        is_preset = row["command"] == command(name, preset.options, row["seed"])
        lines += example(name, row, preset.why if is_preset else "")
    if text["departures"]:
        lines += ["## Departures\n", text["departures"] + "\n"]
    lines += ["## Fields\n", f"`ganloom train {name} --help`\n", "| field | default | what |", "|---|---|---|"]
    return "\n".join([*lines, *fields(module)]) + "\n"


def example(name: str, row: dict[str, Any], why: str) -> list[str]:
    """The command, the image and the figures of a measured recipe."""
    real, generated, protocol = row["floor"], row["figures"], row["protocol"]
    speed = row["speed"]
    lines = [
        f"```sh\n{row['command']}\n```\n",
        (f"{why} `ganloom bench recipes --recipe {name}` runs this command and measures the result. " if why else "")
        + f"Training: {row['kimg']:.0f} kimg in {row['seconds'] / 60:.1f} minutes with {threads(row['threads'])} in "
        f"{row['precision']}. "
        f"Parameters: G {row['parameters']['G'] / 1e6:.2g} M, D {row['parameters']['D'] / 1e6:.2g} M."
        + (
            f" Speed: {speed['img_per_s']:g} images a second on {speed['machine']} (load {speed['load']:g})."
            if speed
            else ""
        )
        + "\n",
        f"![samples of {name}](../images/recipes/{name}.png)\n",
    ]
    if row.get("trivial"):
        return [
            *lines,
            f"*The first images of those that training did not see: {row['image']}.*\n",
            *translation(name, row),
        ]
    lines += [
        f"*Samples of the first seeds, not selected{'; ' + row['image'] if row['image'] else ''}.*\n",
        f"| {protocol['backbone']} features, {protocol['n_fake']:,} samples, k = {protocol['k']} | {name} | real images |",
        "|---|---|---|",
    ]
    return lines + [f"| {words} | {cell(generated[key])} | {cell(real[key])} |" for key, words in WORDS.items()] + [""]


def translation(name: str, row: dict[str, Any]) -> list[str]:
    """The figures of an image-to-image recipe, next to methods that need no training."""
    columns = {name: row["figures"], **row["trivial"]}
    keys = [key for key in OF_TRANSLATION if any(key in figures for figures in columns.values())]
    lines = [f"| on pairs that training did not see | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for key in keys:
        cells = (cell(figures[key]) if key in figures else "" for figures in columns.values())
        lines.append(f"| {OF_TRANSLATION[key]} | {' | '.join(cells)} |")
    return [*lines, ""]


def threads(count: int) -> str:
    """A number of threads, in words."""
    return "one thread" if count == 1 else f"{count} threads"


def cell(values: list[float]) -> str:
    """A value with its 95 % interval, if it has one."""
    return f"{values[0]:.3g}" if values[1] == values[2] else "{:.3g} [{:.3g}, {:.3g}]".format(*values)


def short(row: dict[str, Any], key: str) -> str:
    """A value without its interval."""
    return f"{row['figures'][key][0]:.3g}"


def parts(text: str) -> dict[str, str]:
    """Split a recipe's docstring into its About paragraph, its Departures paragraph and the rest, which is not changed."""
    groups: dict[str, list[str]] = {"about": [], "departures": [], "body": []}
    for paragraph in text.split("\n\n"):
        word = paragraph.split()[0] if paragraph.split() else ""
        kind = "about" if word == "About:" else "departures" if word.rstrip(":") == "Departures" else "body"
        groups[kind].append(paragraph if kind == "body" else " ".join(paragraph.split()))
    return {
        "about": re.sub(r"^About: ", "", " ".join(groups["about"])),
        "departures": " ".join(groups["departures"]),
        "body": "\n\n".join(groups["body"]),
    }


def fields(module: Any) -> list[str]:
    """One table row per field of the recipe's config."""
    from ganloom.core.config import to_dict

    docs: dict[str, str] = {}
    for kind in reversed(module.Config.__mro__[:-1]):  # shared fields are documented in a base class
        docs |= field_docs(Path(str(sys.modules[kind.__module__].__file__)), kind.__name__)
    plain, lines = to_dict(module.Config()), []
    for field in dataclasses.fields(module.Config):
        value = plain[field.name]
        default = value if not isinstance(value, dict) else optimizer(value)
        lines.append(f"| `{field.name}` | `{default}` | {docs.get(field.name, '').replace('|', '/')} |")
    return lines


def optimizer(value: dict[str, object]) -> str:
    """An optimizer as a table cell: type, learning rate, betas or momentum."""
    settings = [f"lr={value['lr']}"] + [f"{k}={value[k]}" for k in ("betas", "momentum") if k in value]
    return f"{value['type']}({', '.join(settings)}{', schedule' if value.get('schedule') else ''})"


def field_docs(path: Path, name: str) -> dict[str, str]:
    """The docstrings below the fields of a dataclass, by field."""
    docs: dict[str, str] = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            for field, text in zip(node.body, node.body[1:], strict=False):
                if (
                    isinstance(field, ast.AnnAssign)
                    and isinstance(text, ast.Expr)
                    and isinstance(text.value, ast.Constant)
                ):
                    docs[ast.unparse(field.target)] = " ".join(str(text.value.value).split())
    return docs
