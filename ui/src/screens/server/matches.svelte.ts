/** Where the search in what is on the screen stands. */
export class Matches {
  /** Which one it is; -1 where there are too many to know. */
  at = $state(-1);
  count = $state(0);

  take(at: number, count: number): void {
    this.at = at;
    this.count = count;
  }
}
