"""Changes of settings that several rules advise: a stronger penalty, lower learning rates."""

from typing import Any

from ganloom.doctor.case import Case


def weaker_d(case: Case) -> dict[str, Any]:
    """Return a change that weakens D.

    A recipe with a penalty gets its usual weight, or three times the present one if that is more. Otherwise D's
    learning rate is halved, and R1 is switched on if the rate is unknown.
    """
    facts = case.facts
    if facts.penalty and facts.penalty_usual and facts.penalty_now is not None:
        return {facts.penalty: max(facts.penalty_usual, 3 * facts.penalty_now)}
    rates = case.past("D_lr")
    return {"d_opt.lr": float(f"{rates[-1] / 2:.2g}")} if rates else {"penalty": "r1"}


def penalise_d(case: Case) -> dict[str, Any]:
    """Return a change that penalises D's gradient: R1 for a recipe without a penalty, else ``weaker_d``."""
    return {"penalty": "r1"} if not case.facts.penalty else weaker_d(case)


def lower_rates(case: Case, factor: float) -> dict[str, Any]:
    """Return a change that lowers the learning rates of both networks.

    Args:
        case: The rows and facts.
        factor: Factor on the present rate. A rate above 1.5 times the recipe's default is set to the default instead.
    """
    change = {}
    for net in ("D", "G"):
        rates, usual = case.past(f"{net}_lr"), case.facts.rates.get(net)
        now = max(rates) if rates else case.facts.lr.get(net, usual)
        if now is not None:
            change[f"{net.lower()}_opt.lr"] = (
                usual if usual is not None and now > 1.5 * usual else float(f"{now * factor:.2g}")
            )
    return change
