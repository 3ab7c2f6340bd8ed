# SPDX-License-Identifier: Apache-2.0
"""Verbs in English and French, with all forms that the grammar uses."""

from __future__ import annotations

from dataclasses import dataclass

# English base, third person, past | French infinitive | je, il, nous, vous, ils and participle,
# unless it is a regular verb on -er | what it takes: p(ersons), t(hings), f(ood), l (places),
# g (is given to somebody, too)
TRANSITIVE = """
see sees saw|voir|vois voit voyons voyez voient vu|ptfl
bring brings brought|apporter||tfg
take takes took|prendre|prends prend prenons prenez prennent pris|tf
buy buys bought|acheter|achète achète achetons achetez achètent acheté|tf
sell sells sold|vendre|vends vend vendons vendez vendent vendu|tfg
find finds found|trouver||ptfl
want wants wanted|vouloir|veux veut voulons voulez veulent voulu|tf
eat eats ate|manger|mange mange mangeons mangez mangent mangé|f
write writes wrote|écrire|écris écrit écrivons écrivez écrivent écrit|t
open opens opened|ouvrir|ouvre ouvre ouvrons ouvrez ouvrent ouvert|t
close closes closed|fermer||t
carry carries carried|porter||ptf
wash washes washed|laver||ptf
love loves loved|aimer||ptfl
hide hides hid|cacher||tf
lose loses lost|perdre|perds perd perdons perdez perdent perdu|t
repair repairs repaired|réparer||t
draw draws drew|dessiner||ptfl
show shows showed|montrer||tfg
give gives gave|donner||tfg
send sends sent|envoyer|envoie envoie envoyons envoyez envoient envoyé|tg
help helps helped|aider||p
know knows knew|connaître|connais connaît connaissons connaissez connaissent connu|pl
hear hears heard|entendre|entends entend entendons entendez entendent entendu|p
follow follows followed|suivre|suis suit suivons suivez suivent suivi|p
choose chooses chose|choisir|choisis choisit choisissons choisissez choisissent choisi|tf
forget forgets forgot|oublier||ptf
count counts counted|compter||ptf
push pushes pushed|pousser||pt
touch touches touched|toucher||pt
meet meets met|rencontrer||p
thank thanks thanked|remercier||p
visit visits visited|visiter||l
keep keeps kept|garder||tf
hold holds held|tenir|tiens tient tenons tenez tiennent tenu|tf
"""
# What it takes: a (the place it goes to), e: its past is with être.
INTRANSITIVE = """
go goes went|aller|vais va allons allez vont allé|ae
come comes came|venir|viens vient venons venez viennent venu|ae
leave leaves left|partir|pars part partons partez partent parti|e
stay stays stayed|rester||e
fall falls fell|tomber||e
arrive arrives arrived|arriver||e
sleep sleeps slept|dormir|dors dort dormons dormez dorment dormi|
work works worked|travailler||
sing sings sang|chanter||
dance dances danced|danser||
laugh laughs laughed|rire|ris rit rions riez rient ri|
run runs ran|courir|cours court courons courez courent couru|
wait waits waited|attendre|attends attend attendons attendez attendent attendu|
travel travels travelled|voyager|voyage voyage voyageons voyagez voyagent voyagé|
"""
MODALS = {"can": "peux peut pouvons pouvez peuvent", "must": "dois doit devons devez doivent"}
AVOIR, ETRE = "ai a avons avez ont", "suis est sommes êtes sont"
ETAIT, ALLER = "étais était étions étiez étaient", "vais va allons allez vont"
PERSONS = {(1, 0): 0, (3, 0): 1, (1, 1): 2, (2, 1): 3, (3, 1): 4}  # (person, plural): form


@dataclass(frozen=True, slots=True)
class Verb:
    """One verb. `present` is of je, il, nous, vous, ils."""

    english: tuple[str, str, str]  # base, third person, past
    infinitive: str
    present: tuple[str, ...]
    participle: str
    takes: str

    @property
    def with_etre(self) -> bool:
        """Whether its past is made with être."""
        return "e" in self.takes

    @property
    def takes_object(self) -> bool:
        """Whether something is done to somebody."""
        return bool(set(self.takes) & set("ptfl"))


def _regular(infinitive: str) -> str:
    stem = infinitive.removesuffix("er")
    return " ".join(stem + end for end in ("e", "e", "ons", "ez", "ent", "é"))


def read_verbs(table: str) -> list[Verb]:
    """The verbs of a table above."""
    verbs = []
    for line in table.strip().splitlines():
        english, infinitive, forms, takes = line.split("|")
        *present, participle = (forms or _regular(infinitive)).split()
        base, third, past = english.split()
        verbs.append(Verb((base, third, past), infinitive, tuple(present), participle, takes))
    return verbs


DOES, GOES = read_verbs(TRANSITIVE), read_verbs(INTRANSITIVE)


def form(forms: str | tuple[str, ...], person: int, plural: bool) -> str:
    """One of the five forms of the present."""
    words = forms.split() if isinstance(forms, str) else forms
    return words[PERSONS[person, int(plural)]]


def agree(participle: str, gender: str, plural: bool) -> str:
    """A participle as an adjective: vu, vue, vus, vues."""
    text = participle + ("e" if gender == "f" else "")
    return text + ("s" if plural and not text.endswith("s") else "")
