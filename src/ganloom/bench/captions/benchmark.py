"""The tasks of the benchmark, the table of their results, and what its figures must reach."""

from collections.abc import Sequence
from dataclasses import dataclass

from ganloom import data as datasets
from ganloom import recipes
from ganloom.bench.captions.task import PLAN, VARIANTS, Result, Task, has, source_of
from ganloom.core.errors import BadInput, did_you_mean
from ganloom.data.captioned import Captioned
from ganloom.evaluation.caption_sets import TRAINING
from ganloom.evaluation.captions import CHANCE, GENERATED, LEAST, NEAREST, REAL
from ganloom.networks.text_encoder import Sentences, text_encoder
from ganloom.recipes.base.text_conditional import TextConditional
from ganloom.report.progress import Progress, part_of

RECIPES = ("df-gan", "gan-cls")
CONTROLS = {REAL: "real images", NEAREST: "nearest training image", CHANCE: "chance"}
UNSEEN, HELD = "unseen combinations", "held-out captions"
Column = tuple[str, str, str]
"""Title, figure, and the set of captions that it is measured on."""
_SHAPES: tuple[Column, ...] = (
    ("joint", "joint", TRAINING), ("unseen", "joint", UNSEEN), ("templates", "joint", "unseen templates"),
    ("a synonym", "joint", "a synonym unseen"), ("synonyms", "joint", "synonyms unseen"), ("colour", "colour", UNSEEN),
    ("shape", "shape", UNSEEN), ("size", "size", UNSEEN), ("place", "place", UNSEEN),
    ("R-precision", "r_precision", UNSEEN), ("centre", "centre", TRAINING),
)  # fmt: skip
_OTHERS: tuple[Column, ...] = (
    ("R-precision", "r_precision", TRAINING), ("held out", "r_precision", HELD), ("top 5", "top5", TRAINING),
    ("top 5 held", "top5", HELD), ("pixels", "pixels", TRAINING), ("pixels held", "pixels", HELD), ("spread", "spread", TRAINING),
)  # fmt: skip


@dataclass(frozen=True)
class Must:
    """What a figure of ``df-gan`` must reach with every seed.

    Attributes:
        name: The set of captions.
        figure: The figure.
        must: The bound.
        aim: A better one.
        encoder: The only encoder that it holds for; empty: any.
    """

    name: str
    figure: str
    must: float
    aim: float
    encoder: str = ""


MUSTS = {
    "shapes": (
        Must(TRAINING, "joint", 0.80, 0.93), Must(UNSEEN, "joint", 0.75, 0.93), Must(UNSEEN, "colour", 0.98, 1.0),
        Must(UNSEEN, "place", 0.98, 1.0), Must("unseen templates", "joint", 0.60, 0.90),
    ),
    "emoji-names": (
        Must(TRAINING, "r_precision", 0.85, 0.96, "minilm"), Must(TRAINING, "pixels", 0.55, 0.65, "minilm"),
        Must(HELD, "pixels", 0.35, 0.48, "minilm"),
    ),
}  # fmt: skip
"""Built-in set -> what ``df-gan`` must reach on it with its whole plan."""


def check(names: Sequence[str], encoders: Sequence[str], variants: Sequence[str], seeds: Sequence[int], n: int) -> None:
    """Raise BadInput or MissingExtra if something cannot be measured, before hours of training.

    Args:
        names: Recipes.
        encoders: Text encoders.
        variants: Keys of ``VARIANTS``.
        seeds: Seeds.
        n: Captions of each set.
    """
    for name in names:
        if name not in RECIPES:
            models = {key: module.MODEL for key, module in recipes.RECIPES.items()}
            known = [key for key, model in models.items() if issubclass(model, TextConditional)]
            if name not in known:
                raise BadInput(f"--recipes {name}{did_you_mean(name, known)}: they must be of {', '.join(known)}")
    for name in variants:
        if name not in VARIANTS:
            raise BadInput(f"--variants {name}{did_you_mean(name, VARIANTS)}: they must be of {', '.join(VARIANTS)}")
    if not (names and encoders and variants and seeds) or any(seed < 0 for seed in seeds):
        raise BadInput(
            "give at least one of --recipes, --encoders, --variants and --seeds; seeds are whole numbers from 0"
        )
    if n < LEAST:
        raise BadInput(f"--n must be at least {LEAST}, got {n}")
    for name in encoders:
        encoder = text_encoder(name, 1, 1)
        if isinstance(encoder, Sentences):
            _ = encoder.encoder  # raises if it is not installed


def tasks_of(
    data: str,
    size: int,
    names: Sequence[str],
    encoders: Sequence[str],
    variants: Sequence[str],
    seeds: Sequence[int],
    n: int,
    total_kimg: float | None = None,
    progress: Progress | None = None,
) -> list[Task]:
    """Return the tasks in the order in which they are made, without repetitions: everything with the first seed first.

    The plan is made of every recipe with every encoder; the ablations only of the first recipe that has what they leave out,
    with the first encoder.

    Raises:
        BadInput: The data have no captions, or no recipe has what a variant leaves out.
    """
    source = source_of(data)
    opened = datasets.open(
        source, shape=(3, size, size), inputs="captions", progress=part_of(progress, "reading the data")
    )
    if not isinstance(opened, Captioned):
        raise BadInput(f"{data} has no captions")
    if len(opened) < 10 * LEAST:
        raise BadInput(
            f"{data}: {len(opened)} images are too few; {10 * LEAST} are needed, of which a tenth is held out"
        )
    digest = opened.fingerprint[:8]
    kinds: list[tuple[str, str, str]] = []
    for variant in dict.fromkeys(variants):
        able = [name for name in names if has(name, variant)]
        if not able:
            raise BadInput(f"--variants {variant}: {', '.join(names)} does not have what it leaves out; choose others")
        kinds += (
            [(name, encoder, variant) for name in names for encoder in encoders]
            if variant == PLAN
            else [(able[0], encoders[0], variant)]
        )
    tasks = (Task(source, digest, size, *kind, seed, n, total_kimg) for seed in seeds for kind in kinds)
    return list(dict.fromkeys(tasks))


