"""``fit --help``, printed at once: flags are read from the sources, because importing Lightning takes seconds."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from shutil import get_terminal_size
from textwrap import TextWrapper
from typing import NamedTuple

from spam_classifier import hints
from spam_classifier.find_config import packaged_names

CLASSES = {"model": ("training.module", "SpamClassifier"), "data": ("data.datamodule", "SpamDataModule")}
DESCRIPTIONS = {
    "fit": "Fine-tune GPT-2 into a text classifier. Without flags this is the book's recipe on the SMS Spam Collection "
    "with GPT-2 124M (200 kB and 550 MB are downloaded once). --config quickstart takes half a minute and no network.",
    "validate": "Evaluate a run on its validation split. Model and data are built from the run's own settings; flags "
    "override them.",
    "test": "Evaluate a run on its test split, and on the messages that balancing left over. Model and data are built "
    "from the run's own settings; flags override them.",
}
RUN = {
    "fit": "resume this training: a run directory, a checkpoint, or last, for the newest run (default: a new run)",
    "validate": "a run directory, a checkpoint, or best or last of the newest run (default: best)",
}
GENERAL = {  # flag: metavar and help; {configs} and {run} are filled in
    "--config": (
        "NAME",
        "settings: a .yaml file, or one of {configs} or experiments/NAME, which come with the package; given several "
        "times, later ones override earlier ones; flags override configs, wherever they are typed",
    ),
    "--ckpt_path": ("RUN", "{run}"),
    "--root": ("DIR", "directory that holds lightning_logs; short for --trainer.default_root_dir (default: .)"),
    "--accelerator": ("NAME", "cpu, gpu, cuda or mps; short for --trainer.accelerator (default: auto)"),
    "--devices": ("N", "how many GPUs, or processes on CPUs; short for --trainer.devices (default: auto)"),
    "--seed_everything": ("N", "seed of initial weights, dropout and order; true draws one (default: 123)"),
    "--print_config": ("", "print all settings as a config, and stop"),
}
TRAINER = {
    "max_epochs": ("N", "passes over the train split; -1 for no limit (default: 5)"),
    "max_steps": ("N", "most optimizer steps; -1 for no limit (default: -1)"),
    "max_time": ("TIME", "stop after this time, as in 00:01:30:00 for an hour and a half"),
    "precision": ("NAME", "numbers to compute with, as in bf16-mixed (default: 32-true)"),
    "accumulate_grad_batches": ("N", "batches for each optimizer step (default: 1)"),
    "gradient_clip_val": ("X", "most that the norm of the gradients may be"),
    "strategy": ("NAME", "how several devices work together, as in ddp (default: auto)"),
    "num_nodes": ("N", "machines (default: 1)"),
    "check_val_every_n_epoch": ("N", "epochs from one validation to the next (default: 1)"),
    "val_check_interval": ("N", "batches from one validation to the next, or a share of an epoch"),
    "limit_train_batches": ("N", "batches of an epoch, or their share, as in 0.1 (default: all)"),
    "limit_val_batches": ("N", "the same for validation (default: all)"),
    "log_every_n_steps": ("N", "steps between points of the learning curves (default: 10)"),
    "callbacks+": ("CLASS", "add a callback, as in EarlyStopping; --trainer.callbacks.help CLASS lists its flags"),
    "enable_progress_bar": ("{true,false}", "show progress (default: true)"),
    "fast_dev_run": ("{true,false}", "one batch of everything, and nothing is kept (default: false)"),
}
VALUES = {"int": "N", "float": "X", "bool": "{true,false}", "str": "TEXT", "list": "LIST", "Literal": "NAME"}
EPILOG = """All arguments of Lightning's Trainer are flags, --trainer.NAME; --print_config lists them with their values.

Examples:
  {fit} --config quickstart
  {fit} --config recommended --data.corpus messages.csv
  {fit} --ckpt_path last
  {test}"""


class Flag(NamedTuple):
    """A flag of model or data: ``name`` without the group, ``values`` as in ``N`` or ``X|NAME``."""

    name: str
    values: str
    text: str
    default: object


def print_help(words: list[str]) -> None:
    """Print the help of a subcommand, or the list of them."""
    subcommand = next((word for word in words if word in hints.OF_TRAIN), None)
    if subcommand is None:
        names = [
            f"{hints.program(name)} [options]\n    {text.partition('. ')[0]}." for name, text in DESCRIPTIONS.items()
        ]
        print("\n\n".join(["usage:", *names, "--help after fit, validate or test lists all options."]))
        return
    configs = ", ".join(name for name in packaged_names() if "/" not in name)
    run = RUN.get(subcommand, RUN["validate"])
    groups = {
        "run": [(flag, values, text.format(configs=configs, run=run)) for flag, (values, text) in GENERAL.items()]
    }
    for group, (module, name) in CLASSES.items():
        groups[group] = []
        for flag in flags_of(module, name):
            shown = str(flag.default).lower() if isinstance(flag.default, bool) else str(flag.default)
            default = "" if flag.default is None else f" (default: {shown})"
            groups[group].append((f"--{group}.{flag.name}", flag.values, f"{flag.text.rstrip('.')}{default}"))
    groups["trainer (most used)"] = [(f"--trainer.{name}", *of_flag) for name, of_flag in TRAINER.items()]
    wrapped = TextWrapper(get_terminal_size().columns - 2, break_on_hyphens=False)
    parts = [f"usage: {hints.program(subcommand)} [options]", wrapped.fill(DESCRIPTIONS[subcommand])]
    wrapped.initial_indent = wrapped.subsequent_indent = " " * 8
    for group, flags in groups.items():
        lines = [f"  {name} {values}".rstrip() + f"\n{wrapped.fill(text)}" for name, values, text in flags]
        parts.append("\n".join([f"{group}:", *lines]))
    print("\n\n".join([*parts, EPILOG.format(fit=hints.program("fit"), test=hints.program("test"))]))


def flags_of(module: str, name: str) -> Iterator[Flag]:
    """The arguments of a class as flags, from its signature and its docstring."""
    path = Path(__file__).parents[1].joinpath(*module.split(".")).with_suffix(".py")
    own = next(node for node in ast.parse(path.read_text("utf-8")).body if getattr(node, "name", "") == name)
    assert isinstance(own, ast.ClassDef)
    init = next(node for node in own.body if isinstance(node, ast.FunctionDef) and node.name == "__init__")
    texts = argument_texts(inspect.cleandoc(ast.get_docstring(own) or ""))
    for argument, default in zip(init.args.args[1:], init.args.defaults, strict=True):
        types = ast.unparse(argument.annotation).replace("list[str]", "list") if argument.annotation else ""
        values = [shown for kind, shown in VALUES.items() if re.search(rf"\b{kind}\b", types)]
        yield Flag(argument.arg, "|".join(values) or "NAME", texts[argument.arg], ast.literal_eval(default))


def argument_texts(docstring: str) -> dict[str, str]:
    """The texts of the section ``Args`` by the argument's name, without markup."""
    section = re.search(r"^Args:\n(.*?)(?=^\S|\Z)", docstring, flags=re.MULTILINE | re.DOTALL)
    parts = re.findall(r"^ {4}(\w+): (.*?)(?=^ {4}\w|\Z)", section[1] if section else "", re.MULTILINE | re.DOTALL)
    return {name: " ".join(text.replace("``", "").split()) for name, text in parts}
