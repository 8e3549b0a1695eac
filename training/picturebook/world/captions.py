"""Says what a plan shows, in the many ways people ask for a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from training.picturebook.world.plan import COLOURS, USUAL_COLOUR, size_word

if TYPE_CHECKING:
    from random import Random

    from training.picturebook.world.plan import Plan, Thing

_GROUND = {
    "meadow": ("in a meadow", "on a green meadow", "in the meadow", "on a grass field", "on a green hill"),
    "forest": ("in a forest", "in the forest", "in the woods", "in a pine forest"),
    "sea": ("at sea", "on the sea", "on the ocean", "over the sea", "on the water"),
    "snow": ("in the snow", "on a snowy field", "in a snowy landscape", "on snow", "in winter"),
    "desert": ("in the desert", "in a desert", "in a sandy desert", "on sand dunes"),
    "space": ("in space", "in outer space", "among the stars"),
}
_PLACE = {
    "meadow": ("a meadow", "a green meadow", "a grass field"),
    "forest": ("a forest", "a pine forest", "the woods"),
    "sea": ("the sea", "the ocean"),
    "snow": ("a snowy landscape", "a snowy field", "snow"),
    "desert": ("a desert", "a sandy desert", "sand dunes"),
    "space": ("space", "outer space"),
}
_TIME = {
    "day": ("by day", "during the day", "on a sunny day", "in daylight", "at noon", "under a blue sky"),
    "night": ("at night", "by night", "during the night", "under a night sky", "on a dark night"),
    "sunset": ("at sunset", "at dusk", "in the evening", "during sunset", "under a red sunset sky"),
    "sunrise": ("at sunrise", "at dawn", "in the morning", "during sunrise", "in the early morning"),
}
_EXTRA = {
    "sun": ("the sun", "a sun", "a bright sun"),
    "moon": ("the moon", "a full moon", "a moon"),
    "clouds": ("clouds", "white clouds"),
    "mountains": ("mountains", "mountains behind", "high mountains"),
    "river": ("a river", "a blue river"),
    "rainbow": ("a rainbow", "a big rainbow"),
    "flowers": ("flowers", "many flowers"),
}
_OBJECT = {
    "house": ("house", "cottage", "home"),
    "boat": ("boat", "sailboat", "ship"),
    "tree": ("tree",),
    "cat": ("cat", "kitten"),
    "dog": ("dog", "puppy"),
    "robot": ("robot",),
    "castle": ("castle", "fortress"),
    "balloon": ("balloon", "hot air balloon"),
    "rocket": ("rocket", "spaceship"),
    "snowman": ("snowman",),
    "flower": ("flower",),
    "mushroom": ("mushroom", "toadstool"),
    "ring": ("ring", "donut"),
    "cross": ("cross", "plus"),
    "circle": ("circle", "disc"),
    "diamond": ("diamond", "rhombus"),
}
_COLOUR = {"gray": ("gray", "grey"), "purple": ("purple", "violet")}
_SIZE = {"small": ("small", "little", "tiny"), "big": ("big", "large", "huge")}
_PLAIN = (
    "on {a} background",
    "on {}",
    "in front of {a} background",
    "{} background",
    "against {a} background",
    "on {a} backdrop",
)
_START = ("an illustration of", "a drawing of", "a picture of", "a painting of", "an image of", "a photo of")
_END = (
    "flat illustration",
    "picture book",
    "simple",
    "vector art",
    "high quality",
    "masterpiece",
    "best quality",
    "8k",
    "detailed",
    "beautiful",
    "cute",
    "sharp",
    "colorful",
    "highly detailed",
    "digital art",
)
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def plain_caption(plan: Plan) -> str:
    """The plainest sentence: what the examples of the documents use."""
    if plan.background is not None:
        things = " and ".join(_with_article(f"{thing.colour} {thing.name}") for thing in plan.things)
        return f"{things} on {_with_article(plan.background)} background"
    ground, time = _GROUND[plan.ground or ""][0], _TIME[plan.time or ""][0]
    when = "" if plan.ground == "space" else f" {time}"
    extras = " and ".join(_EXTRA[extra][0] for extra in sorted(plan.extras))
    rest = f", {extras}" if extras else ""
    if not plan.things:
        return f"{_PLACE[plan.ground or ''][0]}{when}{rest}"
    thing = plan.things[0]
    return f"{_with_article(f'{thing.colour} {thing.name}')} {ground}{when}{rest}"


def _with_article(phrase: str) -> str:
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def caption(plan: Plan, rng: Random) -> str:
    """One of the many sentences; some leave out what can be left out, some add empty words."""
    parts = _plain(plan, rng) if plan.background is not None else _scene(plan, rng)
    if rng.random() < 0.08:
        rng.shuffle(parts)
        text = ", ".join(parts)
    else:
        text = " ".join(part for part in parts if part)
    if rng.random() < 0.3:
        text = f"{rng.choice(_START)} {text}"
    if rng.random() < 0.2:
        text += "".join(f", {word}" for word in rng.sample(_END, rng.randint(1, 3)))
    if rng.random() < 0.04:
        text += ", " + "".join(rng.choices(_LETTERS, k=rng.randint(3, 8)))
    return text.replace(" ,", ",")


def _thing(thing: Thing, rng: Random, *, colour: bool = True) -> str:
    words = []
    size = size_word(thing)
    if size is not None and rng.random() < 0.95:
        words.append(rng.choice(_SIZE[size]))
    if colour:
        words.append(rng.choice(_COLOUR.get(thing.colour, (thing.colour,))))
    names = _OBJECT.get(thing.name, (thing.name,))
    words.append(names[0] if rng.random() < 0.6 else rng.choice(names))
    phrase = " ".join(words)
    return _with_article(phrase) if rng.random() < 0.9 else phrase


def _plain(plan: Plan, rng: Random) -> list[str]:
    background = rng.choice(_COLOUR.get(plan.background or "", (plan.background or "",)))
    pattern = _PLAIN[0] if rng.random() < 0.55 else rng.choice(_PLAIN)
    where = pattern.format(background, a=_with_article(background))
    if pattern.startswith("{}"):
        where = f", {where}"
    if len(plan.things) == 2:
        first, second = (_thing(thing, rng) for thing in plan.things)
        join = rng.choice(("and", "next to", "left of", "beside"))
        return [f"{first} {join} {second}", where]
    if plan.background == "white" and rng.random() < 0.3:
        where = ""
    return [_thing(plan.things[0], rng, colour=_tell_colour(plan, rng)), where]


def _tell_colour(plan: Plan, rng: Random) -> bool:
    """The usual colour of an object needs no word."""
    thing = plan.things[0]
    return thing.colour != USUAL_COLOUR.get(thing.name) or rng.random() < 0.5


def _scene(plan: Plan, rng: Random) -> list[str]:
    ground, time = plan.ground or "", plan.time or ""
    when = "" if ground == "space" else rng.choice(_TIME[time])
    if time == "day" and rng.random() < 0.2:
        when = ""
    parts = []
    if plan.things:
        parts += [_thing(plan.things[0], rng, colour=_tell_colour(plan, rng)), rng.choice(_GROUND[ground])]
    else:
        parts.append(rng.choice(_PLACE[ground]))
    parts.append(when)
    extras = [rng.choice(_EXTRA[extra]) for extra in rng.sample(sorted(plan.extras), len(plan.extras))]
    if extras:
        parts.append(rng.choice(("with ", ", ")) + " and ".join(extras))
    return parts


def words() -> list[str]:
    """Every word a caption can hold, each once."""
    texts = [*COLOURS, *USUAL_COLOUR, *_PLAIN, *_START, *_END]
    for table in (_GROUND, _PLACE, _TIME, _EXTRA, _OBJECT, _COLOUR, _SIZE):
        for variants in table.values():
            texts += variants
    texts += ["and", "next to", "left of", "beside", "with", "a", "an", "square", "triangle", "star", "heart"]
    return sorted(
        {
            word
            for text in texts
            for word in text.replace("{}", " ").replace("{a}", " ").replace(",", " ").split()
        }
    )
