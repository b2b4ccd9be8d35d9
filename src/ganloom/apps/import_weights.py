"""Another project's weights as a model folder of ganloom's own, which ``sample``, ``evaluate`` and ``load`` take."""

from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
from torch import Tensor

from ganloom import recipes, weights
from ganloom.core import config
from ganloom.gan import GAN
from ganloom.runs import checkpoint
from ganloom.runs.folder import Folder, check_empty
from ganloom.runs.manifest import FORMAT


@dataclass(frozen=True)
class Imported:
    """What ``import_weights`` made."""

    folder: Path
    recipe: str
    gan: GAN
    networks: tuple[str, ...]
    """The networks that the files hold: "G", "D"; the other one is as new."""


def import_weights(file: str | Path, out: str | Path, discriminator: str | Path | None = None) -> Imported:
    """Read a generator's file (and its discriminator's), and write them to the new folder ``out``.

    The folder is that of a run's model/: config.json with the recipe and its fields, G.safetensors with what the files
    hold, README.md. Raises BadInput as ``weights.read`` does, and where ``out`` holds something.
    """
    folder = Folder(check_empty(out))
    found = weights.found_in(file, discriminator)
    gan = weights.build(found)
    networks = tuple(sorted({name.split(".")[0] for name in found.tensors}, reverse=True))
    described = {
        "format": FORMAT,
        "recipe": found.recipe,
        "config": config.to_dict(gan.cfg),
        "defaults": config.to_dict(recipes.RECIPES[found.recipe].Config()),
        "imported": [str(name) for name in (file, discriminator) if name is not None],
    }
    kept = {name: t for name, t in gan.state_dict().items() if name.split(".")[0] in networks}
    tensors, card = safetensors.torch.save(_plain(kept)), _card(described, networks).encode(errors="replace")
    folder.path.mkdir(parents=True, exist_ok=True)
    checkpoint.replace_file(folder.path / "G.safetensors", tensors)
    checkpoint.replace_file(folder.path / "README.md", card)
    folder.write("config.json", described)
    return Imported(folder.path, found.recipe, gan, networks)


def _plain(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: t.contiguous().clone() for name, t in tensors.items()}


def _card(described: dict[str, object], networks: tuple[str, ...]) -> str:
    files = ", ".join(Path(name).name for name in described["imported"])  # type: ignore[attr-defined]
    use = (
        "y = gan.translate(x)  # (N, C, H, W) float32 in [-1, 1], any height and width"
        if recipes.RECIPES[str(described["recipe"])].MODEL.conditions_on == "images"
        else "x = gan.generate(16, seed=0)  # (16, C, H, W) float32 in [-1, 1]"
    )
    return (
        f"# {described['recipe']} from {files}\n\n"
        f"Weights of another project ({' and '.join(networks)}), read by ganloom without changing what they compute. Their "
        "authors' licence, and that of the data they were trained on, applies.\n\n"
        "```python\nimport ganloom\n\n"
        'gan = ganloom.load("path/to/this/folder")\n'
        f"{use}\n```\n"
    )
