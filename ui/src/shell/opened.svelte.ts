/** Which of the things that lie over every screen is open. */
class Opened {
  what = $state<"palette" | "help" | null>(null);

  close(): void {
    this.what = null;
  }
}

export const opened = new Opened();
