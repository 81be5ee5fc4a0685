"""`python -m bench.flood`: what a console that floods costs the others. One agent with real Docker, one game that writes all that it can, one that
answers; the time from typing a line to seeing the game's answer, with and without the flood. Ends by itself.
"""

import asyncio
import secrets
import statistics
import tempfile
import time
from pathlib import Path

import psutil
from tests.foreign.panel import ForeignPanel
from tests.integration.agent.consoles import Stage, gaps, texts
from tests.integration.agent.processes import AgentProcess, Docker
from tests.integration.defects import puppet

SECONDS = 15
LINE = "x" * 79


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder, puppet.image(Path(folder)) as image:
        async with ForeignPanel() as panel:
            process = AgentProcess(Path(folder), panel.url, f"flood-{secrets.token_hex(4)}")
            stage = Stage(panel, process, image)
            try:
                await measure(stage)
            finally:
                process.close()
                await asyncio.to_thread(Docker().remove_all, process.node_id)


async def measure(stage: Stage) -> None:
    await stage.begin()
    loud, quiet = await stage.running(), await stage.running()
    for server_id in (loud, quiet):
        await stage.asked("console_attach", server_id)
    await show(stage, quiet, "nobody floods")
    commands = {
        "flood of 200,000 lines/s": f'busybox awk \'BEGIN {{ for (;;) {{ for (i = 0; i < 6000; i++) print "{LINE}"; fflush(); '
        'system("busybox usleep 8000") } }\'',
        "flood without a bound": f"busybox yes {LINE}",
    }
    for name, command in commands.items():
        since = (await stage.asked("console_history", loud, lines=1))["end"]
        await stage.type(loud, f"busybox timeout {SECONDS} {command}; echo end")
        await asyncio.sleep(1)
        await show(stage, quiet, name)
        parts = await stage.has_written(loud, "end")
        parts = [part for part in parts if part["offset"] >= since]
        lost = sum(lines for lines, why in gaps(parts) if why == "flood")
        end = (await stage.asked("console_history", loud, lines=1))["end"]
        print(
            f"  {(end - since) / SECONDS:,.0f} lines/s came; flood gaps among the {len(texts(parts)):,} that are kept: {lost:,} lines"
        )


async def show(stage: Stage, server_id: str, name: str) -> None:
    agent = psutil.Process(stage.process.pid)
    began, used = time.monotonic(), sum(agent.cpu_times()[:2])
    commands, answers = [], []
    while time.monotonic() - began < SECONDS - 4:
        command_s, answer_s = await typed(stage, server_id)
        commands.append(command_s)
        answers.append(answer_s)
        await asyncio.sleep(0.1)
    cpu = (sum(agent.cpu_times()[:2]) - used) / (time.monotonic() - began) * 100
    memory = agent.memory_info().rss / 2**20
    print(
        f"{name:28} accepted {told(commands)}   answer seen {told(answers)}   agent {cpu:.0f} % of a core, {memory:.0f} MiB"
    )


def told(times: list[float]) -> str:
    centiles = statistics.quantiles(times, n=20)
    return f"median {centiles[9] * 1000:4.0f}, 95 % {centiles[18] * 1000:4.0f}, most {max(times) * 1000:4.0f} ms"


async def typed(stage: Stage, server_id: str) -> tuple[float, float]:
    word, after, began = secrets.token_hex(8), len(stage.agent.heard), time.monotonic()
    await stage.type(server_id, f"echo {word}")
    accepted_s = time.monotonic() - began

    def is_answer(frame: dict) -> bool:  # type: ignore[type-arg]
        if frame.get("event") != "console" or frame["data"]["serverId"] != server_id:
            return False
        return any(word in part.get("text", "") for part in frame["data"]["parts"])

    await stage.agent.expect_that(is_answer, after=after, timeout_s=20)
    return accepted_s, time.monotonic() - began


if __name__ == "__main__":
    asyncio.run(main())
