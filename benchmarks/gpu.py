"""All tests and measurements that need a GPU, in less than eight minutes: one JSON, one Markdown file.

    python benchmarks/gpu.py    # or benchmarks/gpu.sh
    python benchmarks/gpu.py --corpus sms+spam+collection.zip --out figures
    python benchmarks/gpu.py --try    # every part at a tiny size on the CPU, some minutes: says nothing about speed

The parts run one after the other, the most important first, each with a time limit of its own. A part that fails or
takes too long is recorded and does not stop the others; a part that eight minutes leave no time for is recorded, too.
Weights are random: nothing is downloaded. The corpus is the SMS Spam Collection's archive: --corpus, or the environment
variable SPAM_CLASSIFIER_UCI_ARCHIVE. The output of each part stays beside gpu.json and gpu.md.
"""

import argparse
import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from gpu_tables import markdown, results_of_tests, tables_of

from spam_classifier.errors import UserError, one_line_errors
from spam_classifier.runs.provenance import git_revision, versions

ROOT = Path(__file__).resolve().parents[1]
ARCHIVE = "SPAM_CLASSIFIER_UCI_ARCHIVE"
ALL_SECONDS = 470  # of all parts: less than eight minutes with what comes before and after
TESTS, JUNIT = "tests", "tests.xml"
ASK = """
import json, torch
there = torch.cuda.is_available()
about = torch.cuda.get_device_properties(0) if there else None
print(json.dumps({"GPU": about.name, "GPU memory, GB": round(about.total_memory / 1e9, 1), "CUDA": torch.version.cuda,
                  "GPUs": torch.cuda.device_count()} if there else {}))
"""


class Part(NamedTuple):
    """A command, the most seconds that it may take, and where it writes JSON, if it does."""

    name: str
    limit: float
    command: list[str]
    figures: Path | None = None


def parts(corpus: str, out: Path) -> list[Part]:
    """The parts on a GPU."""
    on_gpu = ["--accelerator", "gpu"]
    job = ["finetune.py", "--corpus", corpus, *on_gpu, "--gemm", "8192", "--json"]
    bf16 = ["--precision", "bf16-mixed", "--scale", "0.5", "--variants", "ours, recommended", "transformers"]
    figures = [out / "job_float32.json", out / "job_bf16.json"]
    sizes = ["gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl"]
    return [
        Part(TESTS, 120, tests(out, "-n", "6")),
        Part("whole job, float32", 110, script(*job, str(figures[0])), figures[0]),
        Part("inference", 60, script("inference.py", "--corpus", corpus, *on_gpu, "--gemm", "8192")),
        Part("largest batch", 90, script("largest_batch.py", *on_gpu, "--policies", "last_block", "lora", "all")),
        Part("memory", 150, script("memory.py", "--measure", *sizes, *on_gpu)),
        Part("whole job, bf16-mixed, half the messages", 80, script(*job, str(figures[1]), *bf16), figures[1]),
        Part("loss of each step", 60, script("agreement.py", "--corpus", corpus, *on_gpu, "--steps", "50")),
        Part("server", 60, script("serve.py", "--corpus", corpus, *on_gpu, "--requests", "2000")),
    ]


def tiny_parts(out: Path) -> list[Part]:
    """The same parts at a tiny size on a CPU, with the embedded sample."""
    shape = ["--layers", "2", "--width", "32", "--heads", "2"]
    job = ["finetune.py", "--corpus", "sample", *shape, "--gemm", "64", "--scale", "0.01", "--json"]
    bf16 = ["--precision", "bf16-mixed", "--variants", "ours, recommended", "transformers"]
    figures = [out / "job_float32.json", out / "job_bf16.json"]
    tiny = ["--measure", "tiny", "--policies", "last_block"]
    return [
        Part(TESTS, 600, tests(out)),
        Part("whole job, float32", 120, script(*job, str(figures[0])), figures[0]),
        Part("inference", 120, script("inference.py", "--corpus", "sample", *shape, "--gemm", "64", "--rounds", "1")),
        Part("largest batch", 60, script("largest_batch.py", *tiny, "--most", "4")),
        Part("memory", 120, script("memory.py", *tiny)),
        Part("whole job, bf16-mixed, half the messages", 120, script(*job, str(figures[1]), *bf16), figures[1]),
        Part("loss of each step", 120, script("agreement.py", *shape, "--steps", "2")),
        Part("server", 120, script("serve.py", "--corpus", "sample", *shape, "--requests", "128", "--messages", "9")),
    ]


def script(name: str, *flags: str) -> list[str]:
    """The command of a benchmark."""
    return [sys.executable, f"benchmarks/{name}", *flags]


