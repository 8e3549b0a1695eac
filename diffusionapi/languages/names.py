"""The languages that prompts are told apart in, by script: ISO 639 codes and names for people."""

from __future__ import annotations

ENGLISH = "en"
UNKNOWN = "und"
"""ISO 639's code for a language that cannot be told."""

LATIN = {
    "af": "Afrikaans",
    "az": "Azerbaijani",
    "ca": "Catalan",
    "cs": "Czech",
    "cy": "Welsh",
    "da": "Danish",
    "de": "German",
    "es": "Spanish",
    "et": "Estonian",
    "eu": "Basque",
    "fi": "Finnish",
    "fr": "French",
    "ga": "Irish",
    "gl": "Galician",
    "hr": "Croatian",
    "hu": "Hungarian",
    "id": "Indonesian",
    "is": "Icelandic",
    "it": "Italian",
    "lt": "Lithuanian",
    "lv": "Latvian",
    "nl": "Dutch",
    "no": "Norwegian",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "sk": "Slovak",
    "sl": "Slovenian",
    "sq": "Albanian",
    "sv": "Swedish",
    "sw": "Swahili",
    "tl": "Tagalog",
    "tr": "Turkish",
    "vi": "Vietnamese",
    "xh": "Xhosa",
}
ARABIC = {"ar": "Arabic", "fa": "Persian", "ps": "Pashto", "ur": "Urdu"}
CYRILLIC = {
    "be": "Belarusian",
    "bg": "Bulgarian",
    "kk": "Kazakh",
    "mk": "Macedonian",
    "mn": "Mongolian",
    "ru": "Russian",
    "sr": "Serbian",
    "uk": "Ukrainian",
}
DEVANAGARI = {"hi": "Hindi", "mr": "Marathi", "ne": "Nepali"}

SCRIPTS: dict[str, dict[str, str]] = {
    "ARABIC": ARABIC,
    "ARMENIAN": {"hy": "Armenian"},
    "BENGALI": {"bn": "Bengali"},
    "CJK": {"zh": "Chinese"},
    "CYRILLIC": CYRILLIC,
    "DEVANAGARI": DEVANAGARI,
    "ETHIOPIC": {"am": "Amharic"},
    "GEORGIAN": {"ka": "Georgian"},
    "GREEK": {"el": "Greek"},
    "GUJARATI": {"gu": "Gujarati"},
    "GURMUKHI": {"pa": "Punjabi"},
    "HANGUL": {"ko": "Korean"},
    "HEBREW": {"he": "Hebrew"},
    "HIRAGANA": {"ja": "Japanese"},
    "KANNADA": {"kn": "Kannada"},
    "KATAKANA": {"ja": "Japanese"},
    "KHMER": {"km": "Khmer"},
    "LAO": {"lo": "Lao"},
    "LATIN": LATIN,
    "MALAYALAM": {"ml": "Malayalam"},
    "MYANMAR": {"my": "Burmese"},
    "SINHALA": {"si": "Sinhala"},
    "TAMIL": {"ta": "Tamil"},
    "TELUGU": {"te": "Telugu"},
    "THAI": {"th": "Thai"},
}
"""The first word of a letter's name in Unicode -> the languages that are written so, beside English."""

NAMES = {code: name for script in SCRIPTS.values() for code, name in script.items()}
