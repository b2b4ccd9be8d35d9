"""The command line: one thin file a command, which parses, calls the Python API and prints."""

import importlib
import keyword
import os
import sys
from collections.abc import Sequence

from ganloom import __version__
from ganloom.core.errors import BadInput, GanloomError, did_you_mean

LONGEST_LINE = 2000
"""Letters of an error."""
COMMANDS: dict[str, str] = {
    "train": "train a GAN on images; without arguments, the default one on the built-in data",
    "resume": "go on with a run exactly where it stopped",
    "sample": "draw images from a trained run",
    "evaluate": "measure a run against its data, beside real-versus-real and noise",
    "translate": "put an image or a folder through a trained translator, any size",
    "doctor": "say what is wrong with a run and what to change; without a run, look over the installation",
    "compare": "several runs in one table, if they were measured alike; --budget TIME trains models for equal time first",
    "recipes": "list the GANs that can be trained, and the baselines beside them",
    "plan": "look at a data set, probe 20 steps, and say what to train and how long it takes",
    "augment": "preview DATA: real images as D sees them under ADA and DiffAugment, and what a leak would look like",
    "data": "check DIR: what is in a data set and what the network will see",
    "import": "read published weights of another project into a model folder",
    "latent": "walk, mix, project, directions: what lies between and behind a model's images",
    "export": "write a trained generator as ONNX, checked against torch, or as a page that runs in a browser",
    "bench": "step: training steps measured here; modes: cures for mode collapse; recipes: all of them; doctor: faults",
}


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code: 0 ok, 1 a check failed, 2 usage or bad input, 130/143 stopped, 141 unheard."""
    args = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in args
    args = [arg for arg in args if arg != "--debug"]
    try:
        code = _run(args)
    except KeyboardInterrupt:
        code = 130
        print("stopped", file=sys.stderr)
    except BrokenPipeError:  # `ganloom recipes | head`: nobody reads on
        code = 141
    except (GanloomError, MemoryError, OSError) as error:
        if debug:
            raise
        code = error.exit_code if isinstance(error, GanloomError) else 1
        print(f"error: {_one_line(error)}", file=sys.stderr)
    except Exception as error:
        if debug:
            raise
        code = 1
        detail = _one_line(error)
        print(f"error: {type(error).__name__}: {detail} (a fault in ganloom; --debug shows where)", file=sys.stderr)
    _leave(code)


def _leave(code: int) -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:  # what is left goes nowhere, where it would fail once more at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            code = code or 141
    sys.exit(code)


def _run(args: list[str]) -> int:
    if not args or args[0] in ("-h", "--help", "help"):
        print(_usage())
        return 0
    if args[0] in ("-V", "--version", "version"):
        print(f"ganloom {__version__}")
        return 0
    command, rest = args[0], args[1:]
    if command not in COMMANDS:
        raise BadInput(f'unknown command "{command}"{did_you_mean(command, COMMANDS)}: `ganloom --help` lists them')
    module = importlib.import_module(f"ganloom.cli.{command}{'_' if keyword.iskeyword(command) else ''}")
    code: int | None = module.run(rest)
    return code or 0


def _one_line(error: BaseException) -> str:
    """Without line breaks, and without what a terminal would obey: names come from files."""
    text = " ".join(str(error).split()) or type(error).__name__
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
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
            "--debug shows the traceback of an error, --version the version",
        ]
    )
