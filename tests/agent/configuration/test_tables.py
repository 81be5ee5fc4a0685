"""Each parser against real configuration files: what is set, and that nothing else moves."""

from dataclasses import dataclass

import pytest

from ctrl_alt_play.agent.configuration.edits import Broken, Edit, Scalar
from ctrl_alt_play.agent.configuration.parsers import PARSERS, Parser, edited

SERVER_PROPERTIES = """\
#Minecraft server properties
#Sat Nov 21 10:00:00 UTC 2026
enable-query=false
server-port=25565
! the name that players see
motd=A \\
    Minecraft Server
level-name: world
generator-settings={}
  spaced   =   yes
empty=
lonely
accented=\\u00e9t\\u00e9
"""
OPENTTD_CFG = """\
; OpenTTD
global = 1

[network]
server_port = 3979 ; the game's
server_name = "An unnamed server"
max_clients=25

[difficulty.extra]
# more
max_no_competitors = 0
"""
SETTINGS_JSON = """\
{
    // what players see
    "name": "Factory",
    "max_players": 0,      /* no limit */
    "visibility": {"public": true, "lan": false},
    "tags": ["game", "tags"],
    "admins": [
        {"name": "ann", "level": 1},
        {"name": "bob", "level": 2},
    ],
    "nothing": null,
    "version": "5"
}
"""
BUNGEE_YML = """\
# Bungee
listeners:
- host: 0.0.0.0:25577   # where players come
  query_port: 25577
  motd: '&1It''s a proxy'
  forced_hosts:
    pvp.md-5.net: pvp
servers:
  lobby:
    motd: "&1Just another"
    address: localhost:25565
    restricted: false
  far: {address: 10.0.0.7:25565, restricted: yes}
ip_forward: false
stats: 3b0c
text: |
  two
  lines

# the end
last: &here 1
copy: *here
nothing:
"""
CONFIG_TOML = """\
# velocity
bind = "0.0.0.0:25577" # the proxy's
show-max-players = 500
online-mode = true

[servers]
lobby = "127.0.0.1:30066"
try = ["lobby", "factions"]

[advanced]
compression = 1.5

[[forwards]]
host = "a"
"""
SETTINGS_XML = """\
<?xml version="1.0" encoding="utf-8"?>
<!-- TrackMania -->
<dedicated>
  <server_options>
    <name>Mine &amp; yours</name> <!-- shown -->
    <password></password>
    <comment/>
  </server_options>
  <system_config>
    <server_port mode="a">2350</server_port>
    <level><a>1</a></level>
    <level><a>2</a></level>
  </system_config>
</dedicated>
"""
ENV = "# secrets\nPORT=1\nexport NAME=x\n"


@dataclass(frozen=True)
class Case:
    parser: Parser
    content: str
    match: str
    value: Scalar
    before: str
    after: str
    if_value: str | None = None


def replaces(parser: Parser, content: str, match: str, value: Scalar, before: str, after: str) -> Case:
    return Case(parser, content, match, value, before, after)


def when(parser: Parser, content: str, match: str, if_value: str, value: Scalar, before: str, after: str) -> Case:
    return Case(parser, content, match, value, before, after, if_value)


