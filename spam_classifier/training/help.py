"""``fit --help``, printed at once: flags are read from the sources, because importing Lightning takes seconds."""

import argparse
import ast
import inspect
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
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
    "--print_config": (None, "print all settings as a config, and stop"),
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
    "limit_test_batches": ("N", "the same for the test split (default: all)"),
    "log_every_n_steps": ("N", "steps between points of the learning curves (default: 10)"),
    "callbacks+": ("CLASS", "add a callback, as in EarlyStopping; --trainer.callbacks.help CLASS lists its flags"),
    "enable_progress_bar": ("{true,false}", "show progress (default: true)"),
    "fast_dev_run": ("{true,false}", "one batch of everything, and nothing is kept (default: false)"),
}
EPILOG = """All arguments of Lightning's Trainer are flags, --trainer.NAME; --print_config lists them with their values.

Examples:
  {fit} --config quickstart
  {fit} --config recommended --data.corpus messages.csv
  {fit} --ckpt_path last
  {test}"""


class Flag(NamedTuple):
    """A flag of model or data: ``name`` without the group, ``values`` as in ``N`` or ``{true,false}``."""

    name: str
    values: str
    text: str
    default: object


def print_help(words: list[str]) -> None:
    """Print the help of a subcommand, or the list of them."""
    subcommand = next((word for word in words if word in hints.OF_TRAIN), None)
    if subcommand:
        _parser(subcommand).print_help()
        return
    commands = [
        f"{hints.program(name)} [options]\n    {text.partition('. ')[0]}." for name, text in DESCRIPTIONS.items()
    ]
    print("\n\n".join(["usage:", *commands, "--help after fit, validate or test lists all options."]))


def _parser(subcommand: str) -> argparse.ArgumentParser:
    program = hints.program(subcommand)
    parser = argparse.ArgumentParser(
        usage=f"{program} [options]",
        description=DESCRIPTIONS[subcommand],
        epilog=EPILOG.format(fit=hints.program("fit"), test=hints.program("test")),
        formatter_class=_Formatter,
        add_help=False,
    )
    general = parser.add_argument_group("run")
    filled = {
        "configs": ", ".join(name for name in packaged_names() if "/" not in name),
        "run": RUN.get(subcommand, RUN["validate"]),
    }
    for flag, (metavar, text) in GENERAL.items():
        _add(general, flag, metavar, text.format(**filled))
    for group, (module, name) in CLASSES.items():
        added = parser.add_argument_group(group)
        for own in flags_of(module, name):
            default = "" if own.default is None else f" (default: {_shown(own.default)})"
            _add(added, f"--{group}.{own.name}", own.values, f"{own.text.rstrip('.')}{default}")
    trainer = parser.add_argument_group("trainer (most used)")
    for argument, (metavar, text) in TRAINER.items():
        _add(trainer, f"--trainer.{argument}", metavar, text)
    return parser


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Wraps descriptions of one line; keeps the lines of others."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if "\n" in text:
            return super()._fill_text(text, width, indent)
        return argparse.HelpFormatter._fill_text(self, text, width, indent)


def _add(group: argparse._ArgumentGroup, flag: str, metavar: str | None, text: str) -> None:
    text = text.replace("%", "%%")
    if metavar is None:
        group.add_argument(flag, action="store_true", help=text)
    else:
        group.add_argument(flag, metavar=metavar, help=text)


def flags_of(module: str, name: str) -> Iterator[Flag]:
    """The arguments of a class as flags, from its signature and its docstring."""
    tree = _source(module)
    own = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)
    init = next(node for node in own.body if isinstance(node, ast.FunctionDef) and node.name == "__init__")
    texts = argument_texts(inspect.cleandoc(ast.get_docstring(own) or ""))
    arguments = init.args.args[1:]
    for argument, default in zip(arguments, init.args.defaults, strict=True):
        values = _values(argument.annotation, tree)
        shown = "|".join(values) if {"N", "X", "TEXT", "LIST"} & set(values) else f"{{{','.join(values)}}}"
        yield Flag(argument.arg, shown, texts[argument.arg], ast.literal_eval(default))


def argument_texts(docstring: str) -> dict[str, str]:
    """The texts of the section ``Args`` by the argument's name, without markup."""
    section = re.search(r"^Args:\n(.*?)(?=^\S|\Z)", docstring, flags=re.MULTILINE | re.DOTALL)
    parts = re.findall(r"^ {4}(\w+): (.*?)(?=^ {4}\w|\Z)", section[1] if section else "", re.MULTILINE | re.DOTALL)
    return {name: " ".join(text.replace("``", "").split()) for name, text in parts}


def _values(annotation: ast.expr | None, tree: ast.Module) -> list[str]:
    """What an annotation allows: ``N``, ``X``, ``TEXT``, ``LIST``, choices; None is left out."""
    plain = {"int": ["N"], "float": ["X"], "str": ["TEXT"], "bool": ["true", "false"]}
    if isinstance(annotation, ast.BinOp):
        return [*_values(annotation.left, tree), *_values(annotation.right, tree)]
    if isinstance(annotation, ast.Subscript):
        if ast.unparse(annotation.value) == "list":
            return ["LIST"]
        return [*ast.literal_eval(ast.unparse(annotation.slice).join("()"))]
    if isinstance(annotation, ast.Name):
        return plain[annotation.id] if annotation.id in plain else _values(*_alias(annotation.id, tree))
    return []


def _alias(name: str, tree: ast.Module) -> tuple[ast.expr, ast.Module]:
    """The type that a name is an alias of, and the module where it is written."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return node.value, tree
        if isinstance(node, ast.ImportFrom) and any(own.name == name for own in node.names):
            return _alias(name, _source(str(node.module).partition(".")[2]))
    raise LookupError(name)


@cache
def _source(module: str) -> ast.Module:
    return ast.parse(Path(__file__).parents[1].joinpath(*module.split(".")).with_suffix(".py").read_text("utf-8"))


def _shown(default: object) -> str:
    return str(default).lower() if isinstance(default, bool) else str(default)
