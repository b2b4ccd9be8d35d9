"""Text of docs/stabilisers.md: the stabilisers of every recipe, those built into recipes, and the lint rules; from docstrings."""

import dataclasses
import inspect
import re
from pathlib import Path

from ganloom.bench.recipes.recipe_page import field_docs

ROOT = Path(__file__).resolve().parent.parent

ELSEWHERE = (
    (
        "spectral norm",
        "`--spectral-norm` above; built in: `nn.norms.spectral_norm`, recipes `sngan`, `sagan`, `biggan`, `fastgan`",
        "Miyato et al. 2018, arXiv:1802.05957",
    ),
    (
        "instance, layer, pixel, conditional and adaptive norms",
        "`torch.nn.InstanceNorm2d`, `torch.nn.GroupNorm(1, C)`, `nn.norms.PixelNorm`, `nn.norms.ConditionalBatchNorm`, "
        "`nn.norms.AdaptiveInstanceNorm`; recipes `wgan-gp`, `progan`, `cgan`, `sngan`, `biggan`",
        "Ulyanov et al. 2016, arXiv:1607.08022; Ba et al. 2016, arXiv:1607.06450; Karras et al. 2017, arXiv:1710.10196; "
        "Huang & Belongie 2017, arXiv:1703.06868",
    ),
    (
        "gradient penalties inside a recipe",
        "`penalties`: WGAN-GP, WGAN-LP, DRAGAN, R1, R2, zero-centred",
        "see `--penalty`",
    ),
    (
        "weight clipping",
        "`--weight-clip` above; recipe `wgan` has its own option, `--clip`",
        "Arjovsky et al. 2017, arXiv:1701.07875",
    ),
    ("weight decay", "`--g-opt.weight-decay`, `--d-opt.weight-decay` of every recipe", ""),
    (
        "orthogonal regularisation",
        "`--orthogonal` above; `biggan --ortho` excludes class embeddings",
        "Brock et al. 2018, arXiv:1809.11096",
    ),
    (
        "minibatch standard deviation",
        "`--stddev` above; as a feature map, `nn.layers.MinibatchStddev`: recipes `default`, `progan`",
        "Karras et al. 2017, arXiv:1710.10196",
    ),
    (
        "spread within a class",
        "`stylegan2 --alike --group-maps 32`: the samples of a group share a label, so D sees how varied each class is, in "
        "several feature maps",
        "several maps: NVIDIA's code of Karras et al. 2020, arXiv:2006.06676",
    ),
    (
        "bounded images",
        "`--tanh` of `progan`, `stylegan`, `stylegan2` and `r3gan`, whose G is unbounded: for flat black or white backgrounds",
        "Radford et al. 2015, arXiv:1511.06434",
    ),
    (
        "two time scales (TTUR)",
        "`--g-opt.lr` and `--d-opt.lr` set the learning rates of G and D separately",
        "Heusel et al. 2017, arXiv:1706.08500",
    ),
    ("unrolling", "recipe `unrolled`, first and second order", "Metz et al. 2016, arXiv:1611.02163"),
    ("EMA of the weights of G", "`--ema-kimg` of every recipe, a half-life", "Yazici et al. 2018, arXiv:1806.04498"),
)
"""Stabiliser, where it is, paper: stabilisers that are part of a network, a recipe or an optimizer."""

