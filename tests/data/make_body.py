"""Makes body.json: where MuJoCo puts the bodies and sites of body.xml. Run with MuJoCo (`pip install mujoco`) in this folder."""
import json

import mujoco
import numpy as np

model = mujoco.MjModel.from_xml_path("body.xml")
data = mujoco.MjData(model)
random = np.random.default_rng(1)
name = mujoco.mj_id2name
address = dict((model.joint(j).name, model.jnt_qposadr[j]) for j in range(model.njnt))
poses = []
for _ in range(4):
    data.qpos[:] = random.uniform(-0.8, 0.8, model.nq)
    mujoco.mj_normalizeQuat(model, data.qpos)
    x = data.qpos[address["leader"]] - model.qpos0[address["leader"]]
    polynomial = sum(c * x**k for k, c in enumerate((0.1, 0.5, -0.3, 0.2, 0.05)))
    data.qpos[address["led"]] = model.qpos0[address["led"]] + polynomial
    mujoco.mj_kinematics(model, data)
    poses.append({"qpos": data.qpos.tolist(), "xpos": data.xpos.tolist(), "xmat": data.xmat.tolist(), "sites": data.site_xpos.tolist()})
kinds = ["free", "ball", "slide", "hinge"]
joints = [{"name": model.joint(j).name, "kind": kinds[model.jnt_type[j]], "limited": bool(model.jnt_limited[j]), "range": model.jnt_range[j].tolist(),
           "ref": float(model.qpos0[model.jnt_qposadr[j]])} for j in range(model.njnt)]
with open("body.json", "w") as f:
    json.dump({"joints": joints, "poses": poses}, f)
