"""TinyZsad and ONNX Runtime by turns on the same networks: times, start-up and memory of both, as a Markdown table. README.md says what is compared.

    python3 compare.py --models lizad edgezsad --threads 1 2 --rounds 5 --runs 20
"""
import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CACHE = HERE / "cache"
CLI = CACHE / "tinyzsad/TinyZsad.Cli"
PICTURE = ROOT / "samples/brick.png"
WARMUP = "3"

# The graph's values against PyTorch's, by the largest: two orders of summation in float32 differ by some 1e-6; a wrong network by 1e-2 and more.
# Eight bits and one scale for all tokens cost some percents.
MOST_ERROR = {"float32": 1e-4, "int8": 0.3}

# Reference case of the whole network, and what `tinyzsad` must be told.
MODELS = {
    "lizad": ("LiZAD, DINOv3 ViT-S/16 at 518", "lizad/vision-full", ["--class", "metal nut"]),
    "edgezsad": ("EdgeZSAD, TinyViT-21M at 512", "edgezsad/full", []),
    "visualad": ("VisualAD, CLIP ViT-L/14 at 518", "visualad/full", []),
}


class Failure(Exception):
    """Something that a person has to put right."""


@dataclass
class Finished:
    """A process that ran to its end."""
    output: str
    wall_ms: float
    peak_bytes: int
    others: float  # processor time that others took meanwhile, as a part of one core


@dataclass
class Side:
    """What the rounds measured of one of the two."""
    minimum_ms: list = field(default_factory=list)
    median_ms: list = field(default_factory=list)
    start_ms: list = field(default_factory=list)
    peak_bytes: list = field(default_factory=list)
    others: list = field(default_factory=list)

    def summary(self):
        return {"best_ms": min(self.minimum_ms), "median_ms": statistics.median(self.median_ms),
                "start_ms": statistics.median(self.start_ms), "peak_bytes": max(self.peak_bytes), "others": max(self.others)}


def busy_seconds():
    """What all processors have worked so far, time taken by the hypervisor included."""
    user, nice, system, _, _, irq, soft, steal = map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9])
    return (user + nice + system + irq + soft + steal) / os.sysconf("SC_CLK_TCK")


def run(command):
    """Runs a process that measures."""
    before, start = busy_seconds(), time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise Failure(f"exit code {process.returncode} of: {' '.join(map(str, command))}")
    others = busy_seconds() - before - usage.ru_utime - usage.ru_stime
    return Finished(output, 1000 * wall, 1024 * usage.ru_maxrss, max(0.0, others / wall))


