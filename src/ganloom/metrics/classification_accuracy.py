"""Classification accuracy score: train a classifier on generated images, test it on real ones.

Ravuri and Vinyals 2019, "Classification Accuracy Score for Conditional Generative Models" (arXiv:1905.10887). The paper trains a
ResNet-50. Here it is the small task net, so compare the score with that of training on real images, at equal counts.
"""

import torch
from torch import Tensor

from ganloom.core.errors import BadInput
from ganloom.metrics.extractors.inputs import to_channels, to_size
from ganloom.metrics.extractors.task import TASK_SAMPLES, train_task_net
from ganloom.metrics.images import Images, check_images
from ganloom.metrics.statistics.memorisation import share
from ganloom.metrics.statistics.value import Value


def classification_accuracy_score(
    generated: Images,
    generated_labels: Tensor,
    real: Images,
    real_labels: Tensor,
    *,
    samples: int = TASK_SAMPLES,
    seed: int = 0,
) -> tuple[Value, dict[int, Value]]:
    """Train a classifier on generated images, and measure its accuracy on real images that training never saw.

    Args:
        generated: (N, C, H, W) in [-1, 1].
        generated_labels: (N,) integer classes.
        real: (M, C, H, W) real images.
        real_labels: (M,) integer classes.
        samples: number of images that the classifier is trained on, with repetition.
        seed: keys the training.

    Returns:
        The accuracy with Wilson's interval over the draw of the real images, and the same for each class: its recall, which is
        low for classes that the model does not know.

    Raises:
        BadInput: labels of another length, no class in both sets, or images that cannot be used.
    """
    x = check_images(real, "real")
    given, wanted = (torch.as_tensor(labels).long() for labels in (generated_labels, real_labels))
    if len(given) != len(generated) or len(wanted) != len(x):
        raise BadInput(f"labels: {len(given)} and {len(wanted)} labels for {len(generated)} and {len(x)} images")
    classes = given.unique()
    if not bool(torch.isin(wanted, classes).any()):
        raise BadInput("labels: no class of the real images is among those of the generated images")
    task = train_task_net(generated, given, seed=seed, samples=samples)
    with torch.no_grad():
        parts = [task.net(to_size(to_channels(part, task.net.channels), task.net.size))[1] for part in x.split(256)]
    right = classes[torch.cat(parts).argmax(1)] == wanted  # the task net numbers the classes in their sorted order
    by_class = {
        int(c): share(int(right[wanted == c].sum()), int((wanted == c).sum())) for c in wanted.unique().tolist()
    }
    return share(int(right.sum()), len(right)), by_class