CASES = [
    replaces("properties", SERVER_PROPERTIES, "server-port", "25570", "=25565", "=25570"),
    replaces("properties", SERVER_PROPERTIES, "enable-query", True, "query=false", "query=true"),
    replaces("properties", SERVER_PROPERTIES, "motd", "Grüße\n", "A \\\n    Minecraft Server", "Gr\\u00fc\\u00dfe\\n"),
    replaces("properties", SERVER_PROPERTIES, "motd", "🎮", "A \\\n    Minecraft Server", "\\ud83c\\udfae"),
    replaces("properties", SERVER_PROPERTIES, "level-name", "c:\\x", ": world", ": c:\\\\x"),
    replaces("properties", SERVER_PROPERTIES, "spaced", "no", "=   yes", "=   no"),
    replaces("properties", SERVER_PROPERTIES, "empty", " x", "empty=", "empty=\\ x"),
    replaces("properties", SERVER_PROPERTIES, "lonely", "1", "lonely", "lonely=1"),
    replaces("properties", SERVER_PROPERTIES, "query.port", "9", "t\\u00e9\n", "t\\u00e9\nquery.port=9\n"),
    replaces("properties", SERVER_PROPERTIES, "a key", "9", "t\\u00e9\n", "t\\u00e9\na\\ key=9\n"),
    replaces("properties", "a=1", "b", "2", "a=1", "a=1\nb=2\n"),
    replaces("properties", "a=é", "a", "è", "é", "è"),
    when("properties", SERVER_PROPERTIES, "accented", "été", "x", "\\u00e9t\\u00e9", "x"),
    when("properties", SERVER_PROPERTIES, "level-name", "other", "x", "", ""),
    when("properties", SERVER_PROPERTIES, "absent", "", "x", "", ""),
    replaces("ini", OPENTTD_CFG, "network.server_port", "27015", "= 3979 ;", "= 27015 ;"),
    replaces("ini", OPENTTD_CFG, "network.server_name", "Ours", '"An unnamed server"', '"Ours"'),
    replaces("ini", OPENTTD_CFG, "network.max_clients", 8, "=25", "=8"),
    replaces("ini", OPENTTD_CFG, "network.lan", 0, "max_clients=25\n", "max_clients=25\nlan = 0\n"),
    replaces("ini", OPENTTD_CFG, "[difficulty.extra].max_no_competitors", 3, "competitors = 0", "competitors = 3"),
    replaces("ini", OPENTTD_CFG, "global", 2, "global = 1", "global = 2"),
    replaces("ini", OPENTTD_CFG, "new.key", "v", "competitors = 0\n", "competitors = 0\n\n[new]\nkey = v\n"),
    replaces("ini", "a=1\nb=2\na=3\n", "a", "4", "a=3", "a=4"),
    when("ini", OPENTTD_CFG, "network.max_clients", "regex:^2(\\d)$", "9$1", "=25", "=95"),
    replaces("json", SETTINGS_JSON, "max_players", "16", '": 0,', '": 16,'),
    replaces("json", SETTINGS_JSON, "name", "7", '"Factory"', '"7"'),
    replaces("json", SETTINGS_JSON, "version", 7, '"5"', '"7"'),
    replaces("json", SETTINGS_JSON, "visibility.lan", "true", '"lan": false', '"lan": true'),
    replaces("json", SETTINGS_JSON, "admins[1].name", 'é"', '"bob"', '"é\\""'),
    replaces("json", SETTINGS_JSON, "admins.0.level", "5", '"level": 1', '"level": 5'),
    replaces("json", SETTINGS_JSON, "tags[2]", "new", '"tags"],', '"tags", "new"],'),
    replaces("json", SETTINGS_JSON, "nothing", "1.5", "null", "1.5"),
    replaces("json", SETTINGS_JSON, "visibility.steam", "true", "false}", 'false, "steam": true}'),
    replaces("json", SETTINGS_JSON, "a.b", "x", '"5"\n', '"5",\n    "a": {\n      "b": "x"\n    }\n'),
    replaces("json", SETTINGS_JSON, "nothing.deep", "x", "null", '{\n      "deep": "x"\n    }'),
    replaces("json", '{"a": 1, "a": 2}', "a", "3", "2", "3"),
    when("json", SETTINGS_JSON, "admins.*.name", "bob", "eve", '"bob"', '"eve"'),
    replaces("yaml", BUNGEE_YML, "listeners[0].query_port", "25580", "query_port: 25577", "query_port: 25580"),
    replaces("yaml", BUNGEE_YML, "listeners[0].host", "0.0.0.0:1", "0.0.0.0:25577 ", "0.0.0.0:1 "),
    replaces("yaml", BUNGEE_YML, "listeners[0].motd", "Ann's: x", "'&1It''s a proxy'", "'Ann''s: x'"),
    replaces("yaml", BUNGEE_YML, "ip_forward", "true", "ip_forward: false", "ip_forward: true"),
    replaces("yaml", BUNGEE_YML, "stats", "123", "stats: 3b0c", "stats: '123'"),
    replaces("yaml", BUNGEE_YML, "servers.far.restricted", "off", "restricted: yes", "restricted: false"),
    replaces("yaml", BUNGEE_YML, "servers.far.motd", "a, b", "restricted: yes}", "restricted: yes, motd: 'a, b'}"),
    replaces("yaml", BUNGEE_YML, "servers.lobby.x.y", "1", "d: false\n", "d: false\n    x:\n      y: 1\n"),
    replaces("yaml", BUNGEE_YML, "listeners[1].host", "h", "  pvp.md-5.net: pvp\n", "  pvp.md-5.net: pvp\n- host: h\n"),
    replaces("yaml", BUNGEE_YML, "text", "one", "|\n  two\n  lines\n\n", '"one"\n'),
    replaces("yaml", BUNGEE_YML, "last", "2", "&here 1", "&here 2"),
    replaces("yaml", BUNGEE_YML, "copy", "2", "*here", "2"),
    replaces("yaml", BUNGEE_YML, "nothing", "x", "nothing:", "nothing: x"),
    replaces("yaml", BUNGEE_YML, "nothing.a", "1", "nothing:", "nothing:\n  a: 1"),
    replaces("yaml", BUNGEE_YML, "new", "1", "nothing:\n", "nothing:\nnew: 1\n"),
    replaces("yaml", "a: 1", "b", "x", "a: 1", "a: 1\nb: x\n"),
    when(
        "yaml",
        BUNGEE_YML,
        "servers.*.address",
        r"regex:^(127\.0\.0\.1|localhost)(:\d{1,5})?$",
        "172.18.0.1$2",
        "localhost:25565",
        "172.18.0.1:25565",
    ),
    when("yaml", BUNGEE_YML, "servers.*.address", "localhost", "172.18.0.1", "", ""),
    replaces("toml", CONFIG_TOML, "bind", "0.0.0.0:1", '"0.0.0.0:25577" #', '"0.0.0.0:1" #'),
    replaces("toml", CONFIG_TOML, "show-max-players", "5", "= 500", "= 5"),
    replaces("toml", CONFIG_TOML, "online-mode", "false", "mode = true", "mode = false"),
    replaces("toml", CONFIG_TOML, "servers.try[1]", "pvp", '"factions"', '"pvp"'),
    replaces("toml", CONFIG_TOML, "advanced.compression", "2", "= 1.5", "= 2.0"),
    replaces("toml", CONFIG_TOML, "forwards[0].host", "b", 'host = "a"', 'host = "b"'),
    when("toml", CONFIG_TOML, "servers.lobby", "127.0.0.1:30066", "x", '"127.0.0.1:30066"', '"x"'),
    replaces("xml", SETTINGS_XML, "dedicated.server_options.name", "a<b", "Mine &amp; yours", "a&lt;b"),
    replaces("xml", SETTINGS_XML, "dedicated.server_options.password", "p", "<password>", "<password>p"),
    replaces("xml", SETTINGS_XML, "dedicated.server_options.comment", "c", "<comment/>", "<comment>c</comment>"),
    replaces("xml", SETTINGS_XML, "dedicated.system_config.server_port", "1", ">2350<", ">1<"),
    replaces("xml", SETTINGS_XML, "dedicated.system_config.server_port", "[mode='b']", 'mode="a"', 'mode="b"'),
    replaces("xml", SETTINGS_XML, "dedicated.system_config.level[1].a", "9", "<a>2</a>", "<a>9</a>"),
    when("xml", SETTINGS_XML, "dedicated.*.level.a", "1", "9", "<a>1</a>", "<a>9</a>"),
    replaces("file", ENV, "PORT", "PORT=2", "PORT=1", "PORT=2"),
    replaces("file", ENV, "export NAME", "export NAME=y", "export NAME=x", "export NAME=y"),
    replaces("file", ENV, "ABSENT", "ABSENT=1", "", ""),
]


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parser} {case.match} {case.value!r}"[:60])
def test_what_is_set_is_set_and_nothing_else_moves(case: Case, line_end: str) -> None:
    def on_disk(text: str) -> bytes:
        return (text.replace("\n", line_end) if "\n" in case.content else text).encode()

    assert case.before in case.content
    expected = case.content.replace(case.before, case.after, 1) if case.before else case.content
    edits = [Edit(case.match, case.value, case.if_value)]
    once = edited(case.parser, on_disk(case.content), edits)
    assert once.decode() == on_disk(expected).decode()
    if case.if_value is None:
        assert edited(case.parser, once, edits) == once


