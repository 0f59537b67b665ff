"""Makes compilers.json: small models whose `compiler` and defaults differ, and where MuJoCo puts their bodies and sites. Run with MuJoCo (`pip install mujoco`)
in this folder."""
import json
import math

import mujoco
import numpy as np

MODEL = """<mujoco><compiler {compiler}/>
<default><joint range="{low} {high}"{limited}/><default class="bent"><joint axis="1 1 0" pos="0.01 0.02 0.03" ref="{ref}"/></default></default>
<worldbody>
<body name="a" pos="0.1 0.2 0.3" euler="{e}"><inertial pos="0 0 0" mass="1" diaginertia="1 1 1"/>
<joint name="first" axis="0 0 1"/><joint name="second" class="bent"/><joint name="third" type="slide" axis="0 1 1" range="-0.1 0.1"/>
<site name="sa" pos="0.1 0 0.2"/>
<body name="b" pos="0 0.4 0" axisangle="0 1 1 {turn}" childclass="bent"><inertial pos="0 0 0" mass="1" diaginertia="1 1 1"/>
<joint name="fourth" limited="true"/><joint name="fifth" limited="false"/><joint name="ball" type="ball" range="0 {high}"/>
<site name="sb" pos="0 0.1 0"/>
<body name="c" pos="0.2 0 0" euler="{f}"><inertial pos="0 0 0" mass="1" diaginertia="1 1 1"/>
<joint name="sixth" pos="0 0 -0.1" axis="0 1 0"/><site name="sc" pos="0 0 0.3"/></body></body></body></worldbody></mujoco>"""

cases = []
random = np.random.default_rng(2)
for compiler in (
    "",
    'eulerseq="XYZ"',
    'eulerseq="zyx" angle="radian"',
    'eulerseq="zxz"',
    'eulerseq="ZXY" angle="degree" autolimits="true"',
    'eulerseq="xYz" angle="radian" autolimits="false"',
    'eulerseq="yXy" autolimits="false"',
):
    unit = 1 if "radian" in compiler else 180 / math.pi
    angles = lambda *a: " ".join(f"{x * unit:.4f}" for x in a)
    text = MODEL.format(compiler=compiler, low=f"{-0.5 * unit:.3f}", high=f"{0.9 * unit:.3f}", ref=f"{0.2 * unit:.3f}", turn=f"{1.1 * unit:.3f}",
                        e=angles(0.3, -0.7, 1.2), f=angles(-1.1, 0.4, 2.0), limited=' limited="false"' if 'limits="false"' in compiler else "")
    model = mujoco.MjModel.from_xml_string(text)
    data = mujoco.MjData(model)
    poses = []
    # Within the ranges, far beyond them, and with the ball half and three quarters of a turn about axes where its angles are singular.
    for k, ball in enumerate(((0.9, 0.1, -0.3, 0.2), (0, 0.6, 0, 0.8), (math.sqrt(0.5), 0, math.sqrt(0.5), 0), (-0.5, 0.5, 0.5, 0.5),
                              (math.sqrt(0.5), 1e-9, math.sqrt(0.5), 1e-8), (0.2, -0.4, 0.1, 3.0))):
        data.qpos[:] = random.uniform(-0.4, 0.4, model.nq) * (1 if k == 0 else 8)
        start = model.joint("ball").qposadr[0]
        data.qpos[start:start + 4] = np.array(ball) / np.linalg.norm(ball)
        mujoco.mj_kinematics(model, data)
        poses.append({"qpos": data.qpos.tolist(), "xpos": data.xpos.tolist(), "xmat": data.xmat.tolist(), "sites": data.site_xpos.tolist()})
    limited = {model.joint(j).name: bool(model.jnt_limited[j]) for j in range(model.njnt)}
    ranges = {model.joint(j).name: model.jnt_range[j].tolist() for j in range(model.njnt)}
    cases.append({"model": text, "limited": limited, "ranges": ranges, "poses": poses})
with open("compilers.json", "w") as f:
    json.dump({"mujoco": mujoco.__version__, "cases": cases}, f)
