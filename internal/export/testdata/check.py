"""Computes features of exported models with PyTorch: reads a JSON list of jobs from
standard input, writes their outputs as base64. Names on the command line say what must be
importable."""
import base64
import importlib
import json
import sys

import numpy as np
import torch

for name in sys.argv[1:]:
    importlib.import_module(name)


def network(job):
    if job["format"] == "timm":
        import timm

        return timm.create_model("local-dir:" + job["model"], pretrained=True)
    import torchvision

    model = getattr(torchvision.models, job["arch"])()
    channels = job["shape"][1]
    if channels != 3 or job["stem"] == "small":
        size, stride, pad = (3, 1, 1) if job["stem"] == "small" else (7, 2, 3)
        model.conv1 = torch.nn.Conv2d(channels, 64, size, stride, pad, bias=False)
    if job["stem"] == "small":
        model.maxpool = torch.nn.Identity()
    state = torch.load(job["model"])
    if "fc.weight" in state:
        model.fc = torch.nn.Linear(*reversed(state["fc.weight"].shape))
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert set(missing) <= {"fc.weight", "fc.bias"} and not unexpected, (missing, unexpected)
    if "fc.weight" not in state:
        model.fc = torch.nn.Identity()
    return model


results = []
for job in json.load(sys.stdin):
    x = np.frombuffer(base64.b64decode(job["data"]), np.float32).reshape(job["shape"])
    with torch.no_grad():
        y = network(job).eval()(torch.from_numpy(x.copy()))
    results.append({"shape": list(y.shape), "data": base64.b64encode(y.numpy().tobytes()).decode()})
json.dump(results, sys.stdout)