NEW = {
    "properties": ("a.b=1\n", "a.b"),
    "ini": ("[a]\nb=1\n", "a.b"),
    "json": ('{\n  "a": {\n    "b": 1\n  }\n}\n', "a.b"),
    "yaml": ("a:\n  b: 1\n", "a.b"),
    "toml": ("[a]\nb = 1\n", "a.b"),
    "xml": ('<?xml version="1.0" encoding="utf-8"?>\n<a>\n  <b>1</b>\n</a>\n', "a.b"),
    "file": ("1\n", "a.b"),
}


@pytest.mark.parametrize("parser", PARSERS)
def test_a_file_that_is_not_there_yet_is_made(parser: Parser) -> None:
    content, match = NEW[parser]
    assert edited(parser, b"", [Edit(match, "1")]).decode() == content


BROKEN: list[tuple[Parser, str, str, int]] = [
    ("json", '{\n  "a": 1,\n  b: 2\n}', "a", 3),
    ("json", '{"a": 1}\n{', "a", 2),
    ("json", "[" * 200, "a", 1),
    ("json", '{"a": {"b": 1}}', "a", 1),
    ("json", '{"a": 1}', "a.b", 1),
    ("json", '{"a": [1]}', "a[5]", 1),
    ("yaml", "a: 1\nb: [", "a", 3),
    ("yaml", "a: 1\n---\nb: 1\n", "a", 2),
    ("yaml", "a: 1\n\tb: 1\n", "a", 2),
    ("toml", "a = 1\nb = \n", "a", 2),
    ("xml", "<a>\n<b></a>", "a.b", 2),
    ("xml", "<a/>", "b.c", 1),
    ("xml", "<a><b><c/></b></a>", "a.b", 1),
]


