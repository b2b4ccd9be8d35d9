"""The report of `ganloom bench step` as text."""

from collections.abc import Iterable

from ganloom.bench.step.benchmark import DATA, LOOP, Report, Row

_HEADS = {
    "recipe": "Recipes: a step of `ganloom train`, at the shape of the data",
    "peer": "Peers' networks, layers and batch: PyTorch-GAN's scripts, StyleGAN2 and R3GAN by their authors' reference "
    "operations (ready batches: loaders and printing are left out)",
    "sample": "Sampling: 64 images by one call, those networks, eval mode",
}
_COLUMNS = ("", "precision", "img/s", "ms", "GFLOP", "GFLOP/s", "of peak")
_MORE = {
    "recipe": ("loop adds", "data"),
    "peer": ("x shipped", "x our malloc"),
    "sample": ("x shipped", "x our malloc"),
}


def lines(report: Report) -> list[str]:
    """Tables, then what the columns mean."""
    out = report.machine.lines()
    if not report.allocator:
        out.append("malloc's thresholds were left alone (not glibc, or GANLOOM_MALLOC=0)")
    if report.start is not None:
        out.append(f"first training step {report.start:.1f} s after the command")
    for kind, head in _HEADS.items():
        rows = [row for row in report.rows if row.kind == kind]
        if rows:
            out += ["", head, *_aligned([(*_COLUMNS, *_MORE[kind]), *map(_cells, rows)])]
    return [*out, "", *_legend({row.kind for row in report.rows})]


def _cells(row: Row) -> tuple[str, ...]:
    more = (
        (f"{row.loop:+.1%}" if row.loop is not None else "", f"{row.data:.1%}" if row.data is not None else "")
        if row.kind == "recipe"
        else tuple("" if value is None else f"{value:.2f}" for value in (row.shipped, row.same))
    )
    return (
        row.name, row.precision, f"{row.img_per_s:.0f}", f"{row.ms:.2f}" if row.ms < 100 else f"{row.ms:.0f}",
        f"{row.gflop:.2f}", f"{row.gflop_per_s:.0f}", f"{row.share:.0%}", *more,
    )  # fmt: skip


def _aligned(table: list[tuple[str, ...]]) -> Iterable[str]:
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    for line in table:
        left = [cell.ljust(width) for cell, width in zip(line[:2], widths, strict=False)]
        right = [cell.rjust(width) for cell, width in zip(line[2:], widths[2:], strict=True)]
        yield "  ".join([*left, *right]).rstrip()


def _legend(kinds: set[str]) -> list[str]:
    out = [
        "img/s: real images drawn by D a second (sampling: images made); medians of turns taken in alternation;",
        "GFLOP: products of matrices and convolutions as run, 2 a multiply-add; of peak: of the matrix product above.",
    ]
    if "recipe" in kinds:
        out += [
            "loop adds: over the same losses, backward and fused optimizers on ready batches, without gradient norm,",
            f"  NaN guard, statistics, weight average, seeds and clock (aim {LOOP:.0%}); data: drawing (aim {DATA:.0%}).",
        ]
    if kinds & {"peer", "sample"}:
        out += [
            "x shipped: over the peer in a process of its own, malloc as it comes; x our malloc: over the peer in this one.",
        ]
    return out
