export const server = {
  server: {
    gone: "This server is no more, or not yours to see.",
    back: "Back to all servers",
    start: "Start",
    stop: "Stop",
    restart: "Restart",
    kill: "Kill",
    uptime: "Up for",
    figures: "Figures of the last minute",
    tabs: { label: "About this server", console: "Console", activity: "Activity" },
  },
  console: {
    label: "Console",
    input: "Command",
    placeholder: "Type a command, and press Enter",
    send: "Send",
    newest: (n: number) => (n > 0 ? `Jump to newest, ${n} new` : "Jump to newest"),
    download: "Download log",
    lost: {
      FLOOD: (n: number) => `${n} lines left out: they came too fast`,
      SKIPPED: (n: number) => `${n} lines skipped: this page could not keep up`,
      ROTATED: (n: number) => `${n} lines are not kept any more`,
      AWAY: (n: number) => (n > 0 ? `${n} lines were lost` : "Lines may be missing here"),
    },
  },
};
