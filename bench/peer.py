#!/usr/bin/python3
"""PyTorch's side of the benchmarks: one workload, timed step by step, as one JSON line. Serve reads workloads as
lines, each a JSON list of arguments, and runs each in a process of its own, so that PyTorch is imported once.

It is written to be as fast as PyTorch gets on a CPU: gradients set to none, the
layout (NCHW or channels_last) a flag so that the driver can take the better one,
the optimizer included, the same shapes and arithmetic as vicreg's side. Inference
runs in inference mode, with the normalisation folded into the weights by one of
PyTorch's ways, a flag too. What a version of PyTorch lacks, it refuses; the driver
then does without that way.
Needs PyTorch, of any version from 1.13 on, and torchvision: on Debian python3-torch
and python3-torchvision.
"""
import argparse, contextlib, json, os, platform, random, re, resource, sys, time, warnings

import torch
import torch.nn as nn
import torch.nn.functional as F
import torchvision


libraries = 0  # MiB of libraries that were imported before this process was forked


def args_(args):
    p = argparse.ArgumentParser()
    p.add_argument("workload", choices=["step", "embed", "loss", "views", "version"])
    p.add_argument("--encoder", default="resnet18")
    p.add_argument("--width", type=int, default=64)
    p.add_argument("--stem", default="small")
    p.add_argument("--size", type=int, default=32)
    p.add_argument("--channels", type=int, default=3)
    p.add_argument("--batch", type=int, default=128)
    p.add_argument("--expander", default="2048-2048-2048")
    p.add_argument("--precision", default="float32", choices=["float32", "bf16"])
    p.add_argument("--layout", default="nchw", choices=["nchw", "channels_last"])
    p.add_argument("--fold", default="none", choices=["none", "fuse", "jit", "native", "compile"],
                   help="embed: fold the normalisation by torch.fx (fuse), by torch.jit.optimize_for_inference (jit), "
                        "or by torch.fx with weights and images in bfloat16 and no autocast (native); "
                        "embed and step: torch.compile, before the clock starts (compile)")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--steps", type=int, default=3)
    p.add_argument("--warmup", type=int, default=1)
    p.add_argument("--n", type=int, default=256)
    p.add_argument("--d", type=int, default=8192)
    p.add_argument("--workers", type=int, default=1, choices=[1], help="views: this process makes them all")
    p.add_argument("--data", help="views: a folder of images, or a CIFAR-10 binary file")
    return p.parse_args(args)


def encoder(a):
    resnet = torchvision.models.resnet
    block, layers = {"resnet18": (resnet.BasicBlock, [2, 2, 2, 2]), "resnet34": (resnet.BasicBlock, [3, 4, 6, 3]),
                     "resnet50": (resnet.Bottleneck, [3, 4, 6, 3])}[a.encoder]
    m = resnet.ResNet(block, layers)
    w = a.width
    if w != 64:
        m.inplanes = w
        m.layer1 = m._make_layer(block, w, layers[0])
        m.layer2 = m._make_layer(block, w * 2, layers[1], stride=2)
        m.layer3 = m._make_layer(block, w * 4, layers[2], stride=2)
        m.layer4 = m._make_layer(block, w * 8, layers[3], stride=2)
        m.bn1 = nn.BatchNorm2d(w)
    if a.stem == "small":
        m.conv1, m.maxpool = nn.Conv2d(a.channels, w, 3, 1, 1, bias=False), nn.Identity()
    else:
        m.conv1 = nn.Conv2d(a.channels, w, 7, 2, 3, bias=False)
    m.fc = nn.Identity()
    return m, w * 8 * block.expansion


def expander(d, spec):
    dims = [d] + [int(s) for s in spec.split("-")]
    layers = []
    for i in range(len(dims) - 2):
        layers += [nn.Linear(dims[i], dims[i + 1]), nn.BatchNorm1d(dims[i + 1]), nn.ReLU(True)]
    return nn.Sequential(*layers, nn.Linear(dims[-2], dims[-1], bias=False))


def vicreg(x, y):
    n, d = x.shape
    inv = F.mse_loss(x, y)
    var = cov = 0.0
    for z in (x, y):
        z = z - z.mean(0)
        var = var + F.relu(1 - torch.sqrt(z.var(0) + 1e-4)).mean() / 2
        c = z.T @ z / (n - 1)
        cov = cov + (c.pow(2).sum() - c.diagonal().pow(2).sum()) / d
    return 25 * inv + 25 * var + cov


def two_views(a):
    """The released pair of views of every image: PIL through torchvision, from files or from arrays in memory."""
    import numpy as np
    from PIL import Image, ImageFilter
    T = torchvision.transforms

    class Blur:
        def __init__(self, p):
            self.p = p

        def __call__(self, image):
            if random.random() < self.p:
                return image.filter(ImageFilter.GaussianBlur(radius=random.uniform(0.1, 2)))
            return image

    def view(blur, solarize):
        return T.Compose([
            T.RandomResizedCrop(a.size, interpolation=T.InterpolationMode.BICUBIC), T.RandomHorizontalFlip(),
            T.RandomApply([T.ColorJitter(0.4, 0.4, 0.2, 0.1)], 0.8), T.RandomGrayscale(0.2), Blur(blur),
            T.RandomSolarize(128, solarize), T.ToTensor(), T.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])
    first, second = view(1.0, 0.0), view(0.1, 0.2)
    if a.data.endswith(".bin"):
        records = np.fromfile(a.data, np.uint8).reshape(-1, 3073)
        items = list(np.ascontiguousarray(records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)))
        load = Image.fromarray
    else:
        items = [os.path.join(a.data, f) for f in sorted(os.listdir(a.data))]
        load = lambda path: Image.open(path).convert("RGB")
    def run():
        for item in items:
            image = load(item)
            first(image), second(image)
    return run, len(items)


