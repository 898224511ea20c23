#!/usr/bin/env python3
"""How fast PyTorch trains the networks of `cargo xtask bench pipeline`: the references that it prints.

    one_process   one process with --threads threads
    pipeline      torch.distributed.pipelining over gloo: one process of one thread for each stage
    independent   --processes processes of one thread that share nothing: what no pipeline on these cores can exceed

Plain backprop in f32 by SGD with Nesterov momentum, on noise; batch norms see microbatches. Prints one line of JSON:
images per second over --steps steps after --warm steps, summed over independent processes.
"""

import argparse
import json
import os
import sys
import tempfile
import time

sys.setdlopenflags(os.RTLD_LAZY)  # scripts/pytorch.py says why

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.distributed.pipelining import PipelineStage, Schedule1F1B, ScheduleGPipe
from torch.nn.functional import cross_entropy, relu

CLASSES = 10
SCHEDULES = {"one_f_one_b": Schedule1F1B, "gpipe": ScheduleGPipe}


def conv(ins, outs, kernel=3, stride=1):
    """A convolution that keeps the plane's size at stride 1, and its batch norm."""
    return nn.Sequential(nn.Conv2d(ins, outs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outs))


class Residual(nn.Module):
    """ResNet's basic block."""

    def __init__(self, ins, outs, stride):
        super().__init__()
        self.lower, self.upper = conv(ins, outs, stride=stride), conv(outs, outs)
        self.skip = conv(ins, outs, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x):
        return relu(self.upper(relu(self.lower(x))) + self.skip(x))


def resnet18():
    """The zoo's `resnet18` for images of 32 pixels: a stem, eight blocks and a head."""
    shapes = [(64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2),
              (512, 512, 1)]
    stem = nn.Sequential(conv(3, 64), nn.ReLU())
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, CLASSES))
    return [stem, *(Residual(*shape) for shape in shapes), head]


def fashion():
    """The network of examples/fashion.toml, by its weight layers."""
    return [nn.Sequential(conv(1, 32), nn.ReLU(), nn.MaxPool2d(2)),
            nn.Sequential(conv(32, 64), nn.ReLU()),
            nn.Sequential(conv(64, 64), nn.ReLU(), nn.MaxPool2d(2)),
            nn.Sequential(conv(64, 128), nn.ReLU(), nn.Flatten()),
            nn.Linear(7 * 7 * 128, CLASSES)]


# The parts of each network, and the shape of its images.
NETWORKS = {"resnet18": (resnet18, (3, 32, 32)), "fashion": (fashion, (1, 28, 28))}


def alone(model, images, labels, microbatches):
    """A minibatch, microbatch after microbatch, in this process."""
    def minibatch():
        for x, target in zip(images.chunk(microbatches), labels.chunk(microbatches)):
            (cross_entropy(model(x), target) / microbatches).backward()
    return minibatch


def piped(model, images, labels, microbatches, schedule):
    """This process's part in a minibatch of the pipeline."""
    rank, stages = dist.get_rank(), dist.get_world_size()
    stage = PipelineStage(model, rank, stages, torch.device("cpu"))
    lane = SCHEDULES[schedule](stage, microbatches, loss_fn=cross_entropy)
    inputs = (images,) if rank == 0 else ()
    target = {"target": labels} if rank == stages - 1 else {}
    return lambda: lane.step(*inputs, **target)


def rate(rank, processes, store, options):
    """Trains, and prints the rate in process 0."""
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    if processes > 1:
        dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=processes)
    parts, shape = NETWORKS[options.network]
    parts = parts()
    images, labels = torch.randn(options.batch, *shape), torch.randint(CLASSES, (options.batch,))
    if options.mode == "pipeline":
        bounds = [0, *options.cuts, len(parts)]
        model = nn.Sequential(*parts[bounds[rank]:bounds[rank + 1]])
        minibatch = piped(model, images, labels, options.microbatches, options.schedule)
    else:
        model = nn.Sequential(*parts)
        minibatch = alone(model, images, labels, options.microbatches)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, nesterov=True)

    def train(steps):
        for _ in range(steps):
            minibatch()
            optimizer.step()
            optimizer.zero_grad()
        if options.mode == "pipeline":
            dist.barrier()

    train(options.warm)
    if processes > 1:
        dist.barrier()
    start = time.perf_counter()
    train(options.steps)
    images_per_s = torch.tensor(options.batch * options.steps / (time.perf_counter() - start))
    if options.mode == "independent":
        dist.all_reduce(images_per_s)
    if rank == 0:
        print(json.dumps({"images_per_s": images_per_s.item(), "pytorch": torch.__version__}), flush=True)
    if processes > 1:
        dist.destroy_process_group()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=["one_process", "pipeline", "independent"])
    parser.add_argument("--network", choices=NETWORKS, required=True)
    parser.add_argument("--schedule", choices=SCHEDULES, default="one_f_one_b")
    parser.add_argument("--cuts", type=lambda text: [int(word) for word in text.split(",")], default=[],
                        help="the parts of the network that begin a new stage, as in 4,6")
    for name, default in {"batch": 64, "microbatches": 8, "threads": 1, "processes": 2, "warm": 2, "steps": 6}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    processes = {"one_process": 1, "pipeline": len(options.cuts) + 1, "independent": options.processes}[options.mode]
    with tempfile.TemporaryDirectory(prefix="neuropil-bench-") as folder:
        arguments = (processes, os.path.join(folder, "store"), options)
        if processes > 1:
            mp.spawn(rate, args=arguments, nprocs=processes)
        else:
            rate(0, *arguments)


if __name__ == "__main__":
    main()
