"""Prompts of one to four words, which the detection was not made with."""

# ruff: noqa: RUF001 - letters that look like others are the point

from __future__ import annotations

ENGLISH = """
a knight, a queen, a crocodile, a hyena, a tarantula, a scorpion, a piranha, a narwhal, a gazelle, a falcon,
a raven, salamander, a mansion, a villa, a chalet, a favela, a bazaar, a tavern, a casino, a studio, a
patio, a pergola, a fresco, a mosaic, a totem, a samurai, a shogun, a sultan, a gaucho, a matador, a
flamenco dancer, a tango, a salsa bowl, a pasta dish, a risotto, a calzone, a croissant, a crepe, a soufflé,
a fondue, a schnitzel, a pretzel, a strudel, a goulash, a pierogi, a baklava, a falafel, a hummus plate, a
curry, a naan, an avocado toast, an anaconda, an amphora, an obelisk, an aqueduct, a bodega, a hacienda, a
pueblo, a mesa, a sierra, a vista, a monsoon, a typhoon, a tsunami, a glacier, a fjord, an iceberg, a
steppe, dune, nebula, quasar, supernova, galaxy, comet tail, a rocket, a drone, a scooter, a limousine, a
coupe, a sedan, a tram, a ferry, a canoe, a catamaran, fisherman, ballerina, maestro, diva, a guru, a
mandarin duck, a retro robot, a ninja turtle, dark souls, pixel art, vector logo, low poly, line art, red
panda, blue jay, black cat, golden gate bridge, times square, san francisco, santa monica pier, sierra
nevada, costa rica beach, puerto rico, buenos aires street
"""
OTHERS = {
    "de": """
        eine Hexe, der Leuchtturm, die Königin, ein Pferd, das Boot, ein Turm im Nebel, die Berge, ein
        Ritter, der Garten, eine Burg""",
    "fr": """
        un cheval, la reine, le jardin, une tour, un pont, la montagne, un chevalier, une sirène, les
        nuages, un marché""",
    "es": """
        un caballo, la reina, el jardín, una torre, un puente, la montaña, un caballero, una sirena, las
        nubes, un mercado""",
    "it": """
        un cavallo, la regina, il giardino, una torre, un ponte, la montagna, un cavaliere, una sirena, le
        nuvole, un mercato""",
    "pt": """
        um cavalo, a rainha, o jardim, uma torre, uma ponte, a montanha, um cavaleiro, uma sereia, as
        nuvens, um mercado""",
    "nl": """
        een paard, de koningin, de tuin, een toren, een brug, de berg, een ridder, een zeemeermin, de
        wolken, een markt""",
    "pl": """
        biały koń, królowa, piękny ogród, wysoka wieża, stary most, góra, rycerz, syrenka, chmury, targ
        rybny""",
    "tr": """
        beyaz at, kraliçe, güzel bahçe, yüksek kule, eski köprü, dağ, şövalye, deniz kızı, bulutlar, pazar
        yeri""",
    "sv": """
        en häst, drottningen, trädgården, ett torn, en bro, berget, en riddare, en sjöjungfru, molnen, en
        marknad""",
    "id": """
        kuda putih, seorang ratu, taman bunga, menara tinggi, jembatan tua, gunung, ksatria, putri duyung,
        awan putih, pasar ikan""",
}


def listed(text: str) -> list[str]:
    return [" ".join(one.split()) for one in text.split(",")]
