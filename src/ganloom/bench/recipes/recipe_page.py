"""Text of docs/recipes.md and docs/recipes/NAME.md, from docstrings and the rows of `ganloom bench recipes`."""

import ast
import dataclasses
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ganloom.baselines import BASELINES
from ganloom.bench.recipes.rows import Interval, Row, Trained, differences
from ganloom.bench.recipes.suite import SEEDS
from ganloom.core.config import to_dict
from ganloom.core.names import command_line
from ganloom.recipes import RECIPES
from ganloom.recipes.presets import BENCHMARKS, command, plan

WORDS = {
    "coverage": "coverage", "precision": "precision", "recall": "recall", "density": "density", "fd": "Frechet distance",
    "kd": "kernel distance",
}  # fmt: skip
OF_TRANSLATION = {
    "l1": "L1 from the truth", "psnr": "PSNR, dB", "ssim": "SSIM", "called_b": "classified as target domain",
    "cycle_l1": "L1 after both directions",
}  # fmt: skip
FORMER = "Out of date: figures of a former plan"
"""Mark of a page whose row is older than the plan."""


def recipes(rows: Mapping[str, Row]) -> str:
    """Return the text of docs/recipes.md: the table of all recipes, then the baselines.

    Args:
        rows: The rows, by recipe.
    """
    lines = [
        "# The recipes\n",
        "Each recipe is one file that can be read from top to bottom. Its page has the equations, images, measured results and "
        "every setting. [gallery.md](gallery.md) shows samples of all of them.\n",
        "The results come from `ganloom bench recipes`: each recipe was trained on `fashion-10k` with `--small`, which makes "
        "most of them smaller; their pages say how. So the table shows what a recipe reaches on a small machine. It does not "
        "show which recipe is best. Coverage (higher is better) and Frechet distance (lower is better) use the built-in "
        "Fashion-MNIST features ([metrics.md](metrics.md)) and are means over the seeds. Time is processor time of one thread. "
        "An empty cell was not measured.\n",
        *former(rows),
        "| recipe | what | paper | needs labels | coverage | Frechet distance | training, min |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, module in RECIPES.items():
        needs = "yes" if getattr(module.Config(), "n_classes", 0) else "no"
        row = rows.get(name)
        cells = [""] * 3 if row is None else [short(row, "coverage"), short(row, "fd"), f"{minutes(row):.1f}"]
        if row is not None and row.trivial:  # measured on other data: the figures are on its own page
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


def former(rows: Mapping[str, Row]) -> list[str]:
    """Return a paragraph that names the recipes whose figures are those of a former plan; [] if there are none."""
    names = [name for name, row in rows.items() if differences(row)]
    return [f"{FORMER}: {', '.join(names)}.\n"] if names else []


def recipe(name: str, row: Row | None, others: Iterable[str] = (), source: Path | None = None) -> str:
    """Return the text of one recipe's page.

    Args:
        name: The recipe.
        row: Its row, if it was measured.
        others: Pages with rows of the recipe on other data, relative to the folder of the results.
        source: The folder of the recipes' source, relative to the page, for links. None: no links.
    """
    module = RECIPES[name]
    file = Path(str(module.__file__)).name
    link = f"`recipes/{file}`" if source is None else f"[`recipes/{file}`]({source.as_posix()}/{file})"
    text = parts((module.__doc__ or "").strip())
    lines = [
        f"# {name}: {module.TITLE}\n",
        f"{module.PAPER} · default settings for {module.DATA} · {link}\n",
        text["about"] + "\n",
        "## What it computes\n",
        f"```text\n{text['body']}\n```\n",
        "## Example\n",
    ]
    lines += [f"```sh\nganloom train {name} DATA\n```\n"] if row is None else example(row)
    if (benchmark := plan(name).benchmark) != "recipes":
        page = BENCHMARKS[benchmark]
        lines.append(f"How it is measured, with figures: [{page}](../{page}), `ganloom bench {benchmark}`.\n")
    lines += [f"Other data: [{page}](../{page}).\n" for page in others]
    if text["departures"]:
        lines += ["## Departures\n", text["departures"] + "\n"]
    lines += ["## Fields\n", f"`ganloom train {name} --help`\n", "| field | default | what |", "|---|---|---|"]
    return "\n".join([*lines, *fields(module)]) + "\n"


def example(row: Row) -> list[str]:
    """Return the command, the image and the figures of a measured recipe."""
    name = row.recipe
    lines = [f"```sh\n{row.command}\n```\n", *_plan(row), " ".join(_training(row)) + "\n"]
    lines.append(f"![samples of {name}](../images/recipes/{name}.png)\n")
    if row.trivial:
        lines.append(f"*The first images of those that training did not see: {row.image}.*\n")
        return [*lines, *translation(row), *seeds(row)]
    lines += [
        f"*Samples of the first seeds, not selected{'; ' + row.image if row.image else ''}.*\n",
        *figures(row),
        *seeds(row),
    ]
    return lines


def _plan(row: Row) -> list[str]:
    """What --small sets, or that the figures are those of a former plan."""
    former_plan = differences(row)
    again = f"ganloom bench recipes --recipe {row.recipe} --out docs"
    if former_plan:
        return [f"**{FORMER}** ({'; '.join(former_plan)}). `{again}` measures the present one.\n"]
    now = plan(row.recipe)
    words = command_line(command(row.recipe, now.options, data="DATA").split()[4:-2])
    own = tuple(one.seed for one in row.seeds)
    flag = "" if own == SEEDS else f" --seeds {' '.join(map(str, own))}"
    return [
        f"{now.why} `{again}{flag}` trains and measures it with seed{'s' * (len(own) > 1)} {listing(own)}.\n",
        f"`--small` is `{words}`.\n",
    ]


def _training(row: Row) -> list[str]:
    """How the recipe was trained: length, time, parameters, speed, and seeds that failed."""
    spent = "of processor time " if row.cpu_minutes is not None else ""
    each = " for each seed" if len(row.seeds) > 1 else ""
    sentences = [
        f"Training: {row.kimg:.0f} kimg in {minutes(row):.1f} minutes {spent}with {threads(row.threads)} in "
        f"{row.precision}{each}.",
        f"Parameters: G {row.parameters['G'] / 1e6:.2g} M, D {row.parameters['D'] / 1e6:.2g} M.",
    ]
    if row.speed is not None:
        machine = f"{row.speed.machine} (load {row.speed.load:g})"
        sentences.append(f"Speed: {row.speed.img_per_s:g} images a second on {machine}.")
    if row.weak:
        few = listing(row.weak)
        sentences.append(f"**Unstable: seed {few} has less than half of the mean coverage.**")
    sentences += [f"**Seed {seed} has no result: {text}.**" for seed, text in row.failed.items()]
    return sentences


def figures(row: Row) -> list[str]:
    """Return the table of the figures beside real images."""
    protocol, many = row.protocol, len(row.seeds) > 1
    what = f"mean of {len(row.seeds)} seeds [smallest, largest]" if many else row.recipe
    first = f"{protocol['backbone']} features, {protocol['n_fake']:,} samples, k = {protocol['k']}"
    lines = [f"| {first} | {what} | real images [95 % interval] |", "|---|---|---|"]
    return [
        *lines,
        *(f"| {text} | {cell(row.figures[key])} | {cell(row.floor[key])} |" for key, text in WORDS.items()),
        "",
    ]


def seeds(row: Row) -> list[str]:
    """Return the table with the figures of each seed; [] for a row of an earlier version."""
    if not row.seeds:
        return []
    keys = [key for key in (*WORDS, *OF_TRANSLATION) if key in row.figures and key not in ("density", "kd")]
    keys = [key for key in keys if not row.translates or key in OF_TRANSLATION]
    classes = any(one.classes is not None for one in row.seeds)
    read = any(one.classes is not None and one.classes.read is not None for one in row.seeds)
    head = ["seed", *((WORDS | OF_TRANSLATION)[key] for key in keys), *["smallest class"] * classes]
    head += [*["read as its class"] * read, "doctor", "CPU min"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for one in row.seeds:
        lines.append(f"| {' | '.join(_seed(one, keys, classes, read))} |")
    notes = []
    if classes:
        smallest = row.smallest
        least = "" if smallest is None else f" The smallest is {smallest[1]} with {smallest[0]:.2f}."
        notes.append(f"Smallest class: its share among the samples, divided by its share among real images.{least}")
    if read:
        real = next(one.classes.read_real for one in row.seeds if one.classes is not None)
        notes.append(f"Of real images the classifier reads {real or 0:.1%} as their class.")
    return [*lines, "", *([" ".join(notes) + "\n"] if notes else [])]


def _seed(one: Trained, keys: Iterable[str], classes: bool, read: bool) -> list[str]:
    """The cells of one seed."""
    cells = [str(one.seed), *(f"{one.figures[key][0]:.3g}" for key in keys)]
    if classes:
        cells.append("" if one.classes is None else f"{one.classes.smallest_class} {one.classes.smallest:.2f}")
    if read:
        share = None if one.classes is None else one.classes.read
        cells.append("" if share is None else f"{share:.1%}")
    light = f"{one.light}: {', '.join(one.findings)}" if one.findings else one.light
    return [*cells, light, "" if one.cpu_seconds is None else f"{one.cpu_seconds / 60:.1f}"]


def translation(row: Row) -> list[str]:
    """Return the figures of an image-to-image recipe, next to methods that need no training."""
    columns = {row.recipe: row.figures, **row.trivial}
    keys = [key for key in OF_TRANSLATION if any(key in values for values in columns.values())]
    lines = [f"| on pairs that training did not see | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for key in keys:
        cells = (cell(values[key]) if key in values else "" for values in columns.values())
        lines.append(f"| {OF_TRANSLATION[key]} | {' | '.join(cells)} |")
    return [*lines, ""]


def minutes(row: Row) -> float:
    """Minutes of processor time of a training; of time, in a row of an earlier version."""
    return row.seconds / 60 if row.cpu_minutes is None else row.cpu_minutes


def listing(values: Iterable[object]) -> str:
    """Return values in words: "1, 2 and 3"."""
    *most, last = map(str, values)
    return f"{', '.join(most)} and {last}" if most else last


def threads(count: int) -> str:
    """Return a number of threads, in words."""
    return "one thread" if count == 1 else f"{count} threads"


def cell(values: Interval) -> str:
    """Return a value with its interval, if it has one."""
    return f"{values[0]:.3g}" if values[1] == values[2] else "{:.3g} [{:.3g}, {:.3g}]".format(*values)


def short(row: Row, key: str) -> str:
    """Return a value without its interval."""
    return f"{row.figures[key][0]:.3g}"


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
    """Return one table row per field of the recipe's config."""
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
    """Return an optimizer as a table cell: type, learning rate, betas or momentum."""
    settings = [f"lr={value['lr']}"] + [f"{k}={value[k]}" for k in ("betas", "momentum") if k in value]
    return f"{value['type']}({', '.join(settings)}{', schedule' if value.get('schedule') else ''})"


def field_docs(path: Path, name: str) -> dict[str, str]:
    """Return the docstrings below the fields of a dataclass, by field."""
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
