"""Forward kinematics with all markers: MuJoCo in C and kinefit's batch, the same model, one after the other on the same core.

    python3 -m venv peers && peers/bin/pip install 'mujoco>=3.3' numpy
    cargo build --release --bin kinefit --example 08_many_frames_at_once
    peers/bin/python benches/peers/forward_kinematics.py [MODEL.xml ...]

Without a model it takes kinefit's own body, converted. MuJoCo runs `mj_kinematics` from a C program that is compiled here (`cc`) against the wheel, so that no Python is timed; sites are
the markers. Shapes and meshes are taken out of its model first: they are for display and would only cost it time. Both take 512 frames in which every coordinate swings, and the fastest of
all runs within three rounds of a second, on one core. `apart` is the largest distance between a marker's two places, over eight of those frames.
"""

import json
import os
import re
import subprocess
import sys
import tempfile

import mujoco
import numpy

HERE = os.path.dirname(os.path.abspath(__file__))
RELEASE = os.environ.get("KINEFIT_RELEASE", os.path.join(HERE, "../../target/release"))
FRAMES, COMPARED, ROUNDS = 512, 8, 3

C_PROGRAM = r"""
#include <mujoco/mujoco.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + 1e-9 * t.tv_nsec;
}

/* model.mjb, poses, frames: prints the fastest microseconds a frame within a second. */
int main(int count, char **arguments) {
    if (count != 4) return 2;
    mjModel *m = mj_loadModel(arguments[1], NULL);
    if (!m) return 3;
    mjData *d = mj_makeData(m);
    int frames = atoi(arguments[3]);
    size_t values = (size_t)frames * m->nq;
    double *q = malloc(values * sizeof(double));
    FILE *file = fopen(arguments[2], "rb");
    if (!file || fread(q, sizeof(double), values, file) != values) return 4;
    double begun = now(), fastest = 1e9;
    volatile double sum = 0;
    while (now() - begun < 1.0) {
        double start = now();
        for (int f = 0; f < frames; f++) {
            memcpy(d->qpos, q + (size_t)f * m->nq, m->nq * sizeof(double));
            mj_kinematics(m, d);
            sum += d->site_xpos[0];
        }
        double took = now() - start;
        if (took < fastest) fastest = took;
    }
    printf("%.6f\n", 1e6 * fastest / frames);
    return 0;
}
"""


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    return done.stdout


def compiled(folder):
    """The timing program, linked with the wheel's library."""
    package = os.path.dirname(mujoco.__file__)
    library = next(os.path.join(package, f) for f in sorted(os.listdir(package)) if re.match(r"libmujoco\.(so|\d.*dylib|dylib)", f))
    source, program = os.path.join(folder, "time.c"), os.path.join(folder, "time")
    with open(source, "w") as file:
        file.write(C_PROGRAM)
    run("cc", "-O2", "-o", program, source, "-I", os.path.join(package, "include"), library, f"-Wl,-rpath,{package}")
    return program


def bare(model_file):
    """A model without shapes and meshes."""
    spec = mujoco.MjSpec.from_file(model_file)
    spec.compiler.boundmass = spec.compiler.boundinertia = 1e-3
    for part in list(spec.geoms) + list(spec.meshes):
        spec.delete(part)
    return spec.compile()


def swinging(model):
    """Positions of every frame; MuJoCo makes quaternions of any length unit ones."""
    frames, index = numpy.arange(FRAMES)[:, None], numpy.arange(model.nq)[None, :]
    return 0.5 * numpy.sin(0.05 * frames + index)


def apart(model, model_file, poses, folder):
    """Largest distance between the places of a site in MuJoCo and in kinefit, metres. What equalities couple, MuJoCo leaves to whoever sets it: it is set as kinefit computes it."""
    asked, answered = os.path.join(folder, "asked.json"), os.path.join(folder, "answered.json")
    with open(asked, "w") as file:
        json.dump({"poses": [{"qpos": list(q)} for q in poses]}, file)
    run(os.path.join(RELEASE, "kinefit"), "fk", "--model", model_file, "--coordinates", asked, "--out", answered)
    with open(answered) as file:
        found = json.load(file)["poses"]
    data, worst = mujoco.MjData(model), 0.0
    names = [mujoco.mj_id2name(model, mujoco.mjtObj.mjOBJ_SITE, i) for i in range(model.nsite)]
    for pose, here in zip(poses, found):
        data.qpos[:] = pose
        for j in range(model.njnt):
            if model.jnt_type[j] in (mujoco.mjtJoint.mjJNT_HINGE, mujoco.mjtJoint.mjJNT_SLIDE):
                data.qpos[model.jnt_qposadr[j]] = here["q"][mujoco.mj_id2name(model, mujoco.mjtObj.mjOBJ_JOINT, j)]
        mujoco.mj_kinematics(model, data)
        for i, name in enumerate(names):
            if name:
                worst = max(worst, numpy.linalg.norm(data.site_xpos[i] - here["markers"][name]))
    return worst


def main():
    if "-h" in sys.argv or "--help" in sys.argv:
        sys.exit(__doc__)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        files = sys.argv[1:]
        if not files:
            files = [os.path.join(folder, "body.xml")]
            run(os.path.join(RELEASE, "kinefit"), "convert", os.path.join(HERE, "../../data/body.osim"), files[0])
        program = compiled(folder)
        print(f"{'model':30} {'joints':>6} {'sites':>6} {'MuJoCo µs':>10} {'kinefit µs':>10} {'times':>6} {'apart m':>8}")
        for model_file in files:
            model = bare(model_file)
            poses = swinging(model)
            compact, raw = os.path.join(folder, "model.mjb"), os.path.join(folder, "poses")
            mujoco.mj_saveModel(model, compact)
            poses.tofile(raw)
            batch = [os.path.join(RELEASE, "examples/08_many_frames_at_once"), model_file, str(FRAMES)]
            theirs, ours = [], []
            for _ in range(ROUNDS):
                theirs.append(float(run(program, compact, raw, str(FRAMES))))
                ours.append(float(re.search(r"at once\s+([\d.]+)", run(*batch)).group(1)))
            theirs, ours = min(theirs), min(ours)
            far = apart(model, model_file, poses[:: FRAMES // COMPARED], folder)
            name = os.path.basename(model_file)
            print(f"{name:30} {model.njnt:6} {model.nsite:6} {theirs:10.2f} {ours:10.3f} {theirs / ours:6.1f} {far:8.1e}")


if __name__ == "__main__":
    main()
