"""Tells in which language short texts are: by their letters, and where many languages share those, by
py3langid, a naive Bayes classifier over byte sequences (Lui & Baldwin 2011, I11-1062).

Prompts are hard for any classifier, since they are short, and half of the words in an English one are
names and jargon. So English is favoured by what is known of it here: a word that CLIP's vocabulary holds
whole is one that captions in English use. And all texts of a request are judged together: there is one
language, beside English, that explains them best.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Any

from diffusionapi.languages.names import ENGLISH, JARGON, LATIN, SCRIPTS, SMALL_WORDS, UNKNOWN
from diffusionapi.weights.families import CONFIGS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

_DOUBT = 1.0
"""By how much, in units of log odds, a language has to explain the texts better than English."""
_CERTAIN, _SLACK = 2.0, 1.4
"""Where a language is as certain as the first, texts that it explains worse by the second are in it, too."""
_KNOWN_WORD = 2.0
"""How much a word of CLIP's vocabulary speaks for English."""
_SMALL_WORD = 1.0
"""How much an article or a preposition of its own speaks for a language."""
_NEAR = 1.0
"""Languages nearer to each other than this cannot be told apart for certain."""
_COMMON = {"ar", "de", "es", "fr", "hi", "id", "it", "nl", "pl", "pt", "ru", "tr", "vi"}
_MORE_COMMON = 0.5
"""How much likelier one of these is than a neighbour with fewer speakers, before anything is read."""
_SHORTEST = 4
"""Letters of a word that tells anything: of the shorter ones CLIP knows all."""
_DENSE = {"CJK", "HIRAGANA", "KATAKANA", "HANGUL"}
"""Scripts of which a letter says as much as several of the others."""

_WORD = re.compile(r"[^\W\d_]+")

Odds = dict[str, float]
"""How much better than English a language explains a text, in log odds."""


def detect(texts: Sequence[str], rather: Collection[str] = ()) -> list[str | None]:
    """The language of each text, None of English ones and of those without letters.

    Of languages that cannot be told apart, one of `rather` is taken.
    """
    scripts = [_script(text) for text in texts]
    if {"HIRAGANA", "KATAKANA"} & set(scripts) or any(_has_kana(text) for text in texts):
        scripts = ["HIRAGANA" if script == "CJK" else script for script in scripts]
    found: list[str | None] = [None] * len(texts)
    for script in set(scripts) - {None}:
        places = [place for place, one in enumerate(scripts) if one == script]
        told = _told(str(script), [texts[place] for place in places], rather)
        for place, language in zip(places, told, strict=True):
            found[place] = language
    return found


def _told(script: str, texts: list[str], rather: Collection[str]) -> list[str | None]:
    """The languages of texts of one script."""
    languages = SCRIPTS.get(script)
    if script == "LATIN":
        return _beside_english(texts, rather)
    if languages is None:
        return [UNKNOWN] * len(texts)
    if len(languages) == 1:
        return [*languages] * len(texts)
    scores = [_scores(text, languages) for text in texts]
    return [_best({one: sum(odds[one] for odds in scores) for one in languages}, rather)] * len(texts)


def _beside_english(texts: list[str], rather: Collection[str]) -> list[str | None]:
    """The one language that, with English, explains all texts best; which of them are in it."""
    odds = [_odds(text) for text in texts]
    total = {one: sum(max(0.0, of_text[one] - _DOUBT) for of_text in odds) for one in LATIN}
    if max(total.values()) <= 0:
        return [None] * len(texts)
    language = _best({one: score for one, score in total.items() if score > 0}, rather)
    least = -_SLACK if total[language] > _CERTAIN else 0.0
    return [language if of_text[language] > least and of_text[language] else None for of_text in odds]


def _best(odds: Odds, rather: Collection[str]) -> str:
    scores = {one: score + _MORE_COMMON * (one in _COMMON) for one, score in odds.items()}
    best = max(scores, key=lambda one: scores[one])
    near = [one for one, score in scores.items() if one in rather and score > scores[best] - _NEAR]
    return max(near, key=lambda one: scores[one], default=best)


def _odds(text: str) -> Odds:
    words = _WORD.findall(text.lower())
    telling = [word for word in words if len(word) >= _SHORTEST or word in _english_words()]
    known = sum(word in _english_words() for word in telling)
    english = _KNOWN_WORD * known / math.sqrt(max(len(telling), 1))
    scores = _scores(text, (*LATIN, ENGLISH))
    return {one: scores[one] + _small_words(words, one) - scores[ENGLISH] - english for one in LATIN}


def _small_words(words: list[str], language: str) -> float:
    small = SMALL_WORDS.get(language, "").split()
    return _SMALL_WORD * sum(word in small for word in words) / math.sqrt(max(len(words), 1))


def _scores(text: str, languages: Collection[str]) -> Odds:
    """Log odds. Evidence of a longer text is no sum of independent pieces: its square root calibrates, as
    py3langid's own probabilities do."""
    lowered = text.lower()
    ranked = dict(_classifier().rank(lowered))
    length = math.sqrt(len(lowered.encode(errors="replace")) or 1)
    return {one: ranked[one] / length for one in languages}


def _script(text: str) -> str | None:
    """The script that most of the text is in; a foreign letter or two do not make a text foreign."""
    counts: Counter[str] = Counter()
    for letter in unicodedata.normalize("NFKC", text):
        if letter.isalpha():
            script = unicodedata.name(letter, UNKNOWN).split()[0].partition("-")[0]
            counts[script] += 3 if script in _DENSE else 1
    if not counts:
        return None
    foreign = Counter({script: count for script, count in counts.items() if script != "LATIN"})
    if 3 * foreign.total() < counts.total():
        return "LATIN"
    return foreign.most_common(1)[0][0]


def _has_kana(text: str) -> bool:
    return any("\u3041" <= letter <= "\u30ff" for letter in text)


@cache
def _classifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    classifier = LanguageIdentifier.from_model_file(MODEL_FILE)
    shared = [one for languages in SCRIPTS.values() if len(languages) > 1 for one in languages]
    classifier.set_languages([*shared, ENGLISH])
    return classifier


@cache
def _english_words() -> frozenset[str]:
    """The words that CLIP knows whole, and what prompts hold besides."""
    vocabulary = json.loads((CONFIGS / "clip" / "vocab.json").read_text(encoding="utf-8"))
    whole = (one.removesuffix("</w>") for one in vocabulary if one.endswith("</w>"))
    return frozenset(one for one in whole if len(one) >= _SHORTEST and one.isalpha()) | {*JARGON.split()}
