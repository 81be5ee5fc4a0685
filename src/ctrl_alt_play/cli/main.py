"""All commands in one place. Each imports what it needs when it runs, so that an agent's machine needs nothing of the panel."""

from pathlib import Path
from typing import Annotated

import typer

from ctrl_alt_play import __version__
from ctrl_alt_play.cli import nodes, operations, registries, servers, templates
from ctrl_alt_play.cli.output import Commands, JsonOption, say
from ctrl_alt_play.cli.programs import enrol_agent, run_agent, run_panel
from ctrl_alt_play.client import DEFAULT_URL, Api, Login

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    help="Ctrl-Alt-Play: game servers, managed.",
    pretty_exceptions_enable=False,
)
app.add_typer(servers.app, name="server", help="Game servers.")
app.add_typer(nodes.app, name="node", help="The machines that run them.")
app.add_typer(registries.app, name="registry", help="As whom nodes pull images.")
app.add_typer(templates.app, name="template", help="What kinds of servers are made of.")
app.add_typer(operations.app, name="operation", help="Work under way, and what became of it.")

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
def up(
    *,
    demo: Annotated[bool, typer.Option("--demo", help="Also build, start and query a real game server.")] = False,
    game: Annotated[str, typer.Option("--game", help="Which one: minecraft or openarena.")] = "minecraft",
    check: Annotated[
        bool, typer.Option("--check", help="With --demo: remove everything again once the game answered.")
    ] = False,
) -> None:
    """Run panel and agent on this machine, all set up."""
    from ctrl_alt_play.up.main import Options  # noqa: PLC0415
    from ctrl_alt_play.up.main import up as bring_up  # noqa: PLC0415

    if check and not demo:
        raise typer.BadParameter("--check goes with --demo")
    raise typer.Exit(bring_up(Options(game if demo else None, check)))


@app.command()
def panel(config: ConfigOption = None) -> None:
    """Run the panel until it is told to end."""
    run_panel(config)


@app.command()
def agent(
    config: ConfigOption = None,
    enrol: Annotated[
        str | None, typer.Option(metavar="LINK", help="Become a node first: a link as the node's page shows it.")
    ] = None,
) -> None:
    """Run the agent of this node until it is told to end. Games go on without it."""
    if enrol is not None:
        enrol_agent(enrol, config)
    run_agent(config)


@app.command()
def doctor(config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """Look at this machine as a node: what is wrong, and what to do. Fails where something does not work."""
    from ctrl_alt_play.cli.doctor import examine  # noqa: PLC0415

    raise typer.Exit(examine(config, as_json=as_json))


@app.command()
def login(
    username: Annotated[str, typer.Option(prompt=True)],
    password: Annotated[str, typer.Option(prompt=True, hide_input=True, envvar="CTRL_ALT_PLAY_PASSWORD")],
    url: Annotated[str, typer.Option(envvar="CTRL_ALT_PLAY_URL", help="The panel's address.")] = DEFAULT_URL,
) -> None:
    """Log in at a panel; later commands use it."""
    with Api(Login(url, "")) as api:
        token = api.call("POST", "/api/auth/login", {"username": username, "password": password})["access_token"]
    Login(url, token).keep()
    say(f"Logged in at {url} as {username}.")
