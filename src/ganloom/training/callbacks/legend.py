"""Sentences that say what the figures of the live line mean."""

from typing import Any

from ganloom.report.number_format import at_chance as at_chance
from ganloom.report.number_format import duration

PHOTOGRAPHS_KIMG = 1000.0
"""Least length of a training on photographs of 64 px, in thousands of images: DCGAN's 5 epochs of 200,000 faces."""
SIDE = 64


def line(row: dict[str, Any], unit: str = "images") -> str:
    """Return the legend of the figures that a row has.

    Args:
        row: Statistics of a tick, by name.
        unit: What a row of the data is, see ``Data``.
    """
    nets = {"loss": dict[str, None](), "logits": dict[str, None](), "grad_norm": dict[str, None]()}
    for name in row:
        net, _, term = name.rpartition("/")
        kind = "loss" if term in ("adv", "loss") else "logits" if term.startswith("logits_") else term
        if net and kind in nets:
            nets[kind].setdefault(f"{net}({term.removeprefix('logits_')})" if kind == "logits" else net)
    parts = [f"kimg = thousands of real {unit} shown"]
    parts += [f"{', '.join(sorted(nets['loss']))} = {_plural('loss', nets['loss'])}"] if nets["loss"] else []
    logits = sorted(nets["logits"], key=lambda name: (name.split("(")[0], name.endswith("(fake)")))
    parts += [f"{', '.join(logits)} = mean logits"] if logits else []
    norms = sorted(nets["grad_norm"])
    parts += [f"{', '.join(f'|g{net}|' for net in norms)} = {_plural('gradient norm', norms)}"] if norms else []
    parts += ["green, yellow, red = what the doctor found"] if "doctor" in row else []
    return f"legend: {'; '.join(parts)}"


def _plural(word: str, items: Any) -> str:
    if len(items) == 1:
        return word
    return f"{word}es" if word.endswith("s") else f"{word}s"


def photographs(trainer: Any, img_per_s: float) -> str:
    """Return a sentence on the hours that photographs need on a CPU; empty for small or grey images and other devices.

    Args:
        trainer: The Trainer.
        img_per_s: Its measured speed.
    """
    shape = tuple(trainer.data.shape)
    if len(shape) != 3 or shape[0] < 3 or min(shape[1:]) < SIDE or trainer.device.type != "cpu":
        return ""
    if getattr(trainer.gan, "conditions_on", "labels") == "images":
        return ""
    needed = duration(PHOTOGRAPHS_KIMG * 1000 / img_per_s)
    total = trainer.total_nimg / 1000
    ends = f"; this run ends at {total:g} kimg" if trainer.ends_by_images and total < PHOTOGRAPHS_KIMG else ""
    return (
        f"note: if these are colour photographs, {shape[1]}x{shape[2]} px need {PHOTOGRAPHS_KIMG:,g} kimg or more, which "
        f"takes {needed} or more at this speed ({img_per_s:.3g} img/s on a CPU){ends}"
    )
