"""Inverse kinematics per frame: OpenSim and kinefit, the same model, markers and weights (all 1), one after the other on the same machine.

    python3 -m venv peers && peers/bin/pip install opensim==4.6.*
    cargo build --release
    peers/bin/python benches/peers/inverse_kinematics.py MODEL.osim MARKERS.trc [MODEL MARKERS ...]

OpenSim runs at its default accuracy (1e-5), first frame left out: it assembles there. Both are timed on one core, OpenSim by the processor's clock, kinefit
by the clock on the wall of the whole fit, its first frame included; the best of five runs each, in turns: processors have slower minutes.
"""

import json
import os
import subprocess
import sys
import tempfile
import time

import opensim

PROGRAM = os.environ.get("KINEFIT", os.path.join(os.path.dirname(__file__), "../../target/release/kinefit"))
RUNS = 5


def by_opensim(model_file, markers_file):
    """Milliseconds a frame."""
    model = opensim.Model(model_file)
    model.finalizeConnections()
    have = {model.getMarkerSet().get(i).getName() for i in range(model.getMarkerSet().getSize())}
    table = opensim.TimeSeriesTableVec3(markers_file)
    weights = opensim.SetMarkerWeights()
    for name in table.getColumnLabels():
        if name in have:
            weights.cloneAndAppend(opensim.MarkerWeight(name, 1.0))
    reference = opensim.MarkersReference()
    reference.initializeFromMarkersFile(markers_file, weights)
    state = model.initSystem()
    solver = opensim.InverseKinematicsSolver(model, reference, opensim.SimTKArrayCoordinateReference(), float("inf"))
    solver.setAccuracy(1e-5)
    times = [t for t in table.getIndependentColumn()]
    state.setTime(times[0])
    solver.assemble(state)
    begun = time.process_time()
    for t in times[1:]:
        state.setTime(t)
        solver.track(state)
    return 1e3 * (time.process_time() - begun) / (len(times) - 1)


def by_kinefit(model_file, markers_file):
    """Milliseconds a frame."""
    with tempfile.TemporaryDirectory() as out:
        done = subprocess.run(
            [PROGRAM, "ik", "--model", model_file, "--markers", markers_file, "--independent-frames", "--out", out, "--json"],
            check=True,
            capture_output=True,
            env={**os.environ, "RAYON_NUM_THREADS": "1"},
        )
    return 1e3 * json.loads(done.stdout)["seconds_per_frame"]


def main():
    files = sys.argv[1:]
    if not files or len(files) % 2:
        sys.exit(__doc__)
    opensim.Logger.setLevelString("Off")
    print(f"{'model':45} {'OpenSim ms':>10} {'kinefit ms':>10} {'times':>6}")
    for model, markers in zip(files[::2], files[1::2]):
        runs = [(by_opensim(model, markers), by_kinefit(model, markers)) for _ in range(RUNS)]
        theirs, ours = (min(times) for times in zip(*runs))
        print(f"{os.path.basename(model):45} {theirs:10.2f} {ours:10.4f} {theirs / ours:6.0f}")


if __name__ == "__main__":
    main()
