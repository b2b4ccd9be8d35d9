"""Convert the weights of another project into a model folder, for ``sample``, ``evaluate`` and ``load``."""

import json
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
from torch import Tensor

from ganloom import recipes, weights
from ganloom.core import config
from ganloom.core.errors import BadInput
from ganloom.core.output_files import new_folder, write_new
from ganloom.gan import GAN
from ganloom.runs.folder import Folder
from ganloom.runs.manifest import FORMAT


@dataclass(frozen=True)
class Imported:
    """The result of ``import_weights``."""

    folder: Path
    recipe: str
    gan: GAN
    networks: tuple[str, ...]
    """The networks that the files contain: "G", "D". The other one is initialized at random."""


def import_weights(
    file: str | Path, out: str | Path, discriminator: str | Path | None = None, *, overwrite: bool = False
) -> Imported:
    """Convert a generator, and its discriminator if given, into a model folder like the model/ of a run.

    The folder contains config.json with the recipe and its settings, G.safetensors and README.md.

    Args:
        file: The file of the generator.
        out: A new or empty folder.
        discriminator: The file of the discriminator, or None.
        overwrite: Take a folder with content, and replace files of equal names. A run is never replaced.

    Returns:
        What was read and where it was written.

    Raises:
        BadInput: The files cannot be read (see ``ganloom.weights.read``), or the folder is not empty.
    """
    folder = Folder(new_folder(out, overwrite=overwrite))
    if (folder.path / "run.json").exists():
        raise BadInput(f"--out {out} is a run, whose settings and weights would be lost. Choose another folder")
    contents = weights.found_in(file, discriminator)
    gan = weights.build(contents)
    networks = tuple(sorted({name.split(".")[0] for name in contents.tensors}, reverse=True))
    described = {
        "format": FORMAT,
        "recipe": contents.recipe,
        "config": config.to_dict(gan.cfg),
        "defaults": config.to_dict(recipes.RECIPES[contents.recipe].Config()),
        "imported": [str(name) for name in (file, discriminator) if name is not None],
    }
    tensors_read = {name: t for name, t in gan.state_dict().items() if name.split(".")[0] in networks}
    tensors, card = safetensors.torch.save(_plain(tensors_read)), _card(described, networks)
    settings = json.dumps(described, indent=1).encode()
    contents_of = {
        "G.safetensors": tensors,
        "README.md": card.encode(errors="backslashreplace"),
        "config.json": settings,
    }
    for name, content in contents_of.items():
        write_new(folder.path / name, content, overwrite=overwrite)
    return Imported(folder.path, contents.recipe, gan, networks)


def _plain(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: t.contiguous().clone() for name, t in tensors.items()}


def _card(described: dict[str, object], networks: tuple[str, ...]) -> str:
    files = ", ".join(Path(name).name for name in described["imported"])  # type: ignore[attr-defined]
    model = recipes.RECIPES[str(described["recipe"])].MODEL
    use = "x = gan.generate(16, seed=0)  # (16, C, H, W) float32 in [-1, 1]"
    if model.makes_inputs:
        use = (
            "y = gan.inpaint(x, mask)  # (N, C, H, W) in [-1, 1] and (N, 1, H, W), 1 in the holes; any height and width"
        )
    elif model.conditions_on == "images":
        use = "y = gan.translate(x)  # (N, C, H, W) float32 in [-1, 1], any height and width"
    return (
        f"# {described['recipe']} from {files}\n\n"
        f"Weights of another project ({' and '.join(networks)}), converted by ganloom without changing what they compute. "
        "The licence of their authors and the licence of the training data apply.\n\n"
        "```python\nimport ganloom\n\n"
        'gan = ganloom.load("path/to/this/folder")\n'
        f"{use}\n```\n"
    )
