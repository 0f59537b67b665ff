"""That OpenSim itself puts the markers where kinefit says they are.

    python check_outputs.py FOLDER

loads FOLDER/model.osim, sets it to every row of each trial's .mot, and compares the markers with the trial's .trc. Prints the
largest distance of each trial in metres; exits 1 where one is above a micrometre. Needs the wheel `opensim` of PyPI.
"""

import json
import math
import pathlib
import sys

import opensim

TOLERANCE = 1e-6  # metres


def table(path, header, first):
    lines = path.read_text().splitlines()
    if header is None:
        header = lines.index("endheader") + 1
        first = header + 1
    names = lines[header].split("\t")
    return names, [[float(x) for x in line.split("\t")] for line in lines[first:] if line.strip()]


def largest_distance(folder, stem):
    model = opensim.Model(str(folder / "model.osim"))
    state = model.initSystem()
    coordinates = model.getCoordinateSet()
    markers = model.getMarkerSet()

    names, rows = table(folder / f"{stem}.mot", None, None)
    names = names[1:]
    have = {coordinates.get(i).getName() for i in range(coordinates.getSize())}
    assert set(names) == have, f"columns {sorted(set(names) ^ have)} are not in both motion and model"
    rotational = [coordinates.get(n).getMotionType() == opensim.Coordinate.Rotational for n in names]

    heads, places = table(folder / f"{stem}.trc", 3, 6)
    seen = [n for n in heads[2:] if n]
    assert len(rows) == len(places), f"{len(rows)} rows of coordinates, {len(places)} of markers"
    assert seen, "no markers"

    worst = 0.0
    for row, place in zip(rows, places):
        assert math.isclose(row[0], place[1], abs_tol=1e-9), "times differ"
        for name, turns, value in zip(names, rotational, row[1:]):
            # Dependent coordinates are in the file too: setting each to what the constraint gives leaves nothing to solve.
            coordinate = coordinates.get(name)
            if not coordinate.getLocked(state):
                coordinate.setValue(state, math.radians(value) if turns else value, False)
        model.realizePosition(state)
        for i, name in enumerate(seen):
            there = markers.get(name).getLocationInGround(state)
            here = place[2 + 3 * i : 5 + 3 * i]
            worst = max(worst, math.dist([there.get(k) for k in range(3)], here))
    return worst


def main(folder):
    outcome = json.loads((folder / "outcome.json").read_text())
    assert outcome["trials"], "no trials"
    good = True
    for trial in outcome["trials"]:
        worst = largest_distance(folder, trial["files"])
        print(f"{trial['name']}: {worst:.2e} m")
        good &= worst <= TOLERANCE
    return 0 if good else 1


if __name__ == "__main__":
    opensim.Logger.setLevelString("Error")
    sys.exit(main(pathlib.Path(sys.argv[1])))
