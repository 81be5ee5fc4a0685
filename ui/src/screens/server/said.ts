const LINES = 100;
const SERVERS = 50;

type Kept = [serverId: string, lines: string[]][];

/** The lines that were typed into a server's console here, by this user, and where one is among them. The latest servers' are remembered. */
export class Said {
  #key: string;
  #lines: string[];
  #at: number;
  /** What was being typed when one went back. */
  #typing = "";

  constructor(
    userId: string,
    private readonly serverId: string,
  ) {
    this.#key = `said:${userId}`;
    this.#lines = this.#kept().find(([id]) => id === serverId)?.[1] ?? [];
    this.#at = this.#lines.length;
  }

  add(line: string): void {
    this.#lines = [...this.#lines.filter((each) => each !== line), line].slice(-LINES);
    this.#at = this.#lines.length;
    const others = this.#kept().filter(([id]) => id !== this.serverId);
    localStorage.setItem(this.#key, JSON.stringify([[this.serverId, this.#lines], ...others].slice(0, SERVERS)));
  }

  /** The line so many steps later (or earlier, below 0) than the one that stands there. */
  step(by: number, typed: string): string {
    if (this.#at === this.#lines.length) this.#typing = typed;
    this.#at = Math.max(0, Math.min(this.#lines.length, this.#at + by));
    return this.#lines[this.#at] ?? this.#typing;
  }

  #kept(): Kept {
    try {
      return JSON.parse(localStorage.getItem(this.#key) ?? "[]") as Kept;
    } catch {
      return [];
    }
  }
}
