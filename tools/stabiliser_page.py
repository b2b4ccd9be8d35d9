"""docs/stabilisers.md: the parts that any recipe takes, where the others live, and what the lint says; from docstrings."""

import dataclasses
import inspect
import re

from recipe_pages import ROOT, field_docs

ELSEWHERE = (
    (
        "spectral norm",
        "`--spectral-norm` above; built in: `norms.spectral_norm`, recipes `sngan`, `sagan`, `biggan`, `fastgan`",
        "Miyato et al. 2018, arXiv:1802.05957",
    ),
    (
        "instance, layer, pixel, conditional and adaptive norms",
        "`torch.nn.InstanceNorm2d`, `torch.nn.GroupNorm(1, C)`, `norms.PixelNorm`, `norms.ConditionalBatchNorm`, "
        "`norms.AdaptiveInstanceNorm`; recipes `wgan-gp`, `progan`, `cgan`, `sngan`, `biggan`",
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
        "`--weight-clip` above; recipe `wgan` has its own, `--clip`",
        "Arjovsky et al. 2017, arXiv:1701.07875",
    ),
    ("weight decay", "`--g-opt.weight-decay`, `--d-opt.weight-decay` of every recipe", ""),
    (
        "orthogonal regularisation",
        "`--orthogonal` above; `biggan --ortho` leaves class embeddings out",
        "Brock et al. 2018, arXiv:1809.11096",
    ),
    (
        "minibatch standard deviation",
        "`--stddev` above; as a map, `layers.MinibatchStddev`: recipes `default`, `progan`",
        "Karras et al. 2017, arXiv:1710.10196",
    ),
    (
        "spread within a class",
        "`stylegan2 --alike --group-maps 32`: samples of such a group share a label, so D sees how varied each class is by "
        "itself, and in several maps",
        "several maps: NVIDIA's code of Karras et al. 2020, arXiv:2006.06676",
    ),
    (
        "bounded images",
        "`--tanh` of `progan`, `stylegan`, `stylegan2` and `r3gan`, whose G has no bounds: for flat black or white grounds",
        "Radford et al. 2015, arXiv:1511.06434",
    ),
    (
        "two time scales (TTUR)",
        "`--g-opt.lr` and `--d-opt.lr` are two optimizers",
        "Heusel et al. 2017, arXiv:1706.08500",
    ),
    ("unrolling", "recipe `unrolled`, first and second order", "Metz et al. 2016, arXiv:1611.02163"),
    ("average of G's weights", "`--ema-kimg` of every recipe, a half-life", "Yazici et al. 2018, arXiv:1806.04498"),
)
"""Stabiliser, where it is, paper: what belongs to a network's build, a recipe or an optimizer."""