def prepare(command, what):
    """Runs a process that makes something; its output matters only if it fails."""
    print(f"{what} ...", file=sys.stderr)
    try:
        done = subprocess.run(command, cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    except FileNotFoundError:
        raise Failure(f"{command[0]} is not installed; it is needed for: {what}") from None
    if done.returncode != 0:
        raise Failure(f"{done.stdout}{what}: exit code {done.returncode}")
    return done.stdout.strip()


def wait_until_quiet(most_seconds):
    """Waits until others take less than a tenth of a core for a second, but not for ever."""
    end = time.monotonic() + most_seconds
    while time.monotonic() < end:
        before = busy_seconds()
        time.sleep(1)
        if busy_seconds() - before < 0.1:
            return


def older(path, *sources):
    return not path.exists() or any(path.stat().st_mtime < source.stat().st_mtime for source in sources)


def graph_of(name, precision):
    return CACHE / (f"{name}.onnx" if precision == "float32" else f"{name}.{precision}.onnx")


def make_files(name, precision):
    """The model file and the graph, unless they are there."""
    case = ROOT / "tests/reference" / MODELS[name][1]
    if older(CACHE / f"{name}.safetensors", case / "manifest.json"):
        prepare([CLI, "seed", case, "-o", CACHE / f"{name}.safetensors"], f"seeding {name}")
    # The JSON is written last: where it is, the export came to its end.
    if older(CACHE / f"{name}.json", HERE / "models.py", HERE / "export.py"):
        prepare([sys.executable, HERE / "export.py", name, CACHE], f"exporting {name} (needs torch and onnx)")
    if precision == "int8" and older(graph_of(name, precision), graph_of(name, "float32"), HERE / "quantize.py"):
        prepare([sys.executable, HERE / "quantize.py", graph_of(name, "float32"), graph_of(name, precision)], f"quantising {name} (needs onnx)")


def measure_ours(name, precision, threads, runs, side):
    what = ["-m", CACHE / f"{name}.safetensors", *MODELS[name][2], "--precision", precision, "--threads", str(threads)]
    bench = run([CLI, "bench", *what, "--warmup", WARMUP, "--runs", str(runs), "--json"])
    times = json.loads(bench.output)
    once = run([CLI, "detect", *what, "--format", "json", PICTURE])
    add(side, bench, once, times)


def measure_theirs(name, precision, threads, runs, side):
    node = ["node", HERE / "ort_bench.mjs", graph_of(name, precision), "--threads", str(threads)]
    bench = run([*node, "--warmup", WARMUP, "--runs", str(runs), "--expected", CACHE / f"{name}.json"])
    times = json.loads(bench.output)
    most = MOST_ERROR[precision]
    if not times["error"] <= most:
        raise Failure(f"{graph_of(name, precision).name}: ONNX Runtime is {times['error']:.1e} away from PyTorch, where {most:.0e} is the most that rounding explains.")
    add(side, bench, run([*node, "--warmup", "1", "--runs", "0"]), times)


def add(side, bench, once, times):
    side.minimum_ms.append(times["minimum_ms"])
    side.median_ms.append(times["median_ms"])
    side.start_ms.append(once.wall_ms)
    side.peak_bytes.append(bench.peak_bytes)
    side.others.append(max(bench.others, once.others))


def compare(options):
    """Every model at every number of threads: rounds of both, by turns who begins."""
    results = []
    for name in options.models:
        for threads in options.threads:
            ours, theirs = Side(), Side()
            for number in range(options.rounds):
                print(f"{name}, threads {threads}, round {number + 1} of {options.rounds}", file=sys.stderr)
                turns = [(measure_ours, ours), (measure_theirs, theirs)]
                for measure, side in turns if number % 2 == 0 else reversed(turns):
                    wait_until_quiet(options.quiet)
                    measure(name, options.precision, threads, options.runs, side)
            mine, other = ours.summary(), theirs.summary()
            ratios = {key: mine[key] / other[key] for key in ("best_ms", "median_ms", "start_ms", "peak_bytes")}
            results.append({"model": name, "threads": threads, "tinyzsad": mine, "onnxruntime": other, "ratio": ratios})
    return results


def machine():
    """What the figures belong to."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    processor = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    package = json.loads((HERE / "node_modules/onnxruntime-node/package.json").read_text())
    return {"processor": processor, "processors": len(os.sched_getaffinity(0)), "system": f"{platform.system()} {platform.machine()}",
            "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), "dotnet": prepare(["dotnet", "--version"], "asking for .NET's version"),
            "node": prepare(["node", "--version"], "asking for Node's version"), "onnxruntime": package["version"]}


def markdown(report):
    m, options = report["machine"], report["options"]
    lines = [
        f"{m['processor']}, {m['processors']} processors, {m['memory_bytes'] / 2**30:.0f} GiB, {m['system']}; .NET SDK {m['dotnet']}, "
        f"ONNX Runtime {m['onnxruntime']} in Node {m['node']}; {options['precision']}, {options['rounds']} rounds of {options['runs']} runs.",
        "Each cell: TinyZsad / ONNX Runtime = ratio; below 1 TinyZsad is the faster or smaller.", "",
        "| model | threads | best, ms | median, ms | start to first result, ms | peak memory, MiB | others' load |", "|---|---|---|---|---|---|---|"]
    for r in report["results"]:
        def cell(key, unit=1.0):
            return f"{r['tinyzsad'][key] / unit:.0f} / {r['onnxruntime'][key] / unit:.0f} = **{r['ratio'][key]:.2f}**"
        others = max(r["tinyzsad"]["others"], r["onnxruntime"]["others"])
        lines.append(f"| {MODELS[r['model']][0]} | {r['threads']} | {cell('best_ms')} | {cell('median_ms')} | {cell('start_ms')} "
                     f"| {cell('peak_bytes', 2**20)} | {100 * others:.0f} %{' (not quiet)' if others > 0.1 else ''} |")
    return "\n".join(lines)


def positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not at least 1")
    return value


def main():
    parser = argparse.ArgumentParser(description="TinyZsad and ONNX Runtime by turns: times, start-up and memory.")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS), help="which networks (default: all)")
    parser.add_argument("--threads", nargs="+", type=positive, default=[1, 2], help="numbers of threads (default: 1 2)")
    parser.add_argument("--precision", choices=list(MOST_ERROR), default="float32", help="of both (default: float32)")
    parser.add_argument("--rounds", type=positive, default=5, help="turns of both (default: 5)")
    parser.add_argument("--runs", type=positive, default=20, help="detections that count in a round (default: 20)")
    parser.add_argument("--quiet", type=float, default=0, metavar="SECONDS", help="before each turn, wait at most so long for a quiet machine (default: 0)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    options = parser.parse_args()
    try:
        if sys.platform != "linux":
            raise Failure("Memory and load are read as Linux gives them; this runs on Linux only.")
        if not (HERE / "node_modules/onnxruntime-node").exists():
            raise Failure(f"ONNX Runtime is not installed: run npm install --ignore-scripts in {HERE.relative_to(ROOT)}.")
        CACHE.mkdir(exist_ok=True)
        prepare(["dotnet", "publish", ROOT / "src/Cli", "-c", "Release", "--use-current-runtime", "--no-self-contained", "-o", CLI.parent], "publishing tinyzsad")
        for name in options.models:
            make_files(name, options.precision)
        report = {"machine": machine(), "options": {key: getattr(options, key) for key in ("precision", "rounds", "runs")}, "results": compare(options)}
    except Failure as failure:
        sys.exit(f"error: {failure}")
    print(json.dumps(report, indent=2) if options.json else markdown(report))


if __name__ == "__main__":
    main()
