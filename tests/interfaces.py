"""Options of the commands in the documentation, and errors in a command as it is written there."""

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path

import typer
from support import ROOT

from ser_core.commands.cli import app


@dataclass
class Interface:
    """The options of a command."""

    options: dict[str, tuple[str, ...]]  # the permitted values of each; empty: any value
    flags: set[str] = field(default_factory=set)  # options without a value


def typer_interface(command: typer.core.TyperCommand) -> Interface:
    """The options of a typer command."""
    interface = Interface({"--help": ()}, {"--help"})
    for parameter in command.params:
        for option in (*parameter.opts, *parameter.secondary_opts):
            if option.startswith("--"):
                metavar = parameter.metavar or ""
                interface.options[option] = tuple(metavar.split("|")) if "|" in metavar else ()
                if getattr(parameter, "is_flag", False):
                    interface.flags.add(option)
    return interface


def source_interface(function: ast.FunctionDef, aliases: dict[str, ast.expr]) -> Interface:
    """The options of a typer command, read from its source, because importing it takes seconds."""
    interface = Interface({"--help": ()}, {"--help"})
    for argument in function.args.args:
        annotation = argument.annotation
        if isinstance(annotation, ast.Name):
            annotation = aliases.get(annotation.id, annotation)
        text = ast.unparse(annotation) if annotation else ""
        if "typer.Argument" in text:
            continue
        named = re.findall(r"'(--[\w-]+)'", text)
        plain = "--" + argument.arg.replace("_", "-")
        flag = bool(re.match(r"Annotated\[bool\b|bool$", text))
        options = named or ([plain, "--no-" + plain[2:]] if flag else [plain])
        interface.options |= dict.fromkeys(options, ())
        interface.flags |= set(options) if flag else set()
    return interface


def functions(path: Path) -> tuple[dict[str, ast.FunctionDef], dict[str, ast.expr]]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    aliases = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}, aliases


def train_commands() -> dict[str, Interface]:
    definitions, aliases = functions(ROOT / "train" / "cli.py")
    commands = {}
    for name, function in definitions.items():
        for decorator in map(ast.unparse, function.decorator_list):
            if named := re.fullmatch(r"app\.command\((?:'(\w+)')?\)", decorator):
                commands[named[1] or name] = source_interface(function, aliases)
    return commands


def benchmark(name: str) -> Interface | None:
    path = ROOT / "benchmarks" / f"{name.replace('.', '/')}.py"
    if not path.is_file():
        return None
    if "add_argument(" in path.read_text(encoding="utf-8"):
        return Interface(
            dict.fromkeys(re.findall(r'add_argument\(\s*"(--[\w-]+)"', path.read_text(encoding="utf-8")), ())
        )
    definitions, aliases = functions(path)
    return source_interface(definitions["main"], aliases) if "main" in definitions else None


def ser_studio_commands() -> dict[str, Interface]:
    group = typer.main.get_command(app)
    commands = {name: typer_interface(command) for name, command in group.commands.items()}
    return {"page": Interface({"--model": (), "--port": (), "--help": ()}, {"--help"})} | commands


STUDIO, TRAIN = ser_studio_commands(), train_commands()


def problem(words: list[str]) -> str:
    """Why a command is not valid; empty if it is."""
    if words[0] == "ser-studio":
        known, rest = STUDIO, words[1:]
    elif words[2] == "ser_core":
        known, rest = STUDIO, words[3:]
    elif words[2] == "train":
        known, rest = TRAIN, words[3:]
    else:
        name = words[2].removeprefix("benchmarks.")
        interface = benchmark(name)
        if interface is None:
            return f"there is no benchmark {name}"
        known, rest = {name: interface}, [name, *words[3:]]
    if not rest or not re.fullmatch(r"[a-z_]+", rest[0]):  # the program as such, or `COMMAND`
        return ""
    if rest[0] not in known:
        return f"there is no command {rest[0]}"
    takes, values = known[rest[0]], iter(rest[1:])
    for word in values:
        if not word.startswith("--"):
            continue
        if word not in takes.options:
            return f"{rest[0]} has no option {word}"
        if word not in takes.flags:
            value = next(values, "…")
            number = "N" in takes.options[word] and value.isdecimal()
            if takes.options[word] and not number and value not in (*takes.options[word], "…"):
                return f"{rest[0]} {word} cannot be {value}"
    return ""
