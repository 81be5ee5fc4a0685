"""A console in a real browser while its game floods: how long the page takes from a key to what it shows of it, and how many lines it shows."""

import json
import shutil
import statistics
import time

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from tests.integration.defects import puppet
from tests.integration.defects.puppet import Puppet
from tests.waiting import until

from bench.place import Place, remark

RATES = (0, 1_000, 5_000, 20_000)
"""Lines a second, of 80 characters."""
TICKS = 50
FLOOD = (
    'busybox awk \'BEGIN { for (;;) { for (i = 0; i < %d; i++) printf "%%080d\\n", n++; fflush(); '
    'system("busybox usleep 20000") } }\''
)
TASKS = {"RunTask", "ThreadControllerImpl::RunTask"}
SECONDS = 10
KEY_EVERY_MS = 100
PATIENCE_MS = 60_000
RENDERERS = {
    "lines as text in the page": ("--disable-gpu", "--disable-3d-apis"),
    "lines drawn by WebGL": ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
}
"""Without a graphics card WebGL is done by the processor: it is slower here than where people look."""
COUNT = """
    window.told = { first: null, next: 0, lost: 0 };
    window.WebSocket = class extends WebSocket {
        constructor(address) {
            super(address);
            this.addEventListener("message", ({ data }) => {
                const id = data.startsWith('{"topic":"console:') && data.slice(0, 200).match(/"kind":"lines","id":(\\d+)/);
                if (!id) return;
                told.first ??= told.next = Number(id[1]);
                told.next = Number(id[1]);
                if (!data.includes('"lost":"')) return;
                for (const part of JSON.parse(data).data.parts) if (part.lost) told.lost += part.lines;
            });
        }
    };
"""
"""What the page is told, by the numbers of lines."""
MEASURE = """() => {
    window.delays = [];
    document.querySelector("#command").addEventListener("keydown", (event) =>
        requestAnimationFrame(() => {
            const { port1, port2 } = new MessageChannel();
            port1.onmessage = () => delays.push(performance.now() - event.timeStamp);
            port2.postMessage(null);
        }));
}"""
"""What is posted while a frame is made is heard once it is painted; a key's time is that at which the browser got it."""


def measure(place: Place) -> None:
    with puppet.image(place.folder) as image, sync_playwright() as playwright:
        for name, arguments in RENDERERS.items():
            remark(
                f"{name}: ms from a key to the painted frame; the CPU of the page's thread, and the most without a pause"
            )
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox", *arguments]
            )
            context = browser.new_context(base_url=str(place.installation.api.base_url), locale="en-GB")
            context.add_init_script(COUNT)
            _sign_in(place, context.new_page())
            for rate in RATES:
                _look(place, image, browser, context, rate)
            browser.close()


def _sign_in(place: Place, page: Page) -> None:
    page.goto("/")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(place.installation.owner_password)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Servers", level=1).wait_for(timeout=PATIENCE_MS)
    page.close()


def _look(place: Place, image: str, browser: Browser, context: BrowserContext, rate: int) -> None:
    game = Puppet(place.installation, image)
    game.does("start")
    page = context.new_page()
    page.goto(f"/servers/{game.id}", timeout=PATIENCE_MS)
    page.locator("#command:enabled").wait_for(timeout=PATIENCE_MS)
    if rate:
        game.types(FLOOD % (rate // TICKS))
        until(lambda: page.evaluate("told.next > 1000"), "the page is told of the flood", PATIENCE_MS / 1000)
    page.evaluate(MEASURE)
    before, began = page.evaluate("told"), time.monotonic()
    keys = "x" * (SECONDS * 1000 // KEY_EVERY_MS)
    browser.start_tracing(page=page, categories=["toplevel"])
    page.locator("#command").press_sequentially(keys, delay=KEY_EVERY_MS, timeout=0)
    tasks_ms = _tasks_ms(browser.stop_tracing())
    after, seconds = page.evaluate("told"), time.monotonic() - began
    delays = page.evaluate("delays")
    page.close()
    game.does("kill")
    place.installation.do("DELETE", game.path)
    centiles = statistics.quantiles(delays, n=20)
    came, lost = ((after[name] - before[name]) / seconds for name in ("next", "lost"))
    remark(
        f"{rate:6,} lines/s: p50 {centiles[9]:6.1f}, p95 {centiles[18]:6.1f}, worst {max(delays):6.1f} of {len(delays)} keys;"
        f" {came - lost:7,.0f} lines/s shown, {lost:6,.0f} left out;"
        f" CPU {sum(tasks_ms) / seconds / 10:3.0f} %, {max(tasks_ms):5.1f} ms at once"
    )


def _tasks_ms(trace: bytes) -> list[float]:
    """The processor's time for each thing that the page's thread did; a key waits for one of them at most, and no other load is in it."""
    events = json.loads(trace)["traceEvents"]
    mains = {
        (event["pid"], event["tid"])
        for event in events
        if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
    }
    tasks: dict[tuple[int, int], list[float]] = {main: [] for main in mains}
    for event in events:
        if event["name"] in TASKS and "tdur" in event and (event["pid"], event["tid"]) in tasks:
            tasks[event["pid"], event["tid"]].append(event["tdur"] / 1000)
    return max(tasks.values(), key=sum)
