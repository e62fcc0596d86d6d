"""TinyZsad and ONNX Runtime by turns on the same networks: times, throughput, start-up and memory of both, as Markdown tables and JSON.
README.md says what is compared.

    python3 compare.py --models lizad edgezsad --threads 1 2 --rounds 5 --runs 20
"""
import argparse
import json
import math
import os
import platform
import statistics
import struct
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CACHE = HERE / "cache"
CLI = CACHE / "tinyzsad/TinyZsad.Cli"
PEER = CACHE / "peer/TinyZsad.Peer"
WARMUP = 3

# ONNX Runtime's values against TinyZsad's, by the largest: two orders of summation in float32 differ by some 1e-5; a wrong network by 1e-2 and more.
# Two ways to eight bits differ by some percents.
MOST_ERROR = {"float32": 1e-4, "int8": 0.3}

# The reference case of the whole network. The tiny ones compute in a moment, to see that everything runs.
MODELS = {
    "lizad": ("LiZAD, DINOv3 ViT-S/16 at 518", "lizad/vision-full"),
    "edgezsad": ("EdgeZSAD, TinyViT-21M at 512", "edgezsad/full"),
    "edgezsad-5m": ("EdgeZSAD, TinyViT-5M at 224", "edgezsad/5m-224"),
    "visualad": ("VisualAD, CLIP ViT-L/14 at 518", "visualad/full"),
    "lizad-tiny": ("LiZAD, tiny", "lizad/tiny"),
    "edgezsad-tiny": ("EdgeZSAD, tiny", "edgezsad/tiny"),
    "visualad-tiny": ("VisualAD, tiny", "visualad/tiny"),
}


def settings(processors):
    """The ways in which ONNX Runtime can keep all processors busy."""
    p = str(processors)
    return {
        f"one session, intra-op {p}": ["--threads", p],
        f"one session, intra-op 1, {p} callers": ["--threads", "1", "--callers", p],
        f"{p} sessions, intra-op 1": ["--threads", "1", "--callers", p, "--sessions", p],
        f"ORT_PARALLEL, inter-op {p}, intra-op 1": ["--threads", "1", "--inter", p],
    }


class Failure(Exception):
    """Something that a person has to put right."""


@dataclass
class Finished:
    """A process that ran to its end."""
    output: str
    wall_ms: float
    processor_ms: float
    peak_bytes: int
    others: float  # processor time that others took meanwhile, as a part of one core


@dataclass
class Side:
    """What the rounds measured of one of the two."""
    minimum_ms: list = field(default_factory=list)
    median_ms: list = field(default_factory=list)
    start_ms: list = field(default_factory=list)
    processor_ms: list = field(default_factory=list)
    peak_bytes: list = field(default_factory=list)
    others: list = field(default_factory=list)

    def summary(self):
        return {"best_ms": min(self.minimum_ms), "median_ms": statistics.median(self.median_ms),
                "processor_ms": statistics.median(self.processor_ms), "start_ms": statistics.median(self.start_ms),
                "peak_bytes": max(self.peak_bytes), "others": max(self.others)}


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
    processor = usage.ru_utime + usage.ru_stime
    others = busy_seconds() - before - processor
    return Finished(output, 1000 * wall, 1000 * processor, 1024 * usage.ru_maxrss, max(0.0, others / wall))


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


def case_of(name):
    return ROOT / "tests/reference" / MODELS[name][1]


def picture_of(name):
    return CACHE / f"{name}.ppm"


def make_files(name, precision):
    """The model file and the graph, unless they are there."""
    case = case_of(name)
    if older(CACHE / f"{name}.safetensors", case / "manifest.json"):
        prepare([CLI, "seed", case, "-o", CACHE / f"{name}.safetensors"], f"seeding {name}")
    # The JSON is written last: where it is, the export came to its end.
    if older(CACHE / f"{name}.json", HERE / "models.py", HERE / "export.py"):
        prepare([sys.executable, HERE / "export.py", case, name, CACHE], f"exporting {name} (needs torch, onnx, numpy and Pillow)")
    if precision == "int8" and older(graph_of(name, precision), graph_of(name, "float32"), HERE / "quantize.py"):
        prepare([sys.executable, HERE / "quantize.py", graph_of(name, "float32"), graph_of(name, precision)], f"quantising {name} (needs onnx)")


