"""Names of flags that people guess, from other projects and other commands: what each one means here."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ganloom.cli.flags import Flag
from ganloom.core.errors import did_you_mean
from ganloom.core.names import command_line

RENAMED: dict[str, tuple[str, ...]] = {
    "--total-kimg": ("--kimg", "--length", "--total-images"),
    "--out": ("-o", "--output", "--output-dir", "--out-dir", "--outdir", "--save-dir", "--save-to", "--dest", "--destination"),
    "--batch-size": ("-b", "--batch", "--bs", "--batchsize", "--mb", "--minibatch-size"),
    "--shape": ("--size", "--resolution", "--res", "--image-size", "--img-size", "--imsize", "--image-shape", "--side"),
    "--epochs": ("-e", "--epoch", "--num-epochs", "--n-epochs", "--nepochs", "--max-epochs", "--niter-epochs"),
    "--steps": (
        "--step", "--iterations", "--iters", "--iter", "--niter", "--num-steps", "--n-steps", "--max-steps", "--num-iters",
        "--n-iters", "--max-iter", "--max-iters", "--num-iterations", "--train-steps", "--total-steps",
    ),
    "--budget": ("--time", "--time-budget", "--duration", "--train-time"),
    "--seconds": ("--max-seconds",),
    "--minutes": ("--time", "--duration", "--train-time", "--mins", "--min", "--max-minutes", "--time-limit"),
    "--seed": ("-s", "--random-seed", "--manual-seed", "--rng-seed", "--random-state"),
    "--n": (
        "-n", "--num", "--count", "--number", "--num-samples", "--n-samples", "--samples", "--num-images", "--n-images",
        "--images", "--num-fakes",
    ),
    "--c": ("-c", "--class", "--label", "--cls", "--class-name", "--class-idx", "--class-label"),
    "--truncation": ("--trunc", "--psi", "--truncation-psi", "--trunc-psi"),
    "--z-dim": ("--latent-dim", "--nz", "--latent-size", "--zdim", "--z-size", "--noise-dim", "--latent"),
    "--flip": ("--mirror", "--hflip", "--xflip", "--horizontal-flip", "--random-flip"),
    "--init": ("--pretrained", "--finetune", "--fine-tune", "--transfer", "--init-from", "--load", "--load-from", "--weights"),
    "--checkpoint": ("--ckpt", "--snapshot"),
    "--augment": ("--aug", "--augmentation", "--augmentations"),
    "--features": ("--feature", "--feature-net", "--extractor", "--backbone"),
    "--metrics": ("--metric",),
    "--g-opt.lr": ("--lr-g", "--g-lr", "--glr", "--lr-gen", "--g-learning-rate", "--lr-generator"),
    "--d-opt.lr": ("--lr-d", "--d-lr", "--dlr", "--lr-disc", "--d-learning-rate", "--lr-discriminator", "--lr-critic"),
    "--g-opt.betas": ("--g-betas",),
    "--d-opt.betas": ("--d-betas",),
    "--width": ("--ngf", "--nf", "--base-channels", "--num-filters", "--channels-base", "--g-width", "--hidden-size"),
    "--d-width": ("--ndf",),
    "--gp-weight": ("--lambda-gp", "--gp-lambda", "--gradient-penalty", "--gp"),
    "--gamma": ("--r1-gamma", "--r1", "--r1-weight"),
    "--n-critic": ("--critic-iters", "--d-steps", "--num-critic", "--ncritic", "--n-dis"),
    "--micro-batch": ("--micro-batch-size", "--batch-gpu", "--gradient-accumulation", "--accumulate"),
    "--held-out": ("--val-split", "--validation-split", "--holdout", "--hold-out", "--test-split"),
    "--label-maps": ("--labels-maps", "--label-map"),
    "--probe": ("--full", "--deep"),
    "--runs": ("--run-dir", "--runs-dir"),
    "--memorisation": ("--memorization",),
    "--tensorboard": ("--tb",),
}  # fmt: skip
"""Flag -> guesses that mean the same, with the same value."""
POSITIONAL: dict[str, tuple[str, ...]] = {
    "DATA": (
        "--data", "--dataset", "--data-dir", "--data-path", "--dataroot", "--data-root", "--dataset-path", "--input-dir",
        "--train-data", "--images-dir", "--folder",
    ),
    "RECIPE": ("--recipe", "--model", "--arch", "--architecture", "--gan", "--gan-type", "--network"),
    "RUN": ("--run", "--run-folder", "--network", "--model", "--model-dir", "--exp"),
    "IN": ("--input", "--source", "--src", "-i"),
    "OUT": ("--output", "--out", "-o"),
    "IMAGE": ("--image", "--target", "--input"),
    "FILE": ("--file", "--weights", "--input"),
}  # fmt: skip
"""Positional argument -> flags that mean it."""
PER_KIMG = (
    "in thousands of images; --kimg-per-checkpoint 20 saves every 20,000 images, --kimg-per-tick 4 prints every 4,000"
)
WORKERS = "it is not needed: images are decoded once, on all cores, and drawn from memory"
ONE_DEVICE = "a run uses one device: --device cuda, cuda:1, mps or cpu"
_ANSWERED: tuple[tuple[str, str], ...] = (
    ("--workers --num-workers --n-workers --nworkers --n-cpu -j --loader-workers", WORKERS),
    ("--threads --num-threads", "set the environment variable OMP_NUM_THREADS, such as OMP_NUM_THREADS=2"),
    ("--gpus --num-gpus --ngpu --ngpus --multi-gpu --ddp --world-size", ONE_DEVICE),
    (
        "--save-every --save-interval --snap --checkpoint-every --save-freq --log-every --log-interval --print-freq "
        "--sample-interval --sample-every --kimg-per-image",
        PER_KIMG,
    ),
    ("--beta1 --beta2 --b1 --b2 --betas", "give --g-opt.betas B1 B2 and --d-opt.betas B1 B2"),
    (
        "--loss --gan-mode --gan-loss --objective",
        "each recipe has the loss of its paper: choose a recipe (`ganloom recipes`)",
    ),
    (
        "--optimizer --optim --opt",
        "each recipe has its paper's optimizer; --g-opt.lr and --d-opt.lr set its learning rates",
    ),
    ("--ema-decay --ema-beta", "--ema-kimg gives the half-life of the EMA in thousands of images"),
    ("--ema --no-ema", "the EMA of G is always kept; --ema-kimg gives its half-life in thousands of images"),
    (
        "--scheduler --lr-scheduler --lr-decay --lr-policy",
        'give --g-opt.schedule and --d-opt.schedule, such as "linear(100, 200)"',
    ),
    (
        "--verbose -v --quiet -q --silent --progress --no-progress",
        "progress is shown on stderr; 2>/dev/null hides it",
    ),
    ("--fid --eval --evaluate --test --is", "measure the run with `ganloom evaluate RUN`"),
    ("--sample --generate --infer --inference", "draw samples with `ganloom sample RUN`"),
    (
        "--grayscale --gray --grey --rgb --channels --nc --in-ch",
        "give the channels in --shape: --shape 1 64 64 is grey, --shape 3 64 64 is colour",
    ),
    (
        "--conditional --cond --class-cond --unconditional",
        "labels are used if the data has them (class folders); --n-classes 0 trains without",
    ),
    ("--download --no-download", "nothing is downloaded: give a folder, .zip, .npz or .npy"),
    (
        "--compile --torch-compile --channels-last --deterministic --benchmark --pin-memory",
        "it is not needed: leave it out",
    ),
    (
        "--early-stopping --patience --early-stop",
        "--stop-on-plateau N stops if the best distance is N thousand images old",
    ),
    ("--clip-grad --grad-clip --max-grad-norm --clip", "give --g-opt.clip and --d-opt.clip"),
    ("--weight-decay --wd", "give --g-opt.weight-decay and --d-opt.weight-decay"),
    (
        "--preset --mode --fast --tiny --quick",
        "--small gives the recipe's settings for small images and minutes on a CPU",
    ),
    ("--seeds", "give --seed S --n N: sample i has the seed S + i"),
    ("--epochs --steps --minutes", "give the length in thousands of images: --total-kimg"),
)
ANSWERS = {guess: answer for guesses, answer in _ANSWERED for guess in guesses.split()}
"""Guess -> what to do instead."""
RESUME = ("--resume", "--continue", "--resume-from", "--continue-train", "--resume-run", "--restart")
NAMES = ("--name", "--run-name", "--exp-name", "--experiment", "--experiment-name", "--tag")
CPU = ("--cpu", "--no-cuda", "--no-gpu", "--use-cpu")
GPU = ("--gpu", "--cuda", "--use-cuda", "--use-gpu", "--gpu-id", "--gpu-ids")
BF16 = ("--bf16", "--amp", "--fp16", "--half", "--mixed-precision", "--autocast")
LR = ("--lr", "--learning-rate", "--learningrate")
HOURS = ("--hours", "--max-hours")


@dataclass(frozen=True)
class Guessed:
    """What a guess means.

    Attributes:
        words: Flags and values that replace it.
        used: Number of the words after it that belong to it.
        path: For a positional argument: its name; ``words`` are its value.
        answer: What to do instead, if there is no replacement.
    """

    words: tuple[str, ...] = ()
    used: int = 0
    positional: str = ""
    answer: str = ""


def plain(name: str) -> str:
    """A flag in the spelling of ganloom: --batchSize and --batch_size become --batch-size."""
    if not name.startswith("--"):
        return name
    return "--" + re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name[2:]).lower().replace("_", "-")


def meaning(
    name: str, following: list[str], known: Mapping[str, Flag], positionals: Mapping[str, Flag]
) -> Guessed | None:
    """Say what a flag that the command does not have means.

    Args:
        name: The flag, in ganloom's spelling.
        following: The words after it, up to the next flag.
        known: The flags of the command.
        positionals: Its positional arguments, by name.

    Returns:
        The meaning; None for an unknown flag.
    """
    for target, guesses in POSITIONAL.items():
        if name in guesses and target in positionals:
            return Guessed(tuple(following[:1]), min(1, len(following)), target)
    for target, guesses in RENAMED.items():
        if name in guesses and target in known:
            return Guessed((target,))
    for guesses, rule in _RULES:
        if name in guesses and (found := rule(following, known)) is not None:
            return found
    return Guessed(answer=ANSWERS[name]) if name in ANSWERS else None


def suggestion(name: str, known: Mapping[str, Flag]) -> str:
    """The hint at the flag that an unknown flag is most similar to, in a message; empty if none is similar."""
    targets = {flag: flag for flag in known}
    for target, guesses in RENAMED.items():
        if target in known:
            targets |= {guess: target for guess in guesses if guess.startswith("--") and guess not in targets}
    hint = did_you_mean(name, targets)
    return hint if not hint else f' (did you mean "{targets[hint.split(chr(34))[1]]}"?)'


def _device(following: list[str], known: Mapping[str, Flag]) -> Guessed | None:
    number = following[:1] if following and following[0].split(",")[0].isdigit() else []
    name = f"cuda:{number[0].split(',')[0]}" if number else "cuda"
    return Guessed(("--device", name), len(number)) if "--device" in known else None


def _cpu(following: list[str], known: Mapping[str, Flag]) -> Guessed | None:
    return Guessed(("--device", "cpu")) if "--device" in known else None


def _bf16(following: list[str], known: Mapping[str, Flag]) -> Guessed | None:
    return Guessed(("--precision", "bf16")) if "--precision" in known else None


def _rates(following: list[str], known: Mapping[str, Flag]) -> Guessed | None:
    """One learning rate for all optimizers of the recipe."""
    rates = ["--lr"] if "--lr" in known else [flag for flag in known if flag.endswith(".lr")]
    value = following[:1]
    return Guessed(tuple(word for flag in rates for word in (flag, *value)), len(value)) if rates else None


def _hours(following: list[str], known: Mapping[str, Flag]) -> Guessed | None:
    if "--minutes" not in known:
        return None
    try:
        minutes = f"{float(following[0]) * 60:g}"
    except (ValueError, IndexError):
        return Guessed(answer="give a number of hours, or --minutes")
    return Guessed(("--minutes", minutes), 1)


def _budget(following: list[str], known: Mapping[str, Flag]) -> Guessed | None:
    """The time of each model of `ganloom compare`, in minutes."""
    return Guessed(("--budget", *(f"{word}m" for word in following[:1])), 1) if "--budget" in known else None


def _named(following: list[str], known: Mapping[str, Flag]) -> Guessed | None:
    if "--out" not in known or not following:
        return Guessed(answer="give the folder: --out runs/NAME") if "--out" in known else None
    return Guessed(("--out", f"runs/{following[0]}"), 1)


def _resume(following: list[str], known: Mapping[str, Flag]) -> Guessed:
    run = command_line(following[:1]) if following else "RUN"
    return Guessed(
        answer=f"to continue a run, use `ganloom resume {run}`; --init RUN starts a new run from its weights"
    )


Rule = Callable[[list[str], Mapping[str, Flag]], Guessed | None]
_RULES: tuple[tuple[tuple[str, ...], Rule], ...] = (
    (LR, _rates), (HOURS, _hours), (("--minutes", "--mins"), _budget),
    (GPU, _device), (CPU, _cpu), (BF16, _bf16), (NAMES, _named), (RESUME, _resume),
)  # fmt: skip