class LARS:
    def __init__(self, params, lr=0.3, wd=1e-4, eta=0.02, momentum=0.9):
        self.params, self.lr, self.wd, self.eta, self.momentum = list(params), lr, wd, eta, momentum
        self.buf = [torch.zeros_like(p) for p in self.params]

    def zero_grad(self):
        for p in self.params:
            p.grad = None

    @torch.no_grad()
    def step(self):
        for p, buf in zip(self.params, self.buf):
            dp = p.grad
            if p.ndim > 1:
                dp = dp.add_(p, alpha=self.wd)
                wn, gn = p.norm(), dp.norm()
                if wn > 0 and gn > 0:
                    dp = dp.mul_(self.eta * wn / gn)
            buf.mul_(self.momentum).add_(dp)
            p.add_(buf, alpha=-self.lr)


def inference(a, enc, x):
    """The forward of an encoder that has been folded as a.fold says."""
    half = a.precision == "bf16"
    if a.fold in ("fuse", "native"):
        from torch.fx.experimental.optimization import fuse
        enc = fuse(enc)
    if a.fold == "native":
        enc, x, half = enc.bfloat16(), x.bfloat16(), False
    # A trace keeps the casts of weights that autocast would otherwise do each time.
    amp = lambda: torch.autocast("cpu", dtype=torch.bfloat16, enabled=half, cache_enabled=a.fold != "jit")
    if a.fold == "jit":
        with torch.no_grad(), amp():
            enc = torch.jit.optimize_for_inference(torch.jit.trace(enc, x))
            enc(x)  # the first calls compile
    if a.fold == "compile":
        enc = torch.compile(enc)
        with torch.inference_mode(), amp():
            enc(x)

    def run():
        with torch.inference_mode(), amp():
            enc(x)
    return run


def workload(a):
    """Returns the function to time and the number of images it handles."""
    layout = torch.channels_last if a.layout == "channels_last" else torch.contiguous_format
    if a.workload == "views":
        return two_views(a)
    if a.workload == "loss":
        z = [torch.randn(a.n, a.d, requires_grad=True) for _ in range(2)]
        def run():
            for t in z:
                t.grad = None
            vicreg(*z).backward()
        return run, a.n

    amp = (lambda: torch.autocast("cpu", dtype=torch.bfloat16)) if a.precision == "bf16" else contextlib.nullcontext
    enc, dim = encoder(a)
    views = [torch.randn(a.batch, a.channels, a.size, a.size).to(memory_format=layout) for _ in range(2)]
    enc = enc.to(memory_format=layout)
    if a.workload == "embed":
        return inference(a, enc.eval(), views[0]), a.batch

    net = nn.Sequential(enc, expander(dim, a.expander))
    opt = LARS(net.parameters())
    if a.fold == "compile":
        net = torch.compile(net)
    def run():
        opt.zero_grad()
        with amp():
            zx, zy = net(views[0]), net(views[1])
        vicreg(zx.float(), zy.float()).backward()
        opt.step()
    return run, a.batch


def resident(kind):
    """MiB of this process's memory of a kind, RssFile or RssAnon."""
    with open("/proc/self/status") as f:
        return next((int(line.split()[1]) / 1024 for line in f if line.startswith(kind + ":")), 0)


def serve():
    global libraries
    libraries = resident("RssFile")  # a fork shares them, but has none of their pages until it needs them
    for line in sys.stdin:
        sys.stdout.flush()
        pid = os.fork()  # nothing here has started a thread yet
        if pid == 0:
            try:
                main(json.loads(line))
            except BaseException as e:  # of argparse too
                print(json.dumps(dict(error=f"{type(e).__name__}: {e}")))
            sys.stdout.flush()
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        if status != 0:
            print(json.dumps(dict(error=f"it was ended, wait status {status}")), flush=True)


def main(args):
    a = args_(args)
    if a.workload == "version":
        onednn = re.search(r"(?:MKL-DNN|oneDNN) v([\d.]+)", torch.__config__.show())
        print(json.dumps(dict(torch=torch.__version__, torchvision=torchvision.__version__,
                              onednn=onednn.group(1) if onednn else "none", python=platform.python_version())))
        return
    warnings.filterwarnings("ignore")
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    run, images = workload(a)
    for _ in range(a.warmup):
        run()
    times = []
    for _ in range(a.steps):
        t = time.perf_counter()
        run()
        times.append(time.perf_counter() - t)
    s = sorted(times)
    median = s[len(s) // 2] if len(s) % 2 else (s[len(s) // 2 - 1] + s[len(s) // 2]) / 2
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if libraries:
        peak += max(0, libraries - resident("RssFile"))
    print(json.dumps(dict(median_s=median, min_s=s[0], max_s=s[-1], times_s=times, images_per_second=images / median,
                          peak_rss_mib=peak)))


if __name__ == "__main__":
    serve() if sys.argv[1:] == ["serve"] else main(sys.argv[1:])