def ours(command, name, precision, threads, *more):
    """The tool's command on a model."""
    word = json.loads((case_of(name) / "manifest.json").read_text()).get("class_name")
    return [CLI, command, "-m", CACHE / f"{name}.safetensors", "--precision", precision, "--threads", str(threads),
            *(["--class", word] if word else []), *more]


def theirs(name, precision, *more):
    """ONNX Runtime's process on a model."""
    return [PEER, graph_of(name, precision), CACHE / f"{name}.bytes", *more]


def check(name, precision):
    """The largest error of TinyZsad's values, taking ONNX Runtime's as right; a mismatch is a failure."""
    print(f"comparing the values of {name}, {precision} ...", file=sys.stderr)
    values, taps = CACHE / f"{name}.values", CACHE / f"{name}.values.safetensors"
    run(theirs(name, precision, "--threads", "1", "--warmup", "1", "--runs", "1", "--outputs", values))
    header, at = {}, 0
    for tap, shape in (tap for output in json.loads((CACHE / f"{name}.json").read_text()) for tap in output):
        size = 4 * math.prod(shape)
        header[tap] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    data, text = values.read_bytes(), json.dumps(header).encode()
    if len(data) != at:
        raise Failure(f"{graph_of(name, precision).name} gives {len(data)} bytes; {at} were expected.")
    taps.write_bytes(struct.pack("<Q", len(text)) + text + data)
    most = MOST_ERROR[precision]
    done = subprocess.run(ours("verify", name, precision, 1, "--image", picture_of(name), "--expected", taps, "--tolerance", str(most), "--json"),
                          stdout=subprocess.PIPE, text=True)
    if not done.stdout:
        raise Failure(f"exit code {done.returncode} of tinyzsad verify with {name}")
    compared = {t["tap"]: t.get("max_error", t.get("problem")) for case in json.loads(done.stdout)["cases"] for t in case["taps"]}
    if done.returncode != 0:
        raise Failure(f"{name}, {precision}: the two compute different values; {most:.0e} of the largest is the most that rounding explains: "
                      f"{compared}")
    print(f"comparing the values of {name}, {precision}: largest error {max(compared.values()):.1e}", file=sys.stderr)
    return compared


def measure_ours(name, precision, threads, runs, side):
    bench = run(ours("bench", name, precision, threads, "--image", picture_of(name), "--warmup", str(WARMUP), "--runs", str(runs), "--json"))
    once = run(ours("detect", name, precision, threads, "--format", "json", picture_of(name)))
    add(side, bench, once, runs)


def measure_theirs(name, precision, threads, runs, side):
    bench = run(theirs(name, precision, "--threads", str(threads), "--warmup", str(WARMUP), "--runs", str(runs)))
    once = run(theirs(name, precision, "--threads", str(threads), "--runs", "0"))
    add(side, bench, once, runs)


def add(side, bench, once, runs):
    times = json.loads(bench.output)
    side.minimum_ms.append(times["minimum_ms"])
    side.median_ms.append(times["median_ms"])
    side.start_ms.append(once.wall_ms)
    # Loading and one picture are in both processes.
    side.processor_ms.append((bench.processor_ms - once.processor_ms) / (WARMUP + runs - 1))
    side.peak_bytes.append(bench.peak_bytes)
    side.others.append(max(bench.others, once.others))


def compare(name, precision, threads, options):
    """A model at a number of threads: rounds of both, by turns who begins."""
    mine, other = Side(), Side()
    for number in range(options.rounds):
        print(f"{name}, {precision}, threads {threads}, round {number + 1} of {options.rounds}", file=sys.stderr)
        turns = [(measure_ours, mine), (measure_theirs, other)]
        for measure, side in turns if number % 2 == 0 else reversed(turns):
            wait_until_quiet(options.quiet)
            measure(name, precision, threads, options.runs, side)
    mine, other = mine.summary(), other.summary()
    ratios = {key: mine[key] / other[key] for key in ("best_ms", "median_ms", "processor_ms", "start_ms", "peak_bytes")}
    return {"model": name, "precision": precision, "threads": threads, "tinyzsad": mine, "onnxruntime": other, "ratio": ratios}


