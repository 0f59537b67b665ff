"""What OpenSim's scale tool makes of a setup: the figures in tests/scale.rs.

    python scale_reference.py SETUP.xml

runs the tool (its model, marker set and trial must be where SETUP.xml says, and its ModelScaler must write a model), prints masses and muscle
lengths of the scaled model, and the places of the markers in the pose where the tool's own objective is least. That pose is found here, by
SciPy over OpenSim's kinematics, because the tool's solver stops before: on OpenSim's own example it leaves Top.Head 9 mm from there, on OpenCap's setup
the elbows 41 mm. Needs the wheels `opensim` 4.6 and `scipy`.
"""

import math
import os
import pathlib
import sys

import numpy as np
import opensim
from scipy.optimize import least_squares

setup = pathlib.Path(sys.argv[1]).resolve()
os.chdir(setup.parent)
opensim.Logger.setLevelString("error")
tool = opensim.ScaleTool(str(setup))
assert tool.run()
scaler, placer = tool.getModelScaler(), tool.getMarkerPlacer()
model = opensim.Model(scaler.getOutputModelFileName())
state = model.initSystem()
for body in (model.getBodySet().get(i) for i in range(model.getBodySet().getSize())):
    moments = body.getInertia().getMoments()
    print(body.getName(), repr(body.get_mass()), [body.get_mass_center()[k] for k in range(3)], [moments[k] for k in range(3)])
for muscle in (model.getMuscles().get(i) for i in range(model.getMuscles().getSize())):
    print(muscle.getName(), repr(muscle.get_optimal_fiber_length()), repr(muscle.get_tendon_slack_length()))

# The mean places in the time range, metres.
table = opensim.TimeSeriesTableVec3(placer.getMarkerFileName())
times = table.getIndependentColumn()
begin, end = (placer.getTimeRange().get(i) for i in range(2))
row = table.averageRow(max(begin, times[0]), min(end, times[-1]))
unit = {"mm": 0.001, "m": 1.0}[table.getTableMetaDataString("Units")]
measured = {name: np.array([row.getElt(0, i)[k] * unit for k in range(3)]) for i, name in enumerate(table.getColumnLabels())}

markers, coordinates, tasks = model.getMarkerSet(), model.getCoordinateSet(), placer.getIKTaskSet()
weights = opensim.SetMarkerWeights()
tasks.createMarkerWeightSet(weights)
weights = [(weights.get(i).getName(), weights.get(i).getWeight()) for i in range(weights.getSize())]
weights = [(name, w) for name, w in weights if name in measured and markers.contains(name)]
total = sum(w for _, w in weights)
goals = []
for task in (tasks.get(i) for i in range(tasks.getSize())):
    if task.getConcreteClassName() == "IKCoordinateTask" and task.getApply():
        task = opensim.IKCoordinateTask.safeDownCast(task)
        coordinate = coordinates.get(task.getName())
        manual = task.getValueType() == opensim.IKCoordinateTask.ManualValue
        goals.append((coordinate, task.getWeight(), task.getValue() if manual else coordinate.getDefaultValue()))
free = [c for c in (coordinates.get(i) for i in range(coordinates.getSize())) if not c.getDefaultLocked() and not c.isConstrained(state)]


def residuals(q):
    for coordinate, value in zip(free, q):
        coordinate.setValue(state, float(value), False)
    model.realizePosition(state)
    found = []
    for name, weight in weights:
        place = markers.get(name).getLocationInGround(state)
        found += [math.sqrt(weight / total) * (place[k] - measured[name][k]) for k in range(3)]
    return np.array(found + [math.sqrt(w) * (c.getValue(state) - target) for c, w, target in goals])


low = [c.getRangeMin() if c.getDefaultClamped() else -np.inf for c in free]
high = [c.getRangeMax() if c.getDefaultClamped() else np.inf for c in free]
start = np.clip([c.getDefaultValue() for c in free], np.array(low) + 1e-9, np.array(high) - 1e-9)
best = least_squares(residuals, start, bounds=(low, high), xtol=1e-15, ftol=1e-15, gtol=1e-15, max_nfev=1000)
residuals(best.x)
print("objective", 2 * best.cost)
for marker in (markers.get(i) for i in range(markers.getSize())):
    if marker.getName() in measured and not marker.get_fixed():
        place = opensim.Vec3(*measured[marker.getName()])
        place = model.getGround().findStationLocationInAnotherFrame(state, place, marker.getParentFrame())
        print(marker.getName(), [place[k] for k in range(3)])
