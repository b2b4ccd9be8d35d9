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
        "two time scales (TTUR)",
        "`--g-opt.lr` and `--d-opt.lr` are two optimizers",
        "Heusel et al. 2017, arXiv:1706.08500",
    ),
    ("unrolling", "recipe `unrolled`, first and second order", "Metz et al. 2016, arXiv:1611.02163"),
    ("average of G's weights", "`--ema-kimg` of every recipe, a half-life", "Yazici et al. 2018, arXiv:1806.04498"),
)
"""Stabiliser, where it is, paper: what belongs to a network's build, a recipe or an optimizer."""


def stabilisers() -> str:
    """The page."""
    from ganloom.lint import RULES
    from ganloom.stabilisers import Stabilise

    docs = field_docs(ROOT / "src" / "ganloom" / "stabilisers.py", "Stabilise")
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