def measure_throughput(name, precision, batch, runs, setting):
    """The shortest and the median time of a batch, and the load by others. TinyZsad's setting is None."""
    counts = ["--batch", str(batch), "--runs", str(runs)]
    if setting is None:
        command = ours("bench", name, precision, processors(), "--image", picture_of(name), "--warmup", "1", *counts, "--json")
        keys = "batch_minimum_ms", "batch_median_ms"
    else:
        command, keys = theirs(name, precision, *setting, "--warmup", "2", *counts), ("minimum_ms", "median_ms")
    finished = run(command)
    times = json.loads(finished.output)
    return *(times[key] for key in keys), finished.others


def compare_throughput(name, precision, options):
    """Batches with all processors busy: rounds of TinyZsad and of each of ONNX Runtime's settings, by turns who begins."""
    found = {setting: [] for setting in ("TinyZsad", *settings(processors()))}
    arguments = {"TinyZsad": None} | settings(processors())
    for number in range(options.rounds):
        print(f"{name}, {precision}, throughput, round {number + 1} of {options.rounds}", file=sys.stderr)
        for setting in list(found) if number % 2 == 0 else reversed(list(found)):
            wait_until_quiet(options.quiet)
            found[setting].append(measure_throughput(name, precision, options.batch, max(1, options.runs // options.batch), arguments[setting]))
    milliseconds = 1000 * options.batch
    rates = {setting: {"best": milliseconds / min(r[0] for r in rounds), "median": milliseconds / statistics.median(r[1] for r in rounds),
                       "others": max(r[2] for r in rounds)} for setting, rounds in found.items()}
    mine = rates.pop("TinyZsad")
    # The one that is best for ONNX Runtime, in each of the two figures.
    ratios = {key: mine[key] / max(r[key] for r in rates.values()) for key in ("best", "median")}
    return {"model": name, "precision": precision, "processors": processors(), "batch": options.batch, "tinyzsad": mine, "onnxruntime": rates,
            "ratio": ratios}


def processors():
    return len(os.sched_getaffinity(0))


def machine():
    """What the figures belong to."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    processor = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    package = json.loads((PEER.parent / "TinyZsad.Peer.deps.json").read_text())
    version = next(key.split("/")[1] for key in package["libraries"] if key.startswith("Microsoft.ML.OnnxRuntime/"))
    return {"processor": processor, "processors": processors(), "system": f"{platform.system()} {platform.machine()}",
            "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
            "dotnet": prepare(["dotnet", "--version"], "asking for .NET's version"), "onnxruntime": version}


def load_text(others):
    return f"{100 * others:.0f} %{' (not quiet)' if others > 0.1 else ''}"


def markdown(report):
    m, options = report["machine"], report["options"]
    lines = [
        f"{m['processor']}, {m['processors']} processors, {m['memory_bytes'] / 2**30:.0f} GiB, {m['system']}; .NET SDK {m['dotnet']}, "
        f"Microsoft.ML.OnnxRuntime {m['onnxruntime']}; {options['rounds']} rounds of {options['runs']} runs."]
    lines += ["", "Largest difference of the values, by the largest value: "
              + ", ".join(f"{e['model']} {e['precision']} {max(e['taps'].values()):.1e}" for e in report["errors"]) + "."]
    if report["latency"]:
        lines += ["", "Each cell: TinyZsad / ONNX Runtime = ratio; below 1 TinyZsad is the faster or smaller.", "",
                  "| model | precision | threads | best, ms | median, ms | processor time, ms | start to first result, ms | peak memory, MiB "
                  "| others' load |",
                  "|---|---|---|---|---|---|---|---|---|"]
    for r in report["latency"]:
        def cell(key, unit=1.0):
            mine, other = r["tinyzsad"][key] / unit, r["onnxruntime"][key] / unit
            digits = 0 if other >= 100 else 1
            return f"{mine:.{digits}f} / {other:.{digits}f} = **{r['ratio'][key]:.2f}**"
        others = max(r["tinyzsad"]["others"], r["onnxruntime"]["others"])
        lines.append(f"| {MODELS[r['model']][0]} | {r['precision']} | {r['threads']} | {cell('best_ms')} | {cell('median_ms')} "
                     f"| {cell('processor_ms')} | {cell('start_ms')} | {cell('peak_bytes', 2**20)} | {load_text(others)} |")
    if report["throughput"]:
        lines += ["", f"Pictures a second in batches of {options['batch']}, all processors busy: TinyZsad / ONNX Runtime's best setting = ratio; "
                  "above 1 TinyZsad is the faster.", "",
                  "| model | precision | best | median | ONNX Runtime's settings, best / median | others' load |", "|---|---|---|---|---|---|"]
    for r in report["throughput"]:
        def rate(key):
            return f"{r['tinyzsad'][key]:.2f} / {max(s[key] for s in r['onnxruntime'].values()):.2f} = **{r['ratio'][key]:.2f}**"
        each = "; ".join(f"{name}: {s['best']:.2f} / {s['median']:.2f}" for name, s in r["onnxruntime"].items())
        others = max(s["others"] for s in (r["tinyzsad"], *r["onnxruntime"].values()))
        lines.append(f"| {MODELS[r['model']][0]} | {r['precision']} | {rate('best')} | {rate('median')} | {each} | {load_text(others)} |")
    return "\n".join(lines)


def positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not at least 1")
    return value


def not_negative(text):
    return 0 if text == "0" else positive(text)


def main():
    parser = argparse.ArgumentParser(description="TinyZsad and ONNX Runtime by turns: times, throughput, start-up and memory.")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=["lizad", "edgezsad", "visualad"],
                        help="which networks (default: lizad edgezsad visualad)")
    parser.add_argument("--threads", nargs="*", type=positive, default=[1, 2],
                        help="numbers of threads for single pictures; none leaves these out (default: 1 2)")
    parser.add_argument("--precision", nargs="+", choices=list(MOST_ERROR), default=["float32"], help="of both (default: float32)")
    parser.add_argument("--batch", type=not_negative, default=8, metavar="N",
                        help="pictures of a batch, for throughput; 0 leaves it out (default: 8)")
    parser.add_argument("--rounds", type=positive, default=5, metavar="N", help="turns of both (default: 5)")
    parser.add_argument("--runs", type=positive, default=20, metavar="N", help="pictures that count in a round (default: 20)")
    parser.add_argument("--quiet", type=float, default=0, metavar="SECONDS",
                        help="before each turn, wait at most so long for a quiet machine (default: 0)")
    parser.add_argument("--json", type=Path, default=CACHE / "figures.json", metavar="FILE",
                        help="where to write all figures (default: cache/figures.json)")
    options = parser.parse_args()
    try:
        if sys.platform != "linux":
            raise Failure("Memory and load are read as Linux gives them; this runs on Linux only.")
        CACHE.mkdir(exist_ok=True)
        options.json.parent.mkdir(parents=True, exist_ok=True)
        for project, program in ((ROOT / "src/Cli", CLI), (HERE / "peer", PEER)):
            prepare(["dotnet", "publish", project, "-c", "Release", "--use-current-runtime", "--no-self-contained", "-o", program.parent],
                    f"publishing {program.name}")
        report = {"machine": machine(), "options": {key: getattr(options, key) for key in ("rounds", "runs", "batch")},
                  "errors": [], "latency": [], "throughput": []}
        for name in options.models:
            for precision in options.precision:
                make_files(name, precision)
                report["errors"].append({"model": name, "precision": precision, "taps": check(name, precision)})
                report["latency"] += [compare(name, precision, threads, options) for threads in options.threads]
                report["throughput"] += [compare_throughput(name, precision, options)] if options.batch else []
                options.json.write_text(json.dumps(report, indent=2) + "\n")
    except Failure as failure:
        sys.exit(f"error: {failure}")
    print(markdown(report))


if __name__ == "__main__":
    main()
