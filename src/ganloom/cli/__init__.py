"""The command line. Each command is one file: it reads the arguments, calls the Python API, and prints the result."""

import importlib
import keyword
import os
import sys
from collections.abc import Sequence

from ganloom import __version__
from ganloom.core import streams
from ganloom.core.errors import BadInput, GanloomError, Terminated, did_you_mean
from ganloom.core.memory import ran_out
from ganloom.core.names import printable
from ganloom.core.stop_signals import ended_by_signals
from ganloom.core.terminal import GONE, say
from ganloom.report.progress import Progress

LESS_MEMORY = "use a smaller --batch-size or --micro-batch, smaller images (--shape), or fewer of them (--n)"
LONGEST_LINE = 2000
"""Longest error message, in characters."""
COMMANDS: dict[str, str] = {
    "train": "train a GAN; without arguments: the default recipe on built-in images",
    "resume": "continue a run that was stopped, with the same result",
    "sample": "generate images with a trained model",
    "mesh": "write generated 3D objects as meshes, or as a page that shows them",
    "evaluate": "measure a trained model against real images, with intervals",
    "translate": "translate images of any size with a trained image-to-image model",
    "upscale": "enlarge images of any size with a super-resolution network; works offline",
    "inpaint": "fill holes in images: photographs, with a mask, by transparency or by colour",
    "anomaly": "fit, score, evaluate: find unusual images or table rows after learning normal ones",
    "text": "check, corpus, train, sample, evaluate, augment, judge: labelled corpora, text models, judging what they write",
    "table": "fit, sample, report: learn a CSV or Parquet table and draw synthetic rows; works without a GAN too",
    "robust": "train, evaluate: text classifiers against typing errors and attacks on embeddings",
    "doctor": "say what is wrong with a run and what to change; without a run: check the installation",
    "compare": "show several measured runs in one table; --budget TIME trains models for equal time first",
    "recipes": "list the recipes and baselines that can be trained",
    "plan": "train some steps and report speed, memory and time; propose a training that can finish",
    "config": "print the settings of a run as a file for `ganloom train --config FILE`",
    "augment": "data, report: add generated images to labelled data, and measure if they help; subset; preview: ADA, DiffAugment",
    "data": "check DIR: show what is in a data set and what the network will get",
    "import": "convert published weights of another project into a model folder",
    "latent": "walk, mix, project, directions: explore the latent space of a model",
    "export": "write a trained generator as ONNX, or as a web page that runs in a browser",
    "bench": "step: speed; modes: methods against mode collapse; recipes: train and measure all; and others",
}


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code.

    The codes: 0 ok, 1 a check failed, 2 usage or bad input, 129, 130 or 143 stopped by a signal, 141 the reader of a pipe left.
    """
    args = list(sys.argv[1:] if argv is None else argv)
    with streams.prepared() as out:
        code = _code_of([_home(arg) for arg in args if arg != "--debug"], "--debug" in args)
        _leave(code, out)


def _home(arg: str) -> str:
    """An argument with the home folder in the place of ``~``, which a shell leaves in ``--out=~/a``."""
    name, equals, value = arg.partition("=")
    if name.startswith("--") and equals:
        return f"{name}={os.path.expanduser(value)}"
    return os.path.expanduser(arg)


def _code_of(args: list[str], debug: bool) -> int:
    """Run one command and return its code; an error becomes one line, or a traceback with ``debug``."""
    try:
        with ended_by_signals():
            code = _run(args)
    except SystemExit as left:  # after --help, and after a signal that stopped a training
        code = left.code if isinstance(left.code, int) else int(left.code is not None)
        if isinstance(left, Terminated):
            say(printable(left.text), sys.stderr)
    except KeyboardInterrupt as stop:
        code = 130
        say(printable(stop), sys.stderr)
    except BrokenPipeError:  # the reader left, as in `ganloom recipes | head`
        code = 141
    except (GanloomError, OSError) as error:
        if debug:
            raise
        code = error.exit_code if isinstance(error, GanloomError) else 1
        print(f"error: {_one_line(error)}", file=sys.stderr)
    except Exception as error:
        if debug:
            raise
        code = 1
        detail = _one_line(error)
        if ran_out(error):
            detail = f"out of memory: {LESS_MEMORY} ({detail})"
        else:
            detail = f"{type(error).__name__}: {detail} (this is a bug in ganloom; --debug shows where)"
        print(f"error: {detail}", file=sys.stderr)
    return code


def _leave(code: int, out: streams.Standard) -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError as error:  # the pipe or the terminal was closed
            # Python flushes again at exit, which must not fail once more.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            if not isinstance(error, BrokenPipeError) and error.errno not in GONE:
                raise
            code = code or 141
    if out.error is not None:
        print(f"error: cannot write to the standard output: {out.error.strerror or out.error}", file=sys.stderr)
        code = code or 1
    sys.exit(code)


def _run(args: list[str]) -> int:
    if not args or args[0] in ("-h", "--help", "--help-all", "help"):
        print(_usage())
        return 0
    if args[0] in ("-V", "--version", "version"):
        print(f"ganloom {__version__}")
        return 0
    command, rest = args[0], args[1:]
    if command not in COMMANDS:
        raise BadInput(f'unknown command "{command}"{did_you_mean(command, COMMANDS)}: `ganloom --help` lists them')
    with Progress(patience=3.0) as progress:
        progress("loading PyTorch")
        module = importlib.import_module(f"ganloom.cli.{command}{'_' if keyword.iskeyword(command) else ''}")
    code: int | None = module.run(rest)
    return code or 0


def _one_line(error: BaseException) -> str:
    """The message without line breaks and control characters; it may hold names from files."""
    text = printable(" ".join(str(error).split()) or type(error).__name__)
    return text if len(text) <= LONGEST_LINE else f"{text[:LONGEST_LINE]} ..."


def _usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, text in COMMANDS.items()]
    return "\n".join(
        [
            f"ganloom {__version__}: train, watch, measure and use generative adversarial networks",
            "",
            "usage: ganloom COMMAND ...        ganloom COMMAND --help",
            "",
            *lines,
            "",
            "first steps: `ganloom train` (about three minutes on two CPU cores), then `ganloom sample RUN`",
            "--debug shows the traceback of an error, --version shows the version",
        ]
    )