def columns_of(results: Sequence[Result]) -> list[Column]:
    """Return the columns of the table that have values."""
    shapes = any("joint" in own for by in results[0].rows.values() for own in by.values())
    return [
        (title, figure, name)
        for title, figure, name in (_SHAPES if shapes else _OTHERS)
        if results[0].value(name, GENERATED, figure) is not None
    ]


def table_of(results: Sequence[Result]) -> list[dict[str, str]]:
    """Return the lines of the table: the mean over the seeds of each model, the worst seed in brackets; then the controls."""
    columns = columns_of(results)
    lines = []
    for label in dict.fromkeys(one.label for one in results):
        own = [one for one in results if one.label == label]
        line = {"images": label}
        line |= {title: _cell([one.value(name, GENERATED, figure) for one in own]) for title, figure, name in columns}
        for key in own[0].distances:
            line[key] = f"{sum(one.distances[key] for one in own) / len(own):.3f}"
        line |= {"kimg": f"{own[0].kimg:g}", "seeds": str(len(own))}
        line["CPU s"] = f"{sum(one.cpu_seconds for one in own) / len(own):.0f}"
        lines.append(line)
    first = results[0]
    for images, title in CONTROLS.items():
        line = {"images": title} | {
            column: _cell([first.value(name, images, figure)]) for column, figure, name in columns
        }
        line |= {key: f"{value:.3f}" if images == REAL else "" for key, value in first.real_distances.items()}
        lines.append(line | {"kimg": "", "seeds": "", "CPU s": ""})
    return lines


def _cell(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return ""
    mean = f"{sum(known) / len(known):.3f}"
    return mean if len(known) == 1 else f"{mean} ({min(known):.3f})"


def verdicts(results: Sequence[Result]) -> list[str]:
    """Say which figures of df-gan do not reach what they must with every seed, and whether it is better than the control."""
    bounds = MUSTS.get(results[0].data.split(":")[0], ())
    lines = []
    for label in dict.fromkeys(one.label for one in results if one.variant == PLAN):
        own = [one for one in results if one.label == label]
        if own[0].recipe == "df-gan":
            lines += _against_musts(label, own, [m for m in bounds if m.encoder in ("", own[0].encoder)])
        lines += _against_control(label, own)
    return lines


def _against_musts(label: str, own: Sequence[Result], bounds: Sequence[Must]) -> list[str]:
    worst = {
        bound: [value for one in own if (value := one.value(bound.name, GENERATED, bound.figure)) is not None]
        for bound in bounds
    }
    measured = {bound: min(values) for bound, values in worst.items() if values}
    below = [
        f"{bound.figure} of {bound.name} {value:.3f} (must be at least {bound.must:g})"
        for bound, value in measured.items()
        if value < bound.must
    ]
    if not measured:
        return []
    seeds = f", worst of {len(own)} seeds" if len(own) > 1 else ""
    ending = f"; not: {', '.join(below)}" if below else ""
    return [f"{label}{seeds}: {len(measured) - len(below)} of {len(measured)} figures reach what they must{ending}"]


def _against_control(label: str, own: Sequence[Result]) -> list[str]:
    """Compare the worst seed with copies of the training image that has the nearest caption."""
    name = UNSEEN if own[0].value(UNSEEN, GENERATED, "joint") is not None else HELD
    figure = "joint" if name == UNSEEN else "pixels"
    pairs = [(one.value(name, GENERATED, figure), one.value(name, NEAREST, figure)) for one in own]
    known = [(made, copied) for made, copied in pairs if made is not None and copied is not None]
    if not known:
        return []
    made, copied = min(known, key=lambda pair: pair[0] - pair[1])
    word = "better" if made > copied else "not better"
    return [f"{label}: {word} than the nearest training image for {name} ({figure} {made:.3f} against {copied:.3f})"]


def legend(results: Sequence[Result]) -> str:
    """Explain the columns of the table in one line."""
    seeds = "mean over the seeds, the worst seed in brackets; " if len({one.seed for one in results}) > 1 else ""
    if columns_of(results)[0][1] == "joint":
        return (
            f"{seeds}joint: share of images with the colour, shape, size and place of their training caption; unseen, templates, "
            "a synonym, synonyms: the same of combinations, sentences and words that training does not have; colour to "
            "R-precision: of unseen combinations; centre: standard deviation of the centre among images of one caption, in pixels"
        )
    return (
        f"{seeds}R-precision, held out: nearer to the own caption than to 9 others, of training and of held-out captions; top 5: "
        "the own caption is among the 5 nearest; pixels: nearer to the real image of the own caption than to those of 9 others; "
        "spread: standard deviation of pixels among images of one caption"
    )