WHEN = {
    "instance_noise": (
        "D is far ahead, and the gradient of G vanishes",
        "if the noise is too strong, G learns blurred images; the noise must end well before the run",
    ),
    "diff_augment": (
        "few images, D memorises them",
        "`flip` and strong `colour` can leak into the samples; `cutout` is for images, not for points",
    ),
    "adaptive": (
        "few images, and the right strength is unknown: the strength adapts",
        "needs a loss whose logits separate at 0; the strength needs half a million images to rise, so use `diff_augment` in "
        "short runs; above p 0.8 it leaks (`ganloom augment preview`)",
    ),
    "label_smoothing": (
        "D's logits on real samples grow without limit",
        "needs a loss with a target; it is one-sided, because smoothing the labels of fakes would protect bad fakes",
    ),
    "pack": (
        "mode collapse",
        "the batch size must be a multiple of the pack size m; D returns 1 / m as many logits; not with labels; `--penalty` "
        "weighs each image",
    ),
    "discrimination": (
        "mode collapse",
        "a sample's logit depends on the other samples of the batch: micro-batches change it, and penalties per sample lose "
        "their meaning",
    ),
    "stddev": (
        "mode collapse",
        "the same; the groups of D must fit the batch; `--stddev-alike` shows D the spread within classes, which a mean over "
        "classes hides",
    ),
    "spectral_norm": (
        "the slope of D grows without limit; hinge losses",
        "do not combine it with a one-centred penalty or clipping, which also limit the slope; costs one power iteration per "
        "layer and pass",
    ),
    "weight_clip": (
        "the WGAN of the first paper",
        "if the bound is too small, D is nearly constant; if it is too large, it has no effect; prefer `--penalty`",
    ),
    "orthogonal": (
        "truncated z gives artefacts",
        "a large weight limits what G can learn",
    ),
    "feature_matching": (
        "the losses of G and D oscillate",
        "compares only means, so alone it does not detect missing modes; D also runs on real samples in the step of G",
    ),
    "historical": (
        "the weights circle around a point",
        "keeps a second copy of the weights; a large weight stops learning, because early weights stay in the mean",
    ),
    "cr": (
        "few images, D uses details that do not matter",
        "D runs one more time; samples may show the flips and shifts (then use `bcr`); images only",
    ),
    "bcr": (
        "as `cr`, without its artefacts",
        "D runs two more times; images only",
    ),
    "zcr": (
        "as `cr`, for any kind of data; mode collapse",
        "G and D run one more time each; a large `zcr_g` gives more variety and less quality",
    ),
    "top_k": (
        "bad fakes dominate the gradient of G",
        "G learns from fewer samples, and modes that D rates low get no gradient; the effect comes late and is small",
    ),
    "lecam": (
        "few images, D's logits of real and fake move far apart",
        "the anchors follow over about 100 updates; with an unbounded loss the weight must be small",
    ),
    "penalty": (
        "the slope of D grows without limit, G circles",
        "a second backward pass through D in each step; not with BatchNorm in D; one-centred penalties do not converge "
        "(Dirac-GAN)",
    ),
}
"""Field: when to use it; what can go wrong and what it costs."""


def _when() -> list[str]:
    """The table of when to use each stabiliser."""
    from ganloom.stabilisers.config import ADJUSTS, Stabilise

    fields = [f.name for f in dataclasses.fields(Stabilise) if f.name not in ADJUSTS]
    if set(fields) != set(WHEN):
        raise SystemExit(
            f"tools/stabiliser_page.py: WHEN and the fields of Stabilise differ in {sorted(set(fields) ^ set(WHEN))}; update WHEN"
        )
    lines = [
        "\n## When to use them, and what can go wrong\n",
        'The column "when" follows the papers. Whether a stabiliser helps is measured in [known-truth.md](known-truth.md).\n',
        "| flag | when | what can go wrong, what it costs |",
        "|---|---|---|",
    ]
    return lines + [f"| `--{name.replace('_', '-')}` | {' | '.join(WHEN[name])} |" for name in fields]


def stabilisers() -> str:
    """The text of the page."""
    from ganloom.lint.rules import RULES
    from ganloom.stabilisers.config import Stabilise

    docs = field_docs(ROOT / "src" / "ganloom" / "stabilisers" / "config.py", "Stabilise")
    lines = [
        "# Stabilisers\n",
        "A stabiliser is an option that makes training more stable. Each is a flag of `ganloom train RECIPE DATA` and a keyword "
        "of `ganloom.train`. All are off by default. A run stores its stabilisers, so `resume`, `sample` and `evaluate` need no "
        "flags. [known-truth.md](known-truth.md) measures which of them help against which failure, and which do not.\n",
        "```sh\nganloom train dcgan photos/ --instance-noise 0.1 --label-smoothing 0.1\n"
        "ganloom train wgan-gp photos/ --pack 2\n```\n",
        "In the table, x is a real sample, G(z) a fake, D(.) a logit and E a mean.\n",
        "| flag | default | what |",
        "|---|---|---|",
    ]
    for field in dataclasses.fields(Stabilise):
        default = field.default if field.default != () else "none"
        text = docs[field.name].replace("|", "\\|").replace("``", "`")
        lines.append(f"| `--{field.name.replace('_', '-')}` | {default} | {text} |")
    lines += _when()
    lines += [
        "\n## Stabilisers in networks, recipes and optimizers\n",
        "| stabiliser | where | paper |",
        "|---|---|---|",
    ]
    lines += [f"| {' | '.join(row)} |" for row in ELSEWHERE]
    lines += [
        "\n## Checks before training\n",
        "Before training, `ganloom train` inspects the model and runs its losses on a few samples. Settings that cannot work are "
        "refused with one line. Settings that are probably a mistake give a warning, which is printed and kept in the events of "
        "the run.\n",
        "| rule | what it finds |",
        "|---|---|",
    ]
    for rule in RULES:
        text = re.sub(r"\s+", " ", inspect.getdoc(rule) or "").replace("|", "\\|")
        lines.append(f"| {rule.__name__.replace('_', ' ')} | {text} |")
    return "\n".join(lines) + "\n"
