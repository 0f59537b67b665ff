"""Makes every_joint.osim and every_joint.json: a chain with one joint of each kind, and where OpenSim puts its bodies and markers.

Run with OpenSim 4.6 (`pip install opensim`) in this folder. The numbers are arbitrary: nothing in the chain is aligned or alike.
"""
import json
import random

import opensim as osim

random.seed(1)


def numbers(n, low, high):
    return " ".join(f"{random.uniform(low, high):.4f}" for _ in range(n))


def coordinate(name, low=-0.8, high=0.8):
    return (f'<Coordinate name="{name}"><default_value>{random.uniform(low, high):.3f}</default_value>'
            f"<range>{low} {high}</range><clamped>true</clamped><locked>false</locked></Coordinate>")


def axis(name, coordinates, direction, function):
    return (f'<TransformAxis name="{name}"><coordinates>{coordinates}</coordinates>'
            f"<axis>{direction}</axis>{function}</TransformAxis>")


def linear(a, b):
    return f'<LinearFunction name="function"><coefficients>{a} {b}</coefficients></LinearFunction>'


POLYNOMIAL = '<PolynomialFunction name="function"><coefficients>0.02 -0.1 0.3 0.05</coefficients></PolynomialFunction>'
SPLINE = ('<SimmSpline name="function"><x>-1 -0.4 0.1 0.5 1.2</x><y>0.01 -0.02 0.03 0.04 -0.01</y></SimmSpline>')
LINES = ('<PiecewiseLinearFunction name="function"><x>-0.5 0 0.5</x><y>0.1 0 0.2</y></PiecewiseLinearFunction>')
MULTIPLE = f'<MultiplierFunction name="function"><function>{SPLINE}</function><scale>1.3</scale></MultiplierFunction>'
CONSTANT = '<Constant name="function"><value>0.07</value></Constant>'


def transform(*axes):
    kinds = [f"rotation{i}" for i in (1, 2, 3)] + [f"translation{i}" for i in (1, 2, 3)]
    return "<SpatialTransform>" + "".join(axis(k, *a) for k, a in zip(kinds, axes)) + "</SpatialTransform>"


JOINTS = [
    ("free", "FreeJoint", 6, ""), ("ball", "BallJoint", 3, ""), ("gimbal", "GimbalJoint", 3, ""),
    ("slider", "SliderJoint", 1, ""), ("planar", "PlanarJoint", 3, ""), ("universal", "UniversalJoint", 2, ""),
    ("pin", "PinJoint", 1, ""), ("weld", "WeldJoint", 0, ""),
    ("custom", "CustomJoint", 6, transform(
        ("custom_1", "0 0.6 0.8", linear(1, 0)), ("custom_0", "1 0 0", linear(-1, 0.1)), ("custom_2", "0 0 2", POLYNOMIAL),
        ("custom_3", "1 0 0", linear(1, 0)), ("custom_4", "0 1 0", linear(-1, 0)), ("custom_5", "0 0 1", MULTIPLE))),
    ("knee", "CustomJoint", 1, transform(
        ("knee_0", "0 0 1", linear(1, 0)), ("knee_0", "1 0 0", SPLINE), ("", "0 1 0", CONSTANT),
        ("knee_0", "-1 0 0", POLYNOMIAL), ("knee_0", "0 1 0", LINES), ("", "0 0 1", CONSTANT))),
    ("coupled", "CustomJoint", 2, transform(
        ("coupled_0", "0 1 0", linear(1, 0)), ("", "1 0 0", CONSTANT), ("", "0 0 1", CONSTANT),
        ("coupled_1", "1 0 0", linear(0.5, 0)), ("", "0 1 0", CONSTANT), ("", "0 0 1", CONSTANT))),
    # The last: OpenSim's scaling of it is not continuous, so that only unscaled poses compare.
    ("oblique", "CustomJoint", 2, transform(
        ("oblique_0", "0.3 0.4 1", linear(1, 0)), ("", "0 1 0", CONSTANT), ("", "1 0 0", CONSTANT),
        ("oblique_0", "0.6 0 0.8", POLYNOMIAL), ("oblique_1", "1 1 0", linear(1, 0)), ("", "0.8 0.1 -0.6", CONSTANT))),
]


