"""All commands in one place. Each imports what it needs when it runs, so that an agent's machine needs nothing of the panel."""

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from ctrl_alt_play import __version__, logs

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Ctrl-Alt-Play: game servers, managed.",
    pretty_exceptions_enable=False,
)

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="A TOML file with settings; the environment wins over it.")
]


@app.callback(invoke_without_command=True)
def version(
    ctx: typer.Context, *, show: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False
) -> None:
    if show:
        typer.echo(__version__)
        ctx.exit()


@app.command()
def agent(config: ConfigOption = None) -> None:
    """Run the agent of this node until it is told to end. Games go on without it."""
    from ctrl_alt_play.agent.config import ConfigError, load_config  # noqa: PLC0415
    from ctrl_alt_play.agent.main import run  # noqa: PLC0415

    if config is not None:
        os.environ["CTRL_ALT_PLAY_AGENT_CONFIG"] = str(config)
    try:
        settings = load_config()
        logs.configure(settings.log_level, settings.log_format)
        asyncio.run(run(settings))
    except ConfigError as error:
        typer.echo(f"The agent cannot start: {error}", err=True)
        raise typer.Exit(1) from error


def main() -> None:
    app()
