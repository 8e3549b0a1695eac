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

SMALL_WORDS = {
    "de": "am an auf aus bei das dem den der des die ein eine einem einen einer im mit und vom von zum zur",
    "es": "al con de del el en la las los por sin sobre su un una unos y",
    "fr": "au aux avec d dans de des du en et l la le les par sans sous sur un une",
    "id": "dan dari dengan di ke pada yang",
    "it": "al alla che con dal del della di e gli il in la le lo nel nella per su sul sulla un una uno",
    "nl": "aan bij de een en het in met naar op te van voor zonder",
    "pl": "do i na nad o od pod przy w z ze",
    "pt": "a ao as com da das de do dos em e na no nos o os por sem um uma",
    "sv": "av ett en i med och på under utan vid",
    "tr": "bir ile ve",
}
"""What even a prompt of three words may hold of a language."""
JARGON = (
    "artstation bokeh cgi dof dslr hd hdr jpeg lowres nsfw octane png pov sfw sks uhd vaporwave watermark"
)
"""Words of English prompts that are in no dictionary."""