def model():
    bodies = joints = markers = ""
    parent = "ground"
    for name, kind, n, body in JOINTS:
        bodies += (f'<Body name="{name}"><mass>1</mass><mass_center>0 0 0</mass_center>'
                   "<inertia>1 1 1 0 0 0</inertia></Body>\n")
        frames = "".join(
            f'<PhysicalOffsetFrame name="{end}"><socket_parent>{"/ground" if on == "ground" else "/bodyset/" + on}</socket_parent>'
            f"<translation>{numbers(3, -0.3, 0.3)}</translation><orientation>{numbers(3, -1, 1)}</orientation></PhysicalOffsetFrame>"
            for end, on in (("inboard", parent), ("outboard", name)))
        coordinates = "".join(coordinate(f"{name}_{i}") for i in range(n))
        joints += (f'<{kind} name="{name}_joint"><socket_parent_frame>inboard</socket_parent_frame>'
                   f"<socket_child_frame>outboard</socket_child_frame><coordinates>{coordinates}</coordinates>"
                   f"<frames>{frames}</frames>{body}</{kind}>\n")
        markers += (f'<Marker name="{name}_marker"><socket_parent_frame>/bodyset/{name}</socket_parent_frame>'
                    f"<location>{numbers(3, -0.2, 0.2)}</location><fixed>false</fixed></Marker>\n")
        parent = name
    # Two followers, one of them of the other.
    couplers = ""
    for dependent, independent, function in (("coupled_0", "coupled_1", POLYNOMIAL), ("coupled_1", "knee_0", linear(0.4, 0.1))):
        function = function.replace(' name="function"', "")
        couplers += (f'<CoordinateCouplerConstraint name="{dependent}_coupler"><isEnforced>true</isEnforced>'
                     f"<coupled_coordinates_function>{function}</coupled_coordinates_function>"
                     f"<independent_coordinate_names>{independent}</independent_coordinate_names>"
                     f"<dependent_coordinate_name>{dependent}</dependent_coordinate_name>"
                     "<scale_factor>1.5</scale_factor></CoordinateCouplerConstraint>\n")
    sets = (("BodySet", bodies), ("JointSet", joints), ("ConstraintSet", couplers), ("MarkerSet", markers))
    inside = "".join(f'<{s} name="{s.lower()}"><objects>\n{t}</objects></{s}>\n' for s, t in sets)
    return ('<?xml version="1.0" encoding="UTF-8" ?>\n<OpenSimDocument Version="40500">\n'
            f'<Model name="every_joint">\n{inside}</Model>\n</OpenSimDocument>\n')


def pose(m, state, q):
    coordinates = m.getCoordinateSet()
    for i in range(coordinates.getSize()):
        coordinates.get(i).setValue(state, q[i], False)
    m.realizePosition(state)
    frames = {}
    for name, *_ in JOINTS:
        x = m.getBodySet().get(name).getTransformInGround(state)
        frames[name] = {"p": [x.p().get(i) for i in range(3)], "R": [[x.R().get(i, j) for j in range(3)] for i in range(3)]}
    points = {}
    for i in range(m.getMarkerSet().getSize()):
        marker = m.getMarkerSet().get(i)
        points[marker.getName()] = [marker.getLocationInGround(state).get(k) for k in range(3)]
    return {"q": q, "bodies": frames, "markers": points}


def near_and_beyond(m, state, names, k):
    """Poses beyond all ranges and beyond the ends of all curves, the middle of three angles at its singularity or next to it."""
    q = [round(random.uniform(-3.0, 3.0), 3) for _ in names]
    at = dict(zip(names, range(len(names))))
    for middle in ("free_1", "ball_1", "gimbal_1", "universal_1", "custom_0"):
        q[at[middle]] = (1 if random.random() < 0.5 else -1) * 1.5707963267948966 + (0.0, 1e-12, -1e-9, 1e-6, 1e-3, 0.0)[k]
    if k == 5:
        # Whole turns and more.
        q = [x + 6.283185307179586 if i % 2 else x for i, x in enumerate(q)]
    x = 1.5 * (0.4 * q[at["knee_0"]] + 0.1)
    q[at["coupled_1"]] = x
    q[at["coupled_0"]] = 1.5 * (((0.02 * x - 0.1) * x + 0.3) * x + 0.05)
    return pose(m, state, q)


def main():
    with open("every_joint.osim", "w") as f:
        f.write(model())
    m = osim.Model("every_joint.osim")
    state = m.initSystem()
    coordinates = m.getCoordinateSet()
    names = [coordinates.get(i).getName() for i in range(coordinates.getSize())]
    kinds = [["undefined", "rotational", "translational", "coupled"][coordinates.get(i).getMotionType()] for i in range(len(names))]
    poses = []
    for _ in range(4):
        q = [round(random.uniform(-0.8, 0.8), 3) for _ in names]
        at = dict(zip(names, range(len(names))))
        x = 1.5 * (0.4 * q[at["knee_0"]] + 0.1)
        q[at["coupled_1"]] = x
        q[at["coupled_0"]] = 1.5 * (((0.02 * x - 0.1) * x + 0.3) * x + 0.05)
        poses.append(pose(m, state, q))
    singular = [near_and_beyond(m, state, names, k) for k in range(6)]
    scales, factors = osim.ScaleSet(), {}
    for name, *_ in JOINTS:
        factors[name] = [round(random.uniform(0.8, 1.2), 3) for _ in range(3)]
        scale = osim.Scale()
        scale.setSegmentName(name)
        scale.setScaleFactors(osim.Vec3(*factors[name]))
        scale.setApply(True)
        scales.cloneAndAppend(scale)
    m.scale(state, scales, False)
    state = m.initSystem()
    scaled = [pose(m, state, p["q"]) for p in poses]
    for p in scaled:
        del p["bodies"]["oblique"], p["markers"]["oblique_marker"]
    with open("every_joint.json", "w") as f:
        json.dump({"coordinates": names, "motions": kinds, "poses": poses, "factors": factors, "scaled": scaled,
                   "singular": singular}, f)


main()
