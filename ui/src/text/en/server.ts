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
    tabs: { label: "About this server", console: "Console", players: "Players", activity: "Activity" },
  },
};
