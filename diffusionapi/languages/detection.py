"""Tells in which language short texts are: by their letters, and where many languages share those, by
py3langid, a naive Bayes classifier over byte sequences (Lui & Baldwin 2011, I11-1062).

Prompts are hard for any classifier, since they are short, and half of the words in an English one are
names and jargon. So English is favoured by what is known of it here: a word that CLIP's vocabulary holds
whole is one that captions in English use. The shorter a text is, the less the classifier is believed, and
the more articles and the commonest words of a language count. And all texts of a request are judged
together: there is one language, beside English, that explains them best.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Any

from diffusionapi.languages.names import ENGLISH, LATIN, SCRIPTS, UNKNOWN
from diffusionapi.languages.words import (
    ALSO_ENGLISH,
    ARTICLES,
    COMMON_WORDS,
    ENGLISH_WORDS,
    JARGON,
    SMALL_WORDS,
)
from diffusionapi.weights.families import CONFIGS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

_DOUBT, _DOUBT_OF_ONE = 0.4, 1.0
"""By how much, in units of log odds, a language has to explain a text, and one of a single word, better than
English."""
_NOT_CLEAR = 2.0
"""By how much English has to explain it better than all others for nobody to wonder."""
_CERTAIN, _SLACK = 2.0, 1.4
"""Where a language is as certain as the first, texts that it explains worse by the second are in it, too."""
_ARTICLE = 3.0
"""How much a first word speaks for a language that is an article of it."""
_KNOWN_WORD, _USUAL = 2.0, 16000
"""How much a word that CLIP knows whole speaks for English; half of it behind this rank."""
_SMALL_WORD, _COMMON_WORD = 2.5, 4.0
"""How much an article or a preposition of its own, and a word for what is painted, speak for a language."""
_SHORT, _SHORTER, _LONG = 4.0, 7.0, 24
"""How much speaks for English against a common and another language, of next to no letters, if they are
ASCII, and nothing of so many."""
_LEAST_HEARD, _HEARD, _HEARD_OUT = 0.5, 3, 16
"""Of short texts in ASCII the classifier is believed so much, one more for so many letters,
and all of so many."""
_NEAR = 1.0
"""Languages nearer to each other than this cannot be told apart for certain."""
_COMMON = {"ar", "de", "es", "fr", "hi", "id", "it", "nl", "pl", "pt", "ru", "sv", "tr", "vi"}
_MORE_COMMON = 0.5
"""How much likelier one of these is than a neighbour with fewer speakers, before anything is read."""
_SHORTEST, _USUAL_SHORT = 4, 8000
"""Of words of fewer letters CLIP knows nearly all; those of a lower rank are English."""
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


def doubtful(text: str) -> bool:
    """Whether a text that is taken for English may be in another language as well: a word or two can be."""
    if _script(text) != "LATIN":
        return False
    words = _WORD.findall(text.lower())
    odd = any(_english(word) < _KNOWN_WORD and len(word) >= _SHORTEST for word in words)
    return odd and max(_odds(text).values()) > -_NOT_CLEAR


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
    doubts = [_DOUBT if len(_WORD.findall(text)) > 1 else _DOUBT_OF_ONE for text in texts]
    total = {
        one: sum(max(0.0, of_text[one] - doubt) for of_text, doubt in zip(odds, doubts, strict=True))
        for one in LATIN
    }
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
    scores = _scores(text, (*LATIN, ENGLISH))
    letters = sum(map(len, words))
    short = text.isascii() and letters < _HEARD_OUT
    most = _LEAST_HEARD + letters / _HEARD if short else math.inf
    return {
        one: min(scores[one] - scores[ENGLISH], most)
        + _of_words(words, one) / math.sqrt(max(len(words), 1))
        - _prior(text, words, one)
        for one in LATIN
    }


def _prior(text: str, words: list[str], language: str) -> float:
    """How much speaks for English before a short text is read: the less there is of it, the more."""
    letters = sum(map(len, words))
    if not text.isascii() or letters >= _LONG:
        return 0.0
    return (_SHORT if language in _COMMON else _SHORTER) * (1 - letters / _LONG)


def _of_words(words: list[str], language: str) -> float:
    """What its words say for a language; where not all of them are its own, some may be English as well."""
    common, small = _words_of(language, common=True), _words_of(language, common=False)
    own = len(words) > 1 and all(word in common or word in small for word in words)
    found = _leading(words, language) if own or words[:1] not in (["a"], ["an"]) else -_ARTICLE
    for word in words:
        said = _COMMON_WORD if word in common else _SMALL_WORD if word in small else -_english(word)
        found += said if own or said < 0 or word not in _also_english() else said / 3
    return found


def _leading(words: list[str], language: str) -> float:
    """What a first word that is an article says; before an English word it may be that of a name."""
    if len(words) < 2 or words[0] not in ARTICLES.get(language, "").split():
        return 0.0
    if words[0] not in _also_english():
        return _ARTICLE
    return 0.0 if _english(words[1]) and words[1] not in _words_of(language, common=True) else _ARTICLE


def _english(word: str) -> float:
    if word in ENGLISH_WORDS.split():
        return _KNOWN_WORD
    rank = _english_words().get(word)
    if rank is None or (len(word) < _SHORTEST and rank > _USUAL_SHORT):
        return 0.0
    return _KNOWN_WORD if rank < _USUAL else _KNOWN_WORD / 2


@cache
def _words_of(language: str, *, common: bool) -> frozenset[str]:
    return frozenset((COMMON_WORDS if common else SMALL_WORDS).get(language, "").split())


@cache
def _also_english() -> frozenset[str]:
    return frozenset(ALSO_ENGLISH.split())


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
def _english_words() -> dict[str, int]:
    """The words that CLIP knows whole by their ranks, and what prompts hold besides: captions are English."""
    vocabulary = json.loads((CONFIGS / "clip" / "vocab.json").read_text(encoding="utf-8"))
    whole = ((one.removesuffix("</w>"), rank) for one, rank in vocabulary.items() if one.endswith("</w>"))
    small = {word for words in SMALL_WORDS.values() for word in words.split()}
    return {one: rank for one, rank in whole if one.isalpha() and one not in small} | dict.fromkeys(
        JARGON.split(), 0
    )
