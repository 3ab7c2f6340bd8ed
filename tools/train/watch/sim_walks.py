# SPDX-License-Identifier: Apache-2.0
"""How simulated people, animals and cars go through a scene."""

from __future__ import annotations

import numpy as np
from sim_route import Route
from sim_scene import Scene
from sim_thing import OPPOSITE, Thing
from sim_view import STREET, View

from edgestream.vision.perception.boxes import Box, overlap

LANE = 0.75  # heights of a person from the middle of the road
LANE_SHAPE = (30.0, 1.3)  # of the road, in which nobody parks
DOORS = 0.12  # of walkers


def walker(scene: Scene, label: str, first: int, calls: float = 0.6) -> Route:
    """Comes, perhaps stops now and then, leaves; `calls`: how often it stops."""
    random, route = scene.random, Route(scene.view, label, first, scene.random)
    sides = scene.view.sides
    by_door = label in ("person", "animal") and random.random() < DOORS
    route = route.come_by_door() if by_door else route.come(str(random.choice(sides)))
    while route.now < scene.n and random.random() < 0.75:
        route.go(onwards(route))
        if random.random() < calls:
            route.stand(random.uniform(1.4, 9))
    if random.random() < DOORS and label == "person":
        return route.leave_by_door()
    return route.leave(str(random.choice(sides)))


def onwards(route: Route) -> np.ndarray:
    """A place that is some way off."""
    for _ in range(8):
        to = route.inner()
        if np.abs(to - route.at).max() > 0.8 * route.view.person(route.at[1]):
            break
    return to


def standing(scene: Scene, label: str, moves: float) -> Route:
    """It was there from the start; it may walk off in time."""
    random = scene.random
    route = Route(scene.view, label, 0, random)
    route.place(_free_place(scene, route))
    if label != "vehicle" and random.random() < 0.2:
        route.go(onwards(route))
    route.stand(random.uniform(4, 0.25 * scene.n))
    if random.random() < moves:
        if label == "vehicle":
            return _drive(route, str(random.choice(_ways(scene.view))))
        route.go(onwards(route))
        if random.random() < 0.6:
            return route.leave(str(random.choice(scene.view.sides)))
        route.stand(0.2 * max(1, scene.n - route.now))
    return route


def _free_place(scene: Scene, route: Route) -> np.ndarray:
    """Where it does not cover what stands there, nor is covered by much."""
    taken = [t.boxes[0] for t in scene.things if t.boxes[0] is not None]
    if route.label == "vehicle":
        taken += [scene.view.box(_in_lane(scene, side), LANE_SHAPE) for side in scene.view.sides]
    for _ in range(30):
        at = route.inner()
        box = scene.view.box(at, route.shape)
        if all(overlap(box, b) < 0.25 * min(box.area, b.area) for b in taken):
            break
    return at


def _ways(view: View) -> list[str]:
    """The sides that cars drive to."""
    return ["left", "right"] if view.kind == STREET else view.sides


def _drive(route: Route, side: str) -> Route:
    """Straight on out of the picture, as cars do."""
    route.left = True
    return route.go(route.outside(side, route.at))


def car(scene: Scene, first: int) -> Route:
    """A car crosses the view in its lane; it may wait on its way."""
    random, view = scene.random, scene.view
    route = Route(view, "vehicle", first, random)
    side = str(random.choice(_ways(view)[:2] if scene.across else _ways(view)[-2:]))
    if side in ("top", "bottom"):
        route.turn()
    at = _in_lane(scene, side)
    route.place(route.outside(side, at))
    if random.random() < 0.35:
        ahead = route.outside(OPPOSITE[side], at)
        route.go(route.at + (ahead - route.at) * random.uniform(0.35, 0.65))
        route.stand(random.uniform(1.6, 8))
    return _drive(route, OPPOSITE[side])


def _in_lane(scene: Scene, side: str) -> np.ndarray:
    """A place in the lane of cars that come from that side."""
    view = scene.view
    aside = LANE if side in ("left", "bottom") else -LANE
    if scene.across:
        return np.array([view.width / 2, scene.road * view.height + aside * view.near])
    return np.array([scene.road * view.width + 2 * aside * view.near, 0.6 * view.height])


def rider(scene: Scene, route: Route, thing: Thing) -> None:
    """Whoever rides a bicycle is found as well, and is one with it."""
    up = Route(scene.view, "person", route.first, scene.random)
    for b in route.boxes:
        aside = 0.25 * b.width
        top, bottom = b.top - 0.45 * b.height, b.bottom - 0.3 * b.height
        up.boxes.append(Box(b.left + aside, top, b.right - aside, bottom))
    up.opened, up.left = route.opened, route.left
    scene.add(up, rides=thing.number)
