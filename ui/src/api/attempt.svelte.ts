/** Something that somebody does: whether it is under way, and what went wrong with it. */
export class Attempt {
  busy = $state(false);
  error = $state.raw<unknown>(null);

  /** Does it; what it throws is kept, to be shown. Gives whether it worked. */
  async run(work: () => Promise<unknown>): Promise<boolean> {
    this.busy = true;
    this.error = null;
    try {
      await work();
      return true;
    } catch (found) {
      this.error = found;
      return false;
    } finally {
      this.busy = false;
    }
  }
}
