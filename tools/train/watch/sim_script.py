# SPDX-License-Identifier: Apache-2.0
"""What happens in simulated scenes: single walkers, groups, meetings, cars from above, hands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from sim_hands import hands
from sim_route import Route
from sim_scene import Random, Scene
from sim_view import ABOVE, DESK, FLOOR, STREET, view
from sim_walks import car, onwards, rider, standing, walker

SHARES = {
    "single": 0.22, "several": 0.16, "group": 0.1, "crowd": 0.1, "meeting": 0.1, "cars": 0.1,
    "hands": 0.1, "quiet": 0.07, "left-things": 0.05,
}  # fmt: skip
CAMERAS = {"cars": (ABOVE, ABOVE, FLOOR, STREET), "hands": (DESK,)}
FARTHER = {"crowd": 0.5, "group": 0.7, "cars": 0.35, "quiet": 0.6}  # sizes, of those elsewhere


def scene(kind: str, seed: int) -> Scene:
    """20 to 60 s of that kind."""
    random = np.random.default_rng(seed)
    n = int(random.integers(100, 301))
    cameras = CAMERAS.get(kind, (STREET, STREET, FLOOR, FLOOR, ABOVE))
    seen = view(str(random.choice(cameras)), random)
    seen = replace(seen, near=seen.near * FARTHER.get(kind, 1.0))
    made = Scene(kind, seen, n, random)
    if random.random() < 0.35:
        made.sun = float(random.choice([-1, 1]) * random.uniform(0.2, 1.0))
    made.swaying = int(random.choice([0, 0, 0, 1, 2]))
    made.bursts = float(random.choice([0, 0, 1, 3]))
    made.across = seen.kind == STREET or random.random() < 0.6
    made.road = float(random.uniform(0.5, 0.85) if made.across else random.uniform(0.3, 0.7))
    SCRIPTS[kind](made)
    return made


def any_kind(random: Random) -> str:
    """A kind of scene, as often as SHARES says."""
    return str(random.choice(list(SHARES), p=np.array([*SHARES.values()]) / sum(SHARES.values())))


def _kind_of_walker(scene: Scene) -> str:
    labels, shares = zip(("person", 0.72), ("bicycle", 0.06), ("vehicle", 0.07),
                         ("animal", 0.1), ("something", 0.05), strict=True)  # fmt: skip
    return str(scene.random.choice(labels, p=shares))


def _pass(scene: Scene, first: int, label: str | None = None) -> None:
    label = label or _kind_of_walker(scene)
    route = car(scene, first) if label == "vehicle" else walker(scene, label, first)
    thing = scene.add(route)
    if label == "bicycle":
        rider(scene, route, thing)


def _first(scene: Scene) -> int:
    return int(scene.random.integers(4, max(6, scene.n - 50)))


def _single(scene: Scene) -> None:
    first = int(scene.random.integers(4, 40))
    while first < scene.n - 40:
        _pass(scene, first)
        last = scene.things[-1].boxes
        gone = max((i for i, box in enumerate(last) if box is not None), default=first)
        first = gone + int(scene.random.integers(8, 40))


def _several(scene: Scene) -> None:
    for _ in range(int(scene.random.integers(2, 5))):
        _pass(scene, _first(scene))
    for _ in range(int(scene.random.integers(0, 3))):
        scene.add(standing(scene, str(scene.random.choice(["vehicle", "person"])), 0.4))


def _group(scene: Scene) -> None:
    """Two to eight who come together, perhaps stand together, and leave together."""
    random = scene.random
    first, side, out = int(random.integers(4, 60)), *random.choice(scene.view.sides, 2)
    lead = Route(scene.view, "person", first, random)
    stops = [lead.inner() for _ in range(int(random.integers(0, 3)))]
    start, pauses = lead.outside(side), [float(random.uniform(2, 8)) for _ in stops]
    asides: list[np.ndarray] = []
    for _ in range(int(random.integers(2, 9))):
        aside = _aside(scene, asides) * scene.view.person(
            start[1] if side != "bottom" else 0.8 * scene.view.height
        )
        asides.append(aside)
        route = Route(scene.view, "person", first + int(random.integers(0, 8)), random)
        route.speed = lead.speed * random.normal(1, 0.05)
        route.come(side, start + aside)
        for place, pause in zip(stops, pauses, strict=True):
            route.go(place + aside).stand(max(1.4, pause + random.normal(0, 0.4)))
        scene.add(route.leave(out))


def _aside(scene: Scene, others: list[np.ndarray]) -> np.ndarray:
    """Where one of a group walks, in heights of a person from its middle."""
    for _ in range(20):
        at = scene.random.normal(0, 1, 2) * (0.8, 0.25)
        if all(abs(at[0] - other[0]) > 0.3 for other in others):
            break
    return at


def _crowd(scene: Scene) -> None:
    for _ in range(int(scene.random.integers(3, 7))):
        scene.add(standing(scene, "person", 0.5))
    for _ in range(int(scene.random.integers(3, 8))):
        _pass(scene, _first(scene), "person")


def _meeting(scene: Scene) -> None:
    """Two or three come, stand beside each other, and go their ways."""
    random = scene.random
    first, place = int(random.integers(4, 40)), Route(scene.view, "person", 0, random).inner()
    until = float(random.uniform(10, 25))
    for k in range(int(random.integers(2, 4))):
        route = Route(scene.view, "person", first + int(random.integers(0, 30)), random)
        route.come(str(random.choice(scene.view.sides)))
        aside = (k - 0.5) * random.uniform(0.5, 1.0) * scene.view.person(place[1])
        route.go(place + np.array([aside, random.normal(0, 2)]))
        route.stand(max(1.4, until - 0.2 * (route.now - first) + random.uniform(-1, 1)))
        if random.random() < 0.3:
            route.go(onwards(route)).stand(random.uniform(1.4, 4))
        scene.add(route.leave(str(random.choice(scene.view.sides))))
    if random.random() < 0.4:
        _pass(scene, _first(scene), "person")


def _cars(scene: Scene) -> None:
    random = scene.random
    for _ in range(int(random.integers(1, 6))):
        scene.add(standing(scene, "vehicle", 0.3))
    for _ in range(int(random.integers(1, 5))):
        _pass(scene, _first(scene), str(random.choice(["vehicle", "vehicle", "person"])))


def _quiet(scene: Scene) -> None:
    """Nothing happens: what was there stays, leaves sway, the exposure jumps."""
    for _ in range(int(scene.random.integers(0, 4))):
        label = str(scene.random.choice(["vehicle", "person", "animal"]))
        scene.add(Route(scene.view, label, 0, scene.random).place().stand(scene.n * 0.2 + 1))
    scene.swaying += int(scene.random.integers(0, 3))
    scene.bursts += float(scene.random.uniform(0, 4))


def _left_things(scene: Scene) -> None:
    """Somebody puts a thing down, goes, and perhaps another one takes it away."""
    random = scene.random
    route = Route(scene.view, "person", int(random.integers(4, 30)), random)
    route.come(str(random.choice(scene.view.sides))).go(route.inner()).stand(random.uniform(1.4, 4))
    put, at = route.now - 4, route.at.copy()
    scene.add(route.leave(str(random.choice(scene.view.sides))))
    taker = Route(scene.view, "person", route.now + int(random.integers(5, 40)), random)
    taker.come(str(random.choice(scene.view.sides))).go(at).stand(1.6)
    bag = Route(scene.view, "something", put, random).place(at + np.array([6, 3]))
    taken = taker.now - 3 if random.random() < 0.7 else scene.n + 1
    bag.stand(0.2 * (taken - put))
    bag.left = True
    thing = scene.add(bag)
    thing.events = []
    scene.add(taker.leave(str(random.choice(scene.view.sides))))


def _hands(scene: Scene) -> None:
    scene.things += hands(scene.view, scene.n, scene.random)


SCRIPTS: dict[str, Callable[[Scene], None]] = {
    "single": _single, "several": _several, "group": _group, "crowd": _crowd,
    "meeting": _meeting, "cars": _cars, "hands": _hands, "quiet": _quiet,
    "left-things": _left_things,
}  # fmt: skip
