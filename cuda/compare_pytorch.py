#!/usr/bin/env python3
"""Times PyTorch, eager and compiled, on the networks of reference cases, and TinyZsad on the same card in the same rounds.

    python3 compare_pytorch.py --tool tinyzsad tests/reference/lizad/vision-full tests/reference/visualad/full
    python3 compare_pytorch.py --device cpu --dtype float32 --check tests/reference/{lizad,edgezsad,visualad}/tiny

The layers and their weights come from bench/compare_onnxruntime/models.py. What that file writes for export only is written for a batch here, as one
writes a fast network in PyTorch: q, k and v in one product, scaled_dot_product_attention, BatchNorm folded into its convolution, channels last.

A run begins with the bytes of the pictures in the host's memory (pinned) and ends with the maps in the host's memory: both copies are part of the
time, as they are of TinyZsad's. Before anything is timed, the network computes the case's picture in float32. Its map must be the expected one: then
what is timed is the same network. The map in FP16 is compared too, and its difference is only reported, as it says how good FP16 is.

Prints JSON, and a table on standard error. Needs PyTorch 1.13 or later, NumPy and Pillow. torch.compile needs PyTorch 2.
"""
import argparse
import json
import os
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "bench/compare_onnxruntime"), str(ROOT / "tests/reference")]
import models  # noqa: E402
import refgen  # noqa: E402

# Two orders of summation in float32 differ by some 1e-5 of the largest value, a wrong network by 1e-2 and more. bench/compare_onnxruntime has the
# same limit.
MOST_ERROR = 1e-4


def attend(q, k, v, bias=None):
    """softmax(q k' / sqrt d + bias) v, with [b, heads, n, d]."""
    if hasattr(F, "scaled_dot_product_attention"):
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    scores = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5
    return (scores if bias is None else scores + bias).softmax(-1) @ v


class Packed(nn.Module):
    """q, k and v as one product. A layer without a bias has one of zeros."""

    def __init__(self, q, k, v, heads):
        super().__init__()
        width, layers = q.in_features, (q, k, v)
        self.heads, self.layer = heads, nn.Linear(width, 3 * width)
        self.layer.weight.copy_(torch.cat([x.weight for x in layers]))
        self.layer.bias.copy_(torch.cat([torch.zeros(width) if x.bias is None else x.bias for x in layers]))

    def forward(self, x):
        b, n, c = x.shape
        return self.layer(x).view(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4).unbind(0)


def rotated(x, cos, sin):
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


def joined(x):
    """[b, heads, n, d] as [b, n, heads * d]."""
    return x.transpose(1, 2).flatten(2)


class Normalise(models.Normalise):
    """Bytes [b, side, side, 3] to [b, 3, side, side]."""

    def forward(self, x):
        return x.permute(0, 3, 1, 2).float() * self.scale + self.shift


class Block(models.Block):
    def forward(self, x, rotary=None):
        q, k, v = self.packed(self.norm1(x))
        if rotary is not None:
            q, k = rotated(q, *rotary), rotated(k, *rotary)
        y = self.projection(joined(attend(q, k, v)))
        x = x + (y if self.scale1 is None else y * self.scale1)
        y = self.mlp(self.norm2(x))
        return x + (y if self.scale2 is None else y * self.scale2)


class LiZad(models.LiZad):
    """What follows the cosines is in float32: logits of some tens, in FP16, would be off by hundredths."""
    keep_float = ("text",)

    def forward(self, x):
        x = self.patches(self.normalise(x).to(self.tokens.dtype)).flatten(2).transpose(1, 2)
        x = torch.cat((self.tokens.expand(x.shape[0], -1, -1), x), 1)
        total, level = 0, 0
        for depth, block in enumerate(self.blocks, 1):
            x = block(x, (self.cos, self.sin))
            if depth in self.layers:
                p = F.leaky_relu(self.adapters[level](x[:, self.prefix:]), self.slope).float()
                logits = self.scale * (p / p.norm(dim=-1, keepdim=True)) @ self.text
                logits = (logits[..., 1] - logits[..., 0]).view(-1, 1, self.grid, self.grid)
                total, level = total + models.enlarge(logits, self.side, True).sigmoid(), level + 1
        return (total / level)[:, 0]


