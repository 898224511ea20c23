"""Read a run's folder into pandas and numpy, and plot it: the loss, the angle between W and B, and the last W and B.

    python3 -m pip install --target target/study pandas safetensors matplotlib
    PYTHONPATH=target/study python3 examples/load_run.py runs/NAME run.png
"""
import pathlib
import sys
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from safetensors.numpy import load_file

run, picture = pathlib.Path(sys.argv[1]), sys.argv[2]
steps = pd.read_json(run / "metrics.jsonl", lines=True).set_index("step")       # a row for each step
tests = pd.read_json(run / "evaluations.jsonl", lines=True).set_index("step")   # a row for each pass over the test set
layers = pd.json_normalize(steps["layers"].explode().dropna().reset_index().to_dict("records"))
angles = layers.pivot(index="step", columns="layers.name", values="layers.angle_deg")   # a column for each layer
newest = [max(node.glob("step-*")) for node in sorted((run / "state").iterdir())]       # each node's last snapshot
tensors = {name: array.astype(float) for step in newest for file in step.iterdir() for name, array in load_file(file).items()}
pairs = {name: (w, tensors[f"{name}_backward"]) for name, w in tensors.items() if f"{name}_backward" in tensors}
cosines = {name: np.vdot(w, b) / np.linalg.norm(w) / np.linalg.norm(b) for name, (w, b) in pairs.items()}

figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
steps["loss"].rolling(10, min_periods=1).mean().plot(ax=left, ylabel="loss, and that of the test set (dots)")
tests["loss"].plot(ax=left, style="o")
angles.plot(ax=middle, ylabel="angle between W and B, degrees", legend=angles.shape[1] < 9, colormap="viridis")
for name in sorted(cosines, key=cosines.get)[-1:]:   # the layer whose W and B agree best; backprop has no B
    right.plot(*map(np.ravel, pairs[name]), ".", markersize=1)
    right.set(xlabel="W", ylabel="B", title=f"{name}: {np.degrees(np.arccos(min(cosines[name], 1))):.1f} degrees")
figure.savefig(picture, dpi=150)
