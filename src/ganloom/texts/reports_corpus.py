"""The built-in corpus "reports": short sentences of six subjects, drawn from a grammar of ours.

It needs no file and no network, and is the same on every machine. It is for trying commands out and for tests: a grammar is
far simpler than people's language, so a figure measured on it says little about other texts. Verbs agree with their subjects
over a distance, so that word order and number carry information.
"""

import random
from functools import cache

from ganloom.texts.texts import Texts

COUNT = 4000
SHARED = 0.12
"""Share of sentences that any subject may have, so that no classifier is right everywhere."""

_SUBJECTS: dict[str, tuple[str, str, str, str, str]] = {
    # subject: things (singular/plural), their places, qualities, verbs (singular/plural), what follows
    "weather": (
        "storm/storms cloud/clouds shower/showers breeze/breezes front/fronts frost/frosts fog/fogs gale/gales",
        "over the hills|near the coast|in the north|along the valley|above the islands|across the plain",
        "cold warm heavy light sudden slow late early dry damp grey",
        "moves/move weakens/weaken arrives/arrive returns/return fades/fade spreads/spread turns/turn",
        "before noon|by the evening|towards the sea|during the night|for two days|with little rain|until Friday",
    ),
    "kitchen": (
        "soup/soups loaf/loaves sauce/sauces carrot/carrots pie/pies onion/onions stew/stews pancake/pancakes",
        "in the pan|on the tray|from the oven|under the lid|beside the bread|in the bowl",
        "sweet salty fresh thick thin hot sour baked sliced brown plain",
        "simmers/simmer rises/rise cools/cool browns/brown softens/soften bubbles/bubble rests/rest",
        "for ten minutes|with butter and thyme|until golden|on a low flame|before serving|without sugar|in salted water",
    ),
    "traffic": (
        "train/trains bus/buses tram/trams ferry/ferries lorry/lorries cyclist/cyclists taxi/taxis van/vans",
        "at the bridge|on line four|near the station|in the tunnel|from the harbour|past the junction",
        "delayed crowded empty slow red night local regional early late fast",
        "stops/stop leaves/leave waits/wait turns/turn arrives/arrive runs/run queues/queue",
        "every half hour|behind the roadworks|without passengers|ahead of time|on platform two|until midnight|for repairs",
    ),
    "garden": (
        "rose/roses apple/apples hedge/hedges fern/ferns bean/beans tulip/tulips maple/maples weed/weeds",
        "by the wall|in the greenhouse|under the oak|along the path|behind the shed|near the pond",
        "young old tall wild white red early late dry green pruned",
        "grows/grow blooms/bloom ripens/ripen spreads/spread withers/wither climbs/climb sprouts/sprout",
        "after the rain|in full sun|without water|before June|from old wood|until the first frost|in poor soil",
    ),
    "music": (
        "violin/violins choir/choirs drum/drums flute/flutes singer/singers organ/organs cello/cellos horn/horns",
        "in the hall|on the stage|from the gallery|behind the curtain|near the window|in the second row",
        "soft loud bright dark slow quick solo muted old young distant",
        "begins/begin answers/answer pauses/pause joins/join fades/fade repeats/repeat rests/rest",
        "in a minor key|after the second verse|without a score|for eight bars|above the strings|at half speed|to long applause",
    ),
    "computers": (
        "server/servers program/programs disk/disks parser/parsers driver/drivers script/scripts cache/caches",
        "in the rack|on port eighty|behind the firewall|in the test suite|from the backup|under heavy load",
        "slow remote local idle broken new old small shared parallel virtual",
        "starts/start stops/stop fails/fail waits/wait restarts/restart answers/answer runs/run",
        "after the update|without an error|in less than a second|with too little memory|at the second attempt|on two cores",
    ),
}  # fmt: skip
_OPENINGS = ("today", "this week", "once again", "as expected", "at last", "in the end", "on most days")
_SHARED_NOUNS = ("report/reports", "answer/answers", "list/lists", "change/changes", "question/questions")
_SHARED_VERBS = ("arrives/arrive", "waits/wait", "returns/return", "remains/remain", "helps/help")
_SHARED_ENDS = ("as before", "for now", "on time", "until Monday", "without a reason", "for the third time")


@cache
def reports(count: int = COUNT, seed: int = 0) -> Texts:
    """Draw labelled sentences, each of them different.

    Args:
        count: Number of sentences.
        seed: Seed of the draw.
    """
    rng = random.Random(f"reports {seed}")
    texts: dict[str, str] = {}
    while len(texts) < count:
        label = rng.choice(list(_SUBJECTS))
        texts.setdefault(_sentence(label, rng), label)
    return Texts(list(texts), list(texts.values()), name="reports")


def _sentence(label: str, rng: random.Random) -> str:
    things, places, qualities, verbs, ends = _SUBJECTS[label]
    if rng.random() < SHARED:
        nouns, all_verbs, all_ends = list(_SHARED_NOUNS), list(_SHARED_VERBS), list(_SHARED_ENDS)
    else:
        nouns, all_verbs, all_ends = things.split(), verbs.split(), ends.split("|")
    plural = rng.random() < 0.4
    number = (
        ("two ", "three ", "several ", "the ", "some ")[rng.randrange(5)]
        if plural
        else ("the ", "a ", "one ")[rng.randrange(3)]
    )
    quality = f"{rng.choice(qualities.split())} " if rng.random() < 0.7 else ""
    place = f" {rng.choice(places.split('|'))}" if rng.random() < 0.6 else ""
    noun, verb = (rng.choice(pair).split("/")[plural] for pair in (nouns, all_verbs))
    if number == "a " and (quality or noun)[0] in "aeiou":
        number = "an "
    opening = f"{rng.choice(_OPENINGS)} " if rng.random() < 0.35 else ""
    end = f" {rng.choice(all_ends)}" if rng.random() < 0.75 else ""
    sentence = f"{opening}{number}{quality}{noun}{place} {verb}{end}."
    if rng.random() < 0.2:
        again = rng.choice(all_verbs).split("/")[plural]
        sentence = f"{sentence[:-1]} and {again} {rng.choice(all_ends)}."
    return sentence[0].upper() + sentence[1:]
