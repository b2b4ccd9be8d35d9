"""The generated table of docs/small-data.md: what each plan of `--small` changes, and its figures."""

from collections.abc import Mapping

from ganloom.bench.recipes.recipe_page import cell, minutes
from ganloom.bench.recipes.rows import Row, differences
from ganloom.recipes import RECIPES
from ganloom.recipes.presets import BENCHMARKS, plan

PAGE = "small-data.md"
START, END = "<!-- plans: written by `make docs` from recipes/presets.py -->", "<!-- end of the plans -->"


def filled(page: str, rows: Mapping[str, Row]) -> str:
    """Return the page with the table between its marks; the rest is written by hand.

    Args:
        page: The text of the page.
        rows: The rows, by recipe.
    """
    before, start, rest = page.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        return page
    return f"{before}{START}\n\n{table(rows)}\n{END}{after}"


def table(rows: Mapping[str, Row]) -> str:
    """Return the table of the plans."""
    lines = ["| recipe | coverage | minutes | what `--small` changes |", "|---|---|---|---|"]
    for name in RECIPES:
        row = rows.get(name)
        if row is not None and row.translates:
            continue
        figure = "not measured yet" if row is None else cell(row.figures["coverage"])
        figure += " (out of date)" if row is not None and differences(row) else ""
        if plan(name).benchmark != "recipes":
            page = BENCHMARKS[plan(name).benchmark]
            figure = f"see [{page}]({page})"
        time = "" if row is None else f"{minutes(row):.1f}"
        lines.append(f"| [{name}](recipes/{name}.md) | {figure} | {time} | {plan(name).why.replace('|', '/')} |")
    return "\n".join(lines) + "\n"
