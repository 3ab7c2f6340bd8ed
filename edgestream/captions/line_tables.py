# SPDX-License-Identifier: Apache-2.0
"""Words that say where a line of a caption may end: English, with what other languages share."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


CONJUNCTIONS = _words(
    "and but or nor because although though while whereas when where which who whom whose that if"
    " unless until since before after as than so"
)
PREPOSITIONS = _words(
    "with without for from to in on at by into of over under through between about against during"
    " around across behind beyond near toward towards upon within"
)
SMALL = (CONJUNCTIONS | PREPOSITIONS | _words(
    "the a an my your his her its our their this these those not no is are was were be been i he"
    " she we they you it who very more most"
))  # fmt: skip
# Behind these a full stop is none: what they shorten goes on.
SHORTENED = _words(
    "mr mrs ms messrs dr prof st ste gen col capt lt sgt cpl maj rev hon gov sen rep pres supt mt"
    " ft hr fr mme mlle jr sr esq inc ltd co corp bros dept univ assn est vs etc approx ca cf al"
    " jan feb apr jun jul aug sep sept oct nov dec"
    " bzw usw evtl ggf bspw inkl str tel"
)
# Behind these, too, where a number follows ("No. 5"; "No." alone is an answer).
NUMBERED = _words("no nr nos fig figs vol p pp ch art sec op par para")
TITLES = _words(
    "mr mrs ms dr prof st gen col capt lt sgt rev sen rep gov mt ft hr fr mme mlle herr frau"
)
SUFFIXES = _words("jr sr esq inc ltd iii ii iv")
TAILS = _words("etc usw")
PARTICLES = _words("of de van von der den la le du da di del della dos bin ibn al el ter zu")
UNITS = _words(
    "percent million millions billion trillion thousand hundred dozen dollars pounds euros cents"
    " o'clock am pm a.m p.m km kg cm mm m kilometers kilometres miles meters metres degrees"
)
NUMBERS = _words(
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
    " sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety"
    " hundred thousand million billion point"
)
TENS = _words("twenty thirty forty fifty sixty seventy eighty ninety")
POWERS = _words("hundred thousand million billion point")
COUNTED = _words("page chapter number room line part section volume figure act scene")
