"""The report of `ganloom bench step` as text."""

from collections.abc import Iterable

from ganloom.bench.step.benchmark import DATA, LOOP, Report, Row

_HEADS = {
    "recipe": "Recipes: a step of `ganloom train`, at the shape of the data",
    "peer": "Networks and batch size of other projects: scripts of PyTorch-GAN, StyleGAN2 and R3GAN with their authors' "
    "reference operations (prepared batches, without loaders and printing)",
    "sample": "Sampling with these networks: 64 images in one call, eval mode",
}
_COLUMNS = ("", "precision", "img/s", "ms", "GFLOP", "GFLOP/s", "of peak")
_MORE = {
    "recipe": ("loop adds", "data"),
    "peer": ("x shipped", "x our malloc"),
    "sample": ("x shipped", "x our malloc"),
}


def lines(report: Report) -> list[str]:
    """Write the tables and the meaning of their columns.

    Args:
        report: The report.

    Returns:
        The lines.
    """
    out = report.machine.lines()
    if not report.allocator:
        out.append("malloc's thresholds were not changed (no glibc, or GANLOOM_MALLOC=0)")
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
        "img/s: real images per second (sampling: generated images); medians over alternating turns;",
        "GFLOP: matrix products and convolutions, a multiply-add counts as 2; of peak: of the matrix products above.",
    ]
    if "recipe" in kinds:
        out += [
            "loop adds: compared with the same losses, backward and fused optimizers on prepared batches, without gradient",
            f"  norm, NaN check, statistics, EMA, seeds and clock (target {LOOP:.0%}); data: reading it (target {DATA:.0%}).",
        ]
    if kinds & {"peer", "sample"}:
        out += [
            "x shipped: our speed / theirs in a separate process with default malloc; x our malloc: / theirs in this process.",
        ]
    return out