@pytest.mark.parametrize(("parser", "content", "match", "line"), BROKEN)
def test_what_is_broken_is_said_with_its_line_and_left_alone(
    parser: Parser, content: str, match: str, line: int
) -> None:
    with pytest.raises(Broken) as broken:
        edited(parser, content.encode(), [Edit(match, "1")])
    assert broken.value.line == line


def test_an_expression_that_would_go_back_is_refused() -> None:
    with pytest.raises(Broken, match="regular expression"):
        edited("json", b'{"a": "x"}', [Edit("a", "1", r"regex:(a)\1")])


def test_a_mark_and_another_encoding_stay() -> None:
    assert edited("ini", "\ufeff[a]\nb=1\n".encode(), [Edit("a.b", "2")]) == "\ufeff[a]\nb=2\n".encode()
    assert edited("properties", b"# caf\xe9\na=1\n", [Edit("a", "2")]) == b"# caf\xe9\na=2\n"


def test_names_that_need_it_are_found_in_brackets() -> None:
    assert edited("yaml", b"a.b:\n  c: 1\n", [Edit("[a.b].c", "2")]) == b"a.b:\n  c: 2\n"
    assert edited("json", b'{"a.b": 1}', [Edit('["a.b"]', "2")]) == b'{"a.b": 2}'


def test_a_document_of_many_aliases_is_read_in_its_size() -> None:
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 40)]
    content = "\n".join([*lines, "port: 1", ""])
    assert edited("yaml", content.encode(), [Edit("port", "2")]).decode() == content.replace("port: 1", "port: 2")


def test_a_deep_document_is_read() -> None:
    content = "[" * 20_000 + "]" * 20_000
    assert edited("yaml", f"a: {content}\nb: 1\n".encode(), [Edit("b", "2")]).decode().endswith("b: 2\n")
