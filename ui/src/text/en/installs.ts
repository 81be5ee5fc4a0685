/** Installing a server once more. */
export const installs = {
  reinstall: {
    title: "Reinstall",
    hint: "The server stops and its installer runs once more; the console shows what it says.",
    hintWithout: "The server has no installer. It can be emptied: all its files go, and it begins anew.",
    act: "Reinstall …",
    actWithout: "Empty …",
    ask: (name: string) => `Reinstall ${name}?`,
    askWithout: (name: string) => `Empty ${name}?`,
    stops: "The server stops if it runs, and stays stopped afterwards. Its settings stay as they are.",
    keeps: "Its files stay; the installer may overwrite some of them.",
    wipe: "Remove all files first",
    wipeHint: "Worlds, saves and configuration are gone for good.",
    wipes: "All its files are removed first: worlds, saves and configuration are gone for good.",
    go: "Reinstall",
    goWithout: "Empty",
    fresh: "Try again with an empty folder …",
    beingInstalled: "The server is being installed; its words are shown above.",
  },
};