class WindowBlock(models.WindowBlock):
    def windows(self, x):
        """[b, side², c] as [b * windows, window², c]."""
        n, w = self.side // self.window, self.window
        return x if n == 1 else x.view(-1, n, w, n, w, self.width).transpose(2, 3).reshape(-1, w * w, self.width)

    def whole(self, x):
        """The other way round."""
        n, w = self.side // self.window, self.window
        return x if n == 1 else x.view(-1, n, n, w, w, self.width).transpose(2, 3).reshape(-1, self.side ** 2, self.width)

    def forward(self, x):
        q, k, v = self.packed(self.windows(self.norm1(x)))
        x = x + self.whole(self.projection(joined(attend(q, k, v, self.bias))))
        x = self.local(x.transpose(1, 2).reshape(-1, self.width, self.side, self.side)).flatten(2).transpose(1, 2)
        return x + self.mlp(self.norm2(x))


class EdgeZsad(models.EdgeZsad):
    """The readout of the whole picture is computed as TinyZsad computes it, and its value is part of the result."""
    keep_float = ()

    def forward(self, x):
        x = self.normalise(x).to(self.local.weight.dtype).contiguous(memory_format=torch.channels_last)
        x = self.first(self.stem[1](F.gelu(self.stem[0](x))))
        maps = []
        for side, downsample, stage in zip(self.sides[1:], self.downsample, self.stages):
            x = stage(downsample(x).flatten(2).transpose(1, 2))
            maps.append(x)
            x = x.transpose(1, 2).reshape(x.shape[0], -1, side, side)
        local = self.local(self.local_norm(maps[1])).view(-1, 1, self.sides[2], self.sides[2])
        globally = self.globally(self.global_norm(maps[2].mean(1)))
        return models.enlarge(local.float(), self.side, False).sigmoid()[:, 0], globally.float()


class VisualAd(models.VisualAd):
    """What follows the cosines is in float32."""
    keep_float = ("blur",)

    def forward(self, x):
        x = self.patches(self.normalise(x).to(self.tokens.dtype)).flatten(2).transpose(1, 2) + self.positions
        x = self.before(torch.cat((self.tokens.expand(x.shape[0], -1, -1), x), 1))
        hidden = []
        for depth, block in enumerate(self.blocks, 1):
            x = block(x)
            if depth in self.layers:
                hidden.append(x[:, 3:])
        tokens, total = self.after(x[:, :2]), 0
        for patches, attention, transform in zip(hidden, self.attention, self.transform):
            features = self.after(patches)
            unit = attention(tokens, features).float()
            unit = unit / unit.norm(dim=-1, keepdim=True)
            features = transform(features).float()
            features = features / features.norm(dim=-1, keepdim=True)
            total = total + features @ (unit[:, 0] - unit[:, 1]).unsqueeze(-1)
        total = total.view(-1, 1, self.grid, self.grid)
        return self.blur(models.enlarge(total, self.side, False))[:, 0]


REPLACED = {models.Normalise: Normalise, models.Block: Block, models.LiZad: LiZad, models.WindowBlock: WindowBlock, models.EdgeZsad: EdgeZsad,
            models.VisualAd: VisualAd}
MAPS = {"lizad": "head.map", "edgezsad": "map.final", "visualad": "map.final"}


@torch.no_grad()
def build(manifest, weights):
    """The network of a reference case, for batches."""
    model = models.build(manifest, weights)
    for part in model.modules():
        if isinstance(part, (models.Block, models.WindowBlock)):
            part.packed = Packed(part.q, part.k, part.v, part.heads)
            del part.q, part.k, part.v
        if isinstance(part, nn.Sequential) and len(part) == 2 and isinstance(part[1], nn.BatchNorm2d):
            part[0], part[1] = fuse_conv_bn_eval(part[0], part[1]), nn.Identity()
        part.__class__ = REPLACED.get(type(part), type(part))
    return model.eval().requires_grad_(False)


