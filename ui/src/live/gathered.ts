/** What comes by its name, handed on once for each frame that is drawn: of what came by one name the newest alone counts. */
export class Gathered<Value> {
  #waiting = new Map<string, Value>();
  #frame = 0;

  constructor(private readonly take: (newest: ReadonlyMap<string, Value>) => void) {}

  add(name: string, value: Value): void {
    this.#waiting.set(name, value);
    this.#frame ||= requestAnimationFrame(() => this.#hand());
  }

  /** What was not handed on yet is not any more. */
  clear(): void {
    this.#waiting.clear();
  }

  #hand(): void {
    this.#frame = 0;
    const newest = this.#waiting;
    this.#waiting = new Map();
    this.take(newest);
  }
}
