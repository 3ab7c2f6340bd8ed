# SPDX-License-Identifier: Apache-2.0
"""Nouns, and the names of people: what they are called in English and French, and their gender."""

from __future__ import annotations

from dataclasses import dataclass

# English, French, gender; plurals follow behind a stroke where no rule gives them.
PERSONS = """
boy|garçon|m, girl|fille|f, man/men|homme|m, woman/women|femme|f, child/children|enfant|m,
friend|ami|m, teacher|professeur|m, doctor|médecin|m, neighbour|voisin|m, farmer|fermier|m,
driver|chauffeur|m, student|étudiant|m, nurse|infirmière|f, singer|chanteuse|f, queen|reine|f,
king|roi|m, baker|boulanger|m, sister|sœur|f, brother|frère|m, mother|mère|f, father|père|m,
uncle|oncle|m, aunt|tante|f, guest|invité|m, dog|chien|m, cat|chat|m, horse|cheval/chevaux|m,
bird|oiseau/oiseaux|m, cow|vache|f, mouse/mice|souris/souris|f, duck|canard|m
"""
FOOD = """
apple|pomme|f, orange|orange|f, egg|œuf|m, cake|gâteau/gâteaux|m, cheese|fromage|m,
tomato/tomatoes|tomate|f, pear|poire|f, soup|soupe|f, salad|salade|f, onion|oignon|m,
carrot|carotte|f, strawberry/strawberries|fraise|f
"""
THINGS = """
book|livre|m, letter|lettre|f, key|clé|f, door|porte|f, window|fenêtre|f, table|table|f,
chair|chaise|f, bed|lit|m, lamp|lampe|f, box/boxes|boîte|f, bag|sac|m, bottle|bouteille|f,
glass/glasses|verre|m, cup|tasse|f, plate|assiette|f, knife/knives|couteau/couteaux|m,
spoon|cuillère|f, hat|chapeau/chapeaux|m, coat|manteau/manteaux|m, shirt|chemise|f,
shoe|chaussure|f, dress/dresses|robe|f, car|voiture|f, bicycle|vélo|m, boat|bateau/bateaux|m,
train|train|m, watch/watches|montre|f, clock|horloge|f, picture|image|f, flower|fleur|f,
tree|arbre|m, stone|pierre|f, newspaper|journal/journaux|m, story/stories|histoire|f,
song|chanson|f, umbrella|parapluie|m, tool|outil|m, ball|balle|f, computer|ordinateur|m,
telephone|téléphone|m, map|carte|f, ladder|échelle|f, basket|panier|m, mirror|miroir|m,
gift|cadeau/cadeaux|m
"""
PLACES = """
garden|jardin|m, house|maison|f, kitchen|cuisine|f, school|école|f, market|marché|m,
station|gare|f, shop|magasin|m, park|parc|m, room|chambre|f, church/churches|église|f,
hotel|hôtel|m, hospital|hôpital/hôpitaux|m, bridge|pont|m, river|rivière|f, forest|forêt|f,
village|village|m, city/cities|ville|f, office|bureau/bureaux|m, museum|musée|m, farm|ferme|f
"""
NAMES = {"Anna": "f", "Marie": "f", "Julie": "f", "Sophie": "f",
         "Paul": "m", "Louis": "m", "Henri": "m", "Marc": "m"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Noun:
    """One noun in both numbers; index 0 is the singular."""

    english: tuple[str, str]
    french: tuple[str, str]
    gender: str  # m or f


def _both_numbers(text: str) -> tuple[str, str]:
    one, _, many = text.partition("/")
    return one, many or one + "s"


def read_nouns(table: str) -> list[Noun]:
    """The nouns of a table above."""
    lines = (line.strip().split("|") for line in table.split(","))
    return [Noun(_both_numbers(en), _both_numbers(fr), gender) for en, fr, gender in lines]


NOUNS = {
    "person": read_nouns(PERSONS),
    "food": read_nouns(FOOD),
    "thing": read_nouns(THINGS),
    "place": read_nouns(PLACES),
}