def converted(model, dtype):
    """The network's parameters and buffers in a type. Those that have to be floats stay floats."""
    for name, part in [(n, p) for n, p in model.named_children()]:
        if name not in (*model.keep_float, "normalise"):
            part.to(dtype)
    for name, buffer in list(model.named_buffers(recurse=False)):
        if buffer.is_floating_point() and name not in model.keep_float:
            setattr(model, name, buffer.to(dtype))
    for part in model.modules() if isinstance(model, EdgeZsad) else ():
        if isinstance(part, nn.Conv2d):
            part.to(memory_format=torch.channels_last)
    return model


def map_of(result):
    return result[0] if isinstance(result, tuple) else result


def expected(path, names):
    """Some of the values that a case stores."""
    data = path.read_bytes()
    length, = struct.unpack("<Q", data[:8])
    header, values = json.loads(data[8:8 + length]), data[8 + length:]
    return {n: np.frombuffer(values[slice(*header[n]["data_offsets"])], np.float32) for n in names if n in header}


def error_of(result, case, manifest):
    """The largest difference from the expected map, by the largest expected value."""
    tap = MAPS[manifest["model"]]
    right = expected(case / "expected.safetensors", [tap])[tap]
    found = result.double().cpu().numpy().reshape(-1)[::manifest["taps"][tap]["stride"]]
    if not np.isfinite(found).all():
        return float("inf")
    return float(np.abs(found - right).max() / np.abs(right).max())


class Runner:
    """A network with what a run needs: memory of the host that the device reads and writes."""

    def __init__(self, call, pixels, batch, device):
        self.call, self.device = call, device
        self.pixels = pixels.expand(batch, -1, -1, -1).contiguous()
        side = pixels.shape[1]
        self.map = torch.empty(batch, side, side)
        if device == "cuda":
            self.pixels, self.map = self.pixels.pin_memory(), self.map.pin_memory()

    def __call__(self):
        self.map.copy_(map_of(self.call(self.pixels.to(self.device, non_blocking=True))), non_blocking=True)
        if self.device == "cuda":
            torch.cuda.synchronize()

    def measure(self, seconds):
        """The times of some runs after some that warm up, in milliseconds."""
        for _ in range(3):
            self()
        times, end = [], time.perf_counter() + seconds
        while len(times) < 5 or time.perf_counter() < end:
            start = time.perf_counter()
            self()
            times.append(1000 * (time.perf_counter() - start))
        return min(times), statistics.median(times)


class OutOfTime(Exception):
    """Compiling took longer than there is time."""


def within(seconds, action):
    """Does something that is given up after some time."""
    def stop(*_):
        raise OutOfTime(f"not ready after {seconds:.0f} s, which is all the time there was")

    previous = signal.signal(signal.SIGALRM, stop)
    signal.alarm(max(1, int(seconds)))
    try:
        action()
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