def tests(out: Path, *flags: str) -> list[str]:
    """The command of the tests that need a GPU."""
    report = [f"--junitxml={out / JUNIT}", "-o", "junit_family=xunit1"]  # the kind that holds measured figures
    return [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *report, *flags, "tests/test_gpu.py"]


def run(part: Part, out: Path, seconds: float, environment: dict[str, str]) -> dict[str, object]:
    """Run a part for at most this long, with its output in files; returns what is to be recorded."""
    stem = out / part.name.replace(",", "").replace(" ", "_")
    for stale in filter(None, [part.figures, out / JUNIT if part.name == TESTS else None]):
        stale.unlink(missing_ok=True)  # of an earlier run
    files = [stem.with_suffix(".out"), stem.with_suffix(".err")]
    start = time.monotonic()
    with files[0].open("w") as stdout, files[1].open("w") as stderr:
        streams = {"stdin": subprocess.DEVNULL, "stdout": stdout, "stderr": stderr}
        # a session of its own: what the part has started ends with it
        process = subprocess.Popen(part.command, cwd=ROOT, env=environment, start_new_session=True, **streams)
        try:
            code = process.wait(seconds)
            status = "ok" if code == 0 else "failed"
        except subprocess.TimeoutExpired:
            code, status = None, "out of time"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    written, said = (file.read_text(encoding="utf-8", errors="replace") for file in files)
    of_tests = part.name == TESTS
    last = last_line(written) if of_tests else last_line(said) or last_line(written)
    return {
        "status": status,
        "exit_code": code,
        "seconds": round(time.monotonic() - start, 1),
        "limit": round(seconds, 1),
        "last_line": last if of_tests or status != "ok" else "",
        "command": shlex.join(["python", *(word.replace(f"{out}{os.sep}", "") for word in part.command[1:])]),
        "tables": [results_of_tests(out / JUNIT)] if of_tests else tables_of(written),
        "figures": json.loads(part.figures.read_text()) if part.figures and part.figures.exists() else None,
    }


def last_line(text: str) -> str:
    """The last line that is not empty."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def machine() -> dict[str, object]:
    """The GPU, if there is one, and versions."""
    asked = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True)
    return {**json.loads(asked.stdout), "cores": os.cpu_count(), **versions(), "git": git_revision()}


def main() -> None:
    """Run all parts, and write what they found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("gpu_figures"), help="directory of the results")
    parser.add_argument("--corpus", default=os.environ.get(ARCHIVE), help="the SMS Spam Collection's archive")
    parser.add_argument("--try", dest="tiny", action="store_true", help="every part at a tiny size on the CPU")
    parser.add_argument("--parts", nargs="+", metavar="NAME", help="only these (default: all)")
    arguments = parser.parse_args()
    about = machine()
    if not arguments.tiny and "GPU" not in about:
        raise UserError("PyTorch finds no GPU here: --try runs every part at a tiny size on the CPU")
    if not arguments.tiny and not Path(arguments.corpus or "").is_file():
        raise UserError(f"no corpus: give --corpus, or name the SMS Spam Collection's archive in {ARCHIVE}")
    out = arguments.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    chosen = tiny_parts(out) if arguments.tiny else parts(str(Path(arguments.corpus).resolve()), out)
    known = [part.name for part in chosen]
    if unknown := set(arguments.parts or []) - set(known):
        raise UserError(f"--parts {' '.join(sorted(unknown))}: there are {', '.join(map(repr, known))}")
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    if arguments.tiny:
        environment["SPAM_CLASSIFIER_GPU_TESTS_ON"] = "cpu"
    start = time.monotonic()
    record: dict[str, object] = {"try": arguments.tiny, "started": time.strftime("%Y-%m-%d %H:%M"), "machine": about}
    done: dict[str, dict[str, object]] = {}
    for part in chosen:
        if arguments.parts and part.name not in arguments.parts:
            continue
        left = float("inf") if arguments.tiny else ALL_SECONDS - (time.monotonic() - start)
        if left < 10:
            done[part.name] = {"status": "not started", "last_line": "eight minutes were over", "tables": []}
        else:
            print(f"{part.name} ...", file=sys.stderr, flush=True)
            done[part.name] = run(part, out, min(part.limit, left), environment)
        print(f"{part.name}: {done[part.name]['status']}", file=sys.stderr, flush=True)
        record |= {"seconds": round(time.monotonic() - start, 1), "parts": done}
        # after each part: what is known stays, should this command be stopped
        (out / "gpu.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        (out / "gpu.md").write_text(markdown(record), encoding="utf-8")
    print(out / "gpu.md")
    sys.exit(any(part["status"] != "ok" for part in done.values()))


if __name__ == "__main__":
    with one_line_errors():
        main()
