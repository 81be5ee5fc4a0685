export const happenings = {
  happenings: {
    crashed: "Crashed",
    joined: (names: string) => `Joined: ${names}.`,
    left: (names: string) => `Left: ${names}.`,
    became: {
      running: "Running",
      stopped: "Stopped",
      created: "Installed",
      deleted: "Deleted",
      start_failed: "Could not be started",
      stop_failed: "Could not be stopped",
      create_failed: "Could not be installed",
      delete_failed: "Could not be deleted",
    },
  },
};
