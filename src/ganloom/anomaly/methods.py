"""The methods that a user can choose, and what each trains."""

from dataclasses import dataclass

from ganloom.anomaly.controls import TITLES as CONTROLS
from ganloom.core.errors import BadInput, did_you_mean

FEATURES, MINUS_D = "d-features", "minus-d"
SUMS = {
    "rotations+d-features": ("rotations", FEATURES),
    "rotations+knn-pooled": ("rotations", "knn-pooled"),
    "rotations+knn-pixels": ("rotations", "knn-pixels"),
}
"""Scores that are sums of two others, each standardised on the hold-out. For images the second one, for tables the third one
is used beside the first."""
WORTHLESS = (MINUS_D,)
"""Scores that are printed and never chosen."""
TITLES = {
    "rotations": "D's second head on the four rotations",
    FEATURES: "5 nearest neighbours on D's features",
    **{name: "sum of both, each standardised on the hold-out" for name in SUMS},
    "f-anogan": "residual of image and of D's features",
    "f-anogan-residual": "residual of the image alone",
    "f-anogan-features": "residual of D's features alone",
    "ganomaly": "distance of the codes",
    "ganomaly-residual": "residual of the image",
    "ganomaly-features": "residual of D's features",
    "anogan": "residual of image and of D's features",
    "anogan-residual": "residual of the image alone",
    "anogan-features": "residual of D's features alone",
    MINUS_D: "-D(x); D tells reals from fakes, not normal from unusual: worthless",
}


@dataclass(frozen=True)
class Method:
    """A score, and the recipe whose model gives it; None for a control."""

    score: str
    recipe: str | None = None


METHODS: dict[str, Method] = {
    "rotations": Method("rotations", "ss-gan"),
    FEATURES: Method(FEATURES, "ss-gan"),
    **{name: Method(name, "ss-gan") for name in SUMS},
    "f-anogan": Method("f-anogan", "f-anogan"),
    "f-anogan-features": Method("f-anogan-features", "f-anogan"),
    "ganomaly": Method("ganomaly", "ganomaly"),
    "ganomaly-features": Method("ganomaly-features", "ganomaly"),
    "anogan": Method("anogan", "anogan"),
    **{name: Method(name) for name in CONTROLS},
}
AUTO = "auto"
AUTO_RECIPE = "ss-gan"
"""The recipe that ``auto`` trains; its scores and the controls are the candidates."""


def find(name: str) -> Method | None:
    """Return the method of a name; None for "auto".

    Raises:
        BadInput: There is no such method.
    """
    plain = name.lower().replace("_", "-")
    if plain == AUTO:
        return None
    if plain not in METHODS:
        known = [AUTO, *METHODS]
        raise BadInput(f'--method must be one of {", ".join(known)}, got "{name}"{did_you_mean(plain, known)}')
    return METHODS[plain]


def title(score: str) -> str:
    """Say what a score is."""
    return TITLES.get(score) or CONTROLS.get(score, "")
