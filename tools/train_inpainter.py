"""Train the inpainter that the package ships: detail on top of a biharmonic fill, from a folder of photographs.

    python tools/train_inpainter.py PHOTOGRAPHS OUT

PHOTOGRAPHS is a folder of large photographs. Crops of 64 px are cut from them at random scales. OUT gets the crops, a run, and
photographs.safetensors.
"""

import argparse
import json
from pathlib import Path

import safetensors.torch
import torch
from cut_crops import cut

import ganloom
from ganloom.core import config
from ganloom.optim import Adam
from ganloom.recipes import lama

SIDE, CROPS = 64, 12000
KIMG = 30.0
STRENGTH = 0.5
"""The network's correction of the smooth fill is multiplied by this after the training. With 1 the features are better by 2 %,
and L1 is worse by 2 to 3 %. It was chosen on photographs that were neither trained on nor used for the figures.
"""
SCALES = 400, 1400
"""Longer side of a photograph when a crop is cut from it, in pixels."""
SETTINGS = lama.Config(
    shape=(3, SIDE, SIDE),
    net="gated",
    width=24,
    d_width=8,
    blocks=4,
    batch_size=16,
    ema_kimg=0.5,
    fill="biharmonic",
    l1_known=0.0,
    l1_missing=4.0,
    adversarial=0.0,
    matching_weight=0.0,
    normalised=True,
    perceptual=4.0,
    perceptual_net="effnet",
    g_opt=Adam(1e-3, betas=(0.9, 0.99), clip=1.0, schedule=((0.0, 1.0), (KIMG / 3, 1.0), (KIMG, 0.03))),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    crops = args.out / "crops"
    if not crops.exists():
        cut(args.photographs, crops, CROPS, SIDE, SCALES)
    options = {"precision": "bf16", "judge": 0, "doctor": False, "kimg_per_tick": 0.4, "kimg_per_checkpoint": 1.2}
    run = args.out / "run"
    if not (run / "model" / "G.safetensors").exists():
        ganloom.train(SETTINGS, str(crops), run, total_kimg=KIMG, flip=True, **options)
    gan = ganloom.load(run)
    with torch.no_grad():
        for parameter in gan.G.last.parameters():
            parameter.mul_(STRENGTH)
    weights = {name: t.half().contiguous() for name, t in gan.G.named_parameters()}
    tensors = weights | {name: t.contiguous() for name, t in gan.G.named_buffers()}  # statistics of BatchNorm, float32
    described = {"recipe": "lama", "config": json.dumps(config.to_dict(gan.cfg))}
    safetensors.torch.save_file(tensors, args.out / "photographs.safetensors", described)
    size = (args.out / "photographs.safetensors").stat().st_size
    print(f"wrote {args.out / 'photographs.safetensors'} ({size / 1e6:.2f} MB, {torch.get_num_threads()} threads)")


if __name__ == "__main__":
    main()
