# SPDX-License-Identifier: Apache-2.0
"""Languages by their codes, and a few translated sentences that show a model what is wanted."""

from __future__ import annotations

from edgestream.errors import UsageError

NAMES = {
    "ar": "Arabic", "bg": "Bulgarian", "ca": "Catalan", "cs": "Czech", "da": "Danish",
    "de": "German", "el": "Greek", "en": "English", "es": "Spanish", "et": "Estonian",
    "fa": "Persian", "fi": "Finnish", "fr": "French", "he": "Hebrew", "hi": "Hindi",
    "hr": "Croatian", "hu": "Hungarian", "id": "Indonesian", "it": "Italian", "ja": "Japanese",
    "ko": "Korean", "lt": "Lithuanian", "lv": "Latvian", "nl": "Dutch", "no": "Norwegian",
    "pl": "Polish", "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "sk": "Slovak",
    "sl": "Slovenian", "sr": "Serbian", "sv": "Swedish", "th": "Thai", "tr": "Turkish",
    "uk": "Ukrainian", "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip

# The same sentences in each language.
EXAMPLES = {
    "en": (
        "Good morning, and welcome to our meeting.",
        "The train to the airport leaves at half past eight.",
        "I do not know where she has put the keys.",
    ),
    "fr": (
        "Bonjour et bienvenue à notre réunion.",
        "Le train pour l'aéroport part à huit heures et demie.",
        "Je ne sais pas où elle a mis les clés.",
    ),
    "de": (
        "Guten Morgen und willkommen zu unserer Besprechung.",
        "Der Zug zum Flughafen fährt um halb neun ab.",
        "Ich weiß nicht, wohin sie die Schlüssel gelegt hat.",
    ),
    "es": (
        "Buenos días y bienvenidos a nuestra reunión.",
        "El tren al aeropuerto sale a las ocho y media.",
        "No sé dónde ha puesto las llaves.",
    ),
    "it": (
        "Buongiorno e benvenuti alla nostra riunione.",
        "Il treno per l'aeroporto parte alle otto e mezza.",
        "Non so dove abbia messo le chiavi.",
    ),
    "pt": (
        "Bom dia e bem-vindos à nossa reunião.",
        "O comboio para o aeroporto parte às oito e meia.",
        "Não sei onde ela pôs as chaves.",
    ),
    "nl": (
        "Goedemorgen en welkom bij onze vergadering.",
        "De trein naar de luchthaven vertrekt om half negen.",
        "Ik weet niet waar ze de sleutels heeft gelegd.",
    ),
    "sv": (
        "God morgon och välkomna till vårt möte.",
        "Tåget till flygplatsen går klockan halv nio.",
        "Jag vet inte var hon har lagt nycklarna.",
    ),
}


def language_name(code: str) -> str:
    """`fr` or `French` to `French`; raises UsageError on what is not known."""
    known = NAMES.get(code.lower())
    if known is None and code.title() in NAMES.values():
        known = code.title()
    if known is None:
        raise UsageError(
            f"language {code!r:.40} is not known; give a code as fr, de, es ({', '.join(NAMES)})"
        )
    return known


def language_code(language: str) -> str:
    """`fr` or `French` to `fr`; raises UsageError on what is not known."""
    name = language_name(language)
    return next(code for code, known in NAMES.items() if known == name)


def examples(source: str, target: str) -> list[tuple[str, str]]:
    """Sentences with their translations; none where a language has none."""
    return list(zip(EXAMPLES.get(source, ()), EXAMPLES.get(target, ()), strict=False))
