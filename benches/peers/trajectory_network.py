"""One step of the published method - a network of time through MuJoCo MJX's kinematics and the cameras, by JAX - and one of kinefit's, on the same cores.

    python3 -m venv peers && peers/bin/pip install "jax[cpu]" mujoco mujoco-mjx
    cargo build --release --features learn
    peers/bin/python benches/peers/trajectory_network.py

300 frames, 8 cameras with five coefficients of distortion, the 87 MoVi points on the built-in body; the network, 16 scales, the offsets of all markers and all extrinsics move by AdamW.
JAX's step is compiled before it is timed; the two are timed in turns, and the best of each counts: what else a machine does slows both.
"""

import json
import os
import subprocess
import sys
import tempfile
import time

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from mujoco import mjx

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
PROGRAM = os.environ.get("KINEFIT", os.path.join(ROOT, "target/release/kinefit"))
FRAMES, CAMERAS, POINTS = 300, 8, 87
SIZES = [[128, 256, 512, 1024, 2048], [128, 256, 512, 1024, 2048, 2048, 4096]]
TURNS, RUNS = 5, 5


def body():
    """The built-in body as MuJoCo's model."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "body.xml")
        subprocess.run([PROGRAM, "convert", os.path.join(ROOT, "data/body.osim"), path], check=True, capture_output=True)
        return mujoco.MjModel.from_xml_path(path)


def encoding(t, octaves):
    x = t[:, None] * 2.0 ** jnp.arange(octaves)[None, :]
    return jnp.concatenate([t[:, None], jnp.sin(x), jnp.cos(x)], axis=1)


def network(layers, e):
    h = e
    for i, (w, b) in enumerate(layers):
        h = h @ w + b
        if i + 1 < len(layers):
            h = jax.nn.silu(h)
            if i < 3:
                h = jnp.concatenate([h, e], axis=1)
    return h


def rotation(omega):
    angle = jnp.sqrt(jnp.sum(omega**2) + 1e-12)
    k = omega / angle
    cross = jnp.array([[0.0, -k[2], k[1]], [k[2], 0.0, -k[0]], [-k[1], k[0], 0.0]])
    return jnp.eye(3) + jnp.sin(angle) * cross + (1 - jnp.cos(angle)) * cross @ cross


def by_jax(model, sizes):
    """A function that tells the seconds of a step, the best of a few, and the number of weights."""
    rng = np.random.default_rng(0)
    device_model = mjx.put_model(model)
    data = mjx.make_data(device_model)
    octaves = 8
    inputs, layers = 2 * octaves + 1, []
    features = inputs
    for i, size in enumerate([*sizes, model.nq]):
        bound = 1 / np.sqrt(inputs)
        layers.append((jnp.array(rng.uniform(-bound, bound, (inputs, size)), jnp.float32), jnp.zeros(size)))
        inputs = size + (features if i < 3 else 0)
    mixer = jnp.array(rng.integers(0, 2, (model.nbody, 16)), jnp.float32)
    sites = jnp.array(np.resize(np.arange(model.nsite), POINTS))
    state = dict(layers=layers, scales=jnp.zeros(16), offsets=jnp.zeros((model.nsite, 3)), cameras=jnp.zeros((CAMERAS, 6)))
    place = jnp.array(rng.normal(0, 0.1, (CAMERAS, 3)) + [0, 0, 5], jnp.float32)
    e = encoding(jnp.linspace(0, jnp.pi, FRAMES), octaves)
    seen = jnp.array(rng.normal(500, 200, (FRAMES, CAMERAS, POINTS, 2)), jnp.float32)
    confidence = jnp.array(rng.uniform(0, 1, (FRAMES, CAMERAS, POINTS)), jnp.float32)

    def points(q, scales, offsets):
        size = (1 + mixer @ scales)[:, None]
        scaled = device_model.replace(
            body_pos=device_model.body_pos * size[device_model.body_parentid],
            site_pos=device_model.site_pos * size[device_model.site_bodyid] + offsets,
        )
        return mjx.kinematics(scaled, data.replace(qpos=q)).site_xpos[sites]

    def project(twist, shift, p):
        p = p @ rotation(twist[:3]).T + twist[3:] + shift
        x = p[..., :2] / p[..., 2:]
        r = jnp.sum(x**2, axis=-1, keepdims=True)
        x = x * (1 + r * (0.1 + r * (0.01 + r * 0.001))) + 2 * 1e-3 * jnp.prod(x, axis=-1, keepdims=True) + 1e-3 * (r + 2 * x**2)
        return 1200 * x + 500

    def loss(state):
        q = network(state["layers"], e)
        p = jax.vmap(points, (0, None, None))(q, state["scales"], state["offsets"])
        pixels = jax.vmap(project, (0, 0, None), 1)(state["cameras"], place, p)
        error = jnp.sqrt(jnp.sum((pixels - seen) ** 2, axis=-1) + 1e-9)
        huber = jnp.where(error < 5, 0.5 * error**2, 5 * (error - 2.5))
        return jnp.mean(huber * confidence) + 100 * jnp.sum(state["offsets"] ** 2)

    def step(state, m, v, t):
        value, g = jax.value_and_grad(loss)(state)
        tree = jax.tree_util.tree_map
        m = tree(lambda m, g: 0.8 * m + 0.2 * g, m, g)
        v = tree(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
        one, two = 1 - 0.8**t, 1 - 0.999**t
        state = tree(lambda p, m, v: p - 1e-4 * (m / one / (jnp.sqrt(v / two) + 1e-8) + 1e-5 * p), state, m, v)
        return state, m, v, value

    step = jax.jit(step, donate_argnums=(0, 1, 2))
    zeros = lambda: jax.tree_util.tree_map(jnp.zeros_like, state)
    count = sum(w.size + b.size for w, b in layers)
    now = [step(state, zeros(), zeros(), 1.0)]

    def timed():
        best = np.inf
        for _ in range(RUNS):
            begun = time.perf_counter()
            now[0] = step(*now[0][:3], 2.0)
            now[0][3].block_until_ready()
            best = min(best, time.perf_counter() - begun)
        return best

    return timed, count


def by_kinefit(sizes):
    """Seconds a step, and of that the skeleton and cameras."""
    size = ",".join(map(str, sizes))
    run = ["cargo", "bench", "--quiet", "--features", "learn", "--bench", "networks", "--", "--json", size]
    done = subprocess.run(run, check=True, capture_output=True, cwd=ROOT, text=True)
    figures = json.loads(done.stdout.strip().splitlines()[-1])
    return figures["step_s"], figures["objective_s"]


def main():
    model = body()
    print(f"{FRAMES} frames, {CAMERAS} cameras, {POINTS} points, {model.nq} coordinates; {os.cpu_count()} cores")
    print(f"{'layers':40} {'weights':>9} {'JAX + MJX':>11} {'kinefit':>9} {'ratio':>6} {'skeleton, cameras':>18}")
    for sizes in SIZES:
        timed, count = by_jax(model, sizes)
        by_kinefit(sizes)  # builds it
        turns = [(timed(), *by_kinefit(sizes)) for _ in range(TURNS)]
        theirs, ours, objective = (min(turn[i] for turn in turns) for i in range(3))
        print(
            f"{','.join(map(str, sizes)):40} {count / 1e6:7.2f} M {1e3 * theirs:8.0f} ms {1e3 * ours:6.0f} ms {ours / theirs:6.2f} {100 * objective / ours:16.1f} %"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
