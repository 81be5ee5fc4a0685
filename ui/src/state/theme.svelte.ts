const KEY = "theme";
export type Theme = "system" | "light" | "dark";
export const THEMES: readonly Theme[] = ["system", "light", "dark"];

/** Light, dark, or as the system has it. */
class Appearance {
  theme = $state<Theme>(THEMES.find((each) => each === localStorage.getItem(KEY)) ?? "system");

  apply(): void {
    if (this.theme === "system") delete document.documentElement.dataset["theme"];
    else document.documentElement.dataset["theme"] = this.theme;
  }

  choose(theme: Theme): void {
    this.theme = theme;
    localStorage.setItem(KEY, theme);
    this.apply();
  }
}

export const appearance = new Appearance();
