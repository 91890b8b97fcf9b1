"""The wheel, installed in an environment and a directory of its own."""

import os
import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path
from sysconfig import get_path
from typing import NamedTuple
from urllib.error import URLError
from urllib.request import urlopen

import pytest

ROOT = Path(__file__).parents[2]
SMALL = "--model.layers 1 --model.width 16 --model.heads 1 --trainer.max_epochs 1 --trainer.limit_train_batches 2"
OTHERS_ARE_SKIPPED = """[mypy]
[mypy-torch.*,torchmetrics.*,lightning.*,numpy.*,pandas.*,matplotlib.*,jsonargparse.*,huggingface_hub.*,safetensors.*]
follow_imports = skip
follow_imports_for_stubs = True
"""  # they take a minute
TYPED = """
from spam_classifier import SpamClassifier, SpamDataModule, load_classifier

reveal_type(load_classifier("run").predict(["hi"])[0].probability)
SpamClassifier(weights=3)
SpamDataModule(batch_size=8)
"""


class Installed(NamedTuple):
    """A virtual environment with the wheel, and an empty directory."""

    wheel: Path
    scripts: Path
    cwd: Path

    def start(self, name: str, *arguments: str) -> subprocess.Popen[str]:
        """Start a command of the environment in the empty directory."""
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return subprocess.Popen(
            [self.scripts / name, *arguments],
            cwd=self.cwd,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def run(self, name: str, *arguments: str) -> str:
        """What a command prints."""
        command = self.start(name, *arguments)
        out, err = command.communicate(timeout=300)
        assert command.returncode == 0, err
        return out


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The other packages are those of the environment that runs the tests, so nothing is downloaded."""
    directory = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(directory)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = directory.glob("*.whl")
    venv.create(directory / "venv", with_pip=False)
    scripts = directory / "venv" / ("Scripts" if os.name == "nt" else "bin")
    install = ["install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", "--python", str(scripts / "python"), *install], check=True)
    purelib = get_path("purelib", vars={"base": str(directory / "venv")})
    (Path(purelib) / "others.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
    (directory / "elsewhere").mkdir()
    return Installed(wheel, scripts, directory / "elsewhere")


@pytest.mark.ci
def test_wheel_holds_types_configs_and_data(installed: Installed) -> None:
    held = {name.removeprefix("spam_classifier/") for name in zipfile.ZipFile(installed.wheel).namelist()}
    configs = {path.relative_to(ROOT).as_posix() for path in (ROOT / "configs").rglob("*.yaml")}
    assert {"py.typed", "data/sample.tsv", "serving/page/index.html", *configs} <= held
    assert not [name for name in held if name.startswith(("tests", "benchmarks"))]


@pytest.mark.ci
def test_types_reach_users(installed: Installed) -> None:
    (installed.cwd / "typed.py").write_text(TYPED)
    (installed.cwd / "mypy.ini").write_text(OTHERS_ARE_SKIPPED)
    mypy = [sys.executable, "-m", "mypy", "--python-executable", str(installed.scripts / "python"), "typed.py"]
    done = subprocess.run(mypy, cwd=installed.cwd, capture_output=True, text=True, check=False)
    assert 'Revealed type is "builtins.float"' in done.stdout or 'Revealed type is "float"' in done.stdout
    assert 'has incompatible type "int"; expected "str"' in done.stdout
    assert "Found 1 error" in done.stdout


@pytest.mark.ci
def test_quickstart_runs_without_a_checkout(installed: Installed, wait_until: Callable) -> None:
    place = installed.run("python", "-c", "import spam_classifier; print(spam_classifier.__file__)")
    assert str(ROOT) not in place
    installed.run("spam-classifier", "fit", "--config", "quickstart", *SMALL.split())
    assert (installed.cwd / "lightning_logs/version_0/checkpoints/last.ckpt").is_file()
    assert "test" in installed.run("spam-classifier", "test")
    texts = ["You have won a prize, call now", "See you at seven?"]
    predicted = installed.run("spam-classifier", "predict", *texts)
    assert [line.split("\t")[-1] for line in predicted.splitlines()[-2:]] == texts
    server = installed.start("spam-classifier", "serve", "--port", "8765")

    def is_ready() -> bool:
        assert server.poll() is None, server.communicate()
        try:
            return urlopen("http://127.0.0.1:8765/health", timeout=5).status == 200
        except URLError:  # not listening yet, or 503 while it loads the model
            return False

    try:
        wait_until(is_ready)
    finally:
        server.kill()
        server.communicate()