def compiled(model, pixels, batches, modes, device, seconds):
    """The runners of the compiled network that could be made, by mode and batch, and why the others could not."""
    runners, problems, end = {}, {}, time.monotonic() + seconds
    if not hasattr(torch, "compile"):
        return runners, {"compile": f"PyTorch {torch.__version__} has no torch.compile"}
    for mode in modes:
        for batch in batches:
            name = f"compile {mode}"
            left = end - time.monotonic()
            if left < 5:
                problems[f"{name}, batch {batch}"] = "no time was left"
                continue
            start = time.monotonic()
            try:
                runner = Runner(torch.compile(model, mode=mode, dynamic=False), pixels, batch, device)
                within(left, runner)
            except Exception as e:  # whatever keeps a compiler from working is reported, and the other figures are still worth having
                problems[f"{name}, batch {batch}"] = f"{type(e).__name__}: {str(e).strip().splitlines()[0] if str(e).strip() else ''}"[:300]
                continue
            runners[name, batch] = runner
            print(f"{name}, batch {batch}: ready after {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    return runners, problems


def ours(tool, case, picture, runs, batch, seconds):
    """TinyZsad's minimum and median in milliseconds, by batch."""
    command = [tool, "bench", "--case", str(case), "--device", "cuda", "--image", str(picture), "--runs", str(runs), "--batch", str(batch), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=max(1, seconds))
    if done.returncode != 0:
        raise RuntimeError(f"exit code {done.returncode} of {' '.join(command)}: {(done.stderr or done.stdout).strip()[-600:]}")
    times = json.loads(done.stdout)
    return {1: (times["minimum_ms"], times["median_ms"]), batch: (times["batch_minimum_ms"], times["batch_median_ms"])}


def summary(rounds):
    return {"best_ms": min(r[0] for r in rounds), "median_ms": statistics.median(r[1] for r in rounds), "rounds": [list(r) for r in rounds]}


@torch.no_grad()
def compare(case, options, seconds, folder):
    """One case: the maps, then rounds of all by turns who begins."""
    end = time.monotonic() + seconds
    manifest = json.loads((case / "manifest.json").read_text())
    weights = refgen.weights(manifest) | expected(case / "expected.safetensors", ["text.normal", "text.abnormal"])
    model = build(manifest, {name: torch.from_numpy(value.astype(np.float32)) for name, value in weights.items()}).to(options.device)
    del weights
    picture = Image.open(case / manifest["image"]).convert("RGB").resize((model.side, model.side), Image.BICUBIC)
    pixels = torch.from_numpy(np.array(picture))[None]

    # A batch of two different pictures gives what each gives alone, so that nothing goes from one to the other.
    pictures = torch.cat((pixels, pixels.flip(1))).to(options.device)
    alone = torch.cat([map_of(model(p)) for p in pictures.split(1)])
    report = {"case": str(case), "float32_error": error_of(alone[:1], case, manifest), "limit": MOST_ERROR,
              "batch_difference": float((map_of(model(pictures)) - alone).abs().max() / alone.abs().max())}
    report["passed"] = report["float32_error"] <= MOST_ERROR and report["batch_difference"] <= MOST_ERROR
    if options.dtype == "float16":
        converted(model, torch.float16)
        half = map_of(model(pixels.to(options.device)))
        report["float16_error"] = error_of(half, case, manifest)
        report["passed"] &= bool(torch.isfinite(half).all())
    print(f"{case}: map in float32 off by {report['float32_error']:.1e} (limit {MOST_ERROR:.0e})"
          + (f", in FP16 by {report['float16_error']:.1e}" if "float16_error" in report else ""), file=sys.stderr, flush=True)
    if options.check:
        return report

    runners = {("eager", batch): Runner(model, pixels, batch, options.device) for batch in options.batches}
    # Half of the time is for the rounds.
    more, report["problems"] = compiled(model, pixels, options.batches, options.modes, options.device, (end - time.monotonic()) * 0.6)
    runners |= more
    path, found, turn = Path(folder) / f"{manifest['model']}.ppm", {}, 0
    picture.save(path)
    while turn < options.rounds or (turn < 2 * options.rounds and time.monotonic() < end - 15):
        def measure_theirs():
            for key, runner in runners.items():
                found.setdefault(key, []).append(runner.measure(options.seconds))

        def measure_ours():
            if not options.tool or "tinyzsad" in report["problems"]:
                return
            try:
                measured = ours(options.tool, case, path, options.runs, options.batches[-1], 60 + end - time.monotonic())
            except (RuntimeError, OSError, KeyError, ValueError, subprocess.TimeoutExpired) as e:  # PyTorch's figures are still worth having
                report["problems"]["tinyzsad"], report["passed"] = f"{type(e).__name__}: {e}", False
                return
            for batch, times in measured.items():
                found.setdefault(("tinyzsad", batch), []).append(times)

        for measure in (measure_ours, measure_theirs) if turn % 2 == 0 else (measure_theirs, measure_ours):
            measure()
        turn += 1
    report["figures"] = [{"who": who, "batch": batch} | summary(rounds) for (who, batch), rounds in sorted(found.items(), key=str)]
    report["ratios"] = ratios(report["figures"])
    return report


def ratios(figures):
    """TinyZsad's times by those of PyTorch, eager and in the compiled mode that is best for PyTorch."""
    result = []
    for mine in (f for f in figures if f["who"] == "tinyzsad"):
        for who in ("eager", "compile"):
            others = [f for f in figures if f["who"].startswith(who) and f["batch"] == mine["batch"]]
            if others:
                result.append({"batch": mine["batch"], "to": who} | {key.removesuffix("_ms"): mine[key] / min(f[key] for f in others)
                                                                      for key in ("best_ms", "median_ms")})
    return result


def table(report):
    lines = [f"{'case':<28} {'batch':>5}  {'who':<26} {'best ms':>9} {'median ms':>10} {'ms a picture':>12}"]
    for case in report["cases"]:
        name = "/".join(Path(case["case"]).parts[-2:])
        for f in case.get("figures", []):
            each = f["median_ms"] / f["batch"]
            lines.append(f"{name:<28} {f['batch']:>5}  {f['who']:<26} {f['best_ms']:>9.3f} {f['median_ms']:>10.3f} {each:>12.3f}")
        for r in case.get("ratios", []):
            lines.append(f"{name:<28} {r['batch']:>5}  tinyzsad / {r['to']:<15} {r['best']:>9.2f} {r['median']:>10.2f}")
        lines += [f"{name}: {what}: {why}" for what, why in case.get("problems", {}).items()]
        if "error" in case:
            lines.append(f"{name}: {case['error']}")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="+", type=Path, metavar="CASE", help="folders of reference cases")
    parser.add_argument("--tool", help="also measure this tool (tinyzsad bench) by turns")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--dtype", choices=["float16", "float32"], default="float16")
    parser.add_argument("--batches", nargs=2, type=int, default=[1, 16], metavar="N", help="1 and the batch (default: 1 16)")
    parser.add_argument("--modes", nargs="*", default=["reduce-overhead", "default"], help="of torch.compile (default: reduce-overhead default)")
    parser.add_argument("--rounds", type=int, default=2, help="rounds at least (default: 2)")
    parser.add_argument("--runs", type=int, default=50, help="runs of the tool in each round (default: 50)")
    parser.add_argument("--seconds", type=float, default=1, help="of each measurement of PyTorch (default: 1)")
    parser.add_argument("--budget", type=float, default=360, help="seconds for all; compiling that takes longer is left out (default: 360)")
    parser.add_argument("--check", action="store_true", help="only compare the maps")
    parser.add_argument("--json", type=Path, help="write the report here too, after each case")
    options = parser.parse_args()
    if options.batches[0] != 1:
        parser.error("--batches: the first is 1")
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("PyTorch sees no CUDA device; --device cpu is for checking the maps")
    # Products of float32 are products of float32, so that the check of the map means something.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True

    end = time.monotonic() + options.budget
    report = {"torch": torch.__version__, "device": torch.cuda.get_device_name() if options.device == "cuda" else "cpu", "dtype": options.dtype,
              "batches": options.batches, "cases": []}
    with tempfile.TemporaryDirectory() as folder:
        for number, case in enumerate(options.cases):
            try:
                found = compare(case, options, (end - time.monotonic()) / (len(options.cases) - number), folder)
            except (RuntimeError, OSError, KeyError, ValueError, subprocess.TimeoutExpired) as e:  # the other cases are still worth measuring
                found = {"case": str(case), "passed": False, "error": f"{type(e).__name__}: {e}"}
            report["cases"].append(found)
            report["passed"] = all(c["passed"] for c in report["cases"])
            if options.json:
                options.json.write_text(json.dumps(report, indent=1) + "\n")
            if options.device == "cuda":
                torch.cuda.empty_cache()
    print(table(report), file=sys.stderr)
    print(json.dumps(report, indent=1), flush=True)
    return 0 if report["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
