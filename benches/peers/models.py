"""Other people's MuJoCo models: kinefit's forward kinematics against MuJoCo's, for every model in a folder that both read.

    python3 -m venv peers && peers/bin/pip install mujoco numpy
    peers/bin/pip download --no-deps dm_control gymnasium gymnasium-robotics
    for wheel in *.whl; do python3 -m zipfile -e $wheel models; done
    cargo build --release
    peers/bin/python benches/peers/models.py models

Three random poses of each; bodies (origins and rotations) and sites that have names. Models that only one of them reads are listed with the reason.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import mujoco
import numpy as np

KINEFIT = pathlib.Path(__file__).resolve().parents[2] / "target/release/kinefit"
POSES = 3


def ours(model, poses, folder):
    """kinefit's poses, or why there are none."""
    given, made = folder / "q.json", folder / "p.json"
    given.write_text(json.dumps({"poses": [{"qpos": list(q)} for q in poses]}))
    run = subprocess.run(
        [KINEFIT, "fk", "--model", model, "--coordinates", given, "--out", made], capture_output=True, text=True
    )
    if run.returncode:
        return None, run.stderr.strip().replace("\n", " ")
    return json.loads(made.read_text())["poses"], ""


def difference(model, data, poses, found):
    """The largest of all positions and rotation entries."""
    worst = 0.0
    # Coordinates that follow others by an equality kinefit computes, where MuJoCo takes what it is given.
    followers = {int(model.eq_obj1id[e]) for e in range(model.neq) if model.eq_type[e] == mujoco.mjtEq.mjEQ_JOINT}
    for q, pose in zip(poses, found):
        data.qpos = q
        for j in followers:
            data.qpos[model.jnt_qposadr[j]] = pose["q"][model.joint(j).name]
        mujoco.mj_kinematics(model, data)
        for b in range(1, model.nbody):
            body = pose["bodies"].get(model.body(b).name)
            if body:
                worst = max(worst, np.abs(data.xpos[b] - body["p"]).max())
                worst = max(worst, np.abs(data.xmat[b].reshape(3, 3) - body["R"]).max())
        for s in range(model.nsite):
            site = pose["markers"].get(model.site(s).name)
            if site:
                worst = max(worst, np.abs(data.site_xpos[s] - site).max())
    return worst


def main():
    rng = np.random.default_rng(1)
    agreed, only_one = [], []
    with tempfile.TemporaryDirectory() as folder:
        for path in sorted(pathlib.Path(sys.argv[1]).rglob("*.xml")):
            if "<mujoco" not in path.read_text(errors="replace"):
                continue
            try:
                model = mujoco.MjModel.from_xml_path(str(path))
            except ValueError:
                continue
            if model.nbody < 2:
                continue
            data = mujoco.MjData(model)
            poses = []
            for _ in range(POSES):
                q = model.qpos0.copy()
                q += 0.3 * rng.standard_normal(model.nq)
                mujoco.mj_normalizeQuat(model, q)
                poses.append(q)
            found, why = ours(path, poses, pathlib.Path(folder))
            if found is None:
                only_one.append((path, why))
            else:
                agreed.append((difference(model, data, poses, found), path))
    agreed.sort(reverse=True)
    for path, why in only_one:
        print(f"only MuJoCo reads {path}: {why}")
    for worst, path in agreed[:5]:
        print(f"{worst:.1e}  {path}")
    print(f"{len(agreed)} models, at most {agreed[0][0]:.1e} apart; {len(only_one)} that kinefit refuses")


if __name__ == "__main__":
    main()
