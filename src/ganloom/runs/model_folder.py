"""Write the model/ folder of a run, for sharing: EMA weights, config and a model card."""

from typing import Any

import safetensors.torch
import torch

from ganloom.gan import GAN
from ganloom.runs import checkpoint
from ganloom.runs.folder import Folder
from ganloom.training.trainer import Trainer


def write_model(folder: Folder, trainer: Trainer) -> None:
    """Write the EMA weights, the config and a model card. Each file is replaced atomically.

    Args:
        folder: The run folder.
        trainer: The trainer.
    """
    folder.model.mkdir(exist_ok=True)
    with trainer.averages.current(trainer.nimg):
        weights = trainer.average() or trainer.gan.state_dict()
        averaged = {name: t.detach().cpu().clone(memory_format=torch.contiguous_format) for name, t in weights.items()}
    config = folder.read("config.json")
    described: dict[str, Any] = {
        name: config[name]
        for name in ("format", "recipe", "config", "stabilise", "init", "classes_drawn", "learned")
        if name in config
    }
    described |= {
        "kimg": trainer.nimg / 1000,
        "data": config.get("data", {}).get("name"),
        "classes": config.get("classes"),
    }
    scales = config.get("data", {}).get("source", {}).get("scales_used")
    described |= {"scales": scales} if scales else {}
    card = _card(described, trainer.gan)
    checkpoint.replace_file(folder.model / "G.safetensors", safetensors.torch.save(averaged))
    checkpoint.replace_file(folder.model / "README.md", card.encode(errors="backslashreplace"))
    Folder(folder.model).write("config.json", described)


def _card(described: dict[str, Any], gan: GAN) -> str:
    """Return the text of the model card."""
    use = "x = gan.generate(16, seed=0)  # (16, C, H, W) float32 in [-1, 1]"
    if gan.makes_inputs:
        use = (
            "y = gan.inpaint(x, mask)  # (N, C, H, W) in [-1, 1] and (N, 1, H, W), 1 in the holes; any height and width"
        )
    elif gan.conditions_on == "images":
        use = "y = gan.translate(x)  # (N, C, H, W) float32 in [-1, 1], any height and width"
    elif gan.conditions_on == "captions":
        use = 'x = gan.generate(text=["a caption", "another one"])  # (2, C, H, W) float32 in [-1, 1]'
    recipe, data, kimg = described.get("recipe"), described.get("data"), described["kimg"]
    return (
        f"# {recipe} trained on {data}\n\n"
        f"A generator trained with ganloom ({recipe}) on {kimg:g} thousand images of {data}. The weights are the average "
        "over training (EMA).\n\n"
        "```python\nimport ganloom\n\n"
        'gan = ganloom.load("path/to/this/folder")\n'
        f"{use}\n```\n\n"
        "The output is synthetic. It reproduces gaps and biases of the training data. The licence of the data may limit "
        "its use.\n"
    )