WHEN = {
    "instance_noise": (
        "D is far ahead, G's gradient vanishes",
        "too loud, G learns the blur; its end must lie well before the run's",
    ),
    "diff_augment": (
        "few images, D learns them by heart",
        "`flip` and strong `colour` leak into the fakes; `cutout` suits images, not points",
    ),
    "adaptive": (
        "few images, and how few is not known: as much as it takes",
        "needs a loss whose logits part at 0; its strength takes half a million images to rise, so short runs take "
        "`diff_augment`; above p 0.8 it leaks (`ganloom augment preview`)",
    ),
    "label_smoothing": (
        "D's logits on reals grow without bound",
        "needs a loss with a target; smoothing fakes too would hold bad fakes up, so it is one-sided",
    ),
    "pack": (
        "mode collapse",
        "the batch must be a multiple, D sees 1 / m as many judgements; not with labels; `--penalty` weighs each image",
    ),
    "discrimination": (
        "mode collapse",
        "a sample's logit depends on its neighbours: micro-batches change it, penalties per sample lose their meaning",
    ),
    "stddev": (
        "mode collapse",
        "as above; D's groups must fit the batch; `--stddev-alike` sees spread within classes, which a mean over classes hides",
    ),
    "spectral_norm": (
        "D's slope runs away; hinge losses",
        "with a one-centred penalty or clipping it is one bound too many; a power iteration a layer and pass",
    ),
    "weight_clip": (
        "the WGAN of the first paper",
        "too small a bound and D is nearly constant, too large and it is none; take `--penalty` instead where you can",
    ),
    "orthogonal": (
        "truncated z gives artefacts",
        "a strong weight holds G back",
    ),
    "feature_matching": (
        "G and D chase each other",
        "matches means only, so alone it does not see missing modes; D runs on reals in G's step too",
    ),
    "historical": (
        "weights circle round a point",
        "a second copy of the weights; strong, it stops learning, since early weights stay in the mean",
    ),
    "cr": (
        "few images, D follows details that do not matter",
        "D runs once more; fakes may show the mirroring and shifts (then `bcr`); images only",
    ),
    "bcr": (
        "as `cr`, without its artefacts",
        "D runs twice more; images only",
    ),
    "zcr": (
        "as `cr`, for data of any kind; collapse",
        "G and D run once more each; a large `zcr_g` buys variety with quality",
    ),
    "top_k": (
        "bad fakes pull G about",
        "G learns from fewer samples, and modes that D dislikes get no gradient: late and mildly",
    ),
    "lecam": (
        "few images, D's logits drift apart",
        "the anchors follow over about 100 updates; with a loss without bounds the weight must be small",
    ),
    "penalty": (
        "D's slope runs away, G circles",
        "a second backward pass through D each step; not with BatchNorm in D; one-centred ones do not settle (Dirac-GAN)",
    ),
}
"""Field: when to take it, what goes wrong with it or what it costs."""


def _when() -> list[str]:
    from ganloom.stabilisers.config import OF, Stabilise

    fields = [f.name for f in dataclasses.fields(Stabilise) if f.name not in OF]
    if set(fields) != set(WHEN):
        raise SystemExit(f"tools/stabiliser_page.py: WHEN must speak of {sorted(set(fields) ^ set(WHEN))}")
    lines = [
        "\n## When, and what goes wrong\n",
        "When: what the papers say it is for. That it helps is another question, see [known-truth.md](known-truth.md).\n",
        "| flag | when | what goes wrong, what it costs |",
        "|---|---|---|",
    ]
    return lines + [f"| `--{name.replace('_', '-')}` | {' | '.join(WHEN[name])} |" for name in fields]


def stabilisers() -> str:
    """The page."""
    from ganloom.lint.rules import RULES
    from ganloom.stabilisers.config import Stabilise

    docs = field_docs(ROOT / "src" / "ganloom" / "stabilisers" / "config.py", "Stabilise")
    lines = [
        "# Stabilisers\n",
        "Each is a flag of `ganloom train RECIPE DATA`, a keyword of `ganloom.train`, and off until asked for; a run remembers "
        "its own, so that `resume`, `sample` and `evaluate` need nothing. Which of them help against which sickness is measured "
        "in [known-truth.md](known-truth.md), and where one does not, that page says so.\n",
        "```sh\nganloom train dcgan photos/ --instance-noise 0.1 --label-smoothing 0.1\n"
        "ganloom train wgan-gp photos/ --pack 2\n```\n",
        "x is a real sample, G(z) a fake, D a logit, E a mean.\n",
        "| flag | default | what |",
        "|---|---|---|",
    ]
    for field in dataclasses.fields(Stabilise):
        shown = field.default if field.default != () else "none"
        told = docs[field.name].replace("|", "\\|").replace("``", "`")
        lines.append(f"| `--{field.name.replace('_', '-')}` | {shown} | {told} |")
    lines += _when()
    lines += ["\n## In networks, recipes and optimizers\n", "| stabiliser | where | paper |", "|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in ELSEWHERE]
    lines += [
        "\n## What is found before training\n",
        "`ganloom train` looks the model over and tries its losses on a few samples. What cannot work is an error of one line; "
        "what is likely a mistake is a warning, printed and kept in the run's events.\n",
        "| rule | finds |",
        "|---|---|",
    ]
    for rule in RULES:
        told = re.sub(r"\s+", " ", inspect.getdoc(rule) or "").replace("|", "\\|")
        lines.append(f"| {rule.__name__.replace('_', ' ')} | {told} |")
    return "\n".join(lines) + "\n"
